"""Frequencies of rotary encodings whose context was extended.

Computed in 50 digits and rounded once, so that they are the same doubles on every machine: C libraries' pow and log are
not. w_k = base^(-2k / dim), k = 0 ... dim / 2 - 1, is what is scaled.
"""

from __future__ import annotations

import decimal
import functools
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from .._encoding import Encoding

Made = TypeVar("Made")
PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923")
DIGITS = 50


def precisely(function: Callable[..., Made]) -> Callable[..., Made]:
    """`function` run with so many digits, whatever the caller's decimal context is."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Made:
        with decimal.localcontext(decimal.Context(prec=DIGITS)):
            return function(*arguments, **options)

    return run


def rotary(layout: str = "concatenated", **parameters: Any) -> Encoding:
    """Pairs (cos, sin), which turn by +angle: u' = u cos - v sin, v' = v cos + u sin."""
    defaults: dict[str, Any] = {"layout": layout, "cos_first": True, "odd": "error"}
    return Encoding(**defaults | parameters)


def number(value: Any, name: str, least: float = 0.0) -> Decimal:
    """`value` as it is, above `least`."""
    exact = Decimal(float(value))
    if not (exact.is_finite() and exact > Decimal(least)):
        raise ValueError(f"{name}: expected a finite number above {least:g}, got {value}")
    return exact


def even(dim: int) -> int:
    if dim % 2:
        raise ValueError(f"dim: expected an even width, got {dim}")
    return dim


def plain(base: Any, dim: int) -> list[Decimal]:
    """The w_k, exact to all digits."""
    b = number(base, "base")
    return [b ** (Decimal(-2 * k) / dim) for k in range(even(dim) // 2)]


def doubles(frequencies: Sequence[Decimal]) -> list[float]:
    return [float(w) for w in frequencies]


@precisely
def ntk(dim: int, base: float = 10000.0, factor: float = 8.0, layout: str = "concatenated") -> Encoding:
    """Base * factor^(dim / (dim - 2)): the last frequency is that of linear scaling, the first stays."""
    scaled = number(base, "base")
    if even(dim) > 2:
        scaled *= number(factor, "factor") ** (Decimal(dim) / (dim - 2))
    return rotary(layout, base=float(scaled))


@precisely
def dynamic(
    dim: int,
    seq_len: int | None = None,
    base: float = 10000.0,
    factor: float = 8.0,
    max_position_embeddings: int = 2048,
    layout: str = "concatenated",
) -> Encoding:
    length, s = max(seq_len or 0, max_position_embeddings), number(factor, "factor")
    return ntk(dim, base, float(s * length / max_position_embeddings - (s - 1)), layout)


@precisely
def llama3(
    dim: int,
    base: float = 500000.0,
    factor: float = 8.0,
    low: float = 1.0,
    high: float = 4.0,
    original: int = 8192,
    layout: str = "concatenated",
) -> Encoding:
    s, first, last = number(factor, "factor"), number(low, "low"), number(high, "high")
    if not first < last:
        raise ValueError(f"high: expected more than low, {low}, got {high}")
    scaled = []
    for w in plain(base, dim):
        turns = original * w / (2 * PI)
        kept = min(max((turns - first) / (last - first), Decimal(0)), Decimal(1))
        scaled.append(w * ((1 - kept) / s + kept))
    return rotary(layout, frequencies=doubles(scaled))


@precisely
def yarn(
    dim: int,
    base: float = 10000.0,
    factor: float = 4.0,
    original: int = 4096,
    beta_fast: float = 32.0,
    beta_slow: float = 1.0,
    truncate: bool = True,
    attention_factor: float | None = None,
    mscale: float | None = None,
    mscale_all_dim: float | None = None,
    layout: str = "concatenated",
) -> Encoding:
    s = number(factor, "factor")

    def end(turns: Any, name: str) -> Decimal:
        """At which k a frequency makes so many turns within the original context."""
        return dim * (original / (number(turns, name) * 2 * PI)).ln() / (2 * number(base, "base", 1.0).ln())

    def gain(m: float) -> Decimal:
        return Decimal(1) if s <= 1 else Decimal("0.1") * number(m, "mscale") * s.ln() + 1

    low, high = end(beta_fast, "beta_fast"), end(beta_slow, "beta_slow")
    if truncate:
        low, high = low.to_integral_value(decimal.ROUND_FLOOR), high.to_integral_value(decimal.ROUND_CEILING)
    low, high = max(low, Decimal(0)), min(high, Decimal(dim - 1))
    if low == high:
        high += Decimal("0.001")
    scaled = []
    for k, w in enumerate(plain(base, dim)):
        ramp = min(max((k - low) / (high - low), Decimal(0)), Decimal(1))
        scaled.append(w * ((1 - ramp) + ramp / s))
    if attention_factor is not None:
        amplitude = number(attention_factor, "attention_factor")
    elif mscale and mscale_all_dim:
        amplitude = gain(mscale) / gain(mscale_all_dim)
    else:
        amplitude = gain(1.0)
    return rotary(layout, frequencies=doubles(scaled), amplitude=float(amplitude))


@precisely
def longrope(
    dim: int,
    factors: Sequence[float],
    base: float = 10000.0,
    factor: float = 1.0,
    original: int = 4096,
    attention_factor: float | None = None,
    layout: str = "concatenated",
) -> Encoding:
    divisors = [number(f, "factors") for f in factors]
    if len(divisors) != even(dim) // 2:
        raise ValueError(f"factors: expected {dim // 2} numbers, one for each frequency, got {len(divisors)}")
    s, amplitude = number(factor, "factor"), Decimal(1)
    if attention_factor is not None:
        amplitude = number(attention_factor, "attention_factor")
    elif s > 1:
        amplitude = (1 + s.ln() / number(original, "original", 1.0).ln()).sqrt()
    scaled = [w / f for w, f in zip(plain(base, dim), divisors, strict=True)]
    return rotary(layout, frequencies=doubles(scaled), amplitude=float(amplitude))


@precisely
def proportional(dim: int, partial: float = 0.25, base: float = 1e6, factor: float = 1.0) -> Encoding:
    """All columns take part, those of the last frequencies by the angle 0."""
    turned = int(number(partial, "partial") * dim / 2)
    if turned > even(dim) // 2:
        raise ValueError(f"partial: expected at most 1, got {partial}")
    s = number(factor, "factor")
    scaled = [w / s if k < turned else Decimal(0) for k, w in enumerate(plain(base, dim))]
    return rotary(frequencies=doubles(scaled))


def by_axis(widths: Sequence[int], base: float) -> Encoding:
    """Adjacent pairs of axes one after the other, each with a progression of its own."""
    return rotary("interleaved", axes=len(widths), axis_widths=tuple(widths), base=base)


@precisely
def shared(dim: int, base: float, axis_of: Callable[[int], int], axes: int, **parameters: Any) -> Encoding:
    """One progression, whose frequencies are dealt out to axes."""
    dealt: list[list[float]] = [[] for _ in range(axes)]
    for k, w in enumerate(doubles(plain(base, dim))):
        dealt[axis_of(k)].append(w)
    if not all(dealt):
        raise ValueError(f"dim: expected frequencies for all of {axes} axes, got {dim}")
    widths = [2 * len(part) for part in dealt]
    return rotary("interleaved", axes=axes, frequencies=dealt, axis_widths=widths, **parameters)


def sections(dim: int, parts: Sequence[int], base: float, interleaved: bool) -> Encoding:
    """Of time, height and width: so many frequencies each, in blocks, or in turn as long as there are any."""
    if sum(parts) * 2 != dim:
        raise ValueError(f"sections: expected {dim // 2} frequencies in all, half of dim={dim}, got {sum(parts)}")
    if not interleaved:
        owners = [axis for axis, part in enumerate(parts) for _ in range(part)]
        return shared(dim, base, owners.__getitem__, len(parts), nesting="tak")
    if len(parts) != 3:
        raise ValueError(f"sections: expected 3 with interleaved=True, got {len(parts)}")

    def owner(k: int) -> int:
        axis = k % 3
        return axis if axis and k < 3 * parts[axis] else 0

    made = shared(dim, base, owner, 3, nesting="tka")
    counts = [sum(owner(k) == axis for k in range(dim // 2)) for axis in range(3)]
    turns = [axis for k in range(max(counts)) for axis in range(3) if k < counts[axis]]
    if turns != [owner(k) for k in range(dim // 2)]:
        raise ValueError(f"sections: expected axes that take turns to the end of the shorter ones, got {parts}")
    return made
