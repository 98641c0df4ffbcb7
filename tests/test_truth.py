"""The tests' own measure, against values known from elsewhere. A wrong ruler would measure everything else wrong."""

from __future__ import annotations

import numpy as np

from . import truth


def test_known_values() -> None:
    # sin(1), cos(1), sin(1/100), cos(1/100) to 40 digits (Abramowitz and Stegun's tables give the first 23).
    true = truth.encoding([1], 4)
    digits = [
        "0.8414709848078965066525023216302989996226",
        "0.5403023058681397174009366074429766037323",
        "0.0099998333341666646825424382690997290390",
        "0.9999500004166652777802579337522066732087",
    ]
    for high, low, decimal in zip(true.high[0], true.low[0], digits, strict=True):
        assert high == float(decimal)
        assert abs(int(decimal[2:]) - (int(_scaled(high)) + int(_scaled(low)))) <= 10**8  # to 32 digits


def _scaled(number: float) -> int:
    numerator, denominator = float(number).as_integer_ratio()
    return numerator * 10**40 // denominator


def test_odd_widths_keep_the_real_exponent() -> None:
    true = truth.encoding([1], 3)
    assert true.high.shape == (1, 3)
    np.testing.assert_allclose(true.high[0, 2], np.sin(10000 ** (-2 / 3)), rtol=1e-15)  # the last column is a sine


def test_rounding_and_ulps() -> None:
    one, spacing = np.float32(1), 2.0**-23
    tie = np.array([1 + spacing / 2])
    for low, want in ((-1e-30, 1.0), (1e-30, 1 + spacing)):
        true = truth.Truth(tie, np.array([low]))
        assert true.float32() == np.float32(want)
        assert true.ulps(np.array([one])) == 0.5
        assert true.ulps(np.array([one + np.float32(spacing)])) == 0.5
    below_one = truth.Truth(np.array([1.0]), np.array([-1e-30]))
    assert below_one.ulps(np.array([np.nextafter(one, np.float32(0))])) == 1.0
    smallest = truth.Truth(np.array([2.0**-149]), np.array([0.0]))
    assert smallest.ulps(np.zeros(1, np.float32)) == 1.0
