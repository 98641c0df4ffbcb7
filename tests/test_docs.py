"""What the documentation shows is what happens: docstrings and the README's Python blocks. Links lead somewhere."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from pathlib import Path

import posenc
import pytest
from posenc import _api, _backend, _encoding, _grid, _notation, _positions, _threads, plot, properties
from posenc._conventions import layout, lookup

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [*ROOT.glob("*.md"), *(page for name in ("bench", "docs", "examples") for page in ROOT.glob(f"{name}/**/*.md"))]
BLOCKS = re.findall(r"^```(?:python|pycon)\n(.*?)^```", README.read_text(), re.M | re.S) if README.exists() else []


@pytest.mark.parametrize(
    "module",
    [_api, _backend, _encoding, _grid, _notation, _positions, _threads, layout, lookup, properties],
    ids=lambda module: module.__name__,
)
def test_docstrings(module: object) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as report:
        failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed, report.getvalue()
    assert tried


def test_docstrings_of_pictures() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed").use("Agg")
    test_docstrings(plot)


@pytest.mark.parametrize(
    "name",
    [
        "Encoding",
        "add",
        "add_",
        "convert_layout_",
        "encode",
        "fill_",
        "get_encoding",
        "grid",
        "info",
        "list_encodings",
        "positions_from_mask",
    ],
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


# What to write where nothing can be written in place.
SUM = "x + posenc.encode(L, D, dtype=x.dtype)"


@pytest.mark.skipif(not README.exists(), reason="README.md is not here")
def test_the_readme_has_the_line_that_trains() -> None:
    assert f"`{SUM}`" in README.read_text()


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_the_line_that_trains(dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.ones(2, 5, 8, dtype=getattr(torch, dtype), requires_grad=True)
    y = eval(SUM, {"posenc": posenc, "x": x, "L": 5, "D": 8})
    assert y.dtype == x.dtype
    y.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    assert torch.equal(y.detach(), x.detach() + posenc.encode(5, 8, dtype=x.dtype))


def test_the_line_within_jit() -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    x = jax.numpy.ones((2, 5, 8), "float32")
    y = jax.jit(lambda x: eval(SUM, {"posenc": posenc, "x": x, "L": 5, "D": 8}))(x)
    assert (y == x + posenc.encode(5, 8)).all()


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(
        r"^#+ +(.*?) *$", re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_within_the_repository(page: Path) -> None:
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)", page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
