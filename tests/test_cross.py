"""The compiled core on aarch64, under an emulator: the same bits as here, from tests/cross/driver.cpp.

Needs a cross compiler and qemu (Debian: g++-aarch64-linux-gnu, qemu-user). Takes a minute: `nox -s aarch64` runs it.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import posenc
import pytest
from posenc import _encoding
from posenc._frequencies import pack

from . import backends

ROOT = Path(__file__).parents[1]
COMMON = ["call", "dispatch", "exact", "memory", "shared", "table"]
ENCODINGS = [
    *((posenc.Encoding(), dim) for dim in (1, 2, 7, 33, 64, 511)),
    (posenc.Encoding(layout="concatenated", freq_shift=1, amplitude=-0.3), 70),
    (posenc.Encoding(odd="zero", cos_first=True, position_scale=1000), 33),
    (posenc.Encoding(axes=2, nesting="kta", base=100), 64),
]
CROSS = [os.environ.get("POSENC_CROSS_CXX", "aarch64-linux-gnu-g++"), "-static"]
EMULATOR = "qemu-aarch64"
CMAKE = ROOT / "CMakeLists.txt"
ISA_FLAGS = dict(re.findall(r"set\(POSENC_FLAGS_(\w+) (.*)\)", CMAKE.read_text())) if CMAKE.exists() else {}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(backends.core is None, reason="there is no compiled core, whose flags are wanted"),
    pytest.mark.skipif(not (ROOT / "csrc").exists(), reason="the sources of the compiled core are not here"),
]


def compile_driver(target: Path, compiler: Sequence[str], levels: Sequence[str]) -> Path:
    """Compile the driver as CMake compiles the core, each ISA level with its flags."""
    target.mkdir()
    assert backends.core is not None
    flags = ["-std=c++20", *backends.core.flags.split()]
    sources = {ROOT / f"csrc/{name}.cpp": [] for name in COMMON} | {ROOT / "tests/cross/driver.cpp": []}
    sources |= {ROOT / f"csrc/kernel/level_{level}.cpp": ISA_FLAGS.get(level, "").split() for level in levels}
    objects = []
    for source, more in sources.items():
        objects.append(target / f"{source.stem}.o")
        subprocess.run([*compiler, *flags, *more, "-c", source, "-o", objects[-1]], check=True)
    subprocess.run([*compiler, *objects, "-pthread", "-o", target / "driver"], check=True)
    return target / "driver"


def write_tables(directory: Path) -> list[Path]:
    """What the driver needs to know of some encodings, one file for each of their axes."""
    paths = []
    for encoding, dim in ENCODINGS:
        for spectrum in _encoding.spectra(encoding, dim):
            paths.append(directory / f"{len(paths)}.bin")
            with paths[-1].open("wb") as file:
                np.array([dim, spectrum.frequencies.shape[1]], "<u8").tofile(file)
                np.array([spectrum.amplitude, spectrum.full_turns, *spectrum.special], "<f8").tofile(file)
                pack([spectrum.factor]).astype("<u8").tofile(file)
                spectrum.frequencies.astype("<f8").tofile(file)
                for array in spectrum.numbers.packed():
                    np.array([array.size], "<u8").tofile(file)
                    array.astype(array.dtype.newbyteorder("<")).tofile(file)
                spectrum.source.astype("<i4").tofile(file)
    return paths


def digests(*command: str | Path) -> dict[str, list[str]]:
    """What the driver printed, for each level."""
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "outside" not in output
    result: dict[str, list[str]] = {}
    for line in output.splitlines():
        level, rest = line.split(maxsplit=1)
        result.setdefault(level, []).append(rest)
    return result


def test_aarch64_has_the_same_bits(tmp_path: Path) -> None:
    for program in (CROSS[0], EMULATOR):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}")
    tables = write_tables(tmp_path)
    compiled = ["baseline", *(ISA_FLAGS if platform.machine() == "x86_64" else [])]
    here = digests(compile_driver(tmp_path / "here", ["c++"], compiled), *tables)
    there = digests(EMULATOR, compile_driver(tmp_path / "there", CROSS, ["baseline"]), *tables)
    assert set(here) == set(backends.LEVELS)
    assert set(there) == {"baseline"}
    for level, lines in here.items():
        assert lines == there["baseline"], level
