"""Positions whose elements are hardest to round: `python tools/hard_cases.py > tests/hard_cases.csv`. Takes minutes.

Five kinds, all for the paper's encoding. "run": whole positions whose element lies within 2^-45 of itself of the
middle of two float32 numbers, found among a billion float64 elements; they test whatever makes rows of runs. "whole":
the same for float16 and bfloat16, small numbers too. "single": the doubles nearest to the arc sines and arc cosines
of middles of float32, float16 and bfloat16 numbers, those kept that come closest. "far": whole positions past 2^45
whose float32 element is small, so that the absolute error of single rows counts, and close to a middle. "double":
whole positions whose float64 element errs most, among a hundred million. What is right is mpmath's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import posenc
from mpmath import mp, mpf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests import truth

DIGITS = {"float32": (24, -149), "float16": (11, -24), "bfloat16": (8, -133), "float64": (53, -1074)}
ROWS = 4096
KEPT = 24  # of each dim and range, or of each dim, column and format


def in_runs(dim: int, limit: float, blocks: int, generator: np.random.Generator) -> Iterator[tuple[int, float]]:
    """(column, position) of elements near a tie of float32, closest first."""
    found = []
    for _ in range(blocks):
        start = int(generator.integers(0, int(limit)))
        values = posenc.encode(ROWS, dim, start=start, dtype=np.float64)
        low = (values.view(np.int64) & (2**29 - 1)) - 2**28
        for row, column in np.argwhere((np.abs(low) < 2**7) & (np.abs(values) > 2.0**-15)).tolist():
            found.append((abs(int(low[row, column])), column, float(start + row)))
    for _, column, position in sorted(found)[:KEPT]:
        yield column, position


def of_16_bits(dim: int, kind: str, blocks: int, generator: np.random.Generator) -> Iterator[tuple[int, float]]:
    """The same of a narrow format, large values and small ones."""
    digits, smallest = DIGITS[kind]
    found: dict[bool, list[tuple[float, int, float]]] = {False: [], True: []}
    for _ in range(blocks):
        start = int(generator.integers(0, 2**45))
        values = posenc.encode(ROWS, dim, start=start, dtype=np.float64)
        unit = np.ldexp(1.0, np.maximum(np.frexp(values)[1] - digits, smallest))
        distance = np.abs(np.abs(values) / unit % 1.0 - 0.5)
        small = np.abs(values) < 2.0**-11
        for few in (False, True):
            near = np.where((small == few) & (np.abs(values) >= unit), distance, 1.0)
            for at in np.argsort(near, axis=None)[:4].tolist():
                row, column = divmod(at, dim)
                found[few].append((float(near[row, column]), column, float(start + row)))
    for cases_ in found.values():
        for distance_, column, position in sorted(cases_)[:KEPT]:
            if distance_ < 2.0**-9:
                yield column, position


def single(dim: int, column: int, digits: int, generator: np.random.Generator) -> Iterator[tuple[int, float]]:
    found: list[tuple[float, int, float]] = []
    with mp.workprec(200):
        w = truth.frequency(column // 2, dim)
        for _ in range(400):
            tie = mpf(2 * int(generator.integers(2 ** (digits - 1), 2**digits)) + 1) / 2 ** (digits + 1)
            turns = 2 * mp.pi * int(generator.integers(-1000, 1000))
            position = float(((mp.acos if column % 2 else mp.asin)(tie) + turns) / w)
            angle = mpf(position) * w
            found.append((float(abs((mp.cos if column % 2 else mp.sin)(angle) / tie - 1)), column, position))
    for _, found_column, position in sorted(found)[:KEPT]:
        yield found_column, position


def far_and_small(blocks: int, generator: np.random.Generator) -> Iterator[tuple[int, float]]:
    """(column, position) of small elements of far positions near a tie of float32, at dim 2."""
    found = []
    for _ in range(blocks):
        start = int(generator.integers(2**45, 2**53 - 2**20))
        values = np.abs(posenc.encode(2**20, 2, start=start, dtype=np.float64))
        small = (values > 2.0**-19) & (values < 2.0**-13)
        unit = np.ldexp(1.0, np.frexp(values)[1] - 24)
        for row, column in np.argwhere(small & (np.abs(values / unit % 1.0 - 0.5) * unit < 2.0**-50)).tolist():
            value, tie = abs(truth.element(float(start + row), column, 2)), Fraction(float(unit[row, column]))
            distance = abs(value / tie % 1 - Fraction(1, 2)) * tie
            found.append((float(distance), column, float(start + row)))
    for _, column, position in sorted(found)[:KEPT]:
        yield column, position


def of_float64(dim: int, limit: float, blocks: int, generator: np.random.Generator) -> Iterator[tuple[int, float]]:
    """(column, position) of float64 elements that err most."""
    with mp.workprec(300):
        turns = [int(mp.ldexp(truth.frequency(k, dim) / (2 * mp.pi), 192)) for k in range(dim // 2)]
    found = []
    for _ in range(blocks):
        start = int(generator.integers(0, int(limit)))
        values = posenc.encode(ROWS, dim, start=start, dtype=np.float64).reshape(ROWS, dim // 2, 2)
        # Angles in turns, to 2^-64: exact integers, of which long doubles hold 64 bits.
        angles = np.array([[(p * w >> 128) % 2**64 for w in turns] for p in range(start, start + ROWS)], np.uint64)
        radians = angles.astype(np.longdouble) * (np.longdouble(2) ** -63 * np.arccos(np.longdouble(-1)))
        errors = np.abs(values - np.stack([np.sin(radians), np.cos(radians)], axis=2)).reshape(ROWS, dim)
        for at in np.argsort(errors, axis=None)[-4:].tolist():
            row, column = divmod(at, dim)
            found.append((-float(errors[row, column]), column, float(start + row)))
    for _, column, position in sorted(found)[:KEPT]:
        yield column, position


def cases() -> Iterator[tuple[str, str, int, int, float]]:
    generator = np.random.default_rng(1)
    for dim, blocks in ((2, 40000), (8, 10000), (64, 1200), (512, 150)):
        for limit in (2.0**20, 2.0**31, 2.0**45, 2.0**53 - ROWS):
            for column, position in in_runs(dim, limit, blocks, generator):
                yield "run", "float32", dim, column, position
    for kind in ("float32", "float16", "bfloat16"):
        for dim, column in ((2, 0), (2, 1), (8, 2), (8, 5), (64, 31)):
            for at, position in single(dim, column, DIGITS[kind][0], generator):
                yield "single", kind, dim, at, position
    for column, position in far_and_small(1000, np.random.default_rng(4)):
        yield "far", "float32", 2, column, position
    generator = np.random.default_rng(2)
    for kind in ("float16", "bfloat16"):
        for dim in (2, 8):
            for column, position in of_16_bits(dim, kind, 3000, generator):
                yield "whole", kind, dim, column, position
    generator = np.random.default_rng(3)
    for dim, blocks in ((2, 4000), (8, 2000)):
        for limit in (2.0**20, 2.0**31):
            for column, position in of_float64(dim, limit, blocks, generator):
                yield "double", "float64", dim, column, position


def main() -> None:
    print("kind,format,dim,column,position,rounded")
    for kind, name, dim, column, position in cases():
        value = truth.nearest(truth.element(position, column, dim), *DIGITS[name])
        print(kind, name, dim, column, position.hex(), value.hex(), sep=",")


if __name__ == "__main__":
    main()
