"""One element to as many digits as it takes: where a double is too close to a rounding boundary of float32.

Slow (tens of microseconds) and rare (about one element in a million). The Python backends share it; csrc/exact.cpp
answers the same question for the compiled one, by other means.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from ._encoding import DIGITS, TWO_OVER_PI, Spectrum

TINY = Decimal("1e-20")


def exact_float32(spectrum: Spectrum, position: float, column: int) -> np.float32:
    """The correctly rounded value of one column at one position."""
    k, cosine = divmod(int(spectrum.source[column]), 2)
    if position == 0.0:
        return np.float32(cosine)
    angle = Fraction(position) * sum(Fraction(float(part)) for part in spectrum.frequencies[:, k])
    quarters = round(angle)
    rest = angle - quarters
    with localcontext() as context:
        context.prec = DIGITS
        x = Decimal(rest.numerator) / Decimal(rest.denominator) / TWO_OVER_PI
        turns = (quarters + cosine) % 4
        value = _cosine(x) if turns % 2 else _sine(x)
        return np.float32(_round_to_odd(-value if turns >= 2 else value))


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
    """A double that rounds to any shorter format as `value` itself does."""
    nearest = float(value)
    if Decimal(nearest) == value or int(math.frexp(nearest)[0] * 2.0**53) % 2:
        return nearest
    return math.nextafter(nearest, math.inf if value > Decimal(nearest) else -math.inf)
