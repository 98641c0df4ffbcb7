"""What the documentation shows is what happens: docstrings, blocks of README.md and docs/. Links lead somewhere."""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import posenc
import pytest
from posenc import _api, _backend, _encoding, _grid, _identify, _notation, _positions, _threads, plot, properties
from posenc._conventions import ROWS, layout, lookup

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [*ROOT.glob("*.md"), *(page for name in ("bench", "docs", "examples") for page in ROOT.glob(f"{name}/**/*.md"))]
# Pages whose blocks are run here; those of docs/recipes have fixtures and a test of their own.
RUN = [page for page in PAGES if page == README or ((ROOT / "docs") in page.parents and page.parent.name != "recipes")]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize(
    "module",
    [_api, _backend, _encoding, _grid, _identify, _notation, _positions, _threads, layout, lookup, properties],
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


@pytest.mark.parametrize("name", sorted({*posenc.__all__} - {"BackendError", "Match", "get_num_threads"}))
def test_there_is_an_example(name: str) -> None:
    assert ">>>" in getattr(posenc, name).__doc__


def blocks(page: Path, *languages: str) -> list[tuple[int, str]]:
    """The fenced blocks of a page, with the lines at which they begin."""
    text = page.read_text("utf-8")
    found = re.finditer(rf"^```(?:{'|'.join(languages)})\n(.*?)^```", text, re.M | re.S)
    return [(text.count("\n", 0, block.start(1)), block.group(1)) for block in found]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = blocks(page, "python")
    imported = {name for _, block in code for name in re.findall(r"^[>.]* *(?:import|from) (\w+)", block, re.M)}
    for package in imported - sys.stdlib_module_names:
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    # On the pages of conventions each block stands for itself, without an import.
    names: dict[str, object] = {"posenc": posenc} if page.parent.name == "conventions" else {}
    for line, block in code:  # each goes on where the one before stopped
        if ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, names, page.name, str(page), line)
            report = io.StringIO()
            runner = doctest.DocTestRunner(optionflags=FLAGS)
            runner.run(test, out=report.write, clear_globs=False)
            assert not runner.failures, report.getvalue()
            names.update(test.globs)
        else:
            exec(compile("\n" * line + block, str(page), "exec"), names)


COMMANDS = [
    pytest.param(line, id=f"{page.stem}-{line}")
    for page in RUN
    for _, block in blocks(page, "sh")
    for line in block.splitlines()
    if line.startswith("posenc ")
]

# What is shown and not run here: tables of words, what git would say, what makes the site's own parts. The commands of
# the README that install and test are run by .ci/run.
SHOWN = ("text", "diff", "{")
ELSEWHERE = ('pip install ".[', "python -m pytest ")


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_block_is_left_out(page: Path) -> None:
    languages = re.findall(r"^```(.+)$", page.read_text("utf-8"), re.M)
    fences = len(re.findall(r"^ *(?:```|~~~)", page.read_text("utf-8"), re.M))
    assert fences == 2 * len(languages), "a fence without a language, or within a list, where nothing runs it"
    assert not [name for name in languages if name not in ("python", "sh") and not name.startswith(SHOWN)]
    lines = "".join(block for _, block in blocks(page, "sh")).splitlines()
    assert all(line.startswith(("posenc ", *ELSEWHERE)) for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    command = [sys.executable, "-m", *shlex.split(line, comments=True)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


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


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the repository's docs/ is not here")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_within_the_repository(page: Path) -> None:
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)", page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_definition_lists_are_not_used(page: Path) -> None:
    """Neither the site nor GitHub knows them: both would show the colons."""
    assert not re.findall(r"^: ", page.read_text("utf-8"), re.M)


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the repository's docs/ is not here")
def test_the_site_has_all_pages() -> None:
    docs = ROOT / "docs"
    trees = re.findall(r"^```{toctree}\n(.*?)^```", (docs / "index.md").read_text("utf-8"), re.M | re.S)
    entries = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    listed = {path for entry in entries for path in docs.glob(f"{entry}.md")}
    pages = {page for page in docs.rglob("*.md") if not page.relative_to(docs).parts[0].startswith("_")}
    assert listed == pages - {docs / "index.md"}


# Lists that repeat what the code has.


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the repository's docs/ is not here")
@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/conventions/index.md"])
def test_pages_count_the_conventions(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert set(re.findall(r"(\d+) names", text)) == {str(len(posenc.list_encodings()))}
    assert set(re.findall(r"(\d+) public conventions", text)) == {str(len(ROWS))}


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the repository's docs/ is not here")
def test_the_reference_has_all_functions_and_keywords() -> None:
    page = (ROOT / "docs" / "reference" / "functions.md").read_text("utf-8")
    functions = {name for name in posenc.__all__ if inspect.isfunction(getattr(posenc, name))}
    assert set(re.findall(r"autofunction:: (\w+)", page)) == functions
    verbs = (posenc.fill_, posenc.add_, posenc.add, posenc.embed, posenc.rotate_, posenc.rotate, posenc.encode)
    parameters = [one for verb in verbs for one in inspect.signature(verb).parameters.values()]
    keywords = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY} - {"out", "dtype"}
    assert set(re.findall(r"^\| `(\w+)=` \|", page, re.M)) == keywords


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the repository's docs/ is not here")
def test_the_reference_has_all_environment_variables() -> None:
    page = (ROOT / "docs" / "reference" / "environment.md").read_text("utf-8")
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "python").rglob("*.py"))
    read = set(re.findall(r'environ\.get\("(POSENC_\w+)"', sources))
    assert set(re.findall(r"^\| `(\w+)`", page, re.M)) == read | {"POSENC_REQUIRE_NATIVE"}


@pytest.mark.skipif(not (ROOT / "CONTRIBUTING.md").exists(), reason="CONTRIBUTING.md is not here")
@pytest.mark.parametrize("files", ["python/posenc/_[!_]*.py", "tools/*.py"])
def test_the_map_has_all_modules(files: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert not [path.name for path in ROOT.glob(files) if path.name not in text]
