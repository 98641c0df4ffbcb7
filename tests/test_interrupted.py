"""What Ctrl-C leaves of an array, on every backend; and the note of the exception says it."""

from __future__ import annotations

import gc
import math
import re
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _notes

from . import backends

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of a timer: POSIX only")

SHAPE = (4, 60_000, 64)  # 15 million elements: longer than a timer takes, on every backend


class Interrupt(Exception):
    """Instead of KeyboardInterrupt, which would end the tests if it came too late."""


@pytest.fixture
def timer() -> Iterator[Any]:
    """A function that lets an exception interrupt a call, which is done anew with more or less time until it does."""

    def interrupt(*_: object) -> None:
        raise Interrupt

    def interrupted(prepare: Any, call: Any) -> Interrupt:
        for seconds in (0.002, 0.001, 0.003, 0.0005, 0.006, 0.012, 0.03, 0.06, 0.12, 0.25) * 4:
            prepare()
            try:
                signal.setitimer(signal.ITIMER_REAL, seconds)
                try:
                    call()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupt as error:
                if _notes.of(error) and numbers(error)[0] not in ("0", str(math.prod(SHAPE))):
                    return error  # neither before the first piece nor behind the last
        raise AssertionError("nothing was interrupted")

    former = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # what its callbacks raise, hypothesis's among them, reaches nobody
    yield interrupted
    gc.enable()
    signal.signal(signal.SIGALRM, former)


def numbers(error: BaseException) -> list[str]:
    return re.findall(r"\d+", _notes.of(error)[0])


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals: the main thread only")
@pytest.mark.parametrize("shape", [SHAPE, (240_000, 64)], ids=["sequences", "one sequence"])
@pytest.mark.parametrize("name", [name for name in backends.NAMES if name not in backends.MISSING])
def test_what_is_left(name: str, shape: tuple[int, ...], timer: Any) -> None:
    posenc.fill_(np.empty((3, 64), np.float32), backend=name)  # Numba compiles
    x = np.empty(shape, np.float32)

    error = timer(lambda: x.fill(np.nan), lambda: posenc.fill_(x, backend=name))
    count, total = map(int, numbers(error)[:2])
    assert 0 < count < total == x.size
    written = ~np.isnan(x.reshape(-1))
    if name == "cpp":
        assert _notes.of(error) == [f"posenc: the first {count} of {total} elements have been written, and no others"]
        assert written[:count].all()
        assert not written[count:].any()
        return
    rows = written.reshape(-1, *shape[-2:])
    whole = count // len(rows)
    assert rows.reshape(len(rows), -1)[:, :whole].all()
    first_left = rows.reshape(len(rows), -1)[:, whole:].argmin(axis=1)
    assert all(
        not line[whole + left :].any() for line, left in zip(rows.reshape(len(rows), -1), first_left, strict=True)
    )
    assert ("first rows of every sequence" if len(rows) > 1 else "the first ones") in _notes.of(error)[0]


@pytest.mark.skipif("cpp" in backends.MISSING, reason="the compiled core is not installed")
def test_a_sum_goes_on_where_it_was_left(timer: Any) -> None:
    before = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    x = before.copy()

    error = timer(lambda: np.copyto(x, before), lambda: posenc.add_(x, backend="cpp"))
    count = int(numbers(error)[0])
    assert np.array_equal(x.reshape(-1)[count:], before.reshape(-1)[count:])
    sequence, row = divmod(count // SHAPE[-1], SHAPE[1])
    posenc.add_(x[sequence, row:], start=row)
    posenc.add_(x[sequence + 1 :])
    assert np.array_equal(x, posenc.add(before))


@pytest.mark.skipif("cpp" in backends.MISSING, reason="the compiled core is not installed")
def test_several_threads_leave_pieces(timer: Any) -> None:
    x = np.empty(SHAPE, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.test_interrupted.numbers", lambda _: "1")
        error = timer(lambda: x.fill(np.nan), lambda: posenc.fill_(x, backend="cpp", threads=2))
    assert _notes.of(error) == [f"posenc: some of {x.size} elements have been written, in pieces all over the array"]
