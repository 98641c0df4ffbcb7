"""Which backend runs and why, in fresh interpreters: the choice is made once. Nothing on what backends compute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest

from . import backends

needs_core = pytest.mark.skipif("cpp" in backends.MISSING, reason=backends.MISSING.get("cpp", ""))
needs_numba = pytest.mark.skipif("numba" in backends.MISSING, reason=backends.MISSING.get("numba", ""))

# What a subprocess can be told to live without.
BLOCK = "import sys; sys.modules.update(dict.fromkeys({names!r}, None))\n"


def run(code: str, block: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("POSENC_")}
    script = BLOCK.format(names=block) + code
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, timeout=120, check=False)


def value(code: str, block: tuple[str, ...] = (), **environment: str) -> Any:
    """What `result` holds after `code`."""
    done = run(f"import json\n{code}\nprint(json.dumps(result))", block, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def failure(code: str, block: tuple[str, ...] = (), **environment: str) -> str:
    """The last line of the traceback that `code` ends with."""
    done = run(code, block, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.strip().splitlines()[-1]


INFO = "import posenc; result = posenc.info()"
# The name of the module that a call without backend= ends in.
USED = """
import numpy as np, posenc
from posenc import _backend
ran = []
module = _backend.default()
original = module.fill
module.fill = lambda *arguments: (ran.append(module.__name__), original(*arguments))
posenc.fill_(memoryview(np.empty((2, 3), np.float32)))  # which is not left to the small calls
result = ran
"""
MODULE = {"cpp": "posenc._cpp", "numba": "posenc._numba", "numpy": "posenc._reference"}


# ---- importing ------------------------------------------------------------------------------------------------------


def test_importing_is_light() -> None:
    # The finder notes every attempt, so that this says something where the packages are not installed either.
    tried, loaded = value(
        """
import sys, numpy
class Finder:
    tried = []
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        cls.tried.append(name.partition(".")[0])
sys.meta_path.insert(0, Finder)
import posenc
tried = Finder.tried[:]
posenc.info()  # looks whether Numba is there, and no further
result = tried, [name for name in sys.modules if "." not in name]
"""
    )
    assert "posenc" in tried
    assert "posenc" in loaded
    heavy = {"numba", "llvmlite", "torch", "jax", "scipy", "rich", "matplotlib", "pandas", "ml_dtypes", "mpmath"}
    assert not heavy & set(tried)
    assert not heavy & set(loaded)


def test_threads_and_rounding_mode_stay() -> None:
    before, imported, called, smallest, half = value(
        """
import os, sys, numpy as np
def threads():
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
before = threads()
import posenc
imported = threads()
posenc.fill_(np.empty((5000, 512), np.float32))
posenc.add_(np.zeros((3, 500, 64)))
tiny = np.array([sys.float_info.min])
result = before, imported, threads(), sys.float_info.min / 2, float((tiny / 2)[0])
"""
    )
    assert before == imported == called
    assert smallest == half == 2.0**-1023  # flushed to zero by whoever sets FTZ, as -ffast-math does


def test_versions_are_one() -> None:
    assert posenc.__version__ == version("posenc") == posenc.info()["version"]
    if backends.core is not None:
        assert backends.core.__version__ == posenc.__version__


def test_public_names() -> None:
    assert {"BackendError", "add", "add_", "encode", "fill_", "info"} <= set(posenc.__all__)
    assert all(getattr(posenc, name).__doc__ for name in posenc.__all__)
    assert issubclass(posenc.BackendError, RuntimeError)


# ---- choosing -------------------------------------------------------------------------------------------------------


@needs_core
def test_automatic_choice() -> None:
    info = value(INFO)
    assert info["backend"] == "cpp"
    assert info["reason"] == "fastest available"
    assert info["isa"] == info["isa_levels"][0]
    assert info["isa_levels"][-1] == "baseline"
    assert info["backends"]["cpp"] == info["backends"]["numpy"] == "available"
    assert "-ffp-contract=off" in info["flags"]
    assert "fast-math" not in info["flags"]
    assert info["compiler"]
    assert value(USED) == ["posenc._cpp"]


@pytest.mark.parametrize("name", backends.NAMES)
def test_forced_backend(name: str) -> None:
    if name in backends.MISSING:
        pytest.skip(backends.MISSING[name])
    info = value(INFO, POSENC_BACKEND=name)
    assert info["backend"] == name
    assert "POSENC_BACKEND" in info["reason"]
    assert (info["isa"] is None) == (name != "cpp")
    assert value(USED, POSENC_BACKEND=name) == [MODULE[name]]


@pytest.mark.parametrize("call", ["posenc.info()", "posenc.encode(2, 3)"])
def test_unknown_backend(call: str) -> None:
    text = failure(f"import posenc; {call}", POSENC_BACKEND="cuda")
    assert text == "posenc._backend.BackendError: POSENC_BACKEND: expected one of cpp, numba, numpy, got 'cuda'"


@pytest.mark.parametrize(
    "code", ["posenc.info()", "posenc.encode(2, 3)", "posenc.get_num_threads()", "posenc.encode(2, 3, threads=2)"]
)
def test_empty_variables_count_as_unset(code: str) -> None:
    empty = {"POSENC_BACKEND": "", "POSENC_ISA": "", "POSENC_NUM_THREADS": ""}
    assert run(f"import posenc; {code}; posenc.set_num_threads(1)", **empty).returncode == 0
    info, threads = value("import posenc; result = posenc.info(), posenc.get_num_threads()", **empty)
    assert info["reason"] == "fastest available"
    assert threads == 1


@pytest.mark.parametrize("level", backends.LEVELS)
def test_forced_level(level: str) -> None:
    info = value(INFO, POSENC_ISA=level)
    assert (info["backend"], info["isa"], info["reason"]) == ("cpp", level, "POSENC_ISA set")
    both = value(INFO, POSENC_ISA=level, POSENC_BACKEND="cpp")
    assert (both["isa"], both["reason"]) == (level, "POSENC_BACKEND, POSENC_ISA set")
    used = "import posenc; posenc.encode(2, 3); from posenc import _core; result = _core.level()"
    assert value(used, POSENC_ISA=level) == level


@needs_core
@pytest.mark.parametrize("call", ["posenc.info()", "posenc.encode(2, 3)"])
def test_unknown_level(call: str) -> None:
    text = failure(f"import posenc; {call}", POSENC_ISA="sse9")
    assert text.startswith("posenc._backend.BackendError: POSENC_ISA: ")
    assert "baseline" in text
    assert "got 'sse9'" in text


@needs_core
def test_use_level_refuses_and_stays() -> None:
    assert backends.core is not None
    before = backends.core.level()
    with pytest.raises(ValueError, match=r"expected one of .*baseline, got 'sse9'"):
        backends.core.use_level("sse9")
    assert backends.core.level() == before


@pytest.mark.parametrize("code", ["posenc.encode(2, 3, threads={})", "posenc.set_num_threads({})"])
def test_more_threads_than_any_machine_has(code: str) -> None:
    for number in (2**16 + 1, 10**23):
        with pytest.raises(ValueError, match=rf"^threads: expected at most 65536, or 'auto', got {number}$"):
            eval(code.format(number), {"posenc": posenc})
    text = failure("import posenc; posenc.get_num_threads()", POSENC_NUM_THREADS="9" * 5000)
    assert text.startswith("ValueError: POSENC_NUM_THREADS: expected at most 65536, or 'auto', got '999")
    assert value("import posenc; result = posenc.get_num_threads()", POSENC_NUM_THREADS="0004") == 4


# ---- what is missing ------------------------------------------------------------------------------------------------

NO_CORE, NO_NUMBA = ("posenc._core",), ("posenc._core", "numba")


@needs_numba
def test_without_the_compiled_core() -> None:
    info = value(INFO, NO_CORE)
    assert info["backend"] == "numba"
    assert "compiled core could not be imported" in info["backends"]["cpp"]
    assert (info["isa"], info["isa_levels"], info["compiler"], info["flags"]) == (None, [], None, None)
    assert value(USED, NO_CORE) == ["posenc._numba"]


def test_without_numba_either() -> None:
    info = value(INFO, NO_NUMBA)
    assert info["backend"] == "numpy"
    assert "not installed" in info["backends"]["numba"]
    assert value(USED, NO_NUMBA) == ["posenc._reference"]


# ---- a Numba that is installed and can't be used ---------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """Variables with which the interpreter finds a Numba that refuses this NumPy."""
    package = tmp_path / "numba"
    package.mkdir()
    (package / "__init__.py").write_text('raise ImportError("Numba needs NumPy 1.22 or less. Got NumPy 2.9.")\n')
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(path)}


WHY = "numba is installed, but can't be imported: ImportError: Numba needs NumPy 1.22 or less. Got NumPy 2.9."


def test_numpy_runs_where_numba_can_not_be_imported(broken: dict[str, str]) -> None:
    info = value(INFO, NO_CORE, **broken)
    assert info["backend"] == "numpy"
    assert info["backends"]["numba"].startswith(WHY)
    assert value(USED, NO_CORE, **broken) == ["posenc._reference"]


@pytest.mark.parametrize("call", ["posenc.info()", "posenc.encode(2, 3)"])
def test_a_forced_numba_that_can_not_be_imported(call: str, broken: dict[str, str]) -> None:
    text = failure(f"import posenc; {call}", POSENC_BACKEND="numba", **broken)
    assert text.startswith(f"posenc._backend.BackendError: backend 'numba' is not available: {WHY}")


@needs_core
def test_an_asked_for_numba_that_can_not_be_imported(broken: dict[str, str]) -> None:
    before, text, after = value(
        """
import numpy as np, posenc
before = posenc.info()["backends"]["numba"]  # nobody has needed it, and it is not imported for that
x = np.full((2, 3), 7, np.float32)
try:
    posenc.add_(x, backend="numba")
except posenc.BackendError as error:
    assert (x == 7).all()
    posenc.add_(x)
    assert (x != 7).any()
    result = before, str(error), posenc.info()["backends"]["numba"]
""",
        **broken,
    )
    assert before == "available"
    assert text.startswith(f"backend 'numba' is not available: {WHY}")
    assert after.startswith(WHY)


@needs_numba
def test_numba_runs_where_nothing_can_be_cached_on_disk() -> None:
    """As for a user without a home, in a container whose packages are read-only."""
    same = value(
        """
from numba.core import caching
def refuse(self):
    raise OSError("read-only file system")
for locator in caching._CacheLocator.__subclasses__():
    locator.ensure_cache_path = refuse
caching._CacheLocator.ensure_cache_path = refuse
import numba, numpy as np, posenc
def function():
    pass
try:
    numba.njit(cache=True)(function)
except RuntimeError as error:
    assert "cannot cache" in str(error), error
else:
    raise AssertionError("it could cache after all")
results = [posenc.encode(300, 24, backend=name).tobytes() for name in ("numba", "numpy")]
result = results[0] == results[1]
"""
    )
    assert same is True


@pytest.mark.parametrize(
    ("name", "environment"),
    [("cpp", {"POSENC_BACKEND": "cpp"}), ("cpp", {"POSENC_ISA": "baseline"}), ("numba", {"POSENC_BACKEND": "numba"})],
)
@pytest.mark.parametrize("call", ["posenc.info()", "posenc.encode(2, 3)"])
def test_a_forced_backend_that_is_missing(call: str, name: str, environment: dict[str, str]) -> None:
    text = failure(f"import posenc; {call}", NO_NUMBA, **environment)
    assert text.startswith(f"posenc._backend.BackendError: backend '{name}' is not available: ")


@pytest.mark.parametrize("name", ["cpp", "numba"])
def test_an_asked_for_backend_that_is_missing(name: str) -> None:
    caught = value(
        f"""
import numpy as np, posenc
x = np.full((2, 3), 7, np.float32)
try:
    posenc.add_(x, backend={name!r})
except posenc.BackendError as error:
    result = str(error), x.tolist()
""",
        NO_NUMBA,
    )
    assert caught[0].startswith(f"backend '{name}' is not available: ")
    assert caught[1] == np.full((2, 3), 7).tolist()


@pytest.mark.parametrize("required", ["", "1"])
def test_a_required_core_that_is_missing_fails_the_session(required: str) -> None:
    # This suite itself: without the core it skips, unless CI says that there must be one.
    tests = Path(__file__).parent
    arguments = [
        str(tests / "test_cache.py"),
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tests.parent}",
    ]
    code = f"import pytest; sys.exit(pytest.main({arguments!r}))"
    done = run(code, NO_CORE, POSENC_REQUIRE_NATIVE=required)
    assert (done.returncode == 4) == bool(required), done.stdout + done.stderr
    assert ("POSENC_REQUIRE_NATIVE=1, but the compiled core" in done.stderr) == bool(required)
