"""What the encoding is like, in numbers: similarity of rows, the matrix that shifts them, their least distance.

The columns of a frequency w come as sin(p w) and cos(p w). So a row's product with another depends on the distance
between their positions alone, and a row is turned into the one `offset` positions on by a matrix that is the same
everywhere ("Attention Is All You Need", section 3.5). Both need every sine to have its cosine, which odd widths may
lack; a column that does not move (frequency 0) needs none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _conventions, _positions, _validate
from ._encoding import Encoding
from ._pairs import Line, Pairs, reduced, rows

__all__ = ["distinct", "min_distance", "shift_matrix", "similarity"]


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
    moving = reduced(given, width, lambda part: rows(part, width, pairs.unit)[..., pairs.cosines].sum(-1))
    still = rows(np.zeros((1, *given.shape[1:])), width, pairs.unit)[0, pairs.constants]
    result = pairs.square * (moving + float((still**2).sum()))
    shape = np.shape(offsets)[: None if which.axes == 1 else -1]
    return float(result[0]) if shape == () else result.reshape(shape)


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
        With float64 rows, M @ PE(p) is within 2e-15 times the amplitude of PE(p + offset), up to positions of 2**31, if
        p + offset and what `position_offset` adds to either are not rounded.

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
    row = rows(given, width, pairs.unit)[0]
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
    which pairs are worth it, so that the time is that of a few tables, not of length^2 rows. Before that it counts the
    rows as `distinct` does, whose time and memory it takes as well.

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

    No formula knows it: every row is made, and a digest of each that is new is kept. The time goes with `length` times
    `dim`, the memory with how many differ, about 110 bytes each: a million rows of 64 columns take 1.6 s and 0.1 GB on
    one core of an AMD Zen 4, so a thousand million would take half an hour and 110 GB. The axes of an encoding over
    several are counted one by one.

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


def arguments(length: Any, dim: Any, encoding: Any) -> tuple[int, Encoding, tuple[int, ...]]:
    width, which = _validate.integer(dim, "dim", minimum=1), _conventions.resolve(encoding)
    if isinstance(length, (tuple, list)):
        sizes = tuple(_validate.integer(size, "length", minimum=1) for size in length)
    else:
        sizes = (_validate.integer(length, "length", minimum=1),) * which.axes
    if len(sizes) != which.axes:
        one = "an integer" if which.axes == 1 else f"an integer or the sizes of {which.axes} axes"
        way = f"`length={max(sizes, default=1)}`"
        way += f", or an encoding over {len(sizes)} axes" if len(sizes) > 1 else ""
        raise ValueError(f"length: expected {one}, got {length}; {way}")
    if (most := int(_positions.LARGEST) + 1) < max(sizes):
        raise ValueError(
            f"length: expected positions of at most 2**53 in magnitude, got {max(sizes)}; `length={most}` is the most"
        )
    return width, which, sizes


def _coordinates(value: Any, name: str, axes: int) -> NDArray[np.float64]:
    """Numbers as the positions (n,) or (n, axes) that `encode` takes."""
    array = _positions.numbers(value, name)
    if (worst := _positions.beyond(array)) is not None:
        raise ValueError(
            f"{name}: expected finite numbers, at most 2**53 in magnitude, got {worst}; leave such ones out"
        )
    numbers: NDArray[np.float64] = array.astype(np.float64)
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
