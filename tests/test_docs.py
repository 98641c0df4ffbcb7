"""What the documentation shows is what happens: docstrings and the README's Python blocks. Prose is not checked."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from pathlib import Path

import posenc
import pytest
from posenc import _api, _backend, _conventions, _encoding, _threads

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```(?:python|pycon)\n(.*?)^```", README.read_text(), re.M | re.S) if README.exists() else []


@pytest.mark.parametrize(
    "module", [_api, _backend, _conventions, _encoding, _threads], ids=lambda module: module.__name__
)
def test_docstrings(module: object) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as report:
        failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed, report.getvalue()
    assert tried


@pytest.mark.parametrize(
    "name", ["Encoding", "add", "add_", "convert_layout_", "encode", "fill_", "get_encoding", "info", "list_encodings"]
)
def test_there_is_an_example(name: str) -> None:
    assert ">>>" in getattr(posenc, name).__doc__


@pytest.mark.skipif(not BLOCKS, reason="README.md has no Python blocks")
def test_readme() -> None:
    names: dict[str, object] = {}  # blocks go on where the one before stopped
    for block in BLOCKS:
        if ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, names, "README.md", "README.md", 0)
            report = io.StringIO()
            runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
            runner.run(test, out=report.write, clear_globs=False)
            assert not runner.failures, report.getvalue()
            names.update(test.globs)
        else:
            exec(compile(block, "README.md", "exec"), names)
