"""The mathematics of one element, in plain arithmetic that NumPy arrays and Numba scalars share.

Not a backend: `_reference` applies these functions to whole arrays, `_numba` compiles them. They perform, operation
by operation, what csrc/kernel/evaluate.inl.hpp and double.inl.hpp perform, so that all three backends make the same
doubles.

Angles are counted in quarter turns. Frequencies are unevaluated sums of doubles, so the product of a position and a
frequency loses nothing that matters up to 2**53. The functions call nothing: Numba compiles them as they are.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Real: TypeAlias = Any  # a float, or an array of floats

# Adding and subtracting these rounds to a whole number, and to a multiple of 2**27.
INTEGER = 1.5 * 2.0**52
MANY_TURNS = 1.5 * 2.0**79

# Minimax polynomials on [-1/2, 1/2] from tools/minimax.py, with errors of 3.7e-18 of the sine and 3.1e-19 of 1:
# sin(pi/2 f) = f pi/2 + f (HALF_PI_LOW + z S(z)),  cos(pi/2 f) = 1 + z C(z),  z = f f.
HALF_PI = float.fromhex("0x1.921fb54442d18p+0")
HALF_PI_LOW = float.fromhex("0x1.1a62633145c07p-54")
S0 = float.fromhex("-0x1.4abbce625be46p-1")
S1 = float.fromhex("0x1.466bc67758c4cp-4")
S2 = float.fromhex("-0x1.32d2cce31bf06p-8")
S3 = float.fromhex("0x1.5078300347734p-13")
S4 = float.fromhex("-0x1.e3008fadf5d18p-19")
S5 = float.fromhex("0x1.e3fbe42b26fbep-25")
C0 = float.fromhex("-0x1.3bd3cc9be45dep+0")
C1 = float.fromhex("0x1.03c1f081b5a4fp-2")
C2 = float.fromhex("-0x1.55d3c7e3bf5abp-6")
C3 = float.fromhex("0x1.e1f506749a430p-11")
C4 = float.fromhex("-0x1.a6d1e138cec4bp-16")
C5 = float.fromhex("0x1.f9c3d3caad3eep-22")
C6 = float.fromhex("-0x1.afee49c6dfe8cp-28")

# Of a column made with them, times its amplitude: the error is at most BOUND times the value, and ANGLE_BOUND times the
# angle in quarter turns times the amplitude (docs/accuracy.md, section 4). Of one made from two such by `turned`:
# DOUBLE_BOUND times the amplitude, and the latter (section 9); TURNED_BOUND leaves room for the rounding test.
BOUND = 2.0**-50
DOUBLE_BOUND = 8.5 * 2.0**-53
TURNED_BOUND = 2.0**-49
ANGLE_BOUND = 2.0**-103

GRID = 64  # whole positions from one anchor to the next; the bits of float64 elements depend on it

SPLITTER = 2.0**27 + 1.0
TINY = 2.0**-400  # positions below it: a product's error is not always a double


def reduce_angle(position: Real, frequency: Real, frequency_low: Real) -> tuple[Real, Real]:
    """Return (f, quarters) with position * frequency = f + quarters (mod 4) quarter turns and |f| <= 1/2.

    `quarters` is whole and -2 <= quarters <= 2.
    """
    product = position * frequency
    # What the product lost to rounding (T. J. Dekker, 1971), and the frequency's second part.
    large = position * SPLITTER
    position_high = large - (large - position)
    position_low = position - position_high
    large = frequency * SPLITTER
    frequency_high = large - (large - frequency)
    frequency_rest = frequency - frequency_high
    error = (
        (position_high * frequency_high - product) + position_high * frequency_rest + position_low * frequency_high
    ) + position_low * frequency_rest
    error = error * (abs(position) >= TINY)
    low = position * frequency_low + error

    angle = product - ((product + MANY_TURNS) - MANY_TURNS)
    whole = (angle + INTEGER) - INTEGER
    part = angle - whole
    total = part + low  # near 2**53 the low part is itself up to a quarter turn
    back = total - part
    error = (part - (total - back)) + (low - back)
    carry = (total + INTEGER) - INTEGER
    f = (total - carry) + error

    turns = whole + carry
    quarters = turns - 4.0 * ((turns * 0.25 + INTEGER) - INTEGER)
    return f, quarters


def sine(f: Real) -> Real:
    """sin(pi/2 f) for |f| <= 1/2, error at most 2^-51 of it."""
    z = f * f
    tail = z * (((((S5 * z + S4) * z + S3) * z + S2) * z + S1) * z + S0) + HALF_PI_LOW
    return f * tail + f * HALF_PI


def cosine(f: Real) -> Real:
    """cos(pi/2 f) for |f| <= 1/2, error at most 2^-51 of it."""
    z = f * f
    return z * ((((((C6 * z + C5) * z + C4) * z + C3) * z + C2) * z + C1) * z + C0) + 1.0


def turn_from_anchor(position: Real) -> Real:
    """How far a position is from its anchor, both without their signs: 0 unless it is whole, or else less than GRID."""
    distance = abs(position)
    return distance % GRID * (distance % 1.0 == 0.0)


def turned(value: Real, derivative: Real, sin: Real, cos: Real) -> Real:
    """Return sin(a + b) from sin(a), cos(a), sin(b), cos(b); or cos(a + b) from cos(a), -sin(a), sin(b), cos(b)."""
    return value * cos + derivative * sin
