"""One element to as many digits as its rounding takes: the last stage of Ziv's strategy.

Intervals of integers: the true value lies strictly between the ends, and if both round alike, so does it. What is a
double exactly is found before that, by theory. Slow (tens of microseconds) and rare. csrc/exact.cpp takes the same
steps; docs/accuracy.md has the proof.
"""

from __future__ import annotations

import math

from ._encoding import Spectrum
from ._frequencies import CONSTANT_BITS, HALF_PI, TWO_OVER_PI, split

STAGES = (256, 512)  # bits to compute with
# 4 sin(x)^2 for x = 0, 1, 2 ... twenty-fourths of a turn, where that is a whole number.
SQUARES = (0, None, 1, 2, 3, None, 4, None, 3, 2, 1, None)


def exact(spectrum: Spectrum, position: float, column: int) -> float:
    """One column at one position, as a double that rounds to any shorter format as the true value itself does."""
    source = int(spectrum.source[column])
    if source < 0:
        return 0.0
    k, cosine = divmod(source, 2)
    negative = (position < 0.0) != (spectrum.frequencies[0, k] < 0.0)
    mantissa, exponent, divisor = spectrum.numbers[k]
    integer, power = split(abs(position))
    low, exponent = integer * mantissa, exponent + power
    high = low if divisor else low + 2 * integer

    if high == 0 or (spectrum.full_turns and divisor):
        parts = _twenty_fourths(low, exponent, divisor)
        if parts is not None:
            parts = (6 * cosine - parts if negative else 6 * cosine + parts) % 24
            square = SQUARES[parts % 12]
            if square is not None and not math.isnan(value := spectrum.special[square]):
                return (value if parts < 12 else -value) + 0.0

    if divisor > 1:
        low, rest = divmod(low << CONSTANT_BITS, divisor)
        high, exponent = low + (rest > 0), exponent - CONSTANT_BITS
    # Now the angle is low * 2^exponent, or strictly between that and high * 2^exponent.
    exponent += 2 * spectrum.full_turns  # in quarter turns or radians
    quarters = 0
    in_quarters = spectrum.full_turns
    if low.bit_length() + exponent >= 0:  # at least half of one: reduce it to at most half a quarter turn
        if not in_quarters:
            low, high, exponent = low * TWO_OVER_PI, high * (TWO_OVER_PI + 1), exponent - CONSTANT_BITS
            in_quarters = True
        if exponent > 0:
            low, high, exponent = low << exponent, high << exponent, 0
        quarters = (low + (1 << -exponent >> 1)) >> -exponent
        low, high = low - (quarters << -exponent), high - (quarters << -exponent)
    falls = low < 0  # the rest of the angle lies below a whole number of quarter turns
    if falls:
        low, high = max(-high, 0), -low
    quadrant = (quarters + cosine) & 3
    is_cosine = quadrant % 2 == 1
    flips = (quadrant >= 2) ^ (negative and not cosine) ^ (falls and not is_cosine) ^ (spectrum.amplitude < 0.0)

    digits = 0
    for bits in STAGES:
        odd, power, decided = _value(low, high, exponent, in_quarters, is_cosine, spectrum.factor, bits)
        digits = odd
        if decided:
            break
    result = math.ldexp(digits, max(power, -1000))  # no shorter format tells values below 2^-900 apart
    return -result if flips else result


def _twenty_fourths(mantissa: int, exponent: int, divisor: int) -> int | None:
    """Mantissa * 2^exponent / divisor turns, if they are a whole number of twenty-fourths, modulo 24."""
    if mantissa == 0:
        return 0
    whole, rest = divmod(24 * mantissa, divisor)
    zeros = (whole & -whole).bit_length() - 1
    if rest or zeros + exponent < 0:
        return None
    return (whole << exponent if exponent >= 0 else whole >> -exponent) % 24


def _value(
    low: int, high: int, exponent: int, in_quarters: bool, cosine: bool, amplitude: tuple[int, int, int], bits: int
) -> tuple[int, int, bool]:
    """|amplitude| sin or cos of an angle in [0, pi/4] to 53 bits, round to odd, and whether these are certain."""
    low, high, exponent = _shorten(low, high, exponent, bits)
    if in_quarters:
        half_pi = HALF_PI >> (CONSTANT_BITS - bits)
        low, high, exponent = _shorten(low * half_pi, high * (half_pi + 1), exponent - bits, bits)
    # sin(x) / x or cos(x) in units of 2^-bits, from the Taylor series: 1 - z/(n(n+1)) (1 - z/((n+2)(n+3)) (...)).
    z = _shift(low * low, 2 * exponent + bits)
    z_high = _shift(high * high, 2 * exponent + bits) + 1
    first = 1 if cosine else 2
    one = series = 1 << bits
    for n in range(first + 2 * (bits // 8 - 1), 0, -2):
        series = one - (z * series >> bits) // (n * (n + 1))
    error = z_high - z + 4
    below, above, power = series - error, min(series + error, one), -bits
    if not cosine:
        below, above, power = below * low, above * high, power + exponent
    mantissa, amplitude_exponent, divisor = amplitude
    a, a_high, amplitude_exponent = _shorten(mantissa, mantissa if divisor else mantissa + 2, amplitude_exponent, bits)
    below, above, power = below * a, above * a_high, power + amplitude_exponent
    spare = max(0, below.bit_length() - 53)
    digits = below >> spare
    return digits | 1, power + spare, below > 0 and above <= (digits + 1) << spare


def _shorten(low: int, high: int, exponent: int, bits: int) -> tuple[int, int, int]:
    """An interval around another, with at most about `bits` bits."""
    spare = max(0, high.bit_length() - bits)
    return low >> spare, -(-high >> spare), exponent + spare


def _shift(n: int, places: int) -> int:
    return n << places if places >= 0 else n >> -places
