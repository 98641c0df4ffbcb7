"""What is installed: one version everywhere, all the files and no others, and an import that costs little."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import PurePosixPath

import posenc
import pytest

from . import backends


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
    """Top-level modules that a fresh interpreter holds after `statement`, less those of the standard library."""
    code = f"{statement}\nimport sys; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return {name.partition(".")[0] for name in output.split()} - sys.stdlib_module_names


def test_import_brings_numpy_and_nothing_else():
    extra = imported("import posenc") - imported("import numpy")
    assert {name for name in extra if not name.startswith("__editable__")} <= {"posenc", "_posenc_editable"}


def test_import_is_fast():
    def seconds(statement: str) -> float:
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True) for _ in range(3)]
        return min(float(run.stdout) for run in runs)

    # About 0.03 on an idle machine.
    assert seconds("import posenc") < seconds("import numpy") + 0.1
