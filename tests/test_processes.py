"""Other processes, and this one's state: fork, spawn, pools, data loaders, Ctrl-C, exit; modes, threads and libraries.

Threads, and forks among them, are test_threads.py's.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import posenc
import pytest

from . import backends
from .arrays import assert_same_bits

TIMEOUT = 60
METHODS = multiprocessing.get_all_start_methods()
BACKENDS = [name for name in backends.NAMES if name not in backends.MISSING]


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A fresh interpreter that runs `code`, in a state that no test has touched."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POSENC_")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What it printed. It must end by itself, in peace, and without a word of complaint."""
    try:
        output, errors = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"hangs after {process.communicate()}")
    assert (process.returncode, errors) == (0, ""), output
    return output


def table(dim: int, backend: str | None = None) -> np.ndarray:
    """What the processes below compute; at module level, so that they find it."""
    return posenc.add_(posenc.encode(700, dim, start=dim * 100, backend=backend), start=0.5, threads=2, backend=backend)


# ---- fork, spawn, pools ---------------------------------------------------------------------------------------------

FORK = """
import os, sys, warnings
import numpy as np, posenc
warnings.simplefilter("ignore")
backend, used = sys.argv[1], sys.argv[2] == "used"
def table():
    x = np.zeros((3, 50, 70), np.float32)
    posenc.fill_(x, start=9, backend=backend)
    return posenc.add_(x, backend=backend).tobytes()
if used:
    want = table()
read, write = os.pipe()
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        os.write(write, table()[-8:])
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
assert os.read(read, 99) == 4 * table()[-8:]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("used", ["fresh", "used"])
@pytest.mark.parametrize("name", BACKENDS)
def test_fork(name: str, used: str) -> None:
    finish(start(FORK, name, used))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 on, because other threads are running
@pytest.mark.parametrize("method", METHODS)
def test_pools(method: str) -> None:
    # 2 processes, many tasks: each process computes several widths, on several threads.
    dims = [64, 513, 1, 70, 64, 300]
    for name in BACKENDS:
        work = partial(table, backend=name)
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            for dim, got in zip(dims, pool.map(work, dims, timeout=TIMEOUT), strict=True):
                assert_same_bits(got, table(dim, name), f"{name}, D = {dim}")


class Sequences:
    """A data set for torch: item i is a sequence of i + 1 rows with its encoding added."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int) -> Any:
        import torch

        return torch.from_numpy(posenc.add_(np.full((i + 1, 48), i, np.float32), start=i))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_data_loaders_of_torch(method: str) -> None:
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    loader = data.DataLoader(
        Sequences(), batch_size=None, num_workers=2, multiprocessing_context=method, timeout=TIMEOUT
    )
    for _ in range(2 if method == "fork" else 1):
        for i, got in enumerate(loader):
            want = np.float32(i) + posenc.encode(i + 1, 48, start=i)
            assert_same_bits(got.numpy(), want, f"item {i}")


# ---- Ctrl-C and exit ------------------------------------------------------------------------------------------------

# Fractional positions cost most.
LONG = """
import sys, threading, time, numpy as np, posenc
backend, threads = sys.argv[1], int(sys.argv[2])
out = np.full(({"cpp": 2**21, "numba": 2**19}.get(backend, 2**17), 33), np.nan, np.float32)  # tens of milliseconds
def work():
    posenc.fill_(out, start=0.5, backend=backend, threads=threads)
posenc.fill_(out[:9], start=0.5, backend=backend)
"""
INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job lacks
print("ready", flush=True)
working = False
try:
    while True:  # until it comes, in the midst of a call or not
        working = True
        work()
        working = False
        out[...] = np.nan
except KeyboardInterrupt:
    missing = np.isnan(out)
    print(working and missing.any() and not missing[9:].all())
posenc.fill_(out[:9], start=0.5, backend=backend)
assert (posenc.encode(9, 33, start=0.5, backend=backend) == out[:9]).all()
"""
RUNNING = [(name, threads) for name in BACKENDS for threads in ((1, 2) if name == "cpp" else (1,))]


def interrupted(name: str, threads: int, seconds: float) -> bool:
    """Whether a call left off when it was interrupted, so long after it began."""
    process = start(LONG + INTERRUPTED, name, str(threads))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    return finish(process).strip() == "True"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C goes to the whole console")
@pytest.mark.parametrize(("name", "threads"), RUNNING)
def test_ctrl_c_in_the_middle_of_a_call(name: str, threads: int) -> None:
    # Now and then it comes between calls, or the other thread, on a busy machine, does all that is left.
    end = time.monotonic() + TIMEOUT
    tries = itertools.takewhile(lambda _: time.monotonic() < end, itertools.cycle((0.002, 0.005, 0.01, 0.02)))
    assert any(interrupted(name, threads, seconds) for seconds in tries)


EXIT = """
rows = out[:int(sys.argv[3])]
def work():
    while True:
        posenc.fill_(rows, start=0.5, backend=backend, threads=threads)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("name", "threads", "rows"),
    [(*case, 2**20) for case in RUNNING] + [("cpp", 1, rows) for rows in (1, 1000) if "cpp" in BACKENDS],
)
def test_exit_while_calls_run(name: str, threads: int, rows: int) -> None:
    # Before Python 3.14 an ending interpreter unwinds a thread that asks for the GIL, through whatever holds it.
    finish(start(LONG + EXIT, name, str(threads), str(rows)))


# ---- what a call leaves behind --------------------------------------------------------------------------------------

STATE = """
import ctypes, importlib.util, json, os, re, sys, numpy as np
libm = ctypes.CDLL(None)
def state():
    environment = (ctypes.c_uint32 * 64)()
    libm.fegetenv(environment)
    # x86-64: the x87 control word and MXCSR without the flags that operations raise; aarch64: FPCR.
    control = [environment[0] & 0xFFFF, environment[7] & 0xFFC0] if os.uname().machine == "x86_64" else [environment[0]]
    tiny = np.array([sys.float_info.min])
    return {
        "threads": len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1,
        "rounding": libm.fegetround(),
        "control": control,
        "subnormal": [float((tiny / 2)[0]), sys.float_info.min / 2],
        "OpenMP": re.findall(r"\\S*(?:gomp|iomp|libomp|tbb)\\S*", open("/proc/self/maps").read())
        if os.path.exists("/proc/self/maps") else [],
    }
backend = sys.argv[1]
if backend == "numba" and importlib.util.find_spec("scipy"):
    import scipy.linalg  # which Numba imports where it is there, and whose BLAS starts threads of its own
states = [state()]
import posenc
states.append(state())
for threads in (1, 3):
    for dtype in (np.float32, np.float64):
        x = posenc.encode(3000, 512, dtype=dtype, backend=backend, threads=threads)
        posenc.add_(x, positions=np.linspace(-1e9, 1e9, 3000), backend=backend, threads=threads)
    states.append(state())
print(json.dumps(states))
"""


@pytest.mark.skipif(os.name == "nt", reason="asks the C library of POSIX")
@pytest.mark.parametrize("name", BACKENDS)
def test_threads_modes_and_libraries_stay(name: str) -> None:
    states = json.loads(finish(start(STATE, name)))
    assert states[0]["subnormal"] == [2.0**-1023] * 2
    assert states[1:] == states[:1] * 3
