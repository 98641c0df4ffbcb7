"""What `_api` relies on in a backend's module: fill and add, where no public argument leads there or not alone."""

from __future__ import annotations

import dataclasses
import importlib
from types import ModuleType

import numpy as np
import pytest
from posenc import _backend
from posenc._encoding import Spectrum, spectrum

from . import backends, truth
from .arrays import assert_same_bits


@pytest.fixture(
    scope="module", params=[p for p in backends.ALL if p.values[0][0] in ("numba", "numpy")], ids=lambda p: p[0]
)
def module(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(_backend.MODULES[request.param[0]])


def rows(module: ModuleType, table: Spectrum, positions: list[float], dtype: type) -> np.ndarray:
    out = np.full((len(positions), table.dim), 99, dtype)
    module.fill(out, table, np.array([positions], np.float64), 1)
    return out


POSITIONS = [0.0, 1.0, 2.0, 3.0, 4.0, -2.5, 1e9, 2.0**53, -(2.0**53), *truth.near_ties(3)]


@pytest.mark.parametrize("amplitude", [0.5, -1.0, 768**-0.5, 1e-3, 31.7])
def test_amplitude(amplitude: float, module: ModuleType) -> None:
    table = dataclasses.replace(spectrum(6), amplitude=amplitude)
    true = truth.encoding(POSITIONS, 6).times(amplitude)
    assert_same_bits(rows(module, table, POSITIONS, np.float32) + 0, true.float32() + 0)
    near = np.abs(POSITIONS) < 2.0**31
    assert true.distance(rows(module, table, POSITIONS, np.float64))[near].max() <= 1e-15 * abs(amplitude)
    run = np.empty((70, 6), np.float32)
    module.fill(run, table, np.array([-40.0]), 1)
    assert_same_bits(run, truth.encoding(range(-40, 30), 6).times(amplitude).float32() + 0)
    for dtype in (np.float32, np.float64):
        assert not np.signbit(rows(module, table, [0.0], dtype)[:, ::2]).any()  # -1 * sin(0) is 0 as well


def test_zero_columns(module: ModuleType) -> None:
    table = dataclasses.replace(spectrum(4), source=np.array([-1, 2, -1, -1, 1, 0, -1], np.int32), amplitude=-2.0)
    whole = dataclasses.replace(spectrum(4), amplitude=-2.0)
    for dtype in (np.float32, np.float64):
        for positions in (POSITIONS, [float(p) for p in range(-40, 40)]):
            got, want = (rows(module, t, positions, dtype) for t in (table, whole))
            assert_same_bits(got[:, [1, 4, 5]], want[:, [2, 1, 0]])
            assert_same_bits(got[:, [0, 2, 3, 6]], np.zeros((len(positions), 4), dtype))
