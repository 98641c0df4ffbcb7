"""The real number an element stands for, to 60 digits, and errors against it in units in the last place (ulp).

Computed by mpmath from the formula alone, PE(p, 2k) = sin(p 10000^(-2k/D)) and PE(p, 2k + 1) = cos(...): nothing that
posenc computes with is used here.
"""

from __future__ import annotations

import functools
import importlib
import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

DIGITS = 60
WORKING = 80  # a position below 2**53 takes 16 of these; the rest is behind the point


@functools.lru_cache(maxsize=2**14)
def encoding(position: float, column: int, dim: int) -> Decimal:
    """PE(position, column) of the paper's encoding with `dim` columns."""
    mp: Any = importlib.import_module("mpmath").mp
    with mp.workdps(WORKING):
        angle = mp.mpf(position) * mp.power(10000, mp.mpf(-2 * (column // 2)) / dim)
        return Decimal(mp.nstr(mp.cos(angle) if column % 2 else mp.sin(angle), DIGITS, min_fixed=0, max_fixed=0))


def ulp(value: Decimal, dtype: np.dtype[Any]) -> Decimal:
    """The distance between numbers of `dtype` around `value`; uint16 stands for bfloat16."""
    least, digits = (-126, 7) if dtype == np.uint16 else (int(np.finfo(dtype).minexp), int(np.finfo(dtype).nmant))
    exponent = math.frexp(float(value))[1] if value else least
    with localcontext() as context:
        context.prec = WORKING
        if value and Decimal(2) ** (exponent - 1) > abs(value):  # float(value) was rounded up to a power of two
            exponent -= 1
        return Decimal(2) ** (max(exponent - 1, least) - digits)
