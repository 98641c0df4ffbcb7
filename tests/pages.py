"""Arrays between pages that may not be touched. A program: `python -m tests.pages cpp avx2` writes to very many.

It prints every case before it runs it, so the last line tells which one ended the process. Linux and macOS only.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import math
import mmap
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import posenc
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray
from posenc import _backend

from . import backends
from .arrays import assert_same_bits, noise

PAGE = mmap.PAGESIZE
NO_ACCESS, READ_ONLY = 0, 1  # PROT_NONE, PROT_READ
EDGES = ("ends at", "begins after")
LENGTHS = (1, 2, 13, 40)  # rows; 40: more than one tile
# All remainders of a strip of 32 columns, the widths around two of them and around a third half.
DIMS = (*range(1, 35), *range(47, 51), *range(62, 67), 70, 100, 129, 256, 511, 1030)
OTHERS = (
    posenc.Encoding(layout="concatenated", cos_first=True),
    posenc.Encoding(odd="zero", amplitude=-0.5),
    posenc.Encoding(layout="concatenated", odd="truncate", freq_shift=1, position_offset=2),
)


def _protect(memory: NDArray[np.uint8], protection: int) -> None:
    address = ctypes.c_void_p(memory.__array_interface__["data"][0])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(address, ctypes.c_size_t(memory.size), protection) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")


class Room:
    """Writeable pages between two that may not be touched."""

    def __init__(self, size: int) -> None:
        pages = -(-size // PAGE)
        whole = np.frombuffer(mmap.mmap(-1, (pages + 2) * PAGE), np.uint8)
        self._inside = whole[PAGE:-PAGE]
        _protect(whole[:PAGE], NO_ACCESS)
        _protect(whole[-PAGE:], NO_ACCESS)

    def array(self, edge: str, shape: tuple[int, ...], dtype: DTypeLike, step: int = 1) -> NDArray[Any]:
        """An array at one edge: C-contiguous, or every `step`-th channel of such a one, backwards if negative."""
        kind = np.dtype(dtype)
        elements = math.prod(shape[:-1]) * shape[-1] * abs(step) - abs(step) + 1  # none after the last channel
        size = elements * kind.itemsize
        memory = self._inside[-size:] if edge == EDGES[0] else self._inside[:size]
        strides = [kind.itemsize * abs(step)]
        for length in shape[:0:-1]:
            strides.insert(0, strides[0] * length)
        array = as_strided(memory.view(kind), shape, strides)
        return array[..., ::-1] if step < 0 else array

    def freeze(self) -> None:
        _protect(self._inside, READ_ONLY)


def readable(edge: str, values: NDArray[Any]) -> NDArray[Any]:
    """The same values at one edge of pages that can't be written."""
    room = Room(values.nbytes)
    array = room.array(edge, values.shape, values.dtype)
    array[...] = values
    room.freeze()
    return array


def bits(array: NDArray[Any]) -> NDArray[Any]:
    """As backends take it: bfloat16 is uint16 to them."""
    return array.view(np.uint16) if array.dtype.kind == "V" else array


def calls(dtype: DTypeLike, length: int, dim: int, edge: str) -> Iterator[tuple[str, tuple[int, ...], Callable]]:
    """What to call, and with an array of which shape."""
    real = readable(edge, np.linspace(-40.5, 1e6, length))
    whole = readable(edge, np.arange(length, dtype=np.int64)[::-1] * 3)
    x = readable(edge, noise((length, dim), dtype))
    alone, batch = (length, dim), (3, length, dim)
    yield "fill_", alone, lambda a, **b: posenc.fill_(a, **b)  # with the defaults: the short way of small calls
    yield "fill_, start", alone, lambda a, **b: posenc.fill_(a, start=10**6, **b)
    yield "fill_, real start", alone, lambda a, **b: posenc.fill_(a, start=0.25, **b)
    yield "fill_, positions", alone, lambda a, **b: posenc.fill_(a, positions=real, **b)
    yield "add_", alone, lambda a, **b: posenc.add_(a, **b)
    yield "add_, positions", alone, lambda a, **b: posenc.add_(a, positions=whole, **b)
    yield "add_, x_scale", alone, lambda a, **b: posenc.add_(a, start=-7, x_scale=1.5, **b)
    yield "add", alone, lambda a, **b: posenc.add(x, out=a, **b)
    yield "add, x_scale", alone, lambda a, **b: posenc.add(x, out=a, start=5, x_scale="sqrt_dim", **b)
    mask = readable(edge, np.arange(length) % 3 != 1)
    rows = readable(edge, noise((5, dim), dtype))  # of which both edges are read
    ids = readable(edge, np.arange(length, dtype=np.int16) * 4 % 5)
    yield "embed", alone, lambda a, **b: posenc.embed(ids, rows, out=a, **b)
    yield "embed, x_scale, mask", alone, lambda a, **b: posenc.embed(ids, rows, out=a, x_scale=2, mask=mask, **b)
    inside, table = _backend.get, backends.spectrum(dim)
    other, image = OTHERS[dim % len(OTHERS)], posenc.Encoding(axes=2, axis_widths="floor", nesting="kat")
    yield "fill_, mask", alone, lambda a, **b: posenc.fill_(a, mask=mask, **b)
    yield "add_, mask", alone, lambda a, **b: posenc.add_(a, start=0.5, mask=mask, **b)
    yield "fill_, channels first", (dim, length), lambda a, **b: posenc.fill_(a, channel_axis=0, **b)
    yield "add_, channels first", (dim, length), lambda a, **b: posenc.add_(a, start=9, channel_axis=0, **b)
    if dim >= 4:  # less has no room for all of them
        yield "fill_, encoding", alone, lambda a, **b: posenc.fill_(a, start=-3, encoding=other, **b)
        yield "add_, encoding", alone, lambda a, **b: posenc.add_(a, positions=real, encoding=other, **b)
        yield "fill_, image", (3, length, dim), lambda a, **b: posenc.fill_(a, encoding=image, seq_axis=(0, 1), **b)
        yield (
            "add_, image",
            (3, length, dim),
            lambda a, **b: posenc.add_(a, encoding=image, seq_axis=(0, 1), x_scale=0.5, **b),
        )
    # The API copies positions: what a backend reads of them is seen only here.
    run, first = readable(edge, np.arange(9.0, 9 + length)[None]), readable(edge, np.array([4.0, -9.0, 0.5]))
    yield "module.fill, run", alone, lambda a, backend: inside(backend).fill(bits(a), table, run, 1)
    yield "module.fill, starts", batch, lambda a, backend: inside(backend).fill(bits(a), table, first, 1)
    yield "fill_, batch", batch, lambda a, **b: posenc.fill_(a, start=-3, **b)
    yield "add_, batch", batch, lambda a, **b: posenc.add_(a, start=[4, -9, 0.5], **b)


def check(backend: str, dtypes: list[Any], dims: tuple[int, ...]) -> Iterator[str]:
    elements = 3 * max(LENGTHS) * max(DIMS)
    room, plain = Room(3 * 8 * elements), np.empty(8 * elements, np.uint8)
    contents = {np.dtype(dtype): noise((elements,), dtype) for dtype in dtypes}
    for dtype, dim, edge in itertools.product(dtypes, dims, EDGES):
        kind = np.dtype(dtype)
        length = LENGTHS[dim % len(LENGTHS)]
        for label, shape, call in calls(kind, length, dim, edge):
            for step in (1, 2, -3) if dim % 8 == 3 else (1,):
                yield f"{label}: {kind} {shape}, every {step}., {edge} a page that may not be touched"
                old = contents[kind][: math.prod(shape)].reshape(shape)
                array = room.array(edge, shape, kind, step)
                want = plain[: old.nbytes].view(kind).reshape(shape)
                array[...] = want[...] = old
                call(array, backend=backend)
                call(want, backend=backend)
                assert_same_bits(array, want)


DTYPES: list[Any] = [np.float32, np.float64, np.float16]
with contextlib.suppress(ImportError):
    import ml_dtypes

    DTYPES.append(ml_dtypes.bfloat16)


def overrun() -> None:
    """Write one byte too many, to see whether a fence holds."""
    array = Room(1).array(EDGES[0], (1, 5), np.uint8)
    ctypes.memset(array.__array_interface__["data"][0], 1, array.nbytes + 1)


def main(backend: str, level: str | None = None) -> None:
    dims = DIMS if backend != "numpy" else DIMS[::10]  # slow, and NumPy checks every index
    with backends.at_level(level):
        number = 0
        for label in check(backend, DTYPES, dims):
            print(label, flush=True)
            number += 1
        if backend == "cpp":
            from posenc import _cpp

            _cpp.STREAM_BYTES = 0  # write past the caches, as large outputs are
            for label in check(backend, DTYPES, dims[::7]):
                print(f"streamed, {label}", flush=True)
                number += 1
    print(f"{number} cases passed")


if __name__ == "__main__":
    if sys.argv[1:] == ["overrun"]:
        overrun()
    else:
        main(*sys.argv[1:])
