"""Many threads at once, children of fork, signals: right bits, no deadlock. Speed is bench/'s question."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import posenc
import pytest
from posenc import _cache

from . import backends
from .arrays import assert_same_bits, noise

DIMS = [1, 3, 16, 33, 64, 100, 129, 200, 257, 384, 511, 512]
TIMEOUT = 60


def tables(backend: str, dims: list[int]) -> list[np.ndarray]:
    return [posenc.encode(90, dim, start=dim * 1000, dtype=kind, backend=backend) for dim in dims for kind in "fd"]


@contextlib.contextmanager
def eager_switching() -> Iterator[None]:
    """Let threads interrupt each other as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def test_threads(backend: str) -> None:
    want = tables(backend, DIMS)
    results: list[list[np.ndarray]] = [[] for _ in range(8)]
    start = threading.Barrier(len(results))

    def work(i: int) -> None:
        start.wait()
        turned = DIMS[i:] + DIMS[:i]
        results[i] = tables(backend, turned)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(results))]
    with eager_switching():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
    for i, got in enumerate(results):
        assert len(got) == len(want), f"thread {i} failed"
        turned = want[2 * i :] + want[: 2 * i]
        for a, b in zip(got, turned, strict=True):
            assert_same_bits(a, b, f"thread {i}, D = {a.shape[1]}")


def test_lists_that_others_change(backend: str | None) -> None:
    # Rows for what the list was at some moment, or a refusal of what it was; never of half of it.
    places: list[float] = [1.5, 2.5, 3.5]
    rows = {position: posenc.encode([position], 8, backend=backend)[0].tobytes() for position in (1.5, 2.5, 3.5)}
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            places.append(2.5)
            places[:] = [1.5, 2.5, 3.5]

    thread = threading.Thread(target=change)
    with eager_switching():
        thread.start()
        try:
            for _ in range(100):
                got = posenc.encode(places, 8, backend=backend)
                assert len(got) in {3, 4}
                assert [row.tobytes() for row in got] == [rows[x] for x in (1.5, 2.5, 3.5, 2.5)[: len(got)]]
        finally:
            done.set()
            thread.join(TIMEOUT)


def test_threads_that_share_an_array(backend: str) -> None:
    # Each thread owns some rows; none may touch another's.
    x = np.zeros((240, 70), np.float32)
    threads = [
        threading.Thread(target=lambda i=i: posenc.add_(x[i::8], positions=np.arange(i, 240, 8), backend=backend))
        for i in range(8)
    ]
    with eager_switching():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
    assert_same_bits(x, posenc.encode(240, 70, backend=backend))


def test_caches_that_forget_under_load(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Room for a table or two, and threads that want others all the time: what one uses, another pushes out or clears.
    dims = range(1, 150, 7)
    want = {dim: posenc.encode(20, dim, start=dim - 9, backend="numpy") for dim in dims}
    for cache in list(_cache._all):
        monkeypatch.setattr(cache, "limit", 30_000)
    failures: list[str] = []

    def work(seed: int) -> None:
        for dim in np.random.default_rng(seed).choice(dims, 15):
            if seed == 0:
                for cache in list(_cache._all):
                    cache.clear()
            got = posenc.fill_(np.empty((20, dim), np.float32), start=int(dim) - 9, backend=backend)
            if not np.array_equal(got, want[dim]):
                failures.append(f"D = {dim}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    with eager_switching():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
    assert not any(thread.is_alive() for thread in threads)
    assert not failures


def test_turns_of_many_threads(backend: str) -> None:
    """Whoever turns first asks for the pairs of an encoding that others add meanwhile; all may be forgotten."""
    bases = [100.0 + i for i in range(6)]
    x = np.ones((2, 4, 3, 24), np.float32)
    starts = np.array([[7], [-2.5]])
    encodings = [posenc.Encoding(base=base, layout="concatenated") for base in bases]
    turned = [posenc.rotate(x, encoding, start=starts, backend="numpy") for encoding in encodings]
    added = [posenc.add(x, encoding=encoding, start=starts, backend="numpy") for encoding in encodings]
    failures: list[str] = []

    def work(seed: int) -> None:
        generator = np.random.default_rng(seed)
        for _ in range(100):
            i = generator.integers(len(bases))
            if seed == 0 and generator.integers(5) == 0:
                backends.forget()
            encoding = posenc.Encoding(base=bases[i], layout="concatenated")
            got = posenc.rotate_(x.copy(), encoding, start=starts, backend=backend)
            if got.tobytes() != turned[i].tobytes():
                failures.append(f"turned, {bases[i]}")
            got = posenc.add_(x.copy(), encoding=encoding, start=starts, backend=backend)
            if got.tobytes() != added[i].tobytes():
                failures.append(f"added, {bases[i]}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    with eager_switching():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
    assert not any(thread.is_alive() for thread in threads)
    assert not failures


def _in_child(work: Callable[[], bool]) -> None:
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda: sys.exit(0 if work() else 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: fork with threads, which is the point
        child.start()
    child.join(10)
    if child.exitcode is None:
        child.kill()
        pytest.fail("the forked child hangs")
    assert child.exitcode == 0


needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")


@needs_fork
def test_fork(backend: str) -> None:
    fresh = [601, 602]  # widths that no cache has seen yet: the child makes its own tables
    want = tables(backend, DIMS)

    def work() -> bool:
        return all(np.array_equal(a, b) for a, b in zip(tables(backend, DIMS), want, strict=True)) and all(
            np.isfinite(table).all() for table in tables(backend, fresh)
        )

    _in_child(work)
    for a, b in zip(tables(backend, DIMS), want, strict=True):
        assert_same_bits(a, b)


@needs_fork
def test_fork_while_others_compute(backend: str) -> None:
    # A lock held at the moment of the fork stays locked in the child.
    stop, want = threading.Event(), tables(backend, [33])

    def busy() -> None:
        dim = 0
        while not stop.is_set():
            dim = dim % 40 + 1
            posenc.encode(1, dim, backend=backend)

    threads = [threading.Thread(target=busy) for _ in range(3)]
    with eager_switching():
        for thread in threads:
            thread.start()
        try:
            for _ in range(8):
                _in_child(lambda: all(np.array_equal(a, b) for a, b in zip(tables(backend, [33]), want, strict=True)))
        finally:
            stop.set()
            for thread in threads:
                thread.join(TIMEOUT)


# ---- threads= -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [2, 5])
@pytest.mark.parametrize(
    ("shape", "where"),
    [
        ((1300, 512), {"start": 3}),
        ((1300, 512), {"start": 0.25}),
        ((1300, 512), {"positions": np.arange(1300)[::-1] * 1.5}),
        ((600_001, 1), {"start": -300_000}),
        ((5, 1000, 130), {"start": 7}),
        ((3, 2, 500, 222), {"start": np.array([[0, -5], [10**6, 3], [0.5, 2]])}),
        ((7000, 1, 100), {"start": np.arange(7000.0)}),
        ((7000, 1, 100), {"start": 12}),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else next(iter(value), ""),
)
def test_the_number_of_threads_changes_nothing(
    shape: tuple[int, ...], where: dict, threads: int, compiled_backend: str
) -> None:
    x = noise((3, *shape), np.float32)  # the calls write to the middle third; its neighbours must stay
    for call in (posenc.fill_, posenc.add_):
        want, got = x.copy(), x.copy()
        call(want[1], **where, threads=1, backend=compiled_backend)
        call(got[1], **where, threads=threads, backend=compiled_backend)
        assert_same_bits(got, want, call.__name__)


def test_threads_and_float64(compiled_backend: str) -> None:
    got, want = (posenc.encode(1300, 512, dtype=np.float64, threads=n, backend=compiled_backend) for n in (3, 1))
    assert_same_bits(got, want)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc here")
def test_no_thread_is_left(compiled_backend: str) -> None:
    before = len(os.listdir("/proc/self/task"))
    posenc.encode(5000, 512, threads=4, backend=compiled_backend)
    assert len(os.listdir("/proc/self/task")) == before


def test_the_default_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posenc._threads._chosen", None)
    posenc.set_num_threads(3)
    assert posenc.get_num_threads() == 3
    for wrong, error in ((0, ValueError), ("many", ValueError), (2.0, TypeError), (True, TypeError)):
        with pytest.raises(error, match=r"^threads: expected .*got "):
            posenc.set_num_threads(wrong)
    assert posenc.get_num_threads() == 3
    posenc.set_num_threads("auto")
    assert 1 <= posenc.get_num_threads() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("text", "number"), [(None, "1"), ("5", "5"), ("0", ""), ("-1", ""), ("two", ""), ("1.5", "")])
def test_the_number_from_the_environment(text: str | None, number: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "POSENC_NUM_THREADS"}
    code = "import posenc; print(posenc.get_num_threads())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | ({"POSENC_NUM_THREADS": text} if text is not None else {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == number
    refusal = f"ValueError: POSENC_NUM_THREADS: expected an integer of at least 1 or 'auto', got '{text}'"
    assert done.stderr.strip().endswith("" if number else refusal)
    assert (done.returncode == 0) == bool(number)


# ---- signals --------------------------------------------------------------------------------------------------------


class Interrupted(Exception):
    pass


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_a_long_call_can_be_interrupted(backend: str) -> None:
    # A fractional start makes every row cost most; the last element tells whether the call went on to its end.
    def interrupt(*_: object) -> None:
        raise Interrupted

    posenc.encode(1, 1, start=0.5, backend=backend)
    out = np.full((2**26, 1), np.nan, np.float32)
    former = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interrupted):
            posenc.fill_(out, start=0.5, backend=backend)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert np.isnan(out[-1, 0])
