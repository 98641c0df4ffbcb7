"""What the encoding is like, in numbers: similarity of rows, the matrix that shifts them, their least distance.

The columns of a frequency w come as sin(p w) and cos(p w). So a row's product with another depends on the distance
between their positions alone, and a row is turned into the one `offset` positions on by a matrix that is the same
everywhere ("Attention Is All You Need", section 3.5). Both need every sine to have its cosine, which odd widths may
lack; a column that does not move (frequency 0) needs none.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _arrays, _conventions, _encoding, _half, _positions, _validate
from ._api import encode
from ._dtypes import BFLOAT16
from ._encoding import Encoding

BLOCK = 2**18  # elements that are made at a time

__all__ = ["distinct", "min_distance", "shift_matrix", "similarity"]


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
                f"{_listed(self.alone)} has none; {_even(encoding, dim)}"
            )


def similarity(offsets: ArrayLike, dim: int, *, encoding: str | Encoding | None = None) -> Any:
    """The inner product of two rows whose positions differ by `offsets`: PE(p) . PE(p + offset), whatever p is.

    In closed form, amplitude^2 * sum of cos(offset * w_k): no row is made of any position.

    Parameters
    ----------
    offsets : number, or array of any shape
        Differences between positions, whole or fractional, up to 2**53 in magnitude. For an encoding over k axes:
        of shape (..., k); a number is the same along all axes.
    dim : int
        Number of columns D.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper.

    Returns
    -------
    float, or ndarray of float64 of the shape of `offsets` (without k)
        At offset 0 the squared norm of every row, D / 2 for the paper's encoding with an even D. Within D * 1e-15 times
        amplitude^2, for offsets up to 2**31.

    Raises
    ------
    TypeError
        If `offsets` are not integers, float32 or float64 numbers, or `encoding` is none.
    ValueError
        If offsets are not finite or beyond 2**53, or if the product depends on p: at odd widths, where the last sine
        may have no cosine.

    Examples
    --------
    >>> import posenc.properties
    >>> posenc.properties.similarity([0, 1, -1, 1000], 512).round(3)
    array([256.   , 249.102, 249.102,  44.972])
    """
    width, which = _validate.integer(dim, "dim", minimum=1), _conventions.resolve(encoding)
    pairs = Pairs.of(which, width)
    pairs.refuse_alone(which, width, "the product depends on the position")
    given = _coordinates(offsets, "offsets", which.axes)
    moving = _reduced(given, width, lambda part: _rows(part, width, pairs.unit)[..., pairs.cosines].sum(-1))
    still = _rows(np.zeros((1, *given.shape[1:])), width, pairs.unit)[0, pairs.constants]
    result = pairs.square * (moving + float((still**2).sum()))
    shape = np.shape(offsets)
    return float(result[0]) if shape == () else result.reshape(shape if which.axes == 1 else shape[:-1])


def shift_matrix(offset: ArrayLike, dim: int, *, encoding: str | Encoding | None = None) -> NDArray[np.float64]:
    """The matrix M with PE(p + offset) = M @ PE(p) for every position p: relative positions are linear.

    It turns the sine and cosine of each frequency by offset * w_k, and leaves columns alone that do not move. It is
    orthogonal, and M(a) @ M(b) is M(a + b).

    Parameters
    ----------
    offset : number, or k numbers for an encoding over k axes
        By how much to shift, up to 2**53 in magnitude. A number is the same along all axes.
    dim : int
        Number of columns D.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper.

    Returns
    -------
    ndarray of shape (D, D), float64
        With float64 rows, M @ PE(p) is within 2e-15 times the amplitude of PE(p + offset), up to positions of 2**31.

    Raises
    ------
    TypeError, ValueError
        As `similarity`; also if `offset` is not as many numbers as the encoding has axes.

    Examples
    --------
    >>> import numpy as np, posenc.properties
    >>> M = posenc.properties.shift_matrix(7, 64)
    >>> np.allclose(posenc.encode([1007], 64, dtype="float64")[0], M @ posenc.encode([1000], 64, dtype="float64")[0])
    True
    """
    width, which = _validate.integer(dim, "dim", minimum=1), _conventions.resolve(encoding)
    pairs = Pairs.of(which, width)
    pairs.refuse_alone(which, width, "no matrix shifts it")
    given = _coordinates(offset, "offset", which.axes)
    if len(given) != 1 or np.ndim(offset) > (which.axes > 1):
        expected = "a number" if which.axes == 1 else f"a number or one for each of {which.axes} axes"
        raise ValueError(f"offset: expected {expected}, got shape {np.shape(offset)}; `offset[0]` is one of them")
    row = _rows(given, width, pairs.unit)[0]
    sin, cos = row[pairs.sines], row[pairs.cosines]
    matrix = np.zeros((width, width))
    np.fill_diagonal(matrix, 1.0)
    matrix[pairs.sines, pairs.sines] = matrix[pairs.cosines, pairs.cosines] = cos
    matrix[pairs.sines, pairs.cosines] = sin
    matrix[pairs.cosines, pairs.sines] = -sin + 0.0
    return matrix


def min_distance(
    length: int | tuple[int, ...],
    dim: int,
    *,
    encoding: str | Encoding | None = None,
    dtype: DTypeLike | object = "float32",
) -> float:
    """The least Euclidean distance between two of the first `length` rows, as they are in `dtype`.

    Greater than 0 means that no two positions share a row. Rows are compared as they are rounded; the closed form says
    which pairs are worth it, so that the time is that of a few tables, not of length^2 rows.

    Parameters
    ----------
    length : int, or tuple of int for an encoding over several axes
        Positions 0 ... length - 1, at least 2. For an encoding over k axes the sizes of a grid, of whose cells all are
        compared; an int is the same along all axes.
    dim : int
        Number of columns D.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper.
    dtype : dtype, default float32
        Of the rows: float32, float64, float16 or bfloat16 (of ml_dtypes, its name, or torch's).

    Returns
    -------
    float
        0.0 if two rows are the same; `distinct` tells how many are.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or value described above, if `dtype` can't hold the amplitude, or if all
        together are fewer than 2 rows.

    Examples
    --------
    >>> import posenc.properties
    >>> round(posenc.properties.min_distance(2048, 512), 4)
    3.7143
    >>> posenc.properties.min_distance(2048, 2, dtype="float16")  # one frequency
    0.0
    """
    width, which, sizes = arguments(length, dim, encoding)
    if math.prod(sizes) < 2:
        raise ValueError(f"length: expected at least 2 positions, got {length}")
    # Axes have columns of their own, so the nearest cell is a neighbour along one axis.
    return min(Line.of(axis, size, width, which, dtype).nearest() for axis, size in enumerate(sizes) if size > 1)


def distinct(
    length: int | tuple[int, ...],
    dim: int,
    *,
    encoding: str | Encoding | None = None,
    dtype: DTypeLike | object = "float32",
) -> int:
    """How many of the first `length` rows differ from each other in `dtype`: how many positions are told apart.

    Parameters
    ----------
    length, dim, encoding, dtype
        As for `min_distance`.

    Returns
    -------
    int
        `length`, or the product of the sizes, if all differ.

    Raises
    ------
    TypeError, ValueError
        As `min_distance`.

    Examples
    --------
    >>> import posenc.properties
    >>> posenc.properties.distinct(1000, 2), posenc.properties.distinct(1000, 2, dtype="float16")
    (1000, 816)
    """
    width, which, sizes = arguments(length, dim, encoding)
    return math.prod(Line.of(axis, size, width, which, dtype).distinct() for axis, size in enumerate(sizes))


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
            there = _wide(self.rows(first + offset, last + offset))
            there -= _wide(self.rows(first, last))
            best = min(best, float(np.einsum("ij,ij->i", there, there).min()))
        return math.sqrt(best)

    def _at_least(self, pairs: Pairs) -> NDArray[np.float64]:
        """How far rows at offsets 1 ... size - 1 are from each other at least, without what rounding can take away."""
        own = np.isin(pairs.sines, self.columns)
        sines = pairs.sines[own]

        def squares(positions: NDArray[np.float64]) -> NDArray[np.float64]:
            halves = _rows(positions / 2.0, self.dim, pairs.unit)[..., sines]
            chord: NDArray[np.float64] = np.square(2.0 * halves).sum(-1)  # accurate near 0, as 1 - cos is not
            return chord

        exact = np.sqrt(pairs.square * _reduced(self.positions(1, self.size), self.dim, squares))
        spectrum = _encoding.spectra(self.encoding, self.dim)[self.axis]
        norm = math.sqrt(pairs.square * len(self.columns))
        unit, least = _precision(self.dtype)
        lost = unit * norm + least * math.sqrt(len(self.columns)) + 1e-14 * norm
        if not spectrum.offset.is_integer() or abs(spectrum.offset) + self.size > 2**52:  # p + offset is rounded
            radians = spectrum.frequencies[0] * (math.pi / 2.0)
            lost += math.sqrt(pairs.square * 2.0 * float((radians**2).sum() * self.encoding.tile)) * float(
                np.spacing(abs(spectrum.offset) + self.size)
            )
        return np.asarray(exact - 2.0 * lost)


def arguments(length: Any, dim: Any, encoding: Any) -> tuple[int, Encoding, tuple[int, ...]]:
    width, which = _validate.integer(dim, "dim", minimum=1), _conventions.resolve(encoding)
    if isinstance(length, (tuple, list)):
        sizes = tuple(_validate.integer(size, "length", minimum=1) for size in length)
    else:
        sizes = (_validate.integer(length, "length", minimum=1),) * which.axes
    if len(sizes) != which.axes:
        one = "an integer" if which.axes == 1 else f"an integer or the sizes of {which.axes} axes"
        raise ValueError(f"length: expected {one}, got {length}")
    return width, which, sizes


def _coordinates(value: Any, name: str, axes: int) -> NDArray[np.float64]:
    """Numbers as the positions (n,) or (n, axes) that `encode` takes."""
    numbers = _positions.floats(value, name)
    if axes == 1:
        return numbers.reshape(-1)
    if numbers.ndim == 0:
        return np.full((1, axes), numbers)
    if numbers.shape[-1] != axes:
        raise ValueError(
            f"{name}: expected a number, or {axes} along the last axis, one for each of the encoding's, got shape "
            f"{numbers.shape}"
        )
    return numbers.reshape(-1, axes)


def _rows(positions: NDArray[np.float64], dim: int, encoding: Encoding) -> NDArray[np.float64]:
    rows: NDArray[np.float64] = encode(positions, dim, encoding=encoding, dtype=np.float64)
    return rows


def _reduced(
    positions: NDArray[np.float64], dim: int, function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """`function` of all positions, of so few at a time that memory stays bounded."""
    step = max(1, BLOCK // dim)
    parts = [function(positions[first : first + step]) for first in range(0, len(positions), step)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _wide(rows: NDArray[Any]) -> NDArray[np.float64]:
    wide: NDArray[np.float64] = np.asarray(_half.widen(rows) if rows.dtype == BFLOAT16 else rows, np.float64)
    return wide


def _precision(dtype: Any) -> tuple[float, float]:
    """By how much a number of a dtype may be off: relative to it, and at least."""
    kind, _ = _arrays.dtype(dtype)
    if kind == BFLOAT16:
        return 2.0**-8, 2.0**-134
    info = np.finfo(kind)
    return float(info.eps) / 2.0, float(info.smallest_subnormal)


def _listed(columns: NDArray[np.intp]) -> str:
    some = ", ".join(map(str, columns[:3]))
    return f"column {some}" if len(columns) == 1 else f"each of columns {some}{' ...' if len(columns) > 3 else ''}"


def _even(encoding: Encoding, dim: int) -> str:
    """The way out: a width near this one at which there are pairs only."""
    for width in sorted(range(max(1, dim - 64), dim + 65), key=lambda width: abs(width - dim - 0.25)):
        try:
            if not len(Pairs.of(encoding, width).alone):
                return f"`dim={width}` has pairs only"
        except ValueError:
            continue
    return "use an encoding whose columns are pairs"
