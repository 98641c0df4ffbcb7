"""What a compiler and a linker can spoil without any test of results noticing, read from the objects of the last build.

A template or inline function that two ISA levels compile leaves one weak copy: an old processor would run a new one's
instructions. It happens where nothing was inlined, so the kernels are compiled again here, at -O0 as well.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from . import backends

REQUIRED = os.environ.get("POSENC_REQUIRE_NATIVE", "").lower() not in {"", "0", "false", "off", "no"}
LEVELS = sorted(path.stem for path in Path(__file__).parents[1].glob("csrc/kernel/level_*.cpp"))
WITH_AVX = {"level_avx2", "level_avx512"}
WITH_PYBIND11 = {"bindings", "attempt", "calls", "lend", "torch", "verb"}
AVX = re.compile(r"^\s*\w+:\s+(v[a-z]\w*\s.*|.*%[yz]mm.*)$", re.MULTILINE)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads ELF objects"),
    pytest.mark.skipif(backends.core is None, reason="there is no compiled core"),
]


@dataclass
class Unit:
    """One file of csrc, as it was compiled."""

    command: list[str]
    directory: Path

    @property
    def object(self) -> Path:
        return self.directory / self.command[self.command.index("-o") + 1]

    def compile(self, target: Path, *flags: str) -> Path:
        command = [str(target) if str(self.directory / word) == str(self.object) else word for word in self.command]
        run(*command, *flags, cwd=self.directory)
        return target


def unavailable(reason: str) -> NoReturn:
    """Skip, unless this is a run that must not leave anything out."""
    if REQUIRED:
        pytest.fail(f"POSENC_REQUIRE_NATIVE is set, but {reason}")
    pytest.skip(reason)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    if shutil.which(str(command[0])) is None:
        unavailable(f"there is no {command[0]}")
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, cwd=cwd).stdout


@pytest.fixture(scope="module")
def build() -> dict[str, Unit]:
    """How the newest build for this Python compiled each file of csrc. Sanitizers add symbols: builds with them not."""
    modules = Path(__file__).parents[1].glob(f"build/*/{Path(core_path()).name}")
    for module in sorted(modules, key=lambda path: path.stat().st_mtime, reverse=True):
        commands = (module.parent / "compile_commands.json").read_text()
        if "-fsanitize" not in commands:
            return {
                Path(entry["file"]).stem: Unit(shlex.split(entry["command"]), Path(entry["directory"]))
                for entry in json.loads(commands)
            }
    unavailable("build/ holds no build for this Python: run pip install . here first")


def core_path() -> str:
    assert backends.core is not None
    assert backends.core.__file__ is not None
    return backends.core.__file__


def test_one_exported_symbol():
    exported = run("nm", "--dynamic", "--defined-only", "--format=posix", core_path())
    assert [line.split()[0] for line in exported.splitlines()] == ["PyInit__core"]


@pytest.mark.parametrize("optimisation", ["-O0", "as built"])
@pytest.mark.parametrize("level", LEVELS)
def test_isa_levels_share_no_code(build, level, optimisation, tmp_path):
    if level not in build:
        pytest.skip("not for this processor")
    unit = build[level]
    target = unit.object if optimisation == "as built" else unit.compile(tmp_path / f"{level}.o", optimisation)
    symbols = run("nm", "--defined-only", "--demangle", target).splitlines()
    # Lower-case letters are local symbols, except for these three, which are weak or unique.
    shared = [line.split(maxsplit=2)[1:] for line in symbols if re.match(r"\w+ [A-Zuvw] ", line)]
    name = level.removeprefix("level_")
    functions = [f"T posenc::{what}_{name}(" for what in ("merge", "prepare", "run", "turn")]
    found = sorted(" ".join(symbol) for symbol in shared)
    assert len(found) == len(functions), f"symbols that the linker may merge with another level's: {found}"
    assert all(symbol.startswith(name) for symbol, name in zip(found, functions, strict=True)), found


def test_processor_flags_only_where_they_were_asked_for(build):
    assert {name for name, unit in build.items() if any(word.startswith("-m") for word in unit.command)} <= WITH_AVX


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 instructions")
def test_avx_only_where_it_was_asked_for(build):
    # Not where thousands of templates were not inlined: objdump takes half a minute over them.
    units = {name: unit for name, unit in build.items() if unit.object.stat().st_size < 4 * 2**20}
    assert set(units) >= set(build) - WITH_PYBIND11
    found = {name: AVX.findall(run("objdump", "-d", "--no-show-raw-insn", unit.object)) for name, unit in units.items()}
    first = {name: instructions[:3] for name, instructions in found.items() if instructions}
    assert set(first) == WITH_AVX, first
    assert not any("%zmm" in instruction for instruction in found["level_avx2"])


def test_no_thread_runtime():
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "--dynamic", "--wide", core_path()))
    assert needed
    assert not [library for library in needed if re.search("omp|tbb", library)]
    assert not re.search("lib[gi]?omp|libtbb", run("ldd", core_path()))  # nor do those libraries need one
