"""The backends and ISA levels that tests run on. Not a test, and not posenc's own choice among them."""

from __future__ import annotations

import collections
import contextlib
import importlib
from collections.abc import Iterator, Mapping

import pytest
from mpmath import mp, mpf
from posenc import _backend
from posenc._encoding import PAPER, Spectrum, spectra

NAMES = ("cpp", "numba", "numpy")
MISSING = {name: reason for name in NAMES if (reason := _backend.why_not(name)) is not None}
core = None if "cpp" in MISSING else importlib.import_module("posenc._core")
LEVELS: list[str] = core.levels() if core else []  # those this processor has, fastest first
TUNING: Mapping[str, int] = core.tuning() if core else collections.defaultdict(lambda: 64)  # csrc/tuning.hpp


def forget() -> None:
    """What small calls remember, if there are any."""
    if _backend.chosen.small is not None:
        _backend.chosen.small.forget()


def spectrum(dim: int) -> Spectrum:
    """The paper's, at a width."""
    return spectra(PAPER, dim)[0]


def frequency(spectrum: Spectrum, k: int) -> mpf:
    """A frequency in quarter turns, as the last stage of rounding has it."""
    mantissa, exponent, divisor = spectrum.numbers[k]
    number = mp.ldexp(mantissa if divisor else mantissa + 1, exponent) / (divisor or 1)
    return mp.sign(spectrum.frequencies[0, k]) * number * (4 if spectrum.full_turns else 2 / mp.pi)


@contextlib.contextmanager
def at_level(level: str | None) -> Iterator[None]:
    """Run the compiled core at one ISA level, then at the former one again."""
    if level is None:
        yield
        return
    assert core is not None
    former = core.level()
    core.use_level(level)
    try:
        yield
    finally:
        core.use_level(former)


def _case(name: str, level: str | None = None):
    marks = pytest.mark.skip(reason=MISSING[name]) if name in MISSING else ()
    return pytest.param((name, level), id=f"{name}-{level}" if level else name, marks=marks)


# (backend, ISA level) pairs to parametrise a test over; no name is what users give, and has short cuts of its own.
COMPILED = [_case("cpp", level) for level in LEVELS] or [_case("cpp")]
OTHERS = [*COMPILED, _case("numba")]  # all but the reference: comparing that to itself could not fail
NAMED = [*OTHERS, _case("numpy")]
ALL = [*NAMED, pytest.param((None, None), id="default")]
