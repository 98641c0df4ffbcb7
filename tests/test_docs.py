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

import numpy as np
import posenc
import pytest
from posenc import _api, _backend, _encoding, _grid, _identify, _notation, _positions, _threads, cli, plot, properties
from posenc._conventions import ROWS, layout, lookup
from posenc.cli import bench, compare

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [*ROOT.glob("*.md"), *(page for name in ("bench", "docs", "examples") for page in ROOT.glob(f"{name}/**/*.md"))]
# Pages whose blocks are run here; Python in those of docs/recipes is run by test_recipes.py.
RECIPES = [page for page in PAGES if page.parent.name == "recipes"]
RUN = [page for page in PAGES if page == README or ((ROOT / "docs") in page.parents and page not in RECIPES)]
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


def commands(page: Path) -> list[str]:
    return [line for _, block in blocks(page, "sh") for line in block.splitlines()]


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
    for line in commands(page)
    if line.startswith("posenc ")
]

# What is shown and not run here: tables of words, what git would say, what makes the site's own parts.
SHOWN = ("text", "diff", "{")
# Commands that no test runs: they install, run the tests themselves, or take minutes. .ci/run runs those of the README.
# Of other pages than these every command is run.
INSTALL_AND_TEST = ('pip install ".[', "python -m pytest ")
NOT_RUN = {
    "README.md": INSTALL_AND_TEST,
    "bench/README.md": (*INSTALL_AND_TEST, "posenc bench", "python bench/", "nox -s compare", "python tools/mca.py"),
    "CONTRIBUTING.md": ("pip install --group dev ", "python -m pytest ", "nox -s ", "posenc compare "),
}


@pytest.mark.parametrize("page", [*RUN, *RECIPES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_block_is_left_out(page: Path) -> None:
    languages = re.findall(r"^```(.+)$", page.read_text("utf-8"), re.M)
    fences = len(re.findall(r"^ *(?:```|~~~)", page.read_text("utf-8"), re.M))
    assert fences == 2 * len(languages), "a fence without a language, or within a list, where nothing runs it"
    assert not [name for name in languages if name not in ("python", "sh") and not name.startswith(SHOWN)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_commands_are_not_run(page: Path) -> None:
    left = [line for line in commands(page) if page not in (*RUN, *RECIPES) or not line.startswith("posenc ")]
    beginnings = NOT_RUN.get(page.relative_to(ROOT).as_posix(), ())
    assert [line for line in left if not line.startswith(beginnings)] == []
    assert [one for one in beginnings if not any(line.startswith(one) for line in left)] == []


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the repository's docs/ is not here")
@pytest.mark.parametrize("page", ["bench/README.md", "CONTRIBUTING.md"])
def test_commands_that_are_not_run_are_understood(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    understood = []
    for command in (bench, compare):
        monkeypatch.setattr(command, "run", lambda args: understood.append(args) or 0)
    lines = [shlex.split(line, comments=True) for line in commands(ROOT / page)]
    ours = [rest for first, *rest in lines if first == "posenc"]
    assert all(cli.main(rest) == 0 for rest in ours)
    assert len(understood) == len(ours) > 0
    assert [
        words for words in lines if words[0] == "python" and words[1] != "-m" and not (ROOT / words[1]).exists()
    ] == []
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.M))
    asked = {
        name for words in lines if words[:2] == ["nox", "-s"] for name in " ".join(words[2:]).split(" --")[0].split()
    }
    assert asked <= sessions


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    command = [sys.executable, "-m", *shlex.split(line, comments=True)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("page", [page for page in RECIPES if commands(page)], ids=lambda page: page.stem)
def test_commands_of_recipes(page: Path, tmp_path: Path) -> None:
    """They find the file x.npy, whose change in place was interrupted for those that deal with that."""
    x = tmp_path / "x.npy"
    array = np.ones((2, 5, 8), np.float32)
    for line in commands(page):
        np.save(x, array)
        if "--resume" in line or "--undo" in line:
            with pytest.raises(KeyboardInterrupt):
                posenc.files.add(x, in_place=True, progress=interrupt)
        command = [sys.executable, "-m", *shlex.split(line, comments=True)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        changed = "--in-place" in line or "--resume" in line
        np.testing.assert_array_equal(np.load(x), posenc.add(array) if changed else array, line)
    assert not list(tmp_path.glob("*journal*"))


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
    functions = {name for name in posenc.__all__ if inspect.isroutine(getattr(posenc, name))}
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
