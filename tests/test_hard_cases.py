"""tests/hard_cases.csv, which tools/hard_cases.py finds, on every backend: in lists, and anywhere in a run."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import posenc
import pytest

from .arrays import assert_same_bits, bfloat16

with (Path(__file__).parent / "hard_cases.csv").open(newline="") as file:
    CASES = [
        (
            c["kind"],
            c["format"],
            int(c["dim"]),
            int(c["column"]),
            float.fromhex(c["position"]),
            float.fromhex(c["rounded"]),
        )
        for c in csv.DictReader(file)
    ]
DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": bfloat16}


@pytest.mark.parametrize("name", DTYPES)
def test_lists(name: str, backend: str | None) -> None:
    dtype = DTYPES[name] or pytest.skip("ml_dtypes is not installed")
    groups = defaultdict(list)
    for _, kind, dim, column, position, want in CASES:
        if kind == name:
            groups[dim].append((position, column, want))
    assert sum(map(len, groups.values())) > 50
    for dim, group in groups.items():
        positions, columns, values = map(list, zip(*group, strict=True))
        got = posenc.fill_(np.empty((len(positions), dim), dtype), positions=positions, backend=backend)
        assert_same_bits(got[range(len(columns)), columns], np.array(values).astype(dtype), f"dim {dim}")


@pytest.mark.parametrize("amplitude", [1.0, 2.0**127])  # the largest there may be
@pytest.mark.parametrize("row", [0, 1, 13, 40, 63, 95, 127, 200, 319])  # of tiles, evaluated and rotated
def test_runs(row: int, amplitude: float, backend: str | None) -> None:
    encoding = posenc.Encoding(amplitude=amplitude)
    for kind, _, dim, column, position, want in CASES:
        if kind == "run" and abs(position - row) + 384 <= 2**53:
            rows = np.empty((row + 64, dim), np.float32)
            columns = np.empty((dim, row + 64), np.float32).T if dim <= 64 else rows
            for out in (rows, columns):
                posenc.fill_(out, start=int(position) - row, encoding=encoding, backend=backend)
                assert out[row, column] == np.float32(want * amplitude), (dim, column, position, out.strides)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("row", [5, 63, 150])
def test_runs_of_16_bits(row: int, name: str, backend: str | None) -> None:
    dtype = DTYPES[name] or pytest.skip("ml_dtypes is not installed")
    for kind, form, dim, column, position, want in CASES:
        if kind == "whole" and form == name:
            for out in (np.empty((row + 64, dim), dtype), np.empty((dim, row + 64), dtype).T):
                posenc.fill_(out, start=int(position) - row, backend=backend)
                assert out[row, column] == np.array(want).astype(dtype), (dim, column, position, out.strides)
