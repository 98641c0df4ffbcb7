"""Calls in the midst of calls: nothing that a call uses is moved or freed under it, and nobody waits for himself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from posenc import _backend

from . import backends

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
CPP = pytest.param("cpp", marks=pytest.mark.skipif("cpp" in backends.MISSING, reason=backends.MISSING.get("cpp", "")))
# What users give: small calls, whose arguments and encodings the core looks at itself.
DEFAULT = pytest.param(
    "",
    id="default",
    marks=pytest.mark.skipif(
        "cpp" in backends.MISSING or _backend.default_name() != "cpp", reason="no compiled core, or not by default"
    ),
)
PYTHON = [name for name in ("numba", "numpy") if name not in backends.MISSING]


def run(*command: str, timeout: float = 120) -> str:
    """What a process of its own prints. It must end by itself, in peace, and without a word of complaint."""
    try:
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", *command],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=Path(__file__).parents[1],
            check=False,
        )
    except subprocess.TimeoutExpired as hang:
        pytest.fail(f"hangs: {hang.stdout!r} {hang.stderr!r}")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def attack(seconds: float, backend: str, *sources: str) -> None:
    named = ["--backend", backend] if backend else []
    command = ["-m", "tests.reentrance", "--seconds", str(seconds), *named, "--from", *sources]
    done, within = map(int, run(*command, timeout=10 * seconds + 120).replace("calls,", "").split()[:2])
    assert done > 0
    assert within > 0


@pytest.mark.parametrize("source", ["signal", "finalizer", "thread"])
@pytest.mark.parametrize("backend", [CPP, DEFAULT])
def test_calls_within_calls(backend: str, source: str) -> None:
    attack(1, backend, source)


@pytest.mark.parametrize("backend", ["numpy"])
def test_calls_within_calls_of_the_python_backends(backend: str) -> None:
    attack(1, backend, "signal", "thread")


@pytest.mark.slow
@pytest.mark.parametrize("backend", [CPP, DEFAULT])
def test_a_minute_of_calls_within_calls(backend: str) -> None:
    attack(60, backend, "signal", "finalizer", "thread")


@pytest.mark.slow
@pytest.mark.parametrize("backend", PYTHON)
def test_a_minute_of_calls_within_calls_of_the_python_backends(backend: str) -> None:
    attack(60, backend, "signal", "thread")


USE_AFTER_FREE = """
import signal, numpy as np, posenc
x = np.empty((60000, 512), np.float32); wide = np.zeros((2, 40000), np.float32); kept = []
want = posenc.encode(60000, 512, start=5)
posenc.encode(2, 40000)
def handler(*_):
    posenc.fill_(wide); kept.extend(np.full(n, 7.7) for n in range(1000, 20000, 40))
signal.signal(signal.SIGALRM, handler)
for _ in range(3):
    signal.setitimer(signal.ITIMER_REAL, 0.004)
    posenc.fill_(x, start=5)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert x.tobytes() == want.tobytes()
    assert not any((k != 7.7).any() for k in kept)
"""


def test_a_wider_array_from_a_signal_handler() -> None:
    run("-c", USE_AFTER_FREE)


EQUAL = """
import signal, sys, time, weakref, gc, numpy as np, posenc
backend, source = sys.argv[1] or None, sys.argv[2]
out = np.ones((1, 2), np.float32)
one, two = posenc.Encoding(base=77.0), posenc.Encoding(base=77.0)
count = 0
def intrude(*_):
    global count
    count += 1
    posenc.fill_(np.empty((2, 6), np.float32), encoding=posenc.Encoding(base=77.0 + count % 2), backend=backend)
    posenc.rotate_(np.ones((2, 6), np.float32), posenc.Encoding(base=77.0 + count % 2), backend=backend)
class Dying:
    def __init__(self): self.me = self
    def __del__(self): intrude()
def collecting(phase, _):
    if phase == "stop" and count % 3 == 0:
        intrude()
if source == "signal":
    def handler(*_):
        intrude()
        signal.setitimer(signal.ITIMER_REAL, 2e-4)
    signal.signal(signal.SIGALRM, handler)
    handler()
else:
    gc.set_threshold(20, 2, 2)
    gc.callbacks.append(collecting)
begin = time.monotonic()
while time.monotonic() < begin + 1.5 or (count <= 20 and time.monotonic() < begin + 30):  # of a busy machine
    for _ in range(10):
        posenc.fill_(out, encoding=one, start=0.5, backend=backend)
        posenc.fill_(out, encoding=two, start=0.5, backend=backend)
        posenc.rotate_(out, one, start=0.5, backend=backend)
        if source == "finalizer":
            Dying(); [[] for _ in range(20)]
if source == "signal":
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
gc.callbacks.clear()
assert count > 20, count
"""


@pytest.mark.parametrize("source", ["signal", "finalizer"])
@pytest.mark.parametrize("backend", [CPP, DEFAULT, *PYTHON])
def test_equal_encodings_that_python_compares(backend: str, source: str) -> None:
    if source == "finalizer" and backend in PYTHON and sys.version_info < (3, 12):
        pytest.skip("before Python 3.12, context variables (NumPy's errstate) that finalizers set may crash it")
    run("-c", EQUAL, backend, source)


RAISES = """
import os, signal, sys, time, numpy as np, posenc
threads = int(sys.argv[1])
class Stop(Exception): pass
def handler(*_):
    posenc.fill_(np.zeros((2, 3000), np.float32))
    raise Stop
signal.signal(signal.SIGALRM, handler)
want = posenc.encode(2**20, 33, start=0.5)
out = np.empty_like(want)
tasks = lambda: len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
caught, before = 0, tasks()
for i in range(100):  # until a call was still at work, on whatever machine
    if i >= 6 and caught:
        break
    out[...] = np.nan
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001 + 0.001 * (i % 6) + 0.0001 * (i // 6))
        posenc.fill_(out, start=0.5, threads=threads)
        while True:  # signal.pause() would wait for ever, had the signal come just before it
            time.sleep(0.01)
    except Stop:
        caught += np.isnan(out).any()
    assert tasks() == before  # and nobody goes on writing
    after = out.copy()
    assert (np.isnan(out) | (out == want)).all()
    assert (after.view(np.int32) == out.view(np.int32)).all()
assert caught
posenc.fill_(out, start=0.5, threads=threads)
assert out.tobytes() == want.tobytes()
"""


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.skipif("cpp" in backends.MISSING, reason="no compiled core")
def test_a_handler_that_raises(threads: int) -> None:
    run("-c", RAISES, str(threads))


FORKS = """
import os, signal, sys, time, numpy as np, posenc
threads = int(sys.argv[1])
want = posenc.encode(2**19, 33, start=0.5)
out = np.zeros_like(want)
children, status = [], []
def handler(*_):
    child = os.fork()
    if child:
        children.append(child)
        status.append(os.waitpid(child, 0)[1])
signal.signal(signal.SIGALRM, handler)
main = os.getpid()
while len(children) < 3:
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        posenc.fill_(out, start=0.5, threads=threads)
        refused = False
    except RuntimeError as error:
        refused = "forked in the midst of a call" in str(error)
        assert refused, error
    if os.getpid() != main:
        assert refused or out.tobytes() == want.tobytes()
        posenc.fill_(out, start=0.5, threads=threads)
        os._exit(0 if out.tobytes() == want.tobytes() else 1)
    assert not refused
    assert out.tobytes() == want.tobytes()
    signal.setitimer(signal.ITIMER_REAL, 0)
assert not any(status), status
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.skipif("cpp" in backends.MISSING, reason="no compiled core")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_handler_that_forks(threads: int) -> None:
    # The child goes on with the call: to its end on one thread; on several, whose work nobody ends, to an error.
    run("-W", "ignore::DeprecationWarning", "-c", FORKS, str(threads))


FIRST = """
import sys, numpy as np, posenc
backend, within, errors = sys.argv[1], 0, []
def intrude(frame, event, argument):
    global within
    if not frame.f_code.co_filename.endswith(("_cpp.py", "_reference.py")):
        return
    within += 1
    sys.setprofile(None)
    try:
        posenc.encode(2, 6, start=within, backend=backend)
    except Exception as error:
        errors.append(error)
    sys.setprofile(intrude)
sys.setprofile(intrude)
out = posenc.fill_(np.empty((3, 6), np.float32), backend=backend)
sys.setprofile(None)
assert within and not errors, errors[:3]
assert out.tobytes() == posenc.encode(3, 6).tobytes()
"""


@pytest.mark.parametrize("backend", [CPP, "numpy"])
def test_calls_in_the_midst_of_the_first_one(backend: str) -> None:
    run("-c", FIRST, backend)
