"""The real number an element stands for, to 60 digits, and errors against it in units in the last place (ulp).

Computed from the formula alone, PE(p, 2k) = sin(p 10000^(-2k/D)) and PE(p, 2k + 1) = cos(...): nothing that posenc
computes with is used here, not even its constants.
"""

from __future__ import annotations

import functools
import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

# A position below 2**53 takes 16 of these digits; the rest is behind the point.
DIGITS = 80


@functools.cache
def frequency(k: int, dim: int) -> Decimal:
    with localcontext() as context:
        context.prec = DIGITS
        return (Decimal(10000).ln() * (-2 * k) / dim).exp()


@functools.lru_cache(maxsize=2**14)
def encoding(position: float, column: int, dim: int) -> Decimal:
    """PE(position, column) of the paper's encoding with `dim` columns."""
    with localcontext() as context:
        context.prec = DIGITS
        angle = (Decimal(position) * frequency(column // 2, dim)).remainder_near(2 * _pi())
        # The Taylor series of the sine and of the cosine differ in their first term only.
        degree = column % 2
        term = total = Decimal(1) if degree else angle
        n = 1 if degree else 2
        while term and term.adjusted() > -DIGITS:
            term *= -angle * angle / (n * (n + 1))
            total += term
            n += 2
        return total


def ulp(value: Decimal, dtype: np.dtype[Any]) -> Decimal:
    """The distance between numbers of `dtype` around `value`; uint16 stands for bfloat16."""
    least, digits = (-126, 7) if dtype == np.uint16 else (int(np.finfo(dtype).minexp), int(np.finfo(dtype).nmant))
    exponent = math.frexp(float(value))[1] if value else least
    with localcontext() as context:
        context.prec = DIGITS
        if value and Decimal(2) ** (exponent - 1) > abs(value):  # float(value) was rounded up to a power of two
            exponent -= 1
        return Decimal(2) ** (max(exponent - 1, least) - digits)


@functools.cache
def _pi() -> Decimal:
    """J. Machin (1706): pi = 16 arctan(1/5) - 4 arctan(1/239)."""
    one = 10 ** (DIGITS + 10)

    def arctan_of_inverse(n: int) -> int:
        total, power, k = 0, one // n, 0
        while power:
            total += (-1) ** k * (power // (2 * k + 1))
            power //= n * n
            k += 1
        return total

    return Decimal(16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)).scaleb(-DIGITS - 10)
