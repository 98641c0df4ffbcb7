"""Programs from the sources of the compiled core, without Python, and the tables they read. Not a test."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from posenc._encoding import Spectrum
from posenc._frequencies import pack

from . import backends

ROOT = Path(__file__).parents[1]
CMAKE = ROOT / "CMakeLists.txt"
ISA_FLAGS = (
    {name: flags.split() for name, flags in re.findall(r"set\(POSENC_FLAGS_(\w+) (.*)\)", CMAKE.read_text())}
    if CMAKE.exists()
    else {}
)
COMMON = ("exact", "memory", "table")
NEEDS = [
    pytest.mark.skipif(backends.core is None, reason="there is no compiled core, whose flags are wanted"),
    pytest.mark.skipif(not (ROOT / "csrc").exists(), reason="the sources of the compiled core are not here"),
]


def program(target: Path, compiler: Sequence[str], sources: Mapping[str, Sequence[str]], *optimisation: str) -> Path:
    """Compile and link `sources`, each with flags of its own, as CMake compiles the core."""
    target.mkdir()
    assert backends.core is not None
    flags = ["-std=c++20", *backends.core.flags.split(), *optimisation]
    objects = []
    for source, more in ({f"csrc/{name}.cpp": () for name in COMMON} | dict(sources)).items():
        objects.append(target / f"{Path(source).stem}.o")
        subprocess.run([*compiler, *flags, *more, "-c", ROOT / source, "-o", objects[-1]], check=True)
    subprocess.run([*compiler, *objects, "-pthread", "-o", target / "program"], check=True)
    return target / "program"


def write_table(path: Path, spectrum: Spectrum) -> Path:
    """Write what tests/cross/read_table.hpp reads."""
    with path.open("wb") as file:
        np.array([spectrum.dim, spectrum.frequencies.shape[1]], "<u8").tofile(file)
        np.array([spectrum.amplitude, spectrum.full_turns, *spectrum.special], "<f8").tofile(file)
        pack([spectrum.factor]).astype("<u8").tofile(file)
        spectrum.frequencies.astype("<f8").tofile(file)
        for array in spectrum.numbers.packed():
            np.array([array.size], "<u8").tofile(file)
            array.astype(array.dtype.newbyteorder("<")).tofile(file)
        spectrum.source.astype("<i4").tofile(file)
    return path
