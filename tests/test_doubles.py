"""The doubles of every producer of the compiled kernel against mpmath: within the bounds that the kernel goes by.

tests/cross/doubles.cpp, which includes the kernel's text, writes both. Bounds must be true and not slack.
"""

from __future__ import annotations

import functools
import math
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.typing import NDArray
from posenc import Encoding
from posenc._encoding import Spectrum, spectra

from . import backends, compiled
from .backends import TUNING

RECORD = np.dtype([("position", "<f8"), ("value", "<f8"), ("bound", "<f8"), ("source", "<i4"), ("producer", "<i4")])
PRODUCERS = ("evaluated", "near", "far", "strip", "rotated", "first_row", "down", "next", "grid", "sums", "narrow")
# What the largest error is of its bound, at least. Half of the bounds of quick rows and of strips would be too little.
REACHED = {"near": 0.5, "far": 0.5, "strip": 0.5, "rotated": 0.5, "next": 0.5}
OTHERS = 0.2

SCALE = 1647099.3291654119  # makes every term of the reduction's error large
STEADY = tuple(round(math.acos(y / 1.05) / 3.5e-16) for y in (1.003, 1.0031, 1.0035, 1.004, 1.005, 1.007, 1.01))
CASES = {
    "paper": (Encoding(), 16, (0, 5000, -700, 2**31, 2**53 - 2**14)),
    "alternating": (Encoding(frequencies=[2.0, 3.1, math.pi / 2, 1.5, 0.7, 0.3], amplitude=0.7), 12, (0, 1000, -333)),
    "small angles": (
        Encoding(frequencies=[1e-3, 3e-4, 1e-5, 1e-7, 1e-30, 0.02], cos_first=True, amplitude=-3.1),
        12,
        (0, -30, -100, -448, -300, 1),
    ),
    "large angles": (Encoding(position_scale=SCALE, layout="concatenated"), 8, (2**52, 2**40 + 1, 2**30)),
    "quarter turns": (
        Encoding(frequencies=[0.25, 0.25 + 2**-40, 0.5, 0.5 - 2**-45, 0.125, 0.75 + 2**-34], full_turns=True),
        12,
        (0, -64, 2**31),
    ),
    # A step of just below half a unit of the last place is lost, or doubled, in every row.
    "steady rounding": (Encoding(frequencies=[3.5e-16, 3.6e-16], amplitude=1.05), 4, STEADY),
    "any order": (Encoding(odd="zero", amplitude="rsqrt_dim"), 7, (12345,)),
}

pytestmark = compiled.NEEDS


# Levels differ in how many lanes they have: the widest stands for those that fuse, the baseline does not.
LEVELS = [
    pytest.param(level, marks=[pytest.mark.slow] if 0 < i < len(backends.LEVELS) - 1 else [])
    for i, level in enumerate(backends.LEVELS)
]


@pytest.fixture(scope="module", params=LEVELS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("c++") is None:
        pytest.skip("there is no c++")
    directory = tmp_path_factory.mktemp("doubles")
    flags = compiled.ISA_FLAGS.get(request.param, ())
    return compiled.program(directory / "built", ["c++"], {"tests/cross/doubles.cpp": flags}, "-O1")


def records(program: Path, spectrum: Spectrum, starts: tuple[int, ...], count: int) -> NDArray[np.void]:
    """At most `count` of those that the program writes for each producer and start."""
    table = compiled.write_table(program.parent / "table.bin", spectrum)
    generator = np.random.default_rng(9)
    parts = []
    for start in starts:
        output = subprocess.run([program, table, str(start)], check=True, capture_output=True).stdout
        made = np.frombuffer(output, RECORD)
        made = made[made["source"] >= 0]
        for producer in range(len(PRODUCERS)):
            mine = made[made["producer"] == producer]
            few = generator.choice(mine, min(count, len(mine)), replace=False)
            parts += [few, mine[-8:]]  # the last row of a strip errs most
    return np.concatenate(parts)


def ratios(made: NDArray[np.void], spectrum: Spectrum, amplitude: mpf) -> dict[str, list[float]]:
    """What the errors are of their bounds, for each producer."""
    result = defaultdict(list)
    with mp.workprec(320):

        @functools.cache
        def pair(position: float, k: int) -> tuple[mpf, mpf]:
            angle = mpf(position) * backends.frequency(spectrum, k) * mp.pi / 2
            return mp.sin(angle), mp.cos(angle)

        for position, value, bound, source, producer in made.tolist():
            error = abs(mpf(value) - amplitude * pair(position, source // 2)[source % 2])
            if bound == 0.0 and error < mpf(2) ** -200:  # exact, but for the rounding of pi
                continue
            result[PRODUCERS[producer]].append(float(error / bound) if bound != 0.0 else math.inf)
    return result


def check(program: Path, count: int) -> None:
    worst: dict[str, float] = defaultdict(float)
    for name, (encoding, dim, starts) in CASES.items():
        spectrum = spectra(encoding, dim)[0]
        amplitude = 1 / mp.sqrt(dim) if isinstance(encoding.amplitude, str) else mpf(encoding.amplitude)
        for producer, found in ratios(records(program, spectrum, starts, count), spectrum, amplitude).items():
            assert max(found) <= 1, (name, producer, max(found))
            worst[producer] = max(worst[producer], max(found))
    for producer, ratio in worst.items():
        assert ratio > REACHED.get(producer, OTHERS), (producer, ratio)


def test_doubles(program: Path) -> None:
    check(program, 60)


def test_anchors_below_0(program: Path) -> None:
    # Small angles: tiles rotated from an anchor inherit the error of its larger angles. No double gets near this bound.
    encoding, dim, _ = CASES["small angles"]
    rows = TUNING["tile_rows"]
    made = records(program, spectra(encoding, dim)[0], (-7 * rows,), 10**6)
    there = made[(made["producer"] == PRODUCERS.index("rotated")) & (made["source"] == 2 * 1)]
    there = there[there["position"] < -7 * rows + 5 * rows]
    assert len(there) > 100
    assert (there["bound"] > 2.0**-53 * 3.1 * (rows + 40) * 3e-4 * 7 * rows).all()


@pytest.mark.slow
def test_many_doubles(program: Path) -> None:
    check(program, 1000)
