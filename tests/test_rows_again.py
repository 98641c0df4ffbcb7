"""Rows that are asked for again, which the compiled core makes of two angles that it keeps: the bits of the first time.

In each case the first call evaluates its rows, the second one keeps the angles, the third one has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import posenc
import pytest
from posenc import Encoding

from .arrays import FLOATS, assert_same_bits
from .test_hard_cases import CASES, DTYPES

AGAIN = 3
ENCODINGS = {
    "paper": None,
    "concatenated": "whisper",
    "cosines first": Encoding(cos_first=True, layout="concatenated", amplitude=-0.3),
    "amplitude": Encoding(amplitude="rsqrt_dim"),
    "negative amplitude": Encoding(amplitude=-1.0),
    "negative frequencies": Encoding(frequencies=[-1.0, -0.25, 0.5, -1e-5, 2.0, -1 / 3]),
    "quarter turns": Encoding(frequencies=[0.25, 0.5, 0.75, 0.125, 1 / 3, 0.0], full_turns=True),
    "tiny": Encoding(base=1e30, amplitude=1e-30),
    "any order": Encoding(odd="zero"),
}
WIDTHS = {"quarter turns": (12,), "negative frequencies": (12,), "any order": (7, 63), "concatenated": (2, 8, 66, 512)}
POSITIONS = (0, -0.0, 1, 63, 64, 100, -1, -64, -100, 0.5, -7.25, 12345, 2**31 + 5, 2**44, 2**53 - 1)


@pytest.mark.parametrize(("name", "amplitude"), [*((name, 1.0) for name in DTYPES), ("float32", 2.0**127)])
@pytest.mark.usefixtures("compiled_backend")
def test_hard_cases(name: str, amplitude: float) -> None:
    dtype = DTYPES[name] or pytest.skip("ml_dtypes is not installed")
    encoding = Encoding(amplitude=amplitude)
    kinds = {name, "whole" if name != "float32" else "run"}
    cases = [case for case in CASES if case[0] in kinds and case[1] == name]
    assert len(cases) > 50
    for _, _, dim, column, position, want in cases:
        for _ in range(AGAIN):
            row = posenc.fill_(np.empty((1, dim), dtype), start=position, encoding=encoding)
            assert row[0, column] == np.array(want * amplitude).astype(dtype), (dim, column, position)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.usefixtures("compiled_backend")
def test_positions(name: str, dtype: Any) -> None:
    encoding = ENCODINGS[name]
    for dim in WIDTHS.get(name, (2, 6, 64, 98, 512, 20_000)):
        want = posenc.encode(POSITIONS, dim, encoding=encoding, dtype=dtype, backend="numpy")
        for i, position in enumerate(POSITIONS):
            for again in range(AGAIN):
                got = posenc.fill_(np.empty((1, dim), dtype), start=position, encoding=encoding)
                assert_same_bits(got[0], want[i], f"{dim} columns at {position}, {again}")


@pytest.mark.usefixtures("compiled_backend")
def test_one_after_the_other() -> None:
    """As a decoder asks, and as two of them do in turn. At the larger width turns share places in what is kept."""
    for dim in (96, 30_000):
        count = 260 if dim < 1000 else 40
        want = posenc.encode(count, dim, start=-50, backend="numpy")
        for step in (1, -1):
            for i in [*range(count)[::step]] * 2:
                assert_same_bits(posenc.fill_(np.empty((1, dim), np.float32), start=i - 50)[0], want[i], str(i))
        for i in range(count // 2):
            for row in (i, i + count // 2):
                assert_same_bits(posenc.fill_(np.empty((1, dim), np.float32), start=row - 50)[0], want[row], str(row))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sequences", [3, 16, 17, 40])
@pytest.mark.usefixtures("compiled_backend")
def test_batches_that_are_decoded(sequences: int, dtype: Any) -> None:
    """Of as many anchors as are kept, and of more."""
    starts = np.arange(sequences)[:, None] * 977 + 13
    for dim in (96, 6000):
        for step in range(5):
            want = posenc.encode(starts + step, dim, dtype=dtype, backend="numpy")
            got = posenc.fill_(np.empty((sequences, 1, dim), dtype), start=starts + step)
            assert_same_bits(got, want, f"step {step}")
