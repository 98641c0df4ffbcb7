"""The last stage of rounding, and that every backend hands it what it must decide: exact ties, and values next to them.

Against mpmath, at thousands of bits.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import posenc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mp, mpf
from posenc import _exact, _frequencies
from posenc._encoding import spectra

from . import truth
from .arrays import assert_same_bits, bfloat16
from .backends import spectrum

POSITIONS = {
    "ties": truth.near_ties(200),
    "tiny ties": truth.tiny_ties(),
    "quarter turns": [float(p) for p in truth.near_quarter_turns(0, 2)],
    "ends": [2.0**53, -(2.0**53), 5e-324, -1e-300, 1e-45, 7e-46],
}


def exact(positions: list[float], dim: int) -> np.ndarray:
    return np.array([[_exact.exact(spectrum(dim), p, j) for j in range(dim)] for p in positions], np.float32)


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the last stage decided, call by call."""
    result: list[bool] = []

    def value(*args: Any) -> tuple[int, int, bool]:
        digits, power, decided = original(*args)
        result.append(decided)
        return digits, power, decided

    original = _exact._value
    monkeypatch.setattr(_exact, "_value", value)
    return result


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("kind", POSITIONS)
def test_hard_cases(kind: str, dim: int, decisions: list[bool]) -> None:
    assert_same_bits(exact(POSITIONS[kind], dim), truth.encoding(POSITIONS[kind], dim).float32())
    assert decisions
    assert all(decisions)  # 256 bits will do


def test_the_ties_are_hard() -> None:
    # Else the test above would say little: a double sine rounds to the wrong side for many of them.
    positions = np.array(POSITIONS["ties"])
    true = truth.encoding(positions.tolist(), 1)
    distance = np.abs(true.ulps(true.float32()) - 0.5)
    assert (distance < 1e-8).all()
    assert (np.sin(positions).astype(np.float32) != true.float32()[:, 0]).sum() > 5


@given(st.floats(-(2.0**53), 2.0**53), st.integers(1, 9))
def test_any(position: float, dim: int) -> None:
    assert_same_bits(exact([position], dim), truth.encoding([position], dim).float32())


def test_zero() -> None:
    for zero in (0.0, -0.0):
        got = exact([zero], 4)[0]
        assert got.tolist() == [0, 1, 0, 1]
        assert math.copysign(1, got[0]) == 1


@given(st.floats(-(2.0**53), 2.0**53), st.sampled_from([64, 128]))
def test_a_stage_knows_whether_it_decided(position: float, bits: int) -> None:
    # At few bits a stage is often undecided, and then says so; the next one decides.
    s = spectrum(2)
    want = _exact.exact(s, position, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_exact, "STAGES", (bits, 512))
        assert _exact.exact(s, position, 0) == want


# ---- exact ties, next to them, and zeros: on every backend ----


class Hard(NamedTuple):
    label: str
    parameters: dict[str, Any]
    positions: list[float]
    dim: int = 2


TURNS = [*range(-25, 26), 2.5, -7.5, 12.25, 2.0**40 + 5, 2.0**52 - 1, 1 - 2.0**53, 0.5**40, 3 * 0.5**60]
# Odd multiples of half a spacing: of float32, float16 and bfloat16; the middles between two of those, too.
ODD = {
    "float32": 2.0**24 + 1,
    "float32, twice": 2.0**25 + 2,
    "float16": 2049.0,
    "bfloat16": 257.0,
    "float16, up": 2051.0,
}
SMALL_ODD = {
    "float32": 2.0**-150 * (2**24 + 3),
    "subnormal": 3 * 2.0**-150,
    "float16": 3 * 2.0**-25,
    "least": 2.0**-150,
}
TINY = [1e-50, -1e-50, 5e-324, 1e-160, -1e-160, 1e-310, 2.0**-538, 1e-8, 2.0**-13, 0.0, -0.0]
SHORT = (2.0**52 + 2**26 + 1) * 2.0**-52

HARD = [
    *(Hard(f"twelfths {k}", {"full_turns": True, "base": 144.0, "amplitude": a}, TURNS, 4) for k, a in ODD.items()),
    *(Hard(f"-twelfths {k}", {"full_turns": True, "base": 144.0, "amplitude": -a}, TURNS, 4) for k, a in ODD.items()),
    *(
        Hard(f"small {k}", {"frequencies": [0.0], "amplitude": a}, [0.0, 1.0, 1e300**0.05])
        for k, a in SMALL_ODD.items()
    ),
    *(Hard(f"1 - x^2/2 {k}", {"amplitude": a}, TINY) for k, a in ODD.items()),
    *(Hard(f"1 - x^2/2, small {k}", {"amplitude": -a}, TINY) for k, a in SMALL_ODD.items()),
    Hard("cos below a tie", {"amplitude": 1 + 3 * 2.0**-24}, TINY),
    Hard(
        "sin below a tie", {}, [n * 2.0**e for n in (2.0**24 + 1, 2.0**24 + 3, 2049.0, 257.0) for e in (-40, -80, -149)]
    ),
    Hard("a tenth", {}, [10 * (2**24 + 1) * 2.0**-60, 10 * (2**24 + 3) * 2.0**-90, 30 * 2049 * 2.0**-70], 8),
    Hard("explicit tie", {"frequencies": [3.0], "position_scale": 2.0**-30}, [(2**24 + 1) / 3 * 2.0**-40, 2.0**25 + 3]),
    Hard("powers of two", {"full_turns": True, "base": 2.0**30, "amplitude": 16777217.0}, TURNS, 20),
    Hard(
        "tenths of turns", {"full_turns": True, "amplitude": 257.0}, [*TURNS, 500.0, 10.0**9 + 5, 2.0**53 // 5 * 5], 8
    ),
    Hard("cubes", {"full_turns": True, "base": 27.0, "freq_shift": -1.0, "amplitude": 2049.0}, TURNS, 4),
    Hard("roots that are irrational", {"full_turns": True, "base": 10.0, "amplitude": 257.0}, TURNS, 4),
    Hard("eighths", {"frequencies": [0.125, 1.0], "full_turns": True, "amplitude": "sqrt_2_over_dim"}, TURNS, 4),
    Hard("sqrt(3)", {"frequencies": [0.125, 1 / 3, 0.25], "full_turns": True, "amplitude": "rsqrt_dim"}, TURNS, 6),
    Hard("sixths", {"full_turns": True, "base": 216.0, "amplitude": "sqrt_2_over_dim"}, TURNS, 6),
    Hard("not 0", {"full_turns": True, "position_scale": SHORT, "frequencies": [2.0**8 / SHORT]}, [2.0**52 - 1, 3.0]),
    Hard("amplitude unrounded", {"amplitude": "rsqrt_dim"}, [0.16602685506921833, 0.0, 1.0], 2),
    Hard("tiny products", {"position_scale": 1e-160}, [1e-160, -1e-160, 1e-150, 5e-324, 1e-10, 1.0, 2.0**53]),
    Hard("small products", {"position_scale": 1e-30, "amplitude": 1e38}, [1e-30, -3e-40, 1e-8, 1e9, -(2.0**53)]),
    Hard("underflow", {"position_scale": 1e-60, "amplitude": 1e-35}, [-9.0, 9.0, -(2.0**53), 2.0**-300]),
    Hard("subnormal", {"amplitude": 1e-42}, [-9.0, 10.0, 0.1, -1e-3, 1e9]),
]


@functools.cache
def true_rows(index: int) -> list[list[Fraction]]:
    hard = HARD[index]
    return [[truth.element(p, j, hard.dim, **hard.parameters) for j in range(hard.dim)] for p in hard.positions]


def rounded(x: Fraction, dtype: Any) -> np.ndarray:
    digits, smallest = {"float32": (24, -149), "float16": (11, -24), "bfloat16": (8, -133)}[np.dtype(dtype).name]
    return np.array(truth.nearest(x, digits, smallest)).astype(dtype)


@pytest.mark.parametrize("index", range(len(HARD)), ids=[hard.label for hard in HARD])
@pytest.mark.filterwarnings("ignore:overflow")
def test_ties(index: int, backend: str | None) -> None:
    hard, true = HARD[index], true_rows(index)
    encoding = posenc.Encoding(**hard.parameters)
    for dtype in (np.float32, np.float16, *((bfloat16,) if bfloat16 else ())):
        want = np.array([[rounded(x, dtype) for x in row] for row in true])
        got = np.empty(want.shape, dtype)
        posenc.fill_(got, positions=np.array(hard.positions), encoding=encoding, backend=backend)
        assert_same_bits(got, want, np.dtype(dtype).name)
        for start in {p for p in hard.positions if p % 1 == 0 and abs(p) < 2**53 - 99}:  # rows of a run
            rows = np.empty((41, hard.dim), dtype)
            posenc.fill_(rows, start=start - 17, encoding=encoding, backend=backend)
            assert_same_bits(rows[17], want[hard.positions.index(start)], f"{np.dtype(dtype).name} from {start}")
    double = posenc.encode(hard.positions, hard.dim, encoding=encoding, dtype=np.float64, backend=backend)
    assert_same_bits(
        double, posenc.encode(hard.positions, hard.dim, encoding=encoding, dtype=np.float64, backend="numpy")
    )
    assert not np.signbit(double[double == 0]).any()
    size = abs(spectra(encoding, hard.dim)[0].amplitude)
    assert all(
        abs(Fraction(float(g)) - x) <= Fraction(1e-15) * Fraction(size) + Fraction(1, 2**1070)
        for p, values, row in zip(hard.positions, double, true, strict=True)
        for g, x in zip(values, row, strict=True)
        if abs(p) <= 2**31
    )


def test_there_are_exact_ties_among_them() -> None:
    ties = 0
    for index, hard in enumerate(HARD):
        s = spectra(posenc.Encoding(**hard.parameters), hard.dim)[0]
        for p, row in zip(hard.positions, true_rows(index), strict=True):
            for j, x in enumerate(row):
                odd = _exact.exact(s, p, j)
                assert (Fraction(odd) == x) == (x.denominator & (x.denominator - 1) == 0 and Fraction(float(x)) == x)
                ties += Fraction(odd) == x != 0 and Fraction(float(np.float32(odd))) != x
    assert ties > 20


@given(
    base=st.sampled_from([2.0, 100.0, 144.0, 10000.0, 1e6, 0.5, 1.1, 7.0]) | st.floats(0.01, 1e6),
    shift=st.sampled_from([0.0, 1.0, -0.5]),
    turns=st.booleans(),
    tie=st.integers(2**23, 2**24 - 1),
    digits=st.sampled_from([24, 11, 8]),
    column=st.integers(0, 5),
    amplitude=st.sampled_from([1.0, -3.0, 1e-30, "rsqrt_dim", "sqrt_2_over_dim", 0.1]),
    around=st.integers(-1000, 1000),
)
def test_near_ties_of_any_encoding(
    base: float,
    shift: float,
    turns: bool,
    tie: int,
    digits: int,
    column: int,
    amplitude: float | str,
    around: int,
    backend: str | None,
) -> None:
    """Positions whose element lies within a double's reach of the middle of two numbers of a format."""
    parameters = {"base": base, "freq_shift": shift, "full_turns": turns, "amplitude": amplitude}
    encoding = posenc.Encoding(**parameters)
    s = spectra(encoding, 6)[0]
    middle = (2 * (tie >> (24 - digits)) + 1) / 2.0 ** (digits + 1)
    with mp.workprec(300):
        arc = mp.acos(mpf(middle)) if column % 2 else mp.asin(mpf(middle))
        w = mpf(float(s.frequencies[0, column // 2])) * mp.pi / 2
        position = float((arc * (1 if abs(around) < 500 else -1) + 2 * mp.pi * (around % 10)) / w)
    if abs(position) > 2.0**53:
        return
    true = truth.element(position, column, 6, **parameters)
    for dtype in (np.float32, np.float16, *((bfloat16,) if bfloat16 else ())):
        got = np.empty((1, 6), dtype)
        posenc.fill_(got, positions=[position], encoding=encoding, backend=backend)
        assert_same_bits(got[:, column], rounded(true, dtype)[None], f"{position!r} {np.dtype(dtype).name}")


# ---- the numbers themselves ----


@given(st.integers(1, 2**53), st.integers(-30, 30), st.integers(1, 9), st.integers(0, 40), st.integers(-3, 3))
@example(144, 0, 2, 1, 0)
def test_progressions(mantissa: int, exponent: int, divisor: int, k: int, shift: int) -> None:
    """What is exact is so, what is not is bracketed, and nothing that could be a tie is missed."""
    base, half = math.ldexp(mantissa, exponent), Fraction(divisor, 2)
    number = _frequencies.progression(3.0, base, half, k + 1)[k]
    with mp.workprec(1500):
        true = 3 * mpf(base) ** (-mpf(k) / (mpf(divisor) / 2))
        if number.divisor:
            assert number.divisor % 2 == 1
            assert abs(mp.ldexp(number.mantissa, number.exponent) / number.divisor - true) <= true * mpf(2) ** -1490
        else:
            assert number.mantissa.bit_length() <= 512
            assert mp.ldexp(number.mantissa, number.exponent) < true
            assert mp.ldexp(number.mantissa + 2, number.exponent) > true
            # No rational number with a divisor below 2^55.
            odd = true / mpf(2) ** (mp.floor(mp.log(true, 2)) - 200)
            for small in (1, 3, 5, 9, 25, 27, 125, 10**15 + 37):
                rest = odd * small - mp.nint(odd * small)
                assert abs(rest) > mpf(2) ** -1000


@pytest.mark.parametrize("name", ["TWO_OVER_PI", "HALF_PI"])
def test_constants(name: str) -> None:
    with mp.workprec(1000):
        true = mp.ldexp(2 / mp.pi if name == "TWO_OVER_PI" else mp.pi / 2, 640)
        assert getattr(_frequencies, name) == int(mp.floor(true))
