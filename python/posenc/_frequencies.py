"""Frequencies and amplitudes to as many bits as the last stage of rounding needs, and the domain they must lie in.

Integers only: what is exact stays exact, and what is not has a stated error. docs/accuracy.md derives the bounds.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The domain of correct rounding. Frequencies count quarter turns per unit of position, position_scale included.
LARGEST_FREQUENCY = 2.0**24
SMALLEST_FREQUENCY = 2.0**-560  # with positions from _formula.TINY on, products of doubles have exact errors
LARGEST_AMPLITUDE = 2.0**127  # no value overflows in float32
SMALLEST_AMPLITUDE = 2.0**-256

LIMBS = 8  # of 64 bits: what a number keeps of its leading bits if it is not exact
BITS = 64 * LIMBS
POWER_BITS = BITS + 64  # to compute with: 2^20 products lose less than 2^-550
LANES = 64  # powers of a progression's ratio that are made one by one
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


class Numbers:
    """Frequencies without their signs, each made exactly when the last stage of rounding asks for it.

    Number k is exact[k] if it is there; else |scale * factors[k]| if there are factors; else a product of two powers of
    the ratio of a progression, `powers[k % LANES]` and `powers[LANES + k // LANES]`, each (mantissa, exponent) with
    POWER_BITS bits.
    """

    def __init__(
        self,
        count: int,
        exact: dict[int, Number],
        scale: float = 1.0,
        factors: tuple[float, ...] = (),
        powers: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.count = count
        self.exact = exact
        self.scale = scale
        self.factors = factors
        self.powers = powers

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, k: int) -> Number:
        exact = self.exact.get(k)
        if exact is not None:
            return exact
        if self.factors:
            return product(self.scale, self.factors[k])
        (m, e), (n, f) = self.powers[k % LANES], self.powers[LANES + k // LANES]
        rounded, exponent = _shortened(m * n, e + f, BITS - 1)
        return Number(rounded - 1, exponent, 0)

    @property
    def nbytes(self) -> int:
        """Of Python's objects, and about what `packed` takes."""
        return 320 * len(self.exact) + 280 * len(self.powers) + 32 * len(self.factors)

    def packed(self) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint64], NDArray[np.float64]]:
        """For the compiled core: which are exact, these (see `pack`), the powers, and the scale and the factors."""
        powers = b"".join(
            m.to_bytes(POWER_BITS // 8, "little") + e.to_bytes(8, "little", signed=True) for m, e in self.powers
        )
        return (
            np.array(list(self.exact), np.int64),
            pack(self.exact.values()),
            np.frombuffer(powers, "<u8").astype(np.uint64).reshape(-1, POWER_BITS // 64 + 1),
            np.array([self.scale, *self.factors]),
        )

    def doubles(self, unit: int) -> NDArray[np.float64]:
        """All of them times unit / 2^640 as unevaluated sums of two doubles (2, K): RN(w), then RN of the rest."""
        factor, exponent = _shortened(unit, -CONSTANT_BITS, 256)
        if self.factors:
            numbers = [product(self.scale, w) for w in self.factors]
            return _two_doubles(
                [number.mantissa * factor for number in numbers], [number.exponent + exponent for number in numbers]
            )
        if not self.powers:
            return doubles((self.exact[k] for k in range(self.count)), unit)
        lanes = [_shortened(m, e, 192) for m, e in self.powers[:LANES]]
        anchors = [
            _shortened((m >> POWER_BITS - 256) * factor, e + POWER_BITS - 256 + exponent, 192)
            for m, e in self.powers[LANES:]
        ]
        result = np.empty((2, len(anchors) * LANES))
        for first in range(0, len(anchors), LANES):  # some at a time: integers take many times the memory of doubles
            some = anchors[first : first + LANES]
            exponents = np.add.outer([e for _, e in some], [e for _, e in lanes]).reshape(-1)
            here = slice(first * LANES, (first + len(some)) * LANES)
            result[:, here] = _two_doubles([m * n for n, _ in some for m, _ in lanes], exponents)
        result = np.ascontiguousarray(result[:, : self.count])
        result[:, list(self.exact)] = doubles(self.exact.values(), unit)
        return result


def progression(scale: float, base: float, divisor: Fraction, count: int) -> Numbers:
    """|scale| base^(-k / divisor) for k = 0 ... count - 1."""
    first = product(scale, 1.0)
    if count == 1 or base == 1.0:
        return Numbers(count, {}, scale, (1.0,) * count)
    r, power, exponent = perfect_power(base)
    degree = math.gcd(power, exponent)  # base is a perfect m-th power if m divides it
    bottom, over = divisor.numerator, divisor.denominator
    exact = {}
    step = bottom // math.gcd(bottom, degree * over)
    for k in range(0, count, step):  # base^(-k * over / bottom) is rational
        n = power * k * over // bottom
        if n * r.bit_length() >= 256:  # the divisor is too large, whatever the scale takes away
            break
        number = rational(first.mantissa, first.exponent - exponent * k * over // bottom, r**n)
        if number is not None:
            exact[k] = number
    with localcontext(CONTEXT):
        ratio = (-_log(base) * divisor.denominator / divisor.numerator).exp()
        adjusted = math.floor(-math.log2(base) / divisor) - POWER_BITS
        factor = int(ratio * Decimal(2) ** -adjusted)
    lanes = _powers((1, 0), (factor, adjusted), min(LANES, count) + 1)
    anchors = _powers((first.mantissa, first.exponent), lanes.pop(), -(-count // LANES))
    lanes += [lanes[0]] * (LANES - len(lanes))
    return Numbers(count, exact, powers=lanes + anchors)


@functools.lru_cache(64)
def _log(base: float) -> Decimal:
    return Decimal(base).ln(CONTEXT)


def _powers(first: tuple[int, int], ratio: tuple[int, int], count: int) -> list[tuple[int, int]]:
    """`count` members of a progression, to POWER_BITS bits."""
    factor, adjusted = ratio
    mantissa, exponent = first[0] << POWER_BITS, first[1] - POWER_BITS
    result = []
    for _ in range(count):
        mantissa, exponent = _cut(mantissa, exponent)
        result.append((mantissa, exponent))
        mantissa, exponent = mantissa * factor, exponent + adjusted
    return result


def _cut(mantissa: int, exponent: int) -> tuple[int, int]:
    """The same number rounded down to just POWER_BITS bits."""
    spare = mantissa.bit_length() - POWER_BITS
    return mantissa >> spare, exponent + spare


def doubles(numbers: Iterable[Number], unit: int) -> NDArray[np.float64]:
    """Numbers times unit / 2^640 as unevaluated sums of two doubles (2, K): correctly rounded, then the rest."""
    products, exponents = [], []
    factor, factor_exponent = _shortened(unit, -CONSTANT_BITS, 256)
    for number in numbers:
        mantissa, exponent = _shortened(*_centre(number), 256)
        products.append(mantissa * factor)
        exponents.append(exponent + factor_exponent)
    return _two_doubles(products, exponents)


def _two_doubles(mantissas: list[int], exponents: ArrayLike) -> NDArray[np.float64]:
    """Integers below 2^1000 times powers of two as unevaluated sums of two doubles (2, K)."""
    high = list(map(float, mantissas))
    low = list(map(float, map(operator.sub, mantissas, map(int, high))))
    result: NDArray[np.float64] = np.ldexp(np.array([high, low]), np.clip(np.array(exponents, np.int64), -4096, 4096))
    return result


def pack(numbers: Iterable[Number]) -> NDArray[np.uint64]:
    """(K, 10): for each number the limbs of its mantissa, lowest first, its divisor and its exponent modulo 2^64."""
    data = b"".join(
        m.to_bytes(8 * LIMBS, "little") + d.to_bytes(8, "little") + e.to_bytes(8, "little", signed=True)
        for m, e, d in numbers
    )
    return np.frombuffer(data, "<u8").astype(np.uint64).reshape(-1, LIMBS + 2)


def _centre(number: Number) -> tuple[int, int]:
    """An integer and a power of two, within 2^-510 of the number."""
    if number.divisor == 0:
        return number.mantissa + 1, number.exponent
    return (number.mantissa << CONSTANT_BITS) // number.divisor, number.exponent - CONSTANT_BITS


def _shortened(mantissa: int, exponent: int, bits: int) -> tuple[int, int]:
    """The same number rounded to about so many leading bits."""
    spare = max(0, mantissa.bit_length() - bits)
    return (mantissa + (1 << spare >> 1)) >> spare, exponent + spare
