"""What an encoding is: its parameters, and from them exact frequencies and the order of columns.

No arrays of the user's are seen here. Vaswani et al., "Attention Is All You Need" (2017), section 3.5:
PE(p, 2k) = sin(p w_k), PE(p, 2k + 1) = cos(p w_k), w_k = 10000^(-2k / dim); `Encoding` says what others vary.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _fields, _notation, _spectrum, _validate
from ._fields import LARGEST_AXES as LARGEST_AXES
from ._fields import LARGEST_DIM as LARGEST_DIM
from ._fields import LAYOUTS as LAYOUTS
from ._spectrum import Spectrum as Spectrum
from ._spectrum import columns as columns
from ._spectrum import spectra as spectra


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
        if axes > _fields.LARGEST_AXES:
            raise ValueError(
                f"axes: expected the number of axes of positions, at most {_fields.LARGEST_AXES}, got {axes}"
            )
        order = _validate.axis_order(self.axis_order, "axis_order", axes)
        values = {
            "layout": _fields.one_of(self.layout, "layout", _fields.LAYOUTS),
            "cos_first": _fields.flag(self.cos_first, "cos_first"),
            "base": _fields.per_axis(self.base, "base", axes, _fields.positive),
            "freq_shift": _fields.finite(self.freq_shift, "freq_shift"),
            "frequencies": _fields.vectors(self.frequencies, axes),
            "full_turns": _fields.flag(self.full_turns, "full_turns"),
            "position_scale": _fields.per_axis(self.position_scale, "position_scale", axes, _fields.not_zero),
            "position_offset": _fields.per_axis(self.position_offset, "position_offset", axes, _fields.offset),
            "amplitude": _fields.amplitude(self.amplitude),
            "odd": _fields.one_of(self.odd, "odd", _fields.ODD),
            "tile": _validate.integer(self.tile, "tile", minimum=1),
            "axes": axes,
            "axis_order": None if order == tuple(range(axes)) else order,
            "axis_widths": _fields.proportions(self.axis_widths, axes),
            "nesting": None if self.nesting is None else _fields.one_of(self.nesting, "nesting", _fields.NESTINGS),
        }
        if values["frequencies"] is not None and (values["base"], values["freq_shift"]) != (10000.0, 0.0):
            raise ValueError("frequencies: expected either frequencies or base and freq_shift, got both")
        if self.nesting is not None:
            nesting = self.nesting if axes > 1 else f"a{self.nesting.replace('a', '')}"
            implied = next((name for name, order in _fields.LAYOUTS.items() if order == nesting), "interleaved")
            if values["layout"] not in ("interleaved", implied):
                raise ValueError(
                    f"nesting: expected either layout or nesting, got {self.layout!r} and {self.nesting!r}"
                )
            values["layout"] = implied
            if nesting == _fields.LAYOUTS[implied]:
                values["nesting"] = None
        for name, value in values.items():
            object.__setattr__(self, name, value)
        for axis in range(axes):
            explicit = None if self.frequencies is None else _fields.explicit(self, axis)
            _fields.check_frequencies(_fields.at(self.position_scale, axis), explicit, self.full_turns)
        object.__setattr__(self, "_hash", hash(tuple(values.values())))

    @classmethod
    def from_wavelengths(cls, shortest: float, longest: float, **parameters: Any) -> Encoding:
        """The encoding whose wavelengths go from `shortest` to `longest` in geometric progression.

        Parameters
        ----------
        shortest, longest : float
            In units of position, greater than 0: the position after which a column repeats itself.
        **parameters
            What else `Encoding` takes, but for `base`, `frequencies`, `full_turns` and `position_scale`.

        Returns
        -------
        Encoding
            With position_scale = 1 / shortest, base = longest / shortest, each rounded to a double.
            Both ends are included where an axis has an even width of 4 or more; a width of 2 has only the shortest.

        Examples
        --------
        >>> import posenc
        >>> posenc.Encoding.from_wavelengths(0.001, 10000, layout="concatenated").wavelengths(6)
        array([1.00000000e-03, 3.16227766e+00, 1.00000000e+04])
        """
        _fields.refuse_implied(parameters, ("full_turns",), "shortest and longest")
        return cls.from_timescales(
            _fields.positive(shortest, "shortest"), _fields.positive(longest, "longest"), full_turns=True, **parameters
        )

    @classmethod
    def from_timescales(cls, shortest: float, longest: float, **parameters: Any) -> Encoding:
        """The encoding whose frequencies go from 1 / shortest to 1 / longest.

        A timescale is a wavelength / 2 pi. (tensor2tensor's `min_timescale` works otherwise; see its entry in
        `list_encodings`.)

        Parameters
        ----------
        shortest, longest : float
            In units of position, greater than 0.
        **parameters
            What else `Encoding` takes, but for `base`, `frequencies` and `position_scale`. With freq_shift=0, the
            frequencies stop one step short of 1 / longest.

        Returns
        -------
        Encoding
            With position_scale = 1 / shortest, base = longest / shortest, each rounded to a double.
            Both ends are included where an axis has an even width of 4 or more; a width of 2 has only the shortest.

        Examples
        --------
        >>> import posenc
        >>> posenc.Encoding.from_timescales(2, 200).frequencies_for(6)
        array([0.5  , 0.05 , 0.005])
        """
        _fields.refuse_implied(parameters, ("base", "frequencies", "position_scale"), "shortest and longest")
        first, last = _fields.positive(shortest, "shortest"), _fields.positive(longest, "longest")
        with _fields.made_from("shortest, longest", (first, last), "base", "position_scale"):
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
        frequencies: NDArray[np.float64] = _spectrum.doubles_of(
            self, _spectrum.numbers_of(self, _spectrum.widths_of(self, width)[which], which), which, radians=True
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


PAPER = Encoding()
