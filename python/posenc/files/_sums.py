"""What is added to an array, or written to it, one block after the other, as one call would do it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _apply, _axes, _conventions, _encoding, _rows, _validate, _where
from .._blocks import blocks
from .._encoding import Encoding
from .._where import Where

BLOCK_BYTES = 2**20  # stays in a second-level cache; a row of the most channels there may be is larger


FILL = object()  # instead of a factor of x: PE takes the place of what is there


class Piece(NamedTuple):
    """A block of the array: where it is (an index, see `_blocks`) and where it lies among the bytes of all."""

    where: tuple[Any, ...]
    first: int
    nbytes: int


class Sum(NamedTuple):
    """x * factor + PE for an array of a shape in C order; or PE, if there is no factor.

    Attributes
    ----------
    sequence : tuple of int
        The axes along which positions run.
    start : tuple of float
        The position of the first row along each of them.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rule: Encoding
    sequence: tuple[int, ...]
    start: tuple[float, ...]
    factor: float | None
    backend: str | None = None

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def pieces(self, nbytes: int) -> Iterator[Piece]:
        """The whole array in its order, in pieces of whole rows that are at most so large, or one row."""
        row = self.shape[-1] * self.dtype.itemsize
        first = 0
        if self.nbytes:
            for index in blocks(self.shape[:-1], max(1, nbytes // row)):
                size = math.prod(self._form(index)) * self.dtype.itemsize
                yield Piece(index, first, size)
                first += size

    def largest(self, nbytes: int) -> int:
        """The size of the largest piece."""
        return min(self.nbytes, max(nbytes, self.shape[-1] * self.dtype.itemsize))

    def write(self, piece: Piece, memory: NDArray[np.uint8]) -> None:
        """Do it to the bytes of a piece."""
        form = self._form(piece.where)
        view = memory[: piece.nbytes].view(self.dtype).reshape(form)
        offsets = [self._offset(piece.where, axis) for axis in self.sequence]
        sizes = [form[axis] for axis in self.sequence]
        one = len(self.sequence) == 1
        place: dict[str, Any] = {"seq_axis": self.sequence[0] if one else self.sequence}
        if all(start.is_integer() for start in self.start):
            starts = [start + offset for start, offset in zip(self.start, offsets, strict=True)]
            place["start"] = starts[0] if one else starts
        else:  # start + i is rounded once
            lines = [
                start + np.arange(offset, offset + size, dtype=np.float64)
                for start, offset, size in zip(self.start, offsets, sizes, strict=True)
            ]
            place["positions"] = lines[0] if one else np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
        x = None if self.factor is None else view
        operands = _apply.Operands("x", form, self.dtype, x, view, view)
        _apply.apply(
            operands, Where(**place), _apply.How(self.rule, None, self.backend), 1.0 if x is None else self.factor
        )

    def _form(self, index: tuple[Any, ...]) -> tuple[int, ...]:
        """The shape of a piece, with all axes of the array."""
        sizes = [part.stop - part.start if isinstance(part, slice) else 1 for part in index]
        return (*sizes, *self.shape[len(index) :])

    @staticmethod
    def _offset(index: tuple[Any, ...], axis: int) -> int:
        part = index[axis] if axis < len(index) else 0
        return part.start if isinstance(part, slice) else part


def plan(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    name: str,
    *,
    encoding: Any = None,
    start: Any = 0,
    x_scale: Any = FILL,
    seq_axis: Any = None,
    backend: str | None = None,
) -> Sum:
    """Check what a user said about a whole array, called `name`, as one call would."""
    rule = _conventions.resolve(encoding)
    if rule.axes == 1 and np.ndim(start):
        raise TypeError(f"start: expected a number, got {_validate.shown(start)}; do one sequence after the other")
    where = Where(start=start, seq_axis=seq_axis)
    axes = _where.axes(shape, name, rule.axes, where, None)
    spectra = _encoding.spectra(rule, shape[-1])
    if rule.axes == 1:
        _rows.place(axes, spectra[0].offset, where, None, None)
        starts: Any = [start]
    else:
        _axes.place(axes, [spectrum.offset for spectrum in spectra], where, None, None)
        starts = _axes.per_axis(start, "start", rule.axes)
    order = axes.order or tuple(range(len(shape)))
    factor = None if x_scale is FILL else _validate.x_scale(x_scale, dtype, shape[-1])
    sequence = order[len(axes.leading) : -1]
    return Sum(shape, dtype, rule, sequence, tuple(float(number) for number in starts), factor, backend)
