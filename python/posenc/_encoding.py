"""What an encoding is made of: exact frequencies and the order of its columns. No arrays of the user's are seen here.

Vaswani et al., "Attention Is All You Need" (2017), section 3.5:
PE(p, 2k) = sin(p w_k), PE(p, 2k + 1) = cos(p w_k), w_k = 10000^(-2k / dim).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ._cache import Cache

# Frequencies are computed in fixed point with this many fractional bits, then cut into three doubles of 53 bits each.
FRACTION_BITS = 256
DIGITS = 90
TWO_OVER_PI = Decimal(
    "0.63661977236758134307553505349005744813783858296182579499066937623558719053690614036045521106501234382"
)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One encoding at one width.

    Attributes
    ----------
    frequencies : ndarray of shape (3, K), float64
        Quarter turns per unit of position: each frequency is the unevaluated sum of a column.
    source : ndarray of shape (dim,), int32
        For each column, 2k where it is sin(p w_k) and 2k + 1 where it is cos(p w_k).
    """

    frequencies: NDArray[np.float64]
    source: NDArray[np.int32]

    @property
    def dim(self) -> int:
        return len(self.source)

    @property
    def largest(self) -> float:
        """The largest frequency in magnitude."""
        return float(np.abs(self.frequencies[0]).max())

    @property
    def nbytes(self) -> int:
        return self.frequencies.nbytes + self.source.nbytes


def geometric_frequencies(count: int, base: float, divisor: Fraction) -> NDArray[np.float64]:
    """Frequencies base^(-k / divisor), k = 0 .. count - 1, in quarter turns, each as three doubles (3, count)."""
    with localcontext() as context:
        context.prec = DIGITS
        one = 2**FRACTION_BITS
        step = int((-Decimal(base).ln() * divisor.denominator / divisor.numerator).exp() * one)
        frequency = int(TWO_OVER_PI * one)
    parts = np.empty((3, count))
    for k in range(count):
        rest = frequency
        for part in range(3):
            leading = float(rest)
            parts[part, k] = leading
            rest -= int(leading)
        frequency = frequency * step >> FRACTION_BITS
    return np.ldexp(parts, -FRACTION_BITS)


def _paper(dim: int) -> Spectrum:
    # An odd width has one more sine than cosines, and keeps its real half in the exponent.
    frequencies = geometric_frequencies((dim + 1) // 2, 10000.0, Fraction(dim, 2))
    return Spectrum(frequencies, np.arange(dim, dtype=np.int32))


_spectra: Cache[int, Spectrum] = Cache(_paper)


def spectrum(dim: int) -> Spectrum:
    """The spectrum of the paper's encoding with `dim` columns, from a cache."""
    return _spectra[dim]
