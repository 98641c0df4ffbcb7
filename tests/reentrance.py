"""Calls in the midst of calls: from signal handlers, finalizers, callbacks of the garbage collector, other threads.

Run by test_reentrance.py in a process of its own, as what goes wrong here does not end in an exception:
python -m tests.reentrance --seconds 60 --from signal finalizer thread
"""

from __future__ import annotations

import argparse
import gc
import itertools
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import posenc
from posenc import Encoding, _cache

ROWS, DIM = 24_000, 320
IMAGE = Encoding(axes=2)
TURNED = Encoding(base=500.0, layout="concatenated")
FLOAT16, FLOAT64 = np.float16, np.float64
RARELY = 3  # calls in the midst of a call, one within the other, at most


def long_calls() -> dict[str, tuple[Callable[..., Any], tuple[int, ...], type, dict[str, Any]]]:
    """Calls of every kind, long enough that signals come in between: function, shape, dtype, keywords."""
    rng = np.random.default_rng(1)
    reals = rng.uniform(-1e4, 1e4, ROWS // 4)
    starts = rng.integers(-1000, 1000, ROWS // 60) + 0.5
    cuts = np.arange(0, ROWS + 1, 120)
    return {
        "fill": (posenc.fill_, (ROWS, DIM), np.float32, {"start": 5}),
        "fill, many sequences": (posenc.fill_, (ROWS // 60, 60, DIM), np.float32, {}),
        "fill float64": (posenc.fill_, (ROWS // 4, DIM), FLOAT64, {"start": 5}),
        "fill float16": (posenc.fill_, (ROWS // 2, DIM), FLOAT16, {"start": 0.5}),
        "add": (posenc.add_, (ROWS, DIM), np.float32, {"start": -7}),
        "add scaled": (posenc.add_, (2, ROWS // 2, DIM), np.float32, {"x_scale": 1.5}),
        "add float16": (posenc.add_, (ROWS // 2, DIM), FLOAT16, {"start": 3}),
        "starts": (posenc.add_, (ROWS // 60, 60, DIM), np.float32, {"start": starts}),
        "positions": (posenc.fill_, (ROWS // 4, DIM), np.float32, {"positions": reals}),
        "mask": (posenc.fill_, (ROWS, DIM), np.float32, {"mask": np.arange(ROWS) % 7 > 1}),
        "packed": (posenc.add_, (ROWS, DIM), np.float32, {"cu_seqlens": cuts}),
        "channels": (posenc.add_, (4, DIM, ROWS // 8), np.float32, {"seq_axis": -1, "channel_axis": 1}),
        "grid": (posenc.add_, (8, 50, 60, DIM), np.float32, {"encoding": IMAGE}),
        "turn": (posenc.rotate_, (4, ROWS // 4, DIM), np.float32, {"encoding": "rope_hf", "start": 5}),
        "turn, starts": (
            posenc.rotate_,
            (ROWS // 60, 60, DIM),
            FLOAT16,
            {"encoding": "rope_meta", "start": starts},
        ),
        "threads": (posenc.fill_, (ROWS, DIM), np.float32, {"start": 5, "threads": 2}),
        "threads, positions": (posenc.add_, (ROWS // 4, DIM), np.float32, {"positions": reals, "threads": 2}),
        "threads, grid": (posenc.fill_, (8, 50, 60, DIM), np.float32, {"encoding": IMAGE, "threads": 3}),
    }


class Stray(AssertionError):
    """Bytes that nobody should have written."""


class Intruder:
    """Short calls at any time, with wider arrays and new encodings than the call that is running."""

    def __init__(self, backend: str | None) -> None:
        self.backend = backend
        self.random = random.Random(5)
        self.bases = [77.0 + i for i in range(4)]
        self.shapes = [(1, 2), (3, DIM), (2, 1500), (2, 6000), (9, 64)]
        self.want = {
            (base, shape): posenc.encode(*shape, start=3, encoding=Encoding(base=base), backend=backend)
            for base, shape in itertools.product(self.bases, self.shapes)
        }
        self.turned = posenc.rotate(np.ones((4, 1, 64), np.float32), TURNED, start=9, backend="numpy")
        self.image = posenc.fill_(np.empty((1, 5, 6, 64), np.float32), encoding=IMAGE, backend=backend)
        self.kept: list[np.ndarray] = []  # where memory that was freed too early would have been given out again
        self.count = self.depth = 0
        self.error: BaseException | None = None

    def __call__(self, *_: object) -> None:
        if self.depth >= RARELY:
            return
        self.depth += 1
        try:
            self._intrude()
        except BaseException as error:  # a finalizer's would only be printed
            self.error = error
        finally:
            self.depth -= 1

    def _intrude(self) -> None:
        self.count += 1
        base, shape = self.random.choice(self.bases), self.random.choice(self.shapes)
        encoding = Encoding(base=base)  # equal to the others, not identical
        out = np.full(shape, np.nan, np.float32)
        posenc.fill_(out, start=3, encoding=encoding, backend=self.backend)
        self._compare(out, self.want[base, shape], f"{base}, {shape}")
        if self.count % 3 == 0:
            posenc.encode(
                2, 16 + 2 * (self.count % 500), encoding=Encoding(base=2.0 + self.count), backend=self.backend
            )
        if self.count % 5 == 0:
            image = posenc.fill_(np.empty((1, 5, 6, 64), np.float32), encoding=IMAGE, backend=self.backend)
            self._compare(image, self.image, "image")
        if self.count % 4 == 1:
            turned = posenc.rotate_(np.ones((4, 1, 64), np.float32), TURNED.replace(), start=9, backend=self.backend)
            self._compare(turned, self.turned, "turn")
        if self.count % 50 == 0:
            for cache in list(_cache._all):
                cache.clear()
        if self.count % 4 == 0:
            self.kept += [np.full(n, 7.7) for n in range(1000, 20_000, 1000)]
        if len(self.kept) > 1000:
            self.check()

    def _compare(self, got: np.ndarray, want: np.ndarray, what: str) -> None:
        if got.tobytes() != want.tobytes():
            raise Stray(f"the call within: {what}")

    def check(self) -> None:
        kept, self.kept = self.kept, []
        if any((array != 7.7).any() for array in kept):
            raise Stray("memory of others")
        if self.error is not None:
            raise self.error


class Dying:
    """Part of a cycle, whose end calls posenc."""

    def __init__(self, intruder: Intruder) -> None:
        self.intruder = intruder
        self.me = self

    def __del__(self) -> None:
        self.intruder()


class Sources:
    """From where calls come."""

    def __init__(self, names: list[str], intruder: Intruder) -> None:
        self.names, self.intruder = names, intruder
        self.random = random.Random(6)
        self.stop = threading.Event()
        self.depth = 0

    def __enter__(self) -> None:
        if "signal" in self.names or "finalizer" in self.names:
            signal.signal(signal.SIGALRM, self._alarm)
            signal.setitimer(signal.ITIMER_REAL, 0.001)
        if "finalizer" in self.names:
            gc.callbacks.append(self._collecting)
        self.threads = [threading.Thread(target=self._busy) for _ in range(2 * ("thread" in self.names))]
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        gc.callbacks.clear()
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _alarm(self, *_: object) -> None:
        # At random moments, of this handler too, but with as much time for the call that is running.
        signal.setitimer(signal.ITIMER_REAL, self.random.uniform(1e-4, 2e-2) + 1e-3 * self.depth)
        if self.depth >= RARELY:
            return
        self.depth += 1
        began = time.monotonic()
        try:
            self._disturb()
        finally:
            self.depth -= 1
            if not self.depth:
                taken = time.monotonic() - began
                signal.setitimer(signal.ITIMER_REAL, self.random.uniform(1e-4, 2e-2) + taken)

    def _disturb(self) -> None:
        if "finalizer" in self.names:
            Dying(self.intruder)
            if self.random.random() < 0.2:
                gc.collect(0)
        if "signal" in self.names:
            self.intruder()

    def _collecting(self, phase: str, _: object) -> None:
        if phase == "start":
            self.intruder()

    def _busy(self) -> None:
        intruder = Intruder(self.intruder.backend)
        while not self.stop.is_set() and intruder.error is None:
            intruder()
            time.sleep(1e-4)
        self.intruder.error = self.intruder.error or intruder.error
        self.intruder.count += intruder.count


def framed(shape: tuple[int, ...], dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """An array, and what it is part of."""
    frame = np.full(int(np.prod(shape)) + 8192, 7.5, dtype)
    return frame[4096:-4096].reshape(shape), frame


def attack(seconds: float, sources: list[str], backend: str | None) -> tuple[int, int]:
    """Make long calls for so long, and check everything; how many there were, and how many calls within."""
    intruder = Intruder(backend)
    calls = long_calls()
    want = {}
    for name, (function, shape, dtype, keywords) in calls.items():
        array, frame = framed(shape, dtype)
        function(array, **keywords, backend=backend)
        want[name] = hash(frame.tobytes())
    order = random.Random(7)
    end, done = time.monotonic() + seconds, 0
    with Sources(sources, intruder):
        while time.monotonic() < end:
            name = order.choice(list(calls))
            function, shape, dtype, keywords = calls[name]
            array, frame = framed(shape, dtype)
            function(array, **keywords, backend=backend)
            done += 1
            if hash(frame.tobytes()) != want[name]:
                raise Stray(name)
            intruder.check()
    intruder.check()
    return done, intruder.count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--from", nargs="+", dest="sources", default=["signal", "finalizer", "thread"])
    parser.add_argument("--backend")
    options = parser.parse_args()
    done, within = attack(options.seconds, options.sources, options.backend)
    print(f"{done} calls, {within} within")  # noqa: T201


if __name__ == "__main__":
    main()
