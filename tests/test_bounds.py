"""The error bounds of the doubles, as docs/accuracy.md derives them: measured against mpmath, true and not slack."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import posenc
import pytest
from mpmath import mp, mpf
from posenc import Encoding, _formula

from . import mutations, truth

# A column's error before and after the product with an amplitude, relative to it: section 4 of the document.
RELATIVE = 2.0**-51
assert RELATIVE * 2 == _formula.BOUND
assert float.fromhex("0x1.1p-50") == _formula.DOUBLE_BOUND <= 1e-15 - _formula.ANGLE_BOUND * 2**48
assert _formula.TURNED_BOUND >= 8.48 * 2.0**-53 + 2 * 2.0**-53
assert 2 * 11 * 2.0**-107 > _formula.ANGLE_BOUND >= 11 * 2.0**-107  # the sum of section 4's table


def errors(encoding: Encoding, positions: np.ndarray, backend: str | None) -> Iterator[tuple[float, float, float]]:
    """Of the sines and cosines of one frequency, in turn: the error, the magnitude, and that of the angle."""
    got = posenc.encode(positions, 2, encoding=encoding, dtype=np.float64, backend=backend)
    scale = mpf(encoding.position_scale) * 2 / mp.pi
    with mp.workprec(220):
        amplitude = mp.sqrt(mpf(1) / 2) if isinstance(encoding.amplitude, str) else mpf(encoding.amplitude)
        for position, values in zip(positions.tolist(), got.tolist(), strict=True):
            angle = mpf(position) * encoding.position_scale
            for value, true in zip(values, (mp.sin(angle), mp.cos(angle)), strict=True):
                yield float(abs(value - amplitude * true)), float(abs(amplitude * true)), float(abs(position * scale))


def test_small_angles(backend: str | None) -> None:
    positions = np.random.default_rng(5).uniform(-8, 8, 6000)
    ratios = [
        error / (RELATIVE * size + _formula.ANGLE_BOUND * angle)
        for error, size, angle in errors(Encoding(), positions, backend)
    ]
    assert max(ratios) <= 1
    assert max(ratios) > 0.5  # half of the bound would be too little


@pytest.mark.parametrize("amplitude", ["rsqrt_dim", 0.7, -3.1])
def test_amplitudes(amplitude: float | str, backend: str | None) -> None:
    positions = np.random.default_rng(6).uniform(-8, 8, 3000)
    size = math.sqrt(0.5) if isinstance(amplitude, str) else abs(amplitude)
    measured = errors(Encoding(amplitude=amplitude), positions, backend)
    ratios = [
        error / (_formula.BOUND * value + _formula.ANGLE_BOUND * angle * size) for error, value, angle in measured
    ]
    assert 0.25 < max(ratios) <= 1


@pytest.mark.parametrize("scale", [1.0, 2.0**20, 1647099.3291654119])
def test_large_angles(scale: float, backend: str | None) -> None:
    # The last of these frequencies and the positions make every term of the reduction's error large.
    positions = 2.0**52 + np.floor(np.random.default_rng(7).uniform(0, 2.0**46, 3000))
    encoding = Encoding(position_scale=scale)
    ratios = [
        error / (_formula.DOUBLE_BOUND + _formula.ANGLE_BOUND * angle)
        for error, _, angle in errors(encoding, positions, backend)
    ]
    assert 0.2 < max(ratios) <= 1


def test_small_values_at_large_positions(backend: str | None) -> None:
    # Where an angle is nearest to a whole number of quarter turns, its error is all there is. Halves are evaluated.
    positions = np.array([p / 2 for p in truth.near_quarter_turns(0, 2) if p > 2**30 and p % 2])
    assert len(positions) > 5
    for error, size, angle in errors(Encoding(position_scale=2.0), positions, backend):
        assert error <= RELATIVE * size + _formula.ANGLE_BOUND * angle


@pytest.mark.parametrize("amplitude", [1.0, "rsqrt_dim", -1.9])
def test_whole_positions(amplitude: float | str) -> None:
    # Of one backend: tests/test_float64.py sees that the others have the same bits.
    positions = np.random.default_rng(8).integers(-5000, 5000, 3000).astype(np.float64)
    size = math.sqrt(0.5) if isinstance(amplitude, str) else abs(amplitude)
    bound = (8.5 if amplitude != 1.0 else 6.5) * 2.0**-53 * size
    worst = max(error for error, _, _ in errors(Encoding(amplitude=amplitude), positions, "numpy"))
    assert 0.25 * bound < worst <= bound


def test_the_document_has_the_values_of_the_code() -> None:
    root = Path(__file__).parents[1]
    if not (root / "csrc").exists():
        pytest.skip("the sources are not here")
    text = "\n".join(path.read_text() for path in (root / "csrc").rglob("*.hpp"))
    text += (root / "python/posenc/_formula.py").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]", (root / "docs/accuracy.md").read_text(), re.MULTILINE)
    values = {name: value for name, value in reversed(rows) if re.search(rf"\b{name} = ", text)}
    assert len(values) >= 17
    for name, value in values.items():
        assert re.findall(rf"(?:^|\W){name} = ([^,;\n]+)", text) == [value], name


def test_mutations_are_of_the_code_as_it_is() -> None:
    root = Path(__file__).parents[1]
    if not (root / "csrc").exists():
        pytest.skip("the sources are not here")
    for mutation in mutations.MUTATIONS:
        assert (root / mutation.file).read_text().count(mutation.old) == 1, mutation.name
        assert mutation.new != mutation.old
        assert all((root / path.split("::")[0]).exists() for path in mutation.tests.split())
