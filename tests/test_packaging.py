"""What is installed: one version everywhere, all the files and no others, and an import that costs little."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

import posenc
import pytest

from . import backends
from .ways import ways


@pytest.fixture(scope="module")
def files() -> set[PurePosixPath]:
    """What the wheel brought, without the byte code that was made of it since."""
    installed = distribution("posenc")
    if json.loads(installed.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable"):
        pytest.skip("an editable install has its files elsewhere")
    assert installed.files is not None
    return {PurePosixPath(file.as_posix()) for file in installed.files if file.suffix != ".pyc"}


def test_one_version():
    assert posenc.__version__ == distribution("posenc").version == posenc.info()["version"]
    if backends.core is not None:
        assert backends.core.__version__ == posenc.__version__


def test_typed(files):
    assert PurePosixPath("posenc/py.typed") in files
    assert PurePosixPath("posenc/_core.pyi") in files


def test_wheel_holds_the_package_and_nothing_else(files):
    package = {file for file in files if file.parts[0] == "posenc"}
    assert {file.suffix for file in package} <= {".py", ".pyi", ".typed", ".so", ".pyd"}
    others = {file for file in files - package if not file.parts[0].startswith("posenc-")}
    assert {file.stem for file in others} == {"posenc"}, "only the command line's script is outside the package"


def test_wheel_holds_one_module_where_it_was_compiled(files):
    compiled = [file.name for file in files if file.suffix in {".so", ".pyd"}]
    assert [name.split(".")[0] for name in compiled] == ([] if backends.core is None else ["_core"])


def imported(statement: str) -> set[str]:
    """Modules that a fresh interpreter holds after `statement`."""
    code = f"{statement}\nimport sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_import_brings_numpy_and_nothing_heavy():
    added = imported("import posenc") - imported("import numpy")
    slow = {"asyncio", "email", "importlib.metadata", "json", "multiprocessing", "subprocess", "unittest"}
    assert not added & slow  # how many milliseconds that makes is the machine's affair
    extra = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
    assert {name for name in extra if not name.startswith("__editable__")} <= {"numpy", "posenc", "_posenc_editable"}


def import_with(stand_in: str, library: str, folder: Path) -> str:
    """What is said when posenc's module for `library` finds `stand_in` in its place."""
    (folder / f"{library}.py").write_text(stand_in)
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import posenc; posenc.encode(2, 4); import posenc.{library}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("library", ["torch", "dask"])
def test_without_a_library(library: str, tmp_path: Path) -> None:
    text = import_with(f"raise ModuleNotFoundError('No module', name={library!r})", library, tmp_path)
    last = text.splitlines()[-1]
    assert last.startswith(
        f"ImportError: posenc.{library}: expected {library} to be installed, got none; `pip install "
    )
    commands = [code.removeprefix("pip install ") for code in ways(last)]
    assert f'"posenc[{library}]"' in commands
    assert "No module" not in text


@pytest.mark.parametrize("library", ["torch", "dask"])
def test_another_fault_of_a_library_is_not_hidden(library: str, tmp_path: Path) -> None:
    text = import_with("import no_such_module", library, tmp_path)
    assert "no_such_module" in text
    assert "pip install" not in text
