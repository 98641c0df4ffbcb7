"""The compiled core on aarch64, under an emulator: the same bits as here, from tests/cross/driver.cpp.

Needs a cross compiler and qemu (Debian: g++-aarch64-linux-gnu, qemu-user). Takes a minute: `nox -s aarch64` runs it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import posenc
import pytest
from posenc import _encoding

from . import backends, compiled

ENCODINGS = [
    *((posenc.Encoding(), dim) for dim in (1, 2, 7, 33, 64, 511)),
    (posenc.Encoding(layout="concatenated", freq_shift=1, amplitude=-0.3), 70),
    (posenc.Encoding(odd="zero", cos_first=True, position_scale=1000), 33),
    (posenc.Encoding(axes=2, nesting="kta", base=100), 64),
]
CROSS = [os.environ.get("POSENC_CROSS_CXX", "aarch64-linux-gnu-g++"), "-static"]
EMULATOR = "qemu-aarch64"
LEVELS = ["baseline", *(compiled.ISA_FLAGS if platform.machine() == "x86_64" else [])]
SOURCES = {"tests/cross/driver.cpp": (), "csrc/call.cpp": (), "csrc/dispatch.cpp": (), "csrc/shared.cpp": ()}

pytestmark = [pytest.mark.slow, *compiled.NEEDS]


def compile_driver(target: Path, compiler: Sequence[str], levels: Sequence[str]) -> Path:
    """Compile the driver as CMake compiles the core, each ISA level with its flags."""
    kernels = {f"csrc/kernel/level_{level}.cpp": compiled.ISA_FLAGS.get(level, ()) for level in levels}
    return compiled.program(target, compiler, SOURCES | kernels)


def write_tables(directory: Path) -> list[Path]:
    """What the driver needs to know of some encodings, one file for each of their axes."""
    paths = []
    for encoding, dim in ENCODINGS:
        for spectrum in _encoding.spectra(encoding, dim):
            paths.append(compiled.write_table(directory / f"{len(paths)}.bin", spectrum))
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
    here = digests(compile_driver(tmp_path / "here", ["c++"], LEVELS), *tables)
    there = digests(EMULATOR, compile_driver(tmp_path / "there", CROSS, ["baseline"]), *tables)
    assert set(here) == set(backends.LEVELS)
    assert set(there) == {"baseline"}
    for level, lines in here.items():
        assert lines == there["baseline"], level
