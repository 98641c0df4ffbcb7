"""What posenc.properties computes with: the columns of an encoding as pairs, and its rows along one axis."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _encoding, _positions
from ._api import encode
from ._dtypes import BFLOAT16
from ._encoding import Encoding
from ._half import widest

BLOCK = 2**18  # elements that are made at a time


class Pairs(NamedTuple):
    """The columns of an encoding at one width, as pairs.

    Attributes
    ----------
    unit : Encoding
        The encoding with amplitude 1, its rows counted from position 0.
    square : float
        The amplitude's square.
    sines, cosines : ndarray of int, (n,)
        Columns of equal frequency, one of each, where that frequency is not 0.
    alone : ndarray of int
        Columns that move and have no partner.
    constants : ndarray of int
        Columns that are sin(0) or cos(0) everywhere.
    """

    unit: Encoding
    square: float
    sines: NDArray[np.intp]
    cosines: NDArray[np.intp]
    alone: NDArray[np.intp]
    constants: NDArray[np.intp]

    @classmethod
    def of(cls, encoding: Encoding, dim: int) -> Pairs:
        spectra = _encoding.spectra(encoding, dim)
        sines: list[int] = []
        cosines: list[int] = []
        alone: list[int] = []
        constants: list[int] = []
        for spectrum in spectra:
            waiting: dict[int, list[int]] = {}
            still = spectrum.frequencies[0] == 0.0
            for column, source in enumerate(spectrum.source.tolist()):
                if source < 0:
                    continue
                if still[source >> 1]:
                    constants.append(column)
                elif waiting.get(source ^ 1):
                    pair = (column, waiting[source ^ 1].pop(0))
                    sine, cosine = pair[::-1] if source & 1 else pair
                    sines.append(sine)
                    cosines.append(cosine)
                else:
                    waiting.setdefault(source, []).append(column)
            alone += [column for columns in waiting.values() for column in columns]
        first = spectra[0]
        square = first.amplitude**2 if first.square is None else float(first.square)
        unit = encoding.replace(amplitude=1.0, position_offset=0.0)
        return cls(unit, square, *(np.array(part, np.intp) for part in (sines, cosines, sorted(alone), constants)))

    def refuse_alone(self, encoding: Encoding, dim: int, what: str) -> None:
        if len(self.alone):
            raise ValueError(
                f"dim: expected a width at which every sine has a cosine of its frequency, or {what}, got {dim}, where "
                f"{listed(self.alone)} has none; {even(encoding, dim)}"
            )


class Line(NamedTuple):
    """Rows along one axis of an encoding, of which only that axis' columns count."""

    axis: int
    size: int
    dim: int
    encoding: Encoding
    dtype: Any
    columns: NDArray[np.intp]

    @classmethod
    def of(cls, axis: int, size: int, dim: int, encoding: Encoding, dtype: Any) -> Line:
        kind, _ = _arrays.dtype(dtype)
        spectrum = _encoding.spectra(encoding, dim)[axis]
        if kind == np.float16 and abs(spectrum.amplitude) > 65504:
            raise ValueError(
                f"dtype: expected one that holds the amplitude, {spectrum.amplitude:g}, got float16; `dtype='float32'`"
            )
        if max(size - 1, 0) + spectrum.offset > _positions.LARGEST:
            offset = f", the encoding's offset of {spectrum.offset:.17g} included" if spectrum.offset else ""
            least = int(_positions.LARGEST - max(spectrum.offset, 0.0)) + 1
            raise ValueError(
                f"length: expected positions of at most 2**53 in magnitude{offset}, got {size}; `length={least}` "
                "is the most"
            )
        return cls(axis, size, dim, encoding, dtype, np.flatnonzero(spectrum.source >= 0))

    def positions(self, first: int, last: int) -> NDArray[np.float64]:
        positions = np.zeros((last - first, self.encoding.axes))
        positions[:, self.axis] = np.arange(first, last)
        return positions if self.encoding.axes > 1 else positions[:, 0]

    def rows(self, first: int, last: int) -> NDArray[Any]:
        rows = encode(self.positions(first, last), self.dim, encoding=self.encoding, dtype=self.dtype)
        return _arrays.view(rows, "dtype", write=False)[:, self.columns]

    def blocks(self, length: int) -> Iterator[tuple[int, int]]:
        step = max(1, BLOCK // self.dim)
        yield from ((first, min(first + step, length)) for first in range(0, length, step))

    def distinct(self) -> int:
        seen: set[bytes] = set()  # of digests: two rows with the same one would be news
        for first, last in self.blocks(self.size):
            rows = np.ascontiguousarray(self.rows(first, last))
            seen.update(hashlib.blake2b(row, digest_size=16).digest() for row in rows)
        return len(seen)

    def nearest(self) -> float:
        if self.distinct() < self.size:
            return 0.0
        pairs = Pairs.of(self.encoding, self.dim)
        bounds = self._at_least(pairs)
        best = math.inf
        for index in np.argsort(bounds, kind="stable"):
            if bounds[index] >= best:
                break
            best = min(best, self._apart(int(index) + 1))
        return best

    def _apart(self, offset: int) -> float:
        """The least distance of two rows that are `offset` apart."""
        best = math.inf
        for first, last in self.blocks(self.size - offset):
            there = widest(self.rows(first + offset, last + offset))
            there -= widest(self.rows(first, last))
            best = min(best, float(np.einsum("ij,ij->i", there, there).min()))
        return math.sqrt(best)

    def _at_least(self, pairs: Pairs) -> NDArray[np.float64]:
        """How far rows at offsets 1 ... size - 1 are from each other at least, without what rounding can take away."""
        own = np.isin(pairs.sines, self.columns)
        sines = pairs.sines[own]

        def squares(positions: NDArray[np.float64]) -> NDArray[np.float64]:
            halves = rows(positions / 2.0, self.dim, pairs.unit)[..., sines]
            chord: NDArray[np.float64] = np.square(2.0 * halves).sum(-1)  # accurate near 0, as 1 - cos is not
            return chord

        exact = np.sqrt(pairs.square * reduced(self.positions(1, self.size), self.dim, squares))
        spectrum = _encoding.spectra(self.encoding, self.dim)[self.axis]
        norm = math.sqrt(pairs.square * len(self.columns))
        unit, least = precision(self.dtype)
        lost = unit * norm + least * math.sqrt(len(self.columns)) + 1e-14 * norm
        if not spectrum.offset.is_integer() or abs(spectrum.offset) + self.size > 2**52:  # p + offset is rounded
            radians = spectrum.frequencies[0] * (math.pi / 2.0)
            lost += math.sqrt(pairs.square * 2.0 * float((radians**2).sum() * self.encoding.tile)) * float(
                np.spacing(abs(spectrum.offset) + self.size)
            )
        return np.asarray(exact - 2.0 * lost)


def rows(positions: NDArray[np.float64], dim: int, encoding: Encoding) -> NDArray[np.float64]:
    values: NDArray[np.float64] = encode(positions, dim, encoding=encoding, dtype=np.float64)
    return values


def reduced(
    positions: NDArray[np.float64], dim: int, function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """`function` of all positions, of so few at a time that memory stays bounded."""
    step = max(1, BLOCK // dim)
    parts = [function(positions[first : first + step]) for first in range(0, len(positions), step)]
    return np.concatenate(parts) if parts else np.zeros(0)


def precision(dtype: Any) -> tuple[float, float]:
    """By how much a number of a dtype may be off: relative to it, and at least."""
    kind, _ = _arrays.dtype(dtype)
    if kind == BFLOAT16:
        return 2.0**-8, 2.0**-134
    info = np.finfo(kind)
    return float(info.eps) / 2.0, float(info.smallest_subnormal)


def listed(columns: NDArray[np.intp]) -> str:
    some = ", ".join(map(str, columns[:3]))
    return f"column {some}" if len(columns) == 1 else f"each of columns {some}{' ...' if len(columns) > 3 else ''}"


def even(encoding: Encoding, dim: int) -> str:
    """The way out: a width near this one at which there are pairs only."""
    for width in sorted(range(max(1, dim - 64), dim + 65), key=lambda width: abs(width - dim - 0.25)):
        try:
            if not len(Pairs.of(encoding, width).alone):
                return f"`dim={width}` has pairs only"
        except ValueError:
            continue
    return "use an encoding whose columns are pairs"
