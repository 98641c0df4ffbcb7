"""What backends are told of an encoding at one width: exact frequencies, and which column has which.

Equal encodings have one spectrum at a width, from a cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _fields, _frequencies
from ._cache import Cache, memoized
from ._fields import AMPLITUDES, LARGEST, LARGEST_DIM, LAYOUTS, SMALLEST

if TYPE_CHECKING:
    from ._encoding import Encoding


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One axis of an encoding at one width.

    Attributes
    ----------
    frequencies : ndarray of shape (2, K), float64
        Quarter turns per unit of position: each frequency is the unevaluated sum of a column, to 2^-106 of itself.
    source : ndarray of shape (dim,), int32
        For each column, 2k where it is sin(p w_k) and 2k + 1 where it is cos(p w_k); -1 where it is 0, or another
        axis's.
    amplitude : float
        Factor of every column, correctly rounded.
    offset : float
        What is added to a position, in float64, before anything else.
    numbers : Numbers
        The frequencies for the last stage of rounding, without their signs: in radians or, with `full_turns`, turns per
        unit of position.
    full_turns : bool
        See `numbers`.
    square : Fraction, optional
        What the exact amplitude is the square root of, if it is not `amplitude` itself.
    """

    frequencies: NDArray[np.float64]
    source: NDArray[np.int32]
    amplitude: float
    offset: float
    numbers: _frequencies.Numbers
    full_turns: bool
    square: Fraction | None = None

    @property
    def dim(self) -> int:
        return len(self.source)

    @property
    def unscaled(self) -> bool:
        """Whether the amplitude is 1, so that a turn by the encoding can be undone by one."""
        return self.square is None and self.amplitude == 1.0

    @memoized
    def factor(self) -> _frequencies.Number:
        """The exact amplitude, without its sign."""
        return _frequencies.product(self.amplitude, 1.0) if self.square is None else _frequencies.root(self.square)

    @memoized
    def special(self) -> tuple[float, ...]:
        """Amplitude * sin(x) for 4 sin(x)^2 = 0, 1, 2, 3, 4, or NaN where that is no double.

        At a rational number of turns no other angle has such a value (docs/accuracy.md).
        """
        square = Fraction(self.amplitude) ** 2 if self.square is None else self.square
        roots = [_frequencies.dyadic_root(square * j / 4) for j in range(5)]
        return tuple(math.nan if root is None else math.copysign(root, self.amplitude) + 0.0 for root in roots)

    @memoized
    def block(self) -> tuple[slice, Spectrum]:
        """The columns from the first to the last that is not 0, and their spectrum.

        Of an axis that shares its rows with others, these are in an order that backends are fast at.
        """
        used = np.flatnonzero(self.source >= 0)
        if len(used) == 0 or len(used) == self.dim:
            return slice(0, self.dim), self
        columns = slice(int(used[0]), int(used[-1]) + 1)
        return columns, replace(self, source=self.source[columns])

    @property
    def nbytes(self) -> int:
        return self.frequencies.nbytes + self.source.nbytes + self.numbers.nbytes


class Spectra(tuple[Spectrum, ...]):
    """The axes of an encoding at one width."""

    @property
    def nbytes(self) -> int:
        """Of an axis the arrays and their objects (300 bytes)."""
        return sum(spectrum.nbytes + 300 for spectrum in self)


def spectra(encoding: Encoding, dim: int) -> Spectra:
    """The spectra of an encoding with `dim` columns, one per axis, from a cache."""
    try:
        return _spectra[encoding, dim]
    except ValueError as error:
        raise ValueError(f"{error}{_other_widths(encoding, dim, str(error))}") from None


def _other_widths(encoding: Encoding, dim: int, text: str) -> str:
    """To add to an error text: which widths would do, unless it is not for its width that an encoding is refused."""
    if _fits(encoding, dim):
        return ""
    weights = encoding.axis_widths if isinstance(encoding.axis_widths, tuple) else (1,) * encoding.axes
    reach = 2 * sum(weights) * encoding.tile
    candidates = [range(dim, max(0, dim - reach - 1), -1), range(dim, min(dim + reach, LARGEST_DIM) + 1)]
    nearest = [next((width for width in widths if _fits(encoding, width)), None) for widths in candidates]
    if encoding.frequencies is not None:  # there may be one width only, far away
        only = 2 * encoding.tile * sum(len(_fields.explicit(encoding, axis)) for axis in range(encoding.axes))
        nearest.append(only if _fits(encoding, only) else None)
    found = [str(width) for width in dict.fromkeys(nearest) if width is not None]
    share = f" of {dim} channels, shared by {encoding.axes} axes" if f"got {dim}" not in text else ""
    return f"{share}; {' or '.join(found)} channels would do" if found else share


def _fits(encoding: Encoding, dim: int) -> bool:
    """Whether `dim` columns can be divided among axes, phases and frequencies."""
    try:
        counts = [_halves(encoding, width)[0] for width in widths_of(encoding, dim)]
    except ValueError:
        return False
    return encoding.frequencies is None or counts == [
        len(_fields.explicit(encoding, axis)) for axis in range(encoding.axes)
    ]


def columns(encoding: Encoding, dim: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each of `dim` columns its axis, -1 where it is 0, and within that 2k for a sine or 2k + 1 for a cosine."""
    block = dim // encoding.tile
    widths = widths_of(encoding, dim)
    rank = {axis: i for i, axis in enumerate(encoding.axis_order or range(encoding.axes))}
    parts = []
    for axis, width in enumerate(widths):
        first, second, _ = _halves(encoding, width)
        for t, count in enumerate((first, second)):
            parts.append([np.full(count, axis), np.arange(count), np.full(count, t)])
        if first + second < width:
            parts.append([np.array([axis]), np.array([first]), np.array([2])])  # the zero at the end of an odd width
    axis, k, t = np.concatenate(parts, axis=1)
    index = {"a": np.array([rank[i] for i in range(encoding.axes)])[axis], "k": k, "t": t}
    order = np.lexsort([index[letter] for letter in reversed(encoding.nesting or LAYOUTS[encoding.layout])])[:block]
    owner, source = np.where(t < 2, axis, -1)[order], (2 * k + (t ^ encoding.cos_first))[order]
    missing = block - len(order)  # where widths are rounded down
    if missing:
        owner, source = np.pad(owner, (0, missing), constant_values=-1), np.pad(source, (0, missing))
    return np.tile(owner, encoding.tile).astype(np.int32), np.tile(source, encoding.tile).astype(np.int32)


def _make(key: tuple[Encoding, int]) -> Spectra:
    encoding, dim = key
    widths = widths_of(encoding, dim)
    owner, source = columns(encoding, dim)
    amplitude, square = encoding.amplitude, None
    if isinstance(amplitude, str):
        square = AMPLITUDES[amplitude] / dim
        amplitude = float(_frequencies.doubles([_frequencies.root(square)], 1 << _frequencies.CONSTANT_BITS)[0, 0])
    result = []
    for axis, width in enumerate(widths):
        numbers = numbers_of(encoding, width, axis)
        frequencies = doubles_of(encoding, numbers, axis, radians=False)
        magnitudes = np.abs(frequencies[0])
        if magnitudes.max() > _frequencies.LARGEST_FREQUENCY:
            raise _too_fast()
        if (magnitudes[magnitudes > 0.0] < _frequencies.SMALLEST_FREQUENCY).any():
            raise _too_slow(encoding, width, len(numbers))
        result.append(
            Spectrum(
                frequencies,
                np.where(owner == axis, source, np.int32(-1)),
                amplitude,
                _fields.at(encoding.position_offset, axis),
                numbers,
                encoding.full_turns,
                square,
            )
        )
    return Spectra(result)


def widths_of(encoding: Encoding, dim: int) -> list[int]:
    """How many columns each axis has, before what is too many is cut off."""
    if dim > LARGEST_DIM:
        raise ValueError(f"encoding: expected at most {LARGEST_DIM} channels, got {dim}")
    block, rest = divmod(dim, encoding.tile)
    if rest:
        raise ValueError(f"encoding: expected a multiple of {encoding.tile} channels (tile), got {dim}")
    axes, rule = encoding.axes, encoding.axis_widths
    if rule == "floor":
        if block < 2 * axes:
            raise ValueError(f"encoding: expected at least {2 * axes * encoding.tile} channels, got {dim}")
        return [2 * (block // (2 * axes))] * axes
    if rule == "ceil":
        return [2 * -(-block // (2 * axes))] * axes
    weights: Any = rule or (1,) * axes
    unit, rest = divmod(block, sum(weights))
    if rest:
        share = f" in proportions {rule}" if rule else ""
        multiple = sum(weights) * encoding.tile
        raise ValueError(f"encoding: expected a multiple of {multiple} channels for {axes} axes{share}, got {dim}")
    return [unit * weight for weight in weights]


def _halves(encoding: Encoding, width: int) -> tuple[int, int, Fraction]:
    """How many columns of each phase an axis has (the first has K), and what stands for K in the exponent."""
    half = Fraction(width, 2)
    if width % 2 == 0:
        return width // 2, width // 2, half
    if encoding.odd == "error":
        raise ValueError(f"encoding: expected an even width, got {width} (odd='error')")
    if encoding.odd == "zero":
        if width == 1:
            raise ValueError("encoding: expected at least 2 columns, got 1 (odd='zero')")
        return width // 2, width // 2, Fraction(width // 2)
    return width // 2 + 1, width // 2, half if encoding.odd == "extra" else Fraction(width // 2 + 1)


def numbers_of(encoding: Encoding, width: int, axis: int) -> _frequencies.Numbers:
    """The frequencies of one axis in magnitude: radians or, with full_turns, turns per unit of position."""
    count, _, half = _halves(encoding, width)
    scale = _fields.at(encoding.position_scale, axis)
    if encoding.frequencies is None:
        base = _fields.at(encoding.base, axis)
        divisor = half - Fraction(encoding.freq_shift)
        if count > 1 and divisor <= 0:
            raise ValueError(f"encoding: expected freq_shift below K = {float(half)}, got {encoding.freq_shift}")
        last = -math.log2(base) * (count - 1) / float(divisor) if count > 1 else 0.0
        _check_progression(encoding, width, math.frexp(scale)[1], last, count)
        return _frequencies.progression(scale, base, divisor, count)
    explicit = _fields.explicit(encoding, axis)
    if len(explicit) != count:
        raise ValueError(
            f"encoding: expected a width of {2 * len(explicit)}, for {len(explicit)} frequencies, got {width}"
        )
    return _frequencies.Numbers(count, {}, scale, explicit)


def doubles_of(encoding: Encoding, numbers: _frequencies.Numbers, axis: int, radians: bool) -> NDArray[np.float64]:
    """Frequencies as two doubles each (2, K), in quarter turns or radians per unit of position, with their signs."""
    one = 1 << _frequencies.CONSTANT_BITS
    if encoding.full_turns:
        unit = 4 * (_frequencies.HALF_PI if radians else one)
    else:
        unit = one if radians else _frequencies.TWO_OVER_PI
    signs = np.sign(_fields.at(encoding.position_scale, axis))
    if encoding.frequencies is not None:
        signs = signs * np.where(np.array(_fields.explicit(encoding, axis)) < 0.0, -1.0, 1.0)
    result: NDArray[np.float64] = signs * numbers.doubles(unit) + 0.0
    return result


def _check_progression(encoding: Encoding, width: int, first: float, growth: float, count: int) -> None:
    """Refuse a base that leads beyond the domain at this width; exponents of two, to one or so."""
    if first + growth > math.log2(_frequencies.LARGEST_FREQUENCY) + 1.0:
        raise _too_fast()
    if first + growth < math.log2(_frequencies.SMALLEST_FREQUENCY) - 4.0:
        raise _too_slow(encoding, width, count)


def _too_fast() -> ValueError:
    return ValueError(
        f"encoding: expected at most {LARGEST} quarter turns per unit of position, got a higher frequency; "
        "use a smaller position_scale or a base nearer to 1"
    )


def _too_slow(encoding: Encoding, width: int, count: int) -> ValueError:
    return ValueError(
        f"encoding: expected frequencies of at least {SMALLEST} quarter turns per unit of position, got a lower one: "
        f"the last of {count} at a width of {width} with base={encoding.base} and freq_shift={encoding.freq_shift}; "
        "use a base nearer to 1 or a smaller freq_shift, or frequencies=[..., 0.0] for columns that stay the same"
    )


_spectra: Cache[tuple[Encoding, int], Spectra] = Cache(_make)
