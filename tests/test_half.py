"""Conversions of 16-bit elements: all of them one way, the awkward ones the other, against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from posenc._half import narrow, narrow_unsigned, to_odd, widen

from . import truth
from .arrays import assert_same_bits, noise

ALL = np.arange(2**16, dtype=np.uint16)
DIGITS = {np.float16: (11, 2.0**-24), np.uint16: (8, 2.0**-133)}


def as_number(bits: int) -> float:
    """A bfloat16, from the definition."""
    sign, exponent, fraction = -1.0 if bits >> 15 else 1.0, bits >> 7 & 255, bits & 127
    if exponent == 255:
        return np.nan if fraction else sign * np.inf
    return sign * (np.ldexp(fraction + 128, exponent - 134) if exponent else np.ldexp(fraction, -133))


def test_every_bfloat16() -> None:
    wide = widen(ALL)
    np.testing.assert_array_equal(wide, np.array([as_number(int(bits)) for bits in ALL], np.float32))
    assert np.signbit(wide[0x8000])
    assert_same_bits(narrow(wide, ALL.dtype), np.where(np.isnan(wide), ALL | 0x40, ALL).astype(np.uint16))


def test_every_float16() -> None:
    with np.errstate(invalid="ignore"):
        wide = widen(ALL.view(np.float16))
    number = ~np.isnan(wide)
    assert_same_bits(narrow(wide, np.dtype(np.float16))[number], ALL.view(np.float16)[number])


@pytest.mark.parametrize("dtype", DIGITS)
def test_rounding(dtype: type) -> None:
    # Ties, their neighbours in float32 and in float64, and a bit of everything; subnormal numbers too.
    numbers = widen(ALL.view(dtype))
    numbers = numbers[np.abs(numbers) < 6e4].astype(np.float64)
    ties = np.sort(numbers)[:-1] + np.diff(np.sort(numbers)) / 2
    some = np.clip(noise((5000,), np.float64), -6e4, 6e4)
    values = np.concatenate([ties, np.nextafter(ties, 9), np.nextafter(ties, -9), some])
    for value, wide in ((values, to_odd(values)), (values.astype(np.float32), values.astype(np.float32))):
        got = widen(narrow(wide, np.dtype(dtype)))
        np.testing.assert_array_equal(got, truth.round_to(value, *DIGITS[dtype]))


def test_what_is_no_finite_number() -> None:
    values = np.array([np.inf, -np.inf, 3.4e38, np.nan], np.float32)
    values = np.concatenate(
        [values, np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)]
    )  # all kinds of NaN
    assert narrow(values, np.dtype(np.uint16)).tolist() == [0x7F80, 0xFF80, 0x7F80, 0x7FC0, 0x7FC0, 0xFFFF]


def test_to_odd() -> None:
    assert to_odd(np.array([1.0, -0.5, 0.0, 2.0**-149])).tolist() == [1.0, -0.5, 0.0, 2.0**-149]
    spacing = 2.0**-23
    values = np.array([1 + spacing / 9, 1 + spacing * 1.9, -1 - spacing / 9, 1e-300, -1e-300])
    assert to_odd(values).tolist() == [1 + spacing, 1 + spacing, -1 - spacing, 2.0**-149, -(2.0**-149)]


@pytest.mark.parametrize("dtype", DIGITS)
def test_no_negative_zeros(dtype: type) -> None:
    values = np.array([-0.0, -(2.0**-149), -(2.0**-26), -(2.0**-24), -1.0, np.nan], np.float32)
    got, want = narrow_unsigned(values, np.dtype(dtype)), narrow(values, np.dtype(dtype))
    zero = widen(want) == 0
    assert zero.sum() >= 2
    assert not np.signbit(widen(got)[zero]).any()
    assert_same_bits(got[~zero], want[~zero])
