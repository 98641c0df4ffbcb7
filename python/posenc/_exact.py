"""One element to as many digits as it takes: where a double is too close to a rounding boundary of a shorter format.

Slow (tens of microseconds) and rare (about one element in a million). The Python backends share it; csrc/exact.cpp
answers the same question for the compiled one, by other means.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from ._encoding import CONTEXT, TWO_OVER_PI, Spectrum

TINY = Decimal("1e-20")
# What frequencies lack of the true ones is below 2^-155 of an angle, while angles that are no whole number of quarter
# turns are much farther from one than that.
LOST = Fraction(1, 2**140)


def exact(spectrum: Spectrum, position: float, column: int) -> float:
    """One column at one position, as a double that rounds to any shorter format as the true value itself does."""
    source = int(spectrum.source[column])
    if source < 0:
        return 0.0
    k, cosine = divmod(source, 2)
    angle = Fraction(position) * sum(Fraction(float(part)) for part in spectrum.frequencies[:, k])
    quarters = round(angle)
    rest = angle - quarters
    if abs(rest) < abs(angle) * LOST:  # a tenth of a turn, five times
        rest = Fraction(0)
    with localcontext(CONTEXT):
        x = Decimal(rest.numerator) / Decimal(rest.denominator) / TWO_OVER_PI
        turns = (quarters + cosine) % 4
        value = _cosine(x) if turns % 2 else _sine(x)
        return _round_to_odd((-value if turns >= 2 else value) * Decimal(spectrum.amplitude)) + 0.0  # no negative zero


def _sine(x: Decimal) -> Decimal:
    """Taylor series, for |x| <= pi/4."""
    if abs(x) < TINY:
        # x - x^3/6 lies below x by less than these digits show, which matters where a frequency of 1 makes x a tie.
        return x * (1 - TINY**2)
    term = total = x
    for n in range(2, 60, 2):
        term *= -x * x / (n * (n + 1))
        total += term
    return total


def _cosine(x: Decimal) -> Decimal:
    term = total = Decimal(1)
    for n in range(1, 60, 2):
        term *= -x * x / (n * (n + 1))
        total += term
    return total


def _round_to_odd(value: Decimal) -> float:
    """Of the doubles around `value` the one with an odd last bit, which is never the middle of two shorter numbers."""
    nearest = float(value)
    if Decimal(nearest) == value or np.float64(nearest).view(np.int64) % 2:
        return nearest
    return math.nextafter(nearest, math.inf if value > Decimal(nearest) else -math.inf)
