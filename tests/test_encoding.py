"""Frequencies and column order against mpmath. No array of a user's, no backend."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp, mpf
from posenc import _encoding
from posenc._encoding import spectrum

from . import truth

DIMS = [1, 2, 3, 7, 64, 511, 512, 4096]


@pytest.mark.parametrize("dim", DIMS)
def test_frequencies(dim: int) -> None:
    parts = spectrum(dim).frequencies
    count = (dim + 1) // 2
    assert parts.shape == (3, count)
    with mp.workprec(400):
        for k in {0, count // 3, count // 2, count - 1}:
            true = truth.frequency(k, dim) * 2 / mp.pi
            got = mp.fsum(mpf(float(part)) for part in parts[:, k])
            assert abs(got - true) <= true * mpf(2) ** -157
            assert float(parts[0, k]) == float(true)
            assert float(parts[1, k]) == float(true - mpf(float(parts[0, k])))


@pytest.mark.parametrize("dim", DIMS)
def test_columns(dim: int) -> None:
    table = spectrum(dim)
    assert table.dim == dim
    np.testing.assert_array_equal(table.source, np.arange(dim))
    assert table.nbytes == table.frequencies.nbytes + table.source.nbytes


def test_two_over_pi() -> None:
    digits = len(str(_encoding.TWO_OVER_PI)) - 2
    assert digits > _encoding.DIGITS
    with mp.workdps(digits + 20):
        assert abs(mpf(str(_encoding.TWO_OVER_PI)) - 2 / mp.pi) < mpf(10) ** -digits


def test_made_once() -> None:
    assert spectrum(20) is spectrum(20)
    assert not np.array_equal(spectrum(20).frequencies, spectrum(21).frequencies[:, :10])
