"""Frequencies and amplitudes to as many bits as the last stage of rounding needs, and the domain they must lie in.

Integers only: what is exact stays exact, and what is not has a stated error. docs/accuracy.md derives the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The domain of correct rounding. Frequencies count quarter turns per unit of position, position_scale included.
LARGEST_FREQUENCY = 2.0**24
SMALLEST_FREQUENCY = 2.0**-560  # with positions from _formula.TINY on, products of doubles have exact errors
LARGEST_AMPLITUDE = 2.0**127  # no value overflows in float32
SMALLEST_AMPLITUDE = 2.0**-256

LIMBS = 8  # of 64 bits: what a number keeps of its leading bits if it is not exact
BITS = 64 * LIMBS
GUARD = 64  # more bits to compute with: 2^20 products lose fewer
CONTEXT = Context(prec=200)  # 664 bits; whatever rounding and traps the user has set for his own decimals
CONSTANT_BITS = 640
# floor(2^640 * 2/pi) and floor(2^640 * pi/2), from tools/minimax.py.
TWO_OVER_PI = int(
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e006492eea09d1921c"
    "fe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f4",
    16,
)
HALF_PI = int(
    "1921fb54442d18469898cc51701b839a252049c1114cf98e804177d4c76273644a29410f31c6809bbdf2a33679a748636"
    "605614dbe4be286e9fc26adadaa3848bc90b6aecc4bcfd8de89885d34c6fdad6",
    16,
)


class Number(NamedTuple):
    """A number that is not negative: mantissa * 2^exponent / divisor exactly, the divisor odd and below 2^55.

    Or, if the divisor is 0, one strictly between mantissa * 2^exponent and (mantissa + 2) * 2^exponent.
    """

    mantissa: int
    exponent: int
    divisor: int


def rational(mantissa: int, exponent: int, divisor: int = 1) -> Number | None:
    """Mantissa * 2^exponent / divisor exactly; None if its divisor is so large that no position takes it away.

    A position is a double, whose integer has 53 bits. Only with a divisor that divides three times such an integer
    can a product be a tie, or a multiple of a twelfth of a turn.
    """
    common = math.gcd(mantissa, divisor)
    mantissa, divisor = mantissa // common, divisor // common
    spare = (mantissa & -mantissa).bit_length() - 1 if mantissa else 0
    return Number(mantissa >> spare, exponent + spare, divisor) if divisor < 2**55 else None


def product(a: float, b: float) -> Number:
    """|a b|, exactly."""
    (m, e), (n, f) = split(abs(a)), split(abs(b))
    result = rational(m * n, e + f)
    assert result is not None
    return result


def split(value: float) -> tuple[int, int]:
    """`value` as an integer and a power of two."""
    mantissa, exponent = math.frexp(value)
    return int(mantissa * 2**53), exponent - 53


def root(square: Fraction) -> Number:
    """The square root of a rational number."""
    exact = dyadic_root(square)
    if exact is not None:
        return product(exact, 1.0)
    power = BITS - 2 - (square.numerator.bit_length() - square.denominator.bit_length()) // 2
    return Number(math.isqrt((square.numerator << 2 * power) // square.denominator), -power, 0)


def dyadic_root(square: Fraction) -> float | None:
    """The square root of a rational number if that is a double."""
    top, bottom = math.isqrt(square.numerator), math.isqrt(square.denominator)
    if top * top != square.numerator or bottom * bottom != square.denominator or bottom & (bottom - 1):
        return None
    return top / bottom


def perfect_power(base: float) -> tuple[int, int, int]:
    """(r, e, t) such that base = 2^t r^e, where r is odd and no power itself; r = 1, e = 0 for a power of two."""
    mantissa, exponent = split(base)
    spare = (mantissa & -mantissa).bit_length() - 1
    odd, exponent = mantissa >> spare, exponent + spare
    if odd == 1:
        return 1, 0, exponent
    for e in range(33, 0, -1):
        r = round(odd ** (1 / e))
        if r**e == odd:
            return r, e, exponent
    raise AssertionError


def progression(scale: float, base: float, divisor: Fraction, count: int) -> list[Number]:
    """|scale| base^(-k / divisor) for k = 0 ... count - 1."""
    first = product(scale, 1.0)
    if count == 1 or base == 1.0:
        return [first] * count
    r, power, exponent = perfect_power(base)
    degree = math.gcd(power, exponent)  # base is a perfect m-th power if m divides it
    with localcontext(CONTEXT):
        step = (-Decimal(base).ln() * divisor.denominator / divisor.numerator).exp()
        adjusted = math.floor(-math.log2(base) / divisor) - BITS - GUARD
        factor = int(step * Decimal(2) ** -adjusted)
    mantissa, power_of_two = first.mantissa << BITS, first.exponent - BITS
    bottom, over = divisor.numerator, divisor.denominator
    result = [first]
    for k in range(1, count):
        mantissa, power_of_two = _shortened(mantissa * factor, power_of_two + adjusted, BITS + GUARD)
        top = k * over  # base^(-top / bottom)
        exact = None
        if degree * top % bottom == 0:
            n = power * top // bottom
            if n * r.bit_length() < 256:  # beyond, the divisor is too large, whatever the scale takes away
                exact = rational(first.mantissa, first.exponent - exponent * top // bottom, r**n)
        if exact is None:
            rounded, rounded_exponent = _shortened(mantissa, power_of_two, BITS - 1)
            exact = Number(rounded - 1, rounded_exponent, 0)
        result.append(exact)
    return result


def doubles(numbers: Iterable[Number], unit: int) -> NDArray[np.float64]:
    """Numbers times unit / 2^640 as unevaluated sums of two doubles (2, K): correctly rounded, then the rest."""
    parts, exponents = [], []
    factor, factor_exponent = _shortened(unit, -CONSTANT_BITS, 256)
    for number in numbers:
        mantissa, exponent = _shortened(*_centre(number), 256)
        rest, power = _shortened(mantissa * factor, exponent + factor_exponent, 256)
        high = float(rest)
        parts.append((high, float(rest - int(high))))
        exponents.append(power)
    result: NDArray[np.float64] = np.ldexp(np.array(parts).T, np.clip(exponents, -4096, 4096))
    return np.ascontiguousarray(result)


def pack(numbers: Iterable[Number]) -> NDArray[np.uint64]:
    """(K, 10): for each number the limbs of its mantissa, lowest first, its divisor and its exponent modulo 2^64."""
    data = b"".join(
        m.to_bytes(8 * LIMBS, "little") + d.to_bytes(8, "little") + e.to_bytes(8, "little", signed=True)
        for m, e, d in numbers
    )
    return np.frombuffer(data, "<u8").astype(np.uint64).reshape(-1, LIMBS + 2)


def unpack(row: NDArray[np.uint64]) -> Number:
    data = row.astype("<u8").tobytes()
    end = 8 * LIMBS
    return Number(
        int.from_bytes(data[:end], "little"),
        int.from_bytes(data[end + 8 :], "little", signed=True),
        int.from_bytes(data[end : end + 8], "little"),
    )


def _centre(number: Number) -> tuple[int, int]:
    """An integer and a power of two, within 2^-510 of the number."""
    if number.divisor == 0:
        return number.mantissa + 1, number.exponent
    return (number.mantissa << CONSTANT_BITS) // number.divisor, number.exponent - CONSTANT_BITS


def _shortened(mantissa: int, exponent: int, bits: int) -> tuple[int, int]:
    """The same number rounded to about so many leading bits."""
    spare = max(0, mantissa.bit_length() - bits)
    return (mantissa + (1 << spare >> 1)) >> spare, exponent + spare
