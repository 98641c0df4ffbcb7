"""How an encoding is written down: its formula as text, LaTeX and in notebooks; and others that are made from it.

`Encoding` has these functions as its methods.
"""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Mapping, Set
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from . import _fields, _validate

if TYPE_CHECKING:
    from ._encoding import Encoding

# A field, and those that it takes the place of.
INSTEAD = {
    "frequencies": ("base", "freq_shift"),
    "base": ("frequencies",),
    "freq_shift": ("frequencies",),
    "layout": ("nesting",),
    "nesting": ("layout",),
}
STYLES = ("text", "latex")
AMPLITUDES = {"rsqrt_dim": ("1 / sqrt(dim)", r"\sqrt{1/D}"), "sqrt_2_over_dim": ("sqrt(2 / dim)", r"\sqrt{2/D}")}


def from_periods(cls: type[Encoding], /, periods: Any, **parameters: Any) -> Encoding:
    """The encoding whose columns repeat themselves after these periods: a sine and a cosine for each.

    For time with seasons: years, weeks and days of positions that count days.

    Parameters
    ----------
    periods : array of shape (K,), or one per axis
        In units of position, greater than 0: the wavelengths, in the order of columns.
    **parameters
        What else `Encoding` takes, but for `base`, `freq_shift`, `frequencies` and `full_turns`.

    Returns
    -------
    Encoding
        With full_turns=True and frequencies = 1 / periods, each rounded to a double, for a width of 2 K.

    Raises
    ------
    TypeError, ValueError
        If periods are not numbers greater than 0, or there is none; if a parameter is given that they imply; and as
        `Encoding`.

    Examples
    --------
    >>> import posenc
    >>> seasons = posenc.Encoding.from_periods([365.2425, 7, 1])
    >>> seasons.wavelengths(6)
    array([365.2425,   7.    ,   1.    ])
    >>> posenc.encode([0, 3.5], 6, encoding=seasons).round(3)  # half a week later
    array([[ 0.   ,  1.   ,  0.   ,  1.   ,  0.   ,  1.   ],
           [ 0.06 ,  0.998,  0.   , -1.   ,  0.   , -1.   ]], dtype=float32)
    """

    def inverse(period: Any) -> Any:
        if hasattr(period, "tolist"):
            period = period.tolist()
        if isinstance(period, (list, tuple)):
            return [inverse(item) for item in period]
        return 1.0 / _fields.positive(period, "periods")

    no_list = isinstance(periods, (str, bytes, Set, Mapping))  # the order of a set is nobody's
    if no_list or not hasattr(periods, "__len__") or getattr(periods, "ndim", 1) == 0:
        raise TypeError(
            f"periods: expected several numbers, got {_validate.shown(periods)}; `periods=[7.0]` is a single one"
        )
    _fields.refuse_implied(parameters, ("base", "freq_shift", "frequencies", "full_turns"), "periods")
    frequencies = inverse(list(periods))
    if not frequencies:
        raise ValueError("periods: expected at least one number, got none; `periods=[7.0]` is a week of days")
    with _fields.made_from("periods", periods, "frequencies"):
        return cls(frequencies=frequencies, full_turns=True, **parameters)


def replace(self: Encoding, /, **parameters: Any) -> Encoding:
    """The same encoding with other values of some parameters.

    Parameters
    ----------
    **parameters
        What `Encoding` takes. `frequencies` takes the place of `base` and `freq_shift`, and each of these that of
        `frequencies`; `layout` and `nesting` take each other's.

    Returns
    -------
    Encoding

    Raises
    ------
    TypeError, ValueError
        If there is no such parameter; and as `Encoding`.

    Examples
    --------
    >>> import posenc
    >>> posenc.get_encoding("whisper").replace(base=500.0)
    Encoding(layout='concatenated', base=500.0, freq_shift=1.0, odd='error')
    """
    known = [field.name for field in fields(self)]
    for name in parameters:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"do you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise TypeError(f"{name}: expected a parameter of Encoding; {hint}")
    displaced = {other for name, value in parameters.items() if value is not None for other in INSTEAD.get(name, ())}
    kept = {name: value for name, value in self._given().items() if name not in displaced}
    return type(self)(**kept | parameters)


def formula(self: Encoding, style: str = "text") -> str:
    r"""What this encoding computes, to read.

    Parameters
    ----------
    style : {"text", "latex"}, default "text"
        Some lines of text, or LaTeX for display mathematics.

    Returns
    -------
    str

    Raises
    ------
    TypeError, ValueError
        If there is no such style.

    Examples
    --------
    >>> import posenc
    >>> print(posenc.Encoding().formula())
    columns: sin_0 cos_0 sin_1 cos_1 ...
    w_k = 10000^(-k / K), K = dim / 2
    angle = p * w_k
    odd dim: one more sin than cos, and K stays the real half
    >>> print(posenc.Encoding().formula("latex"))
    \begin{aligned}
    \mathrm{PE}(p, 2k) &= \sin(p\,\omega_k) \\
    \mathrm{PE}(p, 2k + 1) &= \cos(p\,\omega_k) \\
    \omega_k &= 10000^{-k/K}, \quad K = D/2
    \end{aligned}
    """
    return "\n".join(lines(self)) if _fields.one_of(style, "style", STYLES) == "text" else latex(self)


def markdown(self: Encoding) -> str:
    """What a notebook that renders Markdown shows."""
    odd = [f"- {line}" for line in lines(self) if line.startswith(("columns", "odd", "width"))]
    return "\n".join([f"`{short(self)}`", "", "$$", latex(self), "$$", "", *odd, ""])


def as_html(self: Encoding) -> str:
    """What a notebook shows."""
    items = []
    for line in lines(self):
        text = html.escape(line).replace("2 pi", "2π").replace(" * ", " · ")
        text = re.sub(r"\^\((.*?K.*?)\)(?=,|$)", r"<sup>\1</sup>", text)
        text = re.sub(r"\bw_k\b", "ω<sub>k</sub>", text)
        text = re.sub(r"(sin|cos)_([01])", r"\1<sub>\2</sub>", text)
        items.append(f"<li>{text}</li>")
    return f"<div><code>{html.escape(short(self))}</code><ul>{''.join(items)}</ul></div>"


def short(encoding: Encoding) -> str:
    """Its repr without the middle of long lists."""
    return re.sub(r"(\(\d[^(),]*, [^(),]*, )[^()]{40,}(, [^(),]*\))", r"\1...\2", repr(encoding))


def lines(encoding: Encoding) -> list[str]:
    """What an encoding computes, in a few lines."""
    first, second = phases(encoding)
    result = []
    if encoding.axes > 1:
        loops = {"a": f"axis {', '.join(map(str, order(encoding)))}", "k": "frequency", "t": f"{first}, {second}"}
        result.append(f"columns: for each {': for each '.join(loops[letter] for letter in nesting(encoding))}")
    elif encoding.layout == "interleaved":
        result.append(f"columns: {first}_0 {second}_0 {first}_1 {second}_1 ...")
    else:
        result.append(f"columns: {first}_0 {first}_1 ... {second}_0 {second}_1 ...")
    if encoding.tile > 1:
        result[0] += f"; all {encoding.tile} times"
    width = block(encoding)
    if encoding.axes > 1 or encoding.axis_widths is not None:
        result.append(f"width of an axis: {axis_width(encoding)}")
        width = "width"
    if encoding.frequencies is None:
        below = f"(K {sign(encoding)} {number(abs(encoding.freq_shift))})" if encoding.freq_shift else "K"
        half = "width / 2" if width == "width" else f"dim / {2 * encoding.tile}"
        result.append(f"w_k = {number(encoding.base)}^(-k / {below}), K = {half}")
    else:
        result.append(f"w_k = {explicit(encoding)}")
    angle = "p"
    if encoding.position_offset != 0.0:
        angle = f"(p + {number(encoding.position_offset)})".replace("+ -", "- ")
    if encoding.position_scale != 1.0:
        angle += f" * {number(encoding.position_scale)}"
    result.append(f"angle = {'2 pi * ' if encoding.full_turns else ''}{angle} * w_k")
    if encoding.amplitude != 1.0:
        named = AMPLITUDES.get(str(encoding.amplitude))
        result.append(f"times {named[0] if named else encoding.amplitude}")
    odd = {
        "error": "refused",
        "zero": "K is rounded down, the last column is 0",
        "extra": f"one more {first} than {second}, and K stays the real half",
        "truncate": f"that of {width} + 1, without its last column",
    }
    if encoding.axis_widths not in ("floor", "ceil"):
        result.append(f"odd {width}: {odd[encoding.odd]}")
    return result


def latex(encoding: Encoding) -> str:
    """The formula for display mathematics."""
    several = encoding.axes > 1
    p = "p_a" if several else "p"
    angle = p
    if encoding.position_offset != 0.0:
        offset = tex(encoding.position_offset)
        angle = f"({p} {offset})" if offset.startswith("-") else f"({p} + {offset})"
    scale = tex(encoding.position_scale)
    factors = [
        r"2\pi" if encoding.full_turns else "",
        f"({scale})" if encoding.full_turns and scale.startswith("-") else scale if scale != "1" else "",
        angle,
        r"\omega_k",
    ]
    product = r"\,".join(filter(None, factors))
    amplitude = ""
    if encoding.amplitude != 1.0:
        named = AMPLITUDES.get(str(encoding.amplitude))
        amplitude = f"{named[1] if named else tex(encoding.amplitude)}\\,"
    rows, position = [], r"\mathbf{p}" if several else "p"
    for t, phase in enumerate(phases(encoding)):
        index = {"a": "a, ", "k": "k, ", "t": f"{t}, "}
        if several:
            where = "".join(index[letter] for letter in nesting(encoding))[:-2]
        elif encoding.layout == "interleaved":
            where = "2k + 1" if t else "2k"
        else:
            where = "K + k" if t else "k"
        rows.append(f"\\mathrm{{PE}}({position}, {where}) &= {amplitude}\\{phase}({product})")
    if encoding.frequencies is None:
        below = f"(K{sign(encoding)}{tex(abs(encoding.freq_shift))})" if encoding.freq_shift else "K"
        base, half = tex(encoding.base), "D_a/2" if several else f"D/{2 * encoding.tile}"
        base = f"({base})" if base.endswith("}") else base  # a power of its own
        omega = f"{base}^{{-k/{below}}}"
        if not several and isinstance(encoding.axis_widths, str):
            half = rf"\l{encoding.axis_widths} {half} \r{encoding.axis_widths}"
    else:
        values: Any = encoding.frequencies
        omega, half = tex_explicit(encoding), "D_a/2" if several else str(len(values))
    rows.append(rf"\omega_k &= {omega}, \quad K = {half}")
    if several:
        rows.append(rf"D_a &= {tex_axis_width(encoding)}, \quad a = {', '.join(map(str, order(encoding)))}")
    if encoding.tile > 1:
        rows.append(rf"\mathrm{{PE}}({position}, j + D/{encoding.tile}) &= \mathrm{{PE}}({position}, j)")
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"])


def phases(encoding: Encoding) -> tuple[str, str]:
    return ("cos", "sin") if encoding.cos_first else ("sin", "cos")


def nesting(encoding: Encoding) -> str:
    return encoding.nesting or _fields.LAYOUTS[encoding.layout]


def sign(encoding: Encoding) -> str:
    return "-" if encoding.freq_shift > 0 else "+"


def explicit(encoding: Encoding) -> str:
    """The first explicit frequencies."""
    values: Any = encoding.frequencies
    if isinstance(values[0], tuple):
        return "explicit ones, for each axis its own"
    some = [f"{value:.6g}" for value in values]
    return " ".join(some if len(some) <= 6 else [*some[:3], "...", some[-1]])


def tex_explicit(encoding: Encoding) -> str:
    values: Any = encoding.frequencies
    if isinstance(values[0], tuple):
        return r"\text{explicit, for each axis its own}"
    some = [tex(float(f"{value:.6g}")) for value in values]
    return r",\ ".join(some if len(some) <= 6 else [*some[:3], r"\dots", some[-1]])


def block(encoding: Encoding) -> str:
    """The columns that are repeated."""
    return "dim" if encoding.tile == 1 else f"dim / {encoding.tile}"


def order(encoding: Encoding) -> tuple[int, ...]:
    return tuple(encoding.axis_order or range(encoding.axes))


def divisor(encoding: Encoding) -> int:
    """What `dim` is divided by for the width of an axis, before that is rounded or weighed."""
    rule: Any = encoding.axis_widths
    return encoding.tile * (sum(rule) if isinstance(rule, tuple) else encoding.axes * (1 if rule is None else 2))


def axis_width(encoding: Encoding) -> str:
    rule: Any = encoding.axis_widths
    if rule is None:
        return f"dim / {divisor(encoding)}"
    if isinstance(rule, str):
        rest = "the columns that remain are 0" if rule == "floor" else f"columns beyond {block(encoding)} are cut off"
        return f"2 {rule}(dim / {divisor(encoding)}); {rest}"
    return ", ".join(f"{rule[axis]}/{divisor(encoding)} dim" for axis in order(encoding))


def tex_axis_width(encoding: Encoding) -> str:
    rule, width = encoding.axis_widths, f"D/{divisor(encoding)}"
    if isinstance(rule, str):
        return rf"2\,\l{rule} {width} \r{rule}"
    return width if rule is None else rf"{tex(rule)}\,{width}"


def number(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(number, value))})"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e16 else repr(value)


def tex(value: Any) -> str:
    """A number, or one per axis, in LaTeX."""
    if isinstance(value, tuple):
        return rf"({', '.join(map(tex, value))})_a"
    text = f"{value:.0f}" if value == int(value) and abs(value) < 1e16 else repr(value)
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return mantissa
    power = f"10^{{{int(exponent)}}}"
    return power if mantissa == "1" else rf"{mantissa} \cdot {power}"
