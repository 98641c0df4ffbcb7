"""What mpmath says about the paper's encoding, and how far a result is from it.

Written from the formula alone (Vaswani et al., 2017, section 3.5): it imports nothing of posenc and must stay so.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from mpmath import mp, mpf
from numpy.typing import NDArray

# 60 decimal digits behind the point of an angle up to 2**53: near its zeros a sine of such an angle is about 1e-17,
# which leaves 40 digits where a float32 tie needs 16 or so. Tiny angles get more, see _bits.
BITS = 200 + 54
SMALLEST = 5e-324


@dataclass(frozen=True)
class Truth:
    """True values as unevaluated sums high + low of doubles, each of shape (L, D).

    106 bits, or down to the smallest double; `low` is 0 only where `high` is the exact value.
    """

    high: NDArray[np.float64]
    low: NDArray[np.float64]

    def float32(self) -> NDArray[np.float32]:
        """The correctly rounded values."""
        return self._odd().astype(np.float32)

    def rounded(self, digits: int, smallest: float) -> NDArray[np.float64]:
        """The same for numbers of `digits` bits that are multiples of `smallest`: of another format."""
        return round_to(self._odd(), digits, smallest)

    def _odd(self) -> NDArray[np.float64]:
        """Of the two doubles around the truth, the one with an odd last bit.

        It lies on the same side of every tie of a shorter format as the truth, so rounding it is the only rounding.
        """
        even = (self.high.view(np.int64) & 1) == 0
        return np.where(even & (self.low != 0), np.nextafter(self.high, np.copysign(np.inf, self.low)), self.high)

    def times(self, amplitude: float) -> Truth:
        parts = [Fraction(a) + Fraction(b) for a, b in zip(self.high.flat, self.low.flat, strict=True)]
        high = [float(part * Fraction(amplitude)) for part in parts]
        low = [float(part * Fraction(amplitude) - Fraction(h)) for part, h in zip(parts, high, strict=True)]
        return Truth(np.reshape(high, self.high.shape), np.reshape(low, self.high.shape))

    def ulps(self, got: NDArray[np.float32]) -> NDArray[np.float64]:
        """Distance of `got` from the truth in units of float32's spacing there."""
        mantissa, exponent = np.frexp(self.high)
        below_a_power_of_two = (np.abs(mantissa) == 0.5) & (mantissa * self.low < 0)
        spacing = np.ldexp(1.0, np.maximum(exponent - below_a_power_of_two - 24, -149))
        return self.distance(got) / spacing

    def distance(self, got: NDArray[np.floating]) -> NDArray[np.float64]:
        """Distance of `got` from the truth."""
        return np.abs((got.astype(np.float64) - self.high) - self.low)


def round_to(values: NDArray[np.floating], digits: int, smallest: float) -> NDArray[np.float64]:
    """`values` to the nearest numbers of `digits` bits, multiples of `smallest`; to even ones where two are as near."""
    wide = values.astype(np.float64)
    unit = np.maximum(np.ldexp(1.0, np.frexp(wide)[1] - digits), smallest)
    return np.rint(wide / unit) * unit


@functools.cache
def frequency(k: int, dim: int, bits: int = BITS) -> mpf:
    """w_k = 10000^(-2k / D), with the real D, odd or even."""
    with mp.workprec(bits):
        return mpf(10000) ** (-mpf(2 * k) / dim)


def _bits(position: float | int) -> int:
    """What it takes to tell sin(x) = x - x^3 / 6 from x."""
    return BITS - 2 * min(0, math.frexp(position)[1])


def _split(value: mpf) -> tuple[float, float]:
    high = float(value)
    low = float(value - high)
    return high, low or math.copysign(SMALLEST, value - high) * (value != high)


def _sin_cos(position: float | int, k: int, dim: int) -> tuple[float, float, float, float]:
    bits = _bits(position)
    with mp.workprec(bits):
        cos, sin = mp.cos_sin(mpf(position) * frequency(k, dim, bits))
        return (*_split(sin), *_split(cos))


@functools.lru_cache(maxsize=2048)  # the next backend asks the same again
def _encoding(positions: tuple[float | int, ...], dim: int) -> Truth:
    pairs = np.array([[_sin_cos(p, k, dim) for k in range((dim + 1) // 2)] for p in positions], np.float64)
    high, low = pairs[..., ::2].reshape(len(positions), -1), pairs[..., 1::2].reshape(len(positions), -1)
    return Truth(high[:, :dim].copy(), low[:, :dim].copy())  # an odd D has no room for the last cosine


def encoding(positions: Iterable[float | int], dim: int) -> Truth:
    """The encoding of `positions`, PE(p, 2k) = sin(p w_k), PE(p, 2k + 1) = cos(p w_k), as (L, dim)."""
    return _encoding(tuple(positions), dim)


ELEMENT_BITS = 800  # and twice as many as an angle has zeros after the point: cos(x) is about 1 - x^2 / 2


def element(
    position: float,
    column: int,
    dim: int,
    *,
    base: float = 10000.0,
    freq_shift: float = 0.0,
    frequencies: Sequence[float] | None = None,
    full_turns: bool = False,
    position_scale: float = 1.0,
    amplitude: float | str = 1.0,
) -> Fraction:
    """One element of an interleaved encoding: exact if it is a number of a few bits, else to thousands of bits."""
    k, cosine = divmod(column, 2)

    def angle() -> mpf:
        if frequencies is None:
            w = mpf(base) ** (-mpf(k) / (mpf(dim) / 2 - mpf(freq_shift))) if k else mpf(1)
        else:
            w = mpf(frequencies[k])
        return mpf(position) * mpf(position_scale) * w

    bits = ELEMENT_BITS + 2 * max(0, -int(mp.mag(angle() or 1)))
    with mp.workprec(bits + 200):
        if full_turns:
            value = (mp.cospi if cosine else mp.sinpi)(2 * angle())
        else:
            value = (mp.cos if cosine else mp.sin)(angle())
        if abs(value) < mpf(2) ** -bits:
            return Fraction(0)
        roots = {"rsqrt_dim": mpf(1) / dim, "sqrt_2_over_dim": mpf(2) / dim}
        value *= mp.sqrt(roots[amplitude]) if isinstance(amplitude, str) else mpf(amplitude)
        mantissa, exponent = value.man_exp
        exact = int(mp.sign(value)) * Fraction(int(abs(mantissa))) * Fraction(2) ** exponent
    few = _few_bits(exact)
    return few if abs(few - exact) <= abs(exact) / 2**bits else exact


def _few_bits(x: Fraction) -> Fraction:
    """The nearest number of about 120 bits."""
    unit = Fraction(2) ** (abs(x.numerator).bit_length() - x.denominator.bit_length() - 120)
    return round(x / unit) * unit


def nearest(x: Fraction, digits: int, smallest: int) -> float:
    """The correctly rounded number of `digits` bits that is a multiple of 2^smallest; ties go to even."""
    if x == 0:
        return 0.0
    exponent = abs(x.numerator).bit_length() - x.denominator.bit_length()
    exponent -= abs(x) < Fraction(2) ** exponent  # 2^exponent <= |x| < 2^(exponent + 1)
    unit = Fraction(2) ** max(exponent + 1 - digits, smallest)
    return float(round(x / unit) * unit) + 0.0


def near_quarter_turns(k: int, dim: int, limit: int = 2**53) -> Iterator[int]:
    """Whole positions p, at most `limit`, where p w_k comes closest to multiples of pi/2: sine or cosine is tiny.

    They are the numerators of the convergents of pi / (2 w_k), as a number that is closer to a whole multiple of it
    than all smaller ones are must be.
    """
    with mp.workprec(2 * BITS):
        rest = mp.pi / 2 / frequency(k, dim)
        former, numerator = 1, int(mp.floor(rest))
        while numerator <= limit:
            yield numerator
            rest = 1 / (rest - mp.floor(rest))
            former, numerator = numerator, int(mp.floor(rest)) * numerator + former


def near_ties(count: int = 60, seed: int = 53, digits: int = 24) -> list[float]:
    """Positions whose sine at w_0 = 1 is too close to the middle of two float32 numbers for a double to tell.

    Other formats have fewer `digits`.

    Each is the double nearest to the arc sine of such a middle. Middles of tiny numbers are their own arc sine to
    within a square: sin(p) = p - p^3 / 6 lies just below one, by any factor one cares to choose.
    """
    generator = np.random.default_rng(seed)
    lower = generator.uniform(2.0**-12, 0.99, count)
    unit = np.ldexp(1.0, np.frexp(lower)[1] - digits)
    middles = (np.floor(lower / unit) + 0.5) * unit
    with mp.workprec(BITS):
        return [float(mp.asin(mpf(middle))) for middle in middles.tolist()]


def tiny_ties(count: int = 12, seed: int = 25) -> list[float]:
    """Odd multiples of half a float32 spacing, ever smaller: a tie but for x^3 / 6.

    With D = 8 the frequencies are 1, 1/10, 1/100, 1/1000, and ten times such a position is as hard for the second.
    """
    generator = np.random.default_rng(seed)
    middles = [(int(m), e - 25) for e in range(-14, -122, -4) for m in generator.integers(2**23, 2**24, count)]
    subnormal = [(int(m), -150) for m in generator.integers(1, 2**20, count)]
    return [math.ldexp(2 * m + 1, e) * 10**k for m, e in middles + subnormal for k in range(4)]
