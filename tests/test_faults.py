"""Memory that can't be had: a call either does its work or leaves everything as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import Encoding, _cache

from . import backends
from .arrays import assert_same_bits, noise

pytestmark = pytest.mark.thread_unsafe(reason="patches NumPy for all threads")

ALLOCATORS = [
    "arange",
    "array",
    "asarray",
    "ascontiguousarray",
    "empty",
    "empty_like",
    "flatnonzero",
    "repeat",
    "stack",
    "where",
]
SHAPE = (2, 5, 6, 12)
IMAGE = Encoding(axes=2)
# One piece of work each: between two, the Python backends need the memory of a tile again.
CALLS: dict[str, dict[str, Any]] = {
    "start": {"start": 0.25},
    "offset": {"start": 0.5, "encoding": Encoding(position_offset=0.1)},
    "positions": {"positions": noise(SHAPE[-2:-1], np.float64)},
    "mask": {"mask": np.arange(6) % 3 > 0},
    "packed": {"cu_seqlens": [0, 2, 6]},
    "channels": {"channel_axis": 1},
    "image": {"encoding": IMAGE},
    "masked image": {"encoding": IMAGE, "mask": np.arange(30).reshape(5, 6) % 3 > 0},
    "points": {"encoding": IMAGE, "positions": noise((5, 6, 2), np.float64)},
}


def embed(out: Any, **keywords: Any) -> Any:
    """As `fill_`, for what `embed` takes."""
    if {"channel_axis"} & {*keywords} or getattr(keywords.get("encoding"), "axes", 1) > 1:
        pytest.skip("no keyword of embed, or no encoding for it")
    table = noise((3, out.shape[-1]), np.float32)
    ids = np.arange(math.prod(out.shape[:-1])).reshape(out.shape[:-1]) % 3
    return posenc.embed(ids, table, out=out, **keywords)


def rotate_(x: Any, **keywords: Any) -> Any:
    return posenc.rotate_(x, keywords.pop("encoding", Encoding(odd="zero")), **keywords)


class Faults:
    """Lets one of NumPy's functions fail at its nth call, as if memory had run out."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = 0
        for name in ALLOCATORS:
            patch.setattr(np, name, self._counted(getattr(np, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **keywords: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise MemoryError("no more")
            return function(*arguments, **keywords)

        return counted


def faults() -> Iterator[tuple[int, pytest.MonkeyPatch]]:
    for n in range(1, 500):
        with pytest.MonkeyPatch.context() as patch:
            yield n, patch
    pytest.fail("no call without a fault")


@pytest.mark.parametrize("keywords", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("function", [posenc.fill_, posenc.add_, embed, rotate_])
def test_no_memory_nothing_written(function: Callable[..., Any], keywords: dict[str, Any], backend: str | None) -> None:
    x = noise(SHAPE, np.float32)
    want = function(x.copy(), **keywords, backend=backend)  # and tables are there
    for n, patch in faults():
        got = x.copy()
        fault = Faults(patch)
        fault.left = n
        try:
            function(got, **keywords, backend=backend)
        except MemoryError:
            patch.undo()
            assert_same_bits(got, x, f"fault {n}")
        else:
            patch.undo()
            assert_same_bits(got, want)
            assert fault.left > 0
            return


def forget() -> None:
    """All tables, also those that small calls remember."""
    _cache.SHARED.clear()
    backends.forget()


@pytest.mark.parametrize("keywords", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("function", [posenc.fill_, posenc.add_, embed, rotate_])
def test_no_tables_nothing_written(
    function: Callable[..., Any], keywords: dict[str, Any], backend: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Any:
        raise MemoryError("no more")

    x = noise((*SHAPE[:-1], 1012), np.float32)
    if "channel_axis" in keywords:
        x = np.moveaxis(x, -1, 1).copy()
    before = x.copy()
    for cache in list(_cache._caches):
        forget()
        with monkeypatch.context() as patch:
            patch.setattr(cache, "_make", fail)
            try:
                function(x, **keywords, backend=backend)
            except MemoryError:
                assert_same_bits(x, before)
            else:
                x[...] = before  # a cache of another backend's
    monkeypatch.undo()
    with monkeypatch.context() as patch:
        forget()
        for cache in list(_cache._caches):
            patch.setattr(cache, "_make", fail)
        with pytest.raises(MemoryError):
            function(x, **keywords, backend=backend)
    assert_same_bits(x, before)


def test_no_memory_for_the_result(backend: str | None) -> None:
    for dtype in (np.float32, np.float64):
        with pytest.raises(MemoryError):
            posenc.encode(2**40, 2**12, dtype=dtype, backend=backend)
    row = np.zeros((1, 2**12), np.float32)
    with pytest.raises(MemoryError):
        posenc.add(np.broadcast_to(row, (2**40, 2**12)), backend=backend)
