"""Which named encodings made a table: positions are read off its first and last rows, and then all of it is compared.

A sine and a cosine of one frequency tell the angle, hence the position up to a multiple of the wavelength. From the
longest wavelength to the shortest, each one settles the position more closely than the one before, which must be right
to half a wavelength. Where that position does not explain the row within rounding, the encoding is another.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _api, _arrays, _conventions, _encoding
from ._dtypes import BFLOAT16
from ._encoding import Encoding
from ._half import widest

# How far a value may be from the formula's: what a float32 recipe makes of the angle at position p, and of its sine.
PER_POSITION = 4e-7
LEAST = 2e-6
MOST = 0.02  # beyond, anything looks like anything
ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}  # of a table in half precision, and of its arithmetic's last step
LONGEST = 2**21  # positions up to this are found, beyond it as far as TURNS of the longest wavelength go
TURNS, MOST_TURNS = 64, 2**18
NEAR = 0.5  # radians
MANY = 2**12  # positions that are looked at with all frequencies
WHOLE, CHANCES = 1e-3, 64  # how near to a whole number, among how many positions that would all do: not by accident
STEP = 2.0  # from a wavelength to the next that settles the position


class Match(NamedTuple):
    """An encoding that made a table.

    Attributes
    ----------
    name : str
        As `list_encodings` has it.
    encoding : Encoding
        Of that name, with what the size of the table tells where it takes a length or a width.
    start : int, float, or a tuple of one for each axis
        Position of the first row. A tuple where axes differ.
    max_error : float
        The largest difference from the table.
    """

    name: str
    encoding: Encoding
    start: Any
    max_error: float


def identify(table: ArrayLike) -> list[Match]:
    """Find which named encodings made a table, and from which first position.

    Parameters
    ----------
    table : array of shape (L, D); float32, float64, float16 or bfloat16
        Rows of successive positions; axes of length 1 are left out, as those of (L, 1, D) and (1, L, D). For encodings
        over several axes, the cells of a grid, row by row, or (H, W, D). Rows of zeros, of padding or a class token,
        are passed over. A NumPy array, a torch tensor, or anything else that `add` takes.

    Returns
    -------
    list of (name, encoding, start, max_error)
        The best first: that with the smallest difference, then with the first position nearest to 0, then the most
        usual. Empty if none fits. An encoding that has several names is there with all of them; so are those that
        differ only at other widths, or by the position they call the first.

    Raises
    ------
    TypeError
        If `table` is not an array of such numbers.
    ValueError
        If it has another shape, or numbers that are not finite.

    Notes
    -----
    Differences of up to 2e-6 + 4e-7 p at position p are allowed, which is what float32 recipes make of it, and in
    tables of half precision those of its rounding.

    Examples
    --------
    >>> import posenc
    >>> table = posenc.encode(100, 64, encoding="whisper")
    >>> [(match.name, match.start) for match in posenc.identify(table)][:2]
    [('tensor2tensor', 0), ('praxis', 0)]
    >>> "whisper" in [match.name for match in posenc.identify(table)]
    True
    """
    rows = read(table)
    found = []
    for place, (encoding, names) in enumerate(candidates(*rows.values.shape)):
        match = rows.match(encoding)
        if match is not None:
            starts, error = match
            start = starts[0] if len(set(starts)) == 1 else starts
            order = (error, max(map(abs, starts)), place)
            found += [(order, Match(name, encoding, start, error)) for name in names]
    return [match for _, match in sorted(found, key=lambda item: item[0])]


def read(table: Any) -> Table:
    """A table that a user gave, checked."""
    plain = table.detach() if _arrays.is_tensor(table) else table
    view = _arrays.view(plain, "table", write=False)
    if view.ndim < 2 or not view.size:
        way = "`table[None]` has one row" if view.ndim == 1 and view.size else "give it rows of channels"
        raise ValueError(
            f"table: expected shape (L, D) with at least 1 row and 1 channel, got shape {view.shape}; {way}"
        )
    sizes = tuple(n for n in view.shape[:-1] if n != 1)
    values = widest(view).reshape(-1, view.shape[-1])
    if not np.isfinite(values).all():
        raise ValueError("table: expected finite numbers, got NaN or infinity; `table[:n]` are the first rows")
    return Table(values, sizes, _rounding(view, values))


def _rounding(view: NDArray[Any], values: NDArray[np.float64]) -> float:
    """Of the narrowest dtype that holds the table: it may have been converted to a wider one since."""
    if view.dtype == BFLOAT16 or not (values.astype(np.float32).view(np.uint32) & 0xFFFF).any():
        exact = (values.astype(np.float32) == values).all()
        return ROUNDING["bfloat16"] if exact else 0.0
    with np.errstate(over="ignore"):
        return ROUNDING["float16"] if (values.astype(np.float16) == values).all() else 0.0


class Table:
    """Rows that may be those of an encoding."""

    def __init__(self, values: NDArray[np.float64], sizes: tuple[int, ...], rounding: float) -> None:
        self.values = values
        self.sizes = sizes  # of the axes that rows are a list of
        self.rounding = rounding
        self.real = np.flatnonzero(values.any(axis=1)) if values.shape[1] > 1 else np.arange(len(values))

    def tolerance(self, amplitude: float, farthest: float) -> float:
        return abs(amplitude) * min(MOST, LEAST + self.rounding + PER_POSITION * farthest)

    def match(self, encoding: Encoding) -> tuple[tuple[Any, ...], float] | None:
        """The first positions, and the largest difference, if this is the encoding."""
        dim = self.values.shape[1]
        try:
            spectra = _encoding.spectra(encoding, dim)
        except ValueError:
            return None  # there is none of this width
        if not len(self.real) or (len(self.sizes) > 1 and len(self.sizes) != encoding.axes):
            return None
        first, last = self.real[0], self.real[-1]
        axes = [_Axis(spectrum) for spectrum in spectra]
        best = None
        for begin in itertools.product(*[self.positions(axis, first) for axis in axes]):
            if len(axes) == 1:
                rows = self.compared(encoding, axes, (begin[0] - int(first),), (len(self.values),), 0)
            else:
                rows = None
                for end in itertools.product(*[self.positions(axis, last) for axis in axes]):
                    sizes = tuple(round(b - a) + 1 for a, b in zip(begin, end, strict=True))
                    if len(self.sizes) > 1 and sizes != self.sizes:
                        continue
                    if min(sizes) > 0 and math.prod(sizes) == last + 1 - first:
                        rows = rows or self.compared(encoding, axes, begin, sizes, int(first))
            if rows is not None and (best is None or rows[1] < best[1]):
                best = rows
        return best

    def positions(self, axis: _Axis, row: int) -> list[Any]:
        """Where a row may stand."""
        values = self.values[row]
        for position in axis.positions(values, LEAST + self.rounding):
            allowed = self.tolerance(axis.amplitude, abs(position))
            for digits in (0, 1, 2, 4, 8, 15):
                rounded = round(position, digits) if digits else round(position)
                if np.abs(axis.row(rounded) - values[axis.columns]).max(initial=0.0) <= allowed:
                    return [rounded]
        return []

    def compared(
        self, encoding: Encoding, axes: list[_Axis], start: tuple[Any, ...], sizes: tuple[int, ...], first: int
    ) -> tuple[tuple[Any, ...], float] | None:
        """`start` and the largest difference, if that is allowed."""
        lines = [begin + np.arange(n) for begin, n in zip(start, sizes, strict=True)]
        places = lines[0] if len(axes) == 1 else np.stack(np.meshgrid(*lines, indexing="ij"), -1)
        dim = self.values.shape[1]
        rows = _api.encode(places, dim, encoding=encoding, dtype=np.float64).reshape(-1, dim)
        error = np.abs(rows - self.values[first : first + len(rows)])[self.real - first].max()
        farthest = max(np.abs(line).max() for line in lines)
        return (start, float(error)) if error <= self.tolerance(axes[0].amplitude, farthest) else None


class _Axis:
    """One axis of an encoding at one width: its columns, and what they tell."""

    def __init__(self, spectrum: _encoding.Spectrum) -> None:
        self.amplitude = spectrum.amplitude
        self.offset = spectrum.offset
        self.columns = np.flatnonzero(spectrum.source >= 0)
        self.source = spectrum.source[self.columns]
        self.frequencies = spectrum.frequencies.sum(axis=0) * (math.pi / 2)

    def row(self, position: float) -> NDArray[np.float64]:
        """The columns at a position, about."""
        phase = np.pi / 2 * (self.source & 1)
        result: NDArray[np.float64] = self.amplitude * np.sin(
            self.frequencies[self.source >> 1] * (position + self.offset) + phase
        )
        return result

    @functools.cached_property
    def pairs(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Frequencies that have a sine and a cosine, the slowest first, and the columns of both."""
        sines = dict(zip((self.source >> 1)[self.source % 2 == 0], self.columns[self.source % 2 == 0], strict=True))
        cosines = dict(zip((self.source >> 1)[self.source % 2 == 1], self.columns[self.source % 2 == 1], strict=True))
        both = sorted(
            (k for k in sines if k in cosines and self.frequencies[k]), key=lambda k: abs(self.frequencies[k])
        )
        return (
            self.frequencies[both],
            np.array([sines[k] for k in both], int),
            np.array([cosines[k] for k in both], int),
        )

    def positions(self, values: NDArray[np.float64], rounding: float) -> Iterator[float]:
        """The position that the values of a row tell, if they tell one, and 0."""
        w, sines, cosines = self.pairs
        if len(w):
            s, c = values[sines] / self.amplitude, values[cosines] / self.amplitude
            if np.abs(s * s + c * c - 1.0).max() < 4.0 * MOST:
                yield _position(np.arctan2(s, c), w, rounding) - self.offset
        yield 0.0


def _position(angles: NDArray[np.float64], w: NDArray[np.float64], rounding: float) -> float:
    """The position at which frequencies `w`, in increasing order, have these angles: a whole one, if that may be."""
    longest = 2.0 * math.pi / abs(w[0])
    turns = round(max(TURNS, min(LONGEST / longest, MOST_TURNS)))
    p = (angles[0] + 2.0 * math.pi * np.arange(-turns, turns + 1)) / w[0]
    settled = abs(w[0])
    for angle, frequency in zip(angles[1:], w[1:], strict=True):
        if abs(frequency) < STEP * settled and frequency != w[-1]:
            continue
        misfit = _within(angle - frequency * p)
        if 8.0 * rounding * abs(frequency) < NEAR * settled:  # what is not near by now is of another turn
            kept = np.abs(misfit) <= max(NEAR, np.abs(misfit).min())
            p, misfit = p[kept], misfit[kept]
        p = p + misfit / frequency
        settled = abs(frequency)
    p = p[np.argsort(np.abs(p), kind="stable")][:MANY]
    misfit = np.abs(_within(angles[:, None] - w[:, None] * p)).max(axis=0)
    nearest = p[misfit <= misfit.min() + 4.0 * rounding][:CHANCES]
    whole = nearest[np.abs(nearest - np.rint(nearest)) < WHOLE]
    return float(whole[0] if len(whole) else nearest[0])


def _within(angles: Any) -> Any:
    """Angles from -pi to pi."""
    return angles - 2.0 * math.pi * np.rint(angles / (2.0 * math.pi))


@functools.lru_cache(maxsize=8)
def candidates(length: int, dim: int) -> tuple[tuple[Encoding, tuple[str, ...]], ...]:
    """Encodings that have names, the usual ones first, each once."""
    found: dict[Encoding, list[str]] = {}
    sizes = {"dim": dim, "klen": length, "length": length, "max_len": length, "seq_len": length}
    for row in _conventions.ROWS:
        fitting = {option: sizes[option] for option in row.options if option in sizes}
        for options in ({}, fitting) if fitting else ({},):
            try:
                encoding = _conventions.get_encoding(row.names[0], **options)
            except (TypeError, ValueError):
                continue  # it needs options, or is of another width
            found.setdefault(encoding, []).extend(name for name in row.names if name not in found.get(encoding, ()))
    return tuple((encoding, tuple(names)) for encoding, names in found.items())
