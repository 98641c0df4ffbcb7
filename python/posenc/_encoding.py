"""What an encoding is: its parameters, and from them exact frequencies and the order of columns.

No arrays of the user's are seen here. Vaswani et al., "Attention Is All You Need" (2017), section 3.5:
PE(p, 2k) = sin(p w_k), PE(p, 2k + 1) = cos(p w_k), w_k = 10000^(-2k / dim); `Encoding` says what others vary.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _frequencies, _notation, _validate
from ._cache import Cache, memoized

LARGEST_DIM = 2**20
LARGEST_AXES = 32  # NumPy's arrays have few more
LARGEST_OFFSET = 2.0**53

LAYOUTS = {"interleaved": "akt", "concatenated": "atk"}
NESTINGS = ("akt", "atk", "tak", "kat", "kta", "tka")
ODD = ("error", "zero", "extra", "truncate")
AMPLITUDES = {"rsqrt_dim": Fraction(1), "sqrt_2_over_dim": Fraction(2)}  # the square root of this / dim
WIDTHS = ("floor", "ceil")


@dataclass(frozen=True, kw_only=True, repr=False)
class Encoding:
    """The rule that turns a position into `dim` numbers. Without arguments: that of "Attention Is All You Need".

    A column is amplitude * sin or cos of the angle (p + position_offset) * position_scale * w_k, where
    w_k = base^(-k / (K - freq_shift)), k = 0 ... K - 1, K = dim / 2; a K of 1 has w_0 = 1, whatever freq_shift is.

    Parameters
    ----------
    layout : {"interleaved", "concatenated"}, default "interleaved"
        Columns sin_0 cos_0 sin_1 cos_1 ..., or sin_0 sin_1 ... cos_0 cos_1 ...
    cos_first : bool, default False
        Cosines stand where sines would.
    base : float, or one per axis, default 10000.0
        Greater than 0; below 1, frequencies grow.
    freq_shift : float, default 0.0
        With 1, the last frequency is 1 / base, as in tensor2tensor; with 0 it is one step short of that.
    frequencies : array of shape (K,), or one per axis, optional
        Explicit w_k instead of `base` and `freq_shift`. Kept as tuples of floats, and taken as exactly those doubles.
    full_turns : bool, default False
        The angle counts turns, not radians: it is 2 pi times what is said above, with the exact pi.
    position_scale, position_offset : float, or one per axis, default 1.0 and 0.0
        See above; the offset is added in float64. A negative scale counts backwards.
    amplitude : float, "rsqrt_dim" or "sqrt_2_over_dim", default 1.0
        Factor of every column; the names are sqrt(1 / dim) and sqrt(2 / dim), not rounded to a double.
    odd : {"error", "zero", "extra", "truncate"}, default "extra"
        What to do with an odd width. "error": refuse it. "zero": K is rounded down, the last column is 0. "extra": one
        more sine than cosines (if not `cos_first`), and w_k keep the real half, K = dim / 2. "truncate": that of
        dim + 1 without its last column.
    tile : int, default 1
        Repeat the columns for dim / tile so many times.
    axes : int, default 1
        Over how many axes of positions: 2 for images, whose rows are `(..., H, W, dim)`. Each axis has columns of its
        own, an encoding of its width.
    axis_order : tuple of int, optional
        In which order the axes have their columns: (1, 0) is x before y for images. Default: (0, 1, ...).
    axis_widths : "floor", "ceil" or tuple of int, optional
        How `dim` is divided among the axes (in their own order): in these proportions, or in even widths rounded down,
        with zeros in what columns remain, or up, without the columns beyond `dim`. Default: equally, without remainder.
    nesting : {"akt", "atk", "tak", "kat", "kta", "tka"}, optional
        How columns are nested, the slowest index first: a is the axis, k the frequency, t sine or cosine. Default:
        "akt" if `layout` is interleaved, "atk" if it is concatenated.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or value described above, arguments contradict each other, or the encoding
        lies outside the domain below. Where only the width tells, the call with that width raises.

    Notes
    -----
    float32, float16 and bfloat16 results are correctly rounded, and float64 results are the same on every backend, for
    every finite position up to 2**53 in magnitude and

    - frequencies, `position_scale` included, that are 0 or from 2**-560 to 2**24 quarter turns per unit of position,
    - amplitudes from 2**-256 to 2**127 in magnitude.

    Other encodings are refused. docs/accuracy.md has the proof.

    Examples
    --------
    >>> import posenc
    >>> encoding = posenc.Encoding(layout="concatenated", freq_shift=1)
    >>> encoding
    Encoding(layout='concatenated', freq_shift=1.0)
    >>> encoding.frequencies_for(6)  # of sin sin sin cos cos cos
    array([1.e+00, 1.e-02, 1.e-04])
    """

    layout: str = "interleaved"
    cos_first: bool = False
    base: float | Sequence[float] = 10000.0
    freq_shift: float = 0.0
    frequencies: ArrayLike | None = None
    full_turns: bool = False
    position_scale: float | Sequence[float] = 1.0
    position_offset: float | Sequence[float] = 0.0
    amplitude: float | str = 1.0
    odd: str = "extra"
    tile: int = 1
    axes: int = 1
    axis_order: Sequence[int] | None = None
    axis_widths: str | Sequence[int] | None = None
    nesting: str | None = None

    def __post_init__(self) -> None:
        """Check everything, and bring it into the one form that equal encodings have."""
        axes = _validate.integer(self.axes, "axes", minimum=1)
        if axes > LARGEST_AXES:
            raise ValueError(f"axes: expected the number of axes of positions, at most {LARGEST_AXES}, got {axes}")
        order = _validate.axis_order(self.axis_order, "axis_order", axes)
        values = {
            "layout": _one_of(self.layout, "layout", LAYOUTS),
            "cos_first": _flag(self.cos_first, "cos_first"),
            "base": _per_axis(self.base, "base", axes, _positive),
            "freq_shift": _number(self.freq_shift, "freq_shift"),
            "frequencies": _vectors(self.frequencies, axes),
            "full_turns": _flag(self.full_turns, "full_turns"),
            "position_scale": _per_axis(self.position_scale, "position_scale", axes, _not_zero),
            "position_offset": _per_axis(self.position_offset, "position_offset", axes, _offset),
            "amplitude": _amplitude(self.amplitude),
            "odd": _one_of(self.odd, "odd", ODD),
            "tile": _validate.integer(self.tile, "tile", minimum=1),
            "axes": axes,
            "axis_order": None if order == tuple(range(axes)) else order,
            "axis_widths": _proportions(self.axis_widths, axes),
            "nesting": None if self.nesting is None else _one_of(self.nesting, "nesting", NESTINGS),
        }
        if values["frequencies"] is not None and (values["base"], values["freq_shift"]) != (10000.0, 0.0):
            raise ValueError("frequencies: expected either frequencies or base and freq_shift, got both")
        if self.nesting is not None:
            nesting = self.nesting if axes > 1 else f"a{self.nesting.replace('a', '')}"
            implied = next((name for name, order in LAYOUTS.items() if order == nesting), "interleaved")
            if values["layout"] not in ("interleaved", implied):
                raise ValueError(
                    f"nesting: expected either layout or nesting, got {self.layout!r} and {self.nesting!r}"
                )
            values["layout"] = implied
            if nesting == LAYOUTS[implied]:
                values["nesting"] = None
        for name, value in values.items():
            object.__setattr__(self, name, value)
        for axis in range(axes):
            for w in (None,) if self.frequencies is None else _explicit(self, axis):
                _check_frequency(_at(self.position_scale, axis), w, self.full_turns)
        object.__setattr__(self, "_hash", hash(tuple(values.values())))

    @classmethod
    def from_wavelengths(cls, shortest: float, longest: float, **parameters: Any) -> Encoding:
        """The encoding whose wavelengths go from `shortest` to `longest`, both included, in geometric progression.

        Parameters
        ----------
        shortest, longest : float
            In units of position, greater than 0: the position after which a column repeats itself.
        **parameters
            What else `Encoding` takes.

        Returns
        -------
        Encoding
            With position_scale = 1 / shortest, base = longest / shortest, each rounded to a double.

        Examples
        --------
        >>> import posenc
        >>> posenc.Encoding.from_wavelengths(0.001, 10000, layout="concatenated").wavelengths(6)
        array([1.00000000e-03, 3.16227766e+00, 1.00000000e+04])
        """
        return cls.from_timescales(
            _positive(shortest, "shortest"), _positive(longest, "longest"), full_turns=True, **parameters
        )

    @classmethod
    def from_timescales(cls, shortest: float, longest: float, **parameters: Any) -> Encoding:
        """The encoding whose frequencies go from 1 / shortest to 1 / longest, both included.

        A timescale is a wavelength / 2 pi. (tensor2tensor's `min_timescale` works otherwise; see its entry in
        `list_encodings`.)

        Parameters
        ----------
        shortest, longest : float
            In units of position, greater than 0.
        **parameters
            What else `Encoding` takes. With freq_shift=0, the frequencies stop one step short of 1 / longest.

        Returns
        -------
        Encoding
            With position_scale = 1 / shortest, base = longest / shortest, each rounded to a double.

        Examples
        --------
        >>> import posenc
        >>> posenc.Encoding.from_timescales(2, 200).frequencies_for(6)
        array([0.5  , 0.05 , 0.005])
        """
        first, last = _positive(shortest, "shortest"), _positive(longest, "longest")
        return cls(position_scale=1.0 / first, base=last / first, **{"freq_shift": 1.0} | parameters)

    def frequencies_for(self, dim: int, axis: int = 0) -> NDArray[np.float64]:
        """The angular frequencies at a width.

        Parameters
        ----------
        dim : int
            Number of columns.
        axis : int, default 0
            Which one, if the encoding has several.

        Returns
        -------
        ndarray of shape (K,), float64
            Radians per unit of position, `position_scale` included, correctly rounded.

        Examples
        --------
        >>> import posenc
        >>> posenc.Encoding().frequencies_for(8)
        array([1.   , 0.1  , 0.01 , 0.001])
        """
        width = _validate.integer(dim, "dim", minimum=1)
        which = _validate.integer(axis, "axis", minimum=0)
        if which >= self.axes:
            raise ValueError(f"axis: expected less than {self.axes}, the number of axes, got {which}")
        frequencies: NDArray[np.float64] = _doubles(
            self, _numbers(self, _widths(self, width)[which], which), which, radians=True
        )[0]
        return frequencies

    def wavelengths(self, dim: int, axis: int = 0) -> NDArray[np.float64]:
        """After how many positions the columns of each frequency repeat themselves: 2 pi over its magnitude.

        Parameters
        ----------
        dim : int
            Number of columns.
        axis : int, default 0
            Which one, if the encoding has several.

        Returns
        -------
        ndarray of shape (K,), float64
            In units of position; infinite where a frequency is 0.

        Examples
        --------
        >>> import posenc
        >>> posenc.Encoding().wavelengths(4).round(2)
        array([  6.28, 628.32])
        """
        with np.errstate(all="ignore"):
            wavelengths: NDArray[np.float64] = 2.0 * math.pi / np.abs(self.frequencies_for(dim, axis))
        return wavelengths

    from_periods = classmethod(_notation.from_periods)
    replace = __replace__ = _notation.replace
    formula = _notation.formula
    _repr_markdown_ = _notation.markdown
    _repr_html_ = _notation.as_html

    def __repr__(self) -> str:
        """What makes this encoding again, without what is the default."""
        return f"Encoding({', '.join(f'{name}={value!r}' for name, value in self._given().items())})"

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined, no-any-return]  # kept: it is asked for in every call

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return functools.partial(Encoding, **self._given()), ()  # without the hash, which another process has not

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "posenc.Encoding", repr(self)  # the same in every process, however it was pickled

    def _given(self) -> dict[str, Any]:
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}


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
        only = 2 * encoding.tile * sum(len(_explicit(encoding, axis)) for axis in range(encoding.axes))
        nearest.append(only if _fits(encoding, only) else None)
    found = [str(width) for width in dict.fromkeys(nearest) if width is not None]
    share = f" of {dim} channels, shared by {encoding.axes} axes" if f"got {dim}" not in text else ""
    return f"{share}; {' or '.join(found)} channels would do" if found else share


def _fits(encoding: Encoding, dim: int) -> bool:
    """Whether `dim` columns can be divided among axes, phases and frequencies."""
    try:
        counts = [_halves(encoding, width)[0] for width in _widths(encoding, dim)]
    except ValueError:
        return False
    return encoding.frequencies is None or counts == [len(_explicit(encoding, axis)) for axis in range(encoding.axes)]


def columns(encoding: Encoding, dim: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each of `dim` columns its axis, -1 where it is 0, and within that 2k for a sine or 2k + 1 for a cosine."""
    block = dim // encoding.tile
    widths = _widths(encoding, dim)
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
    widths = _widths(encoding, dim)
    owner, source = columns(encoding, dim)
    amplitude, square = encoding.amplitude, None
    if isinstance(amplitude, str):
        square = AMPLITUDES[amplitude] / dim
        amplitude = float(_frequencies.doubles([_frequencies.root(square)], 1 << _frequencies.CONSTANT_BITS)[0, 0])
    result = []
    for axis, width in enumerate(widths):
        numbers = _numbers(encoding, width, axis)
        frequencies = _doubles(encoding, numbers, axis, radians=False)
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
                _at(encoding.position_offset, axis),
                numbers,
                encoding.full_turns,
                square,
            )
        )
    return Spectra(result)


def _widths(encoding: Encoding, dim: int) -> list[int]:
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


def _numbers(encoding: Encoding, width: int, axis: int) -> _frequencies.Numbers:
    """The frequencies of one axis in magnitude: radians or, with full_turns, turns per unit of position."""
    count, _, half = _halves(encoding, width)
    scale = _at(encoding.position_scale, axis)
    if encoding.frequencies is None:
        base = _at(encoding.base, axis)
        divisor = half - Fraction(encoding.freq_shift)
        if count > 1 and divisor <= 0:
            raise ValueError(f"encoding: expected freq_shift below K = {float(half)}, got {encoding.freq_shift}")
        last = -math.log2(base) * (count - 1) / float(divisor) if count > 1 else 0.0
        _check_progression(encoding, width, math.frexp(scale)[1], last, count)
        return _frequencies.progression(scale, base, divisor, count)
    explicit = _explicit(encoding, axis)
    if len(explicit) != count:
        raise ValueError(
            f"encoding: expected a width of K = {len(explicit)} frequencies, got {width}, whose K is {count}"
        )
    return _frequencies.Numbers(count, {}, scale, explicit)


def _doubles(encoding: Encoding, numbers: _frequencies.Numbers, axis: int, radians: bool) -> NDArray[np.float64]:
    """Frequencies as two doubles each (2, K), in quarter turns or radians per unit of position, with their signs."""
    one = 1 << _frequencies.CONSTANT_BITS
    if encoding.full_turns:
        unit = 4 * (_frequencies.HALF_PI if radians else one)
    else:
        unit = one if radians else _frequencies.TWO_OVER_PI
    signs = np.sign(_at(encoding.position_scale, axis))
    if encoding.frequencies is not None:
        signs = signs * np.where(np.array(_explicit(encoding, axis)) < 0.0, -1.0, 1.0)
    result: NDArray[np.float64] = signs * numbers.doubles(unit) + 0.0
    return result


SMALLEST, LARGEST = "2**-560", "2**24"  # of _frequencies, as messages name them


def _check_frequency(scale: float, w: float | None, full_turns: bool) -> None:
    """Refuse position_scale, or an explicit frequency times it, beyond the domain of correct rounding."""
    quarter_turns = abs(scale if w is None else scale * w) * (4.0 if full_turns else 2.0 / math.pi)
    name, got = ("position_scale", f"{scale}") if w is None else ("frequencies times position_scale", f"{w} * {scale}")
    got += " turns" if full_turns else " radians"
    if quarter_turns > _frequencies.LARGEST_FREQUENCY:
        raise ValueError(
            f"{name}: expected at most {LARGEST} quarter turns per unit of position, got {got}; use a smaller one, or "
            "smaller units of position"
        )
    if quarter_turns < _frequencies.SMALLEST_FREQUENCY and w != 0.0:
        raise ValueError(
            f"{name}: expected at least {SMALLEST} quarter turns per unit of position, got {got}; use a larger one, or "
            "frequencies=[0.0, ...] for columns that stay the same"
        )


def _check_progression(encoding: Encoding, width: int, first: float, growth: float, count: int) -> None:
    """Refuse a base that leads beyond the domain at this width; exponents of two, to one or so."""
    if first + growth > 24.0 + 1.0:
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


# Fields. Each function returns a field's value in the one form that equal encodings have, or raises.


def _one_of(value: Any, name: str, known: Collection[str]) -> str:
    expected = f"{name}: expected one of {', '.join(known)}"
    if not isinstance(value, str):
        raise TypeError(f"{expected}, got {_validate.shown(value)}")
    if value not in known:
        raise ValueError(f"{expected}, got {value!r}")
    return str(value)


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {_validate.shown(value)}")
    return bool(value)


def _number(value: Any, name: str) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, got {_validate.shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return number + 0.0  # no negative zero, whose repr would differ


def _positive(value: Any, name: str) -> float:
    number = _number(value, name)
    if number <= 0.0:
        raise ValueError(f"{name}: expected a number greater than 0, got {number}")
    return number


def _not_zero(value: Any, name: str) -> float:
    number = _number(value, name)
    if number == 0.0:
        raise ValueError(f"{name}: expected a number other than 0, got {number}")
    return number


def _offset(value: Any, name: str) -> float:
    number = _number(value, name)
    if abs(number) > LARGEST_OFFSET:
        raise ValueError(f"{name}: expected at most 2**53 in magnitude, got {number}")
    return number


def _amplitude(value: Any) -> float | str:
    if isinstance(value, str):
        return _one_of(value, "amplitude", AMPLITUDES)
    number = _not_zero(value, "amplitude")
    if not _frequencies.SMALLEST_AMPLITUDE <= abs(number) <= _frequencies.LARGEST_AMPLITUDE:
        raise ValueError(
            f"amplitude: expected a magnitude from 2**-256 to 2**127, got {number}; multiply the result of an encoding "
            "with amplitude 1 instead"
        )
    return number


def _listed(value: Any) -> Any:
    """`value` as numbers and lists if it is an array, or a tensor."""
    return value.tolist() if hasattr(value, "tolist") else value


def _per_axis(value: Any, name: str, axes: int, check: Callable[[Any, str], float]) -> Any:
    """One number, or a tuple of one per axis where they differ."""
    value = _listed(value)
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        return check(value, name)
    numbers = tuple(check(item, name) for item in value)
    if len(numbers) != axes:
        raise ValueError(f"{name}: expected a number, or one for each of {axes} axes, got {len(numbers)}")
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _vectors(value: Any, axes: int) -> Any:
    """None, one tuple of numbers, or a tuple of such tuples where the axes' differ."""
    name = "frequencies"
    if value is None:
        return None
    items = [_listed(item) for item in _validate.sequence(_listed(value), name, "numbers")]
    if not any(hasattr(item, "__len__") and not isinstance(item, (str, bytes)) for item in items):
        items = [items]
    elif len(items) != axes:
        raise ValueError(f"{name}: expected numbers, or such a list for each of {axes} axes, got {len(items)} lists")
    vectors = tuple(
        tuple(_number(number, name) for number in _validate.sequence(item, name, "numbers")) for item in items
    )
    if not all(vectors):
        raise ValueError(f"{name}: expected at least one number, got none")
    return vectors[0] if len(set(vectors)) == 1 else vectors


def _proportions(value: Any, axes: int) -> str | tuple[int, ...] | None:
    if value is None or isinstance(value, str):
        return None if value is None else _one_of(value, "axis_widths", WIDTHS)
    weights = tuple(
        _validate.integer(weight, "axis_widths", minimum=1)
        for weight in _validate.sequence(value, "axis_widths", f"'floor', 'ceil' or {axes} integers")
    )
    if len(weights) != axes:
        raise ValueError(f"axis_widths: expected {axes} integers, one per axis, got {len(weights)}")
    common = math.gcd(*weights)
    return None if len(set(weights)) == 1 else tuple(weight // common for weight in weights)


def _at(value: Any, axis: int) -> float:
    """The value of a field that may be one per axis."""
    number: float = value[axis] if isinstance(value, tuple) else value
    return number


def _explicit(encoding: Encoding, axis: int) -> tuple[float, ...]:
    vectors: Any = encoding.frequencies
    vector: tuple[float, ...] = vectors[axis] if isinstance(vectors[0], tuple) else vectors
    return vector


PAPER = Encoding()
_spectra: Cache[tuple[Encoding, int], Spectra] = Cache(_make)
