"""Awkward arrays, from one generator, and bit-by-bit comparison of arrays. Knows nothing of posenc."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None

# numpy/numpy#28600: until then, whatever came through DLPack was read-only, and is refused by what writes.
needs_writeable_dlpack = pytest.mark.skipif(
    not np.from_dlpack(np.zeros(1)).flags.writeable, reason="NumPy before 2.2.5 reads DLPack only"
)

# Every dtype that arrays may have.
FLOATS = [
    pytest.param(np.float32, id="float32"),
    pytest.param(np.float64, id="float64"),
    pytest.param(np.float16, id="float16"),
    pytest.param(
        bfloat16, id="bfloat16", marks=() if bfloat16 else pytest.mark.skip(reason="ml_dtypes is not installed")
    ),
]

GUARD = 192  # bytes before and after every array: more than any vector, and more than two cache lines


@dataclass
class Case:
    """An array inside a larger buffer whose other bytes are canaries."""

    label: str
    array: NDArray[Any]
    buffer: NDArray[np.uint8]  # every byte around and between the elements as well
    _before: NDArray[np.uint8]
    _owned: NDArray[np.bool_]  # the bytes that the array's elements lie in

    def __repr__(self) -> str:
        array = self.array
        return f"<{self.label}: {array.dtype}, shape {array.shape}, strides {array.strides}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # for Hypothesis, which would show every byte
        printer.text(repr(self))

    def assert_canaries_alive(self) -> None:
        changed = (self.buffer != self._before) & ~self._owned
        assert not changed.any(), f"{self.label}: bytes {np.flatnonzero(changed)[:8]} outside the array were written"

    def assert_untouched(self) -> None:
        changed = self.buffer != self._before
        assert not changed.any(), f"{self.label}: bytes {np.flatnonzero(changed)[:8]} were written"

    def put(self, values: Any) -> None:
        """Give the elements these values; the canaries stay what they were."""
        self.array[...] = values
        self._before = self.buffer.copy()


def _case(label: str, array: NDArray[Any], buffer: NDArray[np.uint8]) -> Case:
    owned = np.zeros(buffer.shape, bool)
    if array.size:
        offset = np.array(array.__array_interface__["data"][0] - buffer.__array_interface__["data"][0])
        for stride, length in zip(array.strides, array.shape, strict=True):
            offset = np.add.outer(offset, stride * np.arange(length))
        owned[np.add.outer(offset, np.arange(array.itemsize))] = True
    assert owned.sum() == array.nbytes, f"{label}: the generator made an array that overlaps itself"
    return Case(label, array, buffer, buffer.copy(), owned)


def canaries(size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(size).integers(0, 256, size, np.uint8)


def guarded(shape: tuple[int, ...], dtype: DTypeLike, offset: int = 0) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """A C-contiguous array, `offset` bytes past a multiple of 64, and the canaries that it lies in."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = canaries(size + 2 * GUARD + 64)
    first = GUARD + (offset - buffer.__array_interface__["data"][0]) % 64
    return buffer[first : first + size].view(dtype).reshape(shape), buffer


def contiguous(shape: tuple[int, ...], dtype: DTypeLike, offset: int = 0) -> Case:
    return _case(f"contiguous + {offset} bytes", *guarded(shape, dtype, offset))


def awkward(shape: tuple[int, ...], dtype: DTypeLike, directory: Path | None = None) -> Iterator[Case]:
    """Arrays of one shape and dtype in every arrangement that NumPy users make; memory maps too, given a directory."""
    kind = np.dtype(dtype)
    leading, (rows, columns) = shape[:-2], shape[-2:]

    yield contiguous(shape, kind)
    yield contiguous(shape, kind, kind.itemsize)  # aligned to its own size, and to nothing else
    yield contiguous(shape, kind, 1)  # not even that

    whole, buffer = guarded(shape[::-1], kind)
    yield _case("Fortran order", whole.T, buffer)
    whole, buffer = guarded((rows, *leading, columns), kind)
    yield _case("sequence axis first in memory", np.moveaxis(whole, 0, -2), buffer)
    whole, buffer = guarded((*leading[::-1], rows, columns), kind)
    yield _case("leading axes transposed", whole.transpose(*range(len(leading))[::-1], -2, -1), buffer)

    for label, index in {
        "rows reversed": (..., slice(None, None, -1), slice(None)),
        "channels reversed": (..., slice(None, None, -1)),
        "all axes reversed": (slice(None, None, -1),) * len(shape),
    }.items():
        whole, buffer = guarded(shape, kind)
        yield _case(label, whole[index], buffer)

    for label, size, index in [
        ("every 2nd channel", (*leading, rows, 2 * columns), (..., slice(None, None, 2))),
        ("every 3rd channel, backwards", (*leading, rows, 3 * columns), (..., slice(None, None, -3))),
        ("every 3rd row", (*leading, 3 * rows, columns), (..., slice(None, None, 3), slice(None))),
        ("slice of a larger array", tuple(n + 3 for n in shape), (slice(1, -2),) * len(shape)),
    ]:
        whole, buffer = guarded(size, kind)
        yield _case(label, whole[index], buffer)

    packed = np.dtype([("tag", "u1"), ("value", kind)])
    whole, buffer = guarded(shape, packed)
    yield _case("field of a packed structure", whole["value"], buffer)
    packed = np.dtype([("tag", "u1"), ("row", kind, (columns,))])  # a row stride of no multiple of the itemsize
    whole, buffer = guarded(shape[:-1], packed)
    yield _case("rows of a packed structure", whole["row"], buffer)

    if 1 in shape:  # a stride along an axis of one element means nothing, and may be anything
        whole, buffer = guarded(shape, kind)
        strides = tuple(10_007 if n == 1 else stride for n, stride in zip(shape, whole.strides, strict=True))
        yield _case("odd strides of single elements", as_strided(whole, shape, strides), buffer)

    if directory is not None:
        nbytes = math.prod(shape) * kind.itemsize
        path = directory / "map.bin"
        canaries(nbytes + 2 * GUARD).tofile(path)
        buffer = np.memmap(path, np.uint8, "r+")
        yield _case("memory map", buffer[GUARD : GUARD + nbytes].view(kind).reshape(shape), buffer)


# Every combination of few and many axes, single and missing elements, one vector and several.
SHAPES = [(5, 8), (40, 33), (2, 3, 7), (2, 3, 4, 5), (1, 4, 6), (3, 1, 1), (0, 4, 2), (3, 0, 5)]


def assert_same_bits(got: NDArray[Any], want: NDArray[Any], label: object = "") -> None:
    """Equal to the last bit, the sign of zero included."""
    assert got.dtype == want.dtype, f"{label}: dtype {got.dtype}, want {want.dtype}"
    assert got.shape == want.shape, f"{label}: shape {got.shape}, want {want.shape}"
    bits = f"u{got.dtype.itemsize}"
    differ = np.ascontiguousarray(got).view(bits) != np.ascontiguousarray(want).view(bits)
    if differ.any():
        place = tuple(int(i) for i in np.argwhere(differ)[0])
        raise AssertionError(
            f"{label}: {differ.sum()} of {differ.size} elements differ; at {place} got {got[place]!r}, "
            f"want {want[place]!r}"
        )


def noise(shape: tuple[int, ...], dtype: DTypeLike, seed: int = 0) -> NDArray[Any]:
    """Numbers of many magnitudes and both signs, to add to."""
    generator = np.random.default_rng(seed)
    with np.errstate(over="ignore"):  # in float16 some are infinite
        return (generator.standard_normal(shape) * 10.0 ** generator.integers(-6, 7, shape)).astype(dtype)
