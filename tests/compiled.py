"""Programs from the sources of the compiled core, without Python, and the tables they read. Not a test."""

from __future__ import annotations

import atexit
import functools
import re
import shutil
import subprocess
import tempfile
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
    common = {f"csrc/{name}.cpp": () for name in COMMON}
    shared = _objects(tuple(compiler), tuple(optimisation), tuple(common.items()))
    own = _objects(tuple(compiler), tuple(optimisation), tuple((name, tuple(more)) for name, more in sources.items()))
    flags = _flags(optimisation)  # some, as --coverage, are the linker's, too
    subprocess.run([*compiler, *flags, *shared, *own, "-pthread", "-o", target / "program"], check=True)
    return target / "program"


def _flags(optimisation: Sequence[str]) -> list[str]:
    assert backends.core is not None
    return ["-std=c++20", *backends.core.flags.split(), *optimisation]


@functools.cache
def _objects(
    compiler: tuple[str, ...], optimisation: tuple[str, ...], sources: tuple[tuple[str, tuple[str, ...]], ...]
) -> list[Path]:
    """Object files, compiled at the same time, and once in a session."""
    flags = _flags(optimisation)
    directory = Path(tempfile.mkdtemp(prefix="posenc-objects-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    objects = [directory / f"{Path(source).stem}.o" for source, _ in sources]
    running = [
        subprocess.Popen([*compiler, *flags, *more, "-c", ROOT / source, "-o", target])
        for (source, more), target in zip(sources, objects, strict=True)
    ]
    assert [process.wait() for process in running] == [0] * len(running)
    return objects


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
