"""Every constant of the mathematics, from mpmath: `python tools/minimax.py` prints them with their errors.

`--check` compares what csrc/ and python/posenc/ have with that, bit for bit, and docs/accuracy.md with the errors; the
lint session runs it.

A polynomial minimises the largest weighted error on 2000 Chebyshev nodes of its interval (Remez's exchange algorithm).
Its coefficients become doubles one after the other, the lowest first; each time the higher ones are fitted anew, so
that they make up for what rounding took.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mpmath import lu_solve, matrix, mp, mpf

ROOT = Path(__file__).resolve().parent.parent
NODES = 2000
BITS = 640

Function = Callable[[mpf], mpf]


class Polynomial(NamedTuple):
    """P of so many coefficients, P(z) ~ target(z) for z in (0, end], weight(z) being what an error of P matters by."""

    name: str
    target: Function
    weight: Function
    count: int  # type: ignore[assignment]  # a tuple's `count` is nobody's here
    end: mpf
    claim: str  # what its weighted error is


def half_pi_parts() -> tuple[float, float]:
    high = float(mp.pi / 2)
    return high, float(mp.pi / 2 - mpf(high))


def polynomials() -> list[Polynomial]:
    """As evaluate.inl.hpp and quick.inl.hpp in csrc/kernel use them; z is the square of an angle in quarter turns."""
    high, low = half_pi_parts()

    def sine(z: mpf) -> mpf:  # sin(pi/2 f) / f
        f = mp.sqrt(z)
        return mp.sin(mp.pi / 2 * f) / f

    def cosine(z: mpf) -> mpf:
        return mp.cos(mp.pi / 2 * mp.sqrt(z))

    quick_end = (mpf(1) / 8 + mpf(2) ** -9) ** 2
    return [
        Polynomial(
            "kSine", lambda z: (sine(z) - mpf(high) - mpf(low)) / z, lambda z: z / sine(z), 6, mpf(1) / 4, "relative"
        ),
        Polynomial("kCosine", lambda z: (cosine(z) - 1) / z, lambda z: z, 7, mpf(1) / 4, "absolute"),
        Polynomial("kQuickSine", lambda z: (sine(z) - mpf(high)) / z, lambda z: z / sine(z), 3, quick_end, "relative"),
        Polynomial("kQuickCosine", lambda z: (cosine(z) - 1) / z, lambda z: z, 4, quick_end, "absolute"),
    ]


def nodes(end: mpf, count: int) -> list[mpf]:
    """Chebyshev nodes of [0, end], without its lower end, where every weight is 0."""
    return [end * (1 - mp.cos(mp.pi * i / count)) / 2 for i in range(1, count + 1)]


def remez(values: list[mpf], weights: list[mpf], points: list[mpf], first: int, count: int) -> list[mpf]:
    """Coefficients c of z^first ... that minimise the largest |weight (value - sum c z^i)| on `points`."""
    last = len(points) - 1
    reference = [round(last * (1 - mp.cos(mp.pi * i / count)) / 2) for i in range(count + 1)]
    for _ in range(50):
        rows, right = matrix(count + 1, count + 1), matrix(count + 1, 1)
        for row, i in enumerate(reference):
            for j in range(count):
                rows[row, j] = points[i] ** (first + j)
            rows[row, count] = (-1) ** row / weights[i]
            right[row] = values[i]
        solution = lu_solve(rows, right)
        c = list(solution)[:count]
        errors = [
            w * (v - sum(a * z ** (first + j) for j, a in enumerate(c)))
            for z, v, w in zip(points, values, weights, strict=True)
        ]
        if max(map(abs, errors)) <= abs(solution[count]) * (1 + mpf(2) ** -20):
            return c
        reference = alternating(errors, count + 1)
    raise ArithmeticError("Remez's algorithm does not converge")


def alternating(errors: list[mpf], count: int) -> list[int]:
    """Where errors of alternating signs are largest."""
    extrema: list[int] = []
    for i, error in enumerate(errors):
        if extrema and (error > 0) == (errors[extrema[-1]] > 0):
            if abs(error) > abs(errors[extrema[-1]]):
                extrema[-1] = i
        else:
            extrema.append(i)
    while len(extrema) > count:
        extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
    return extrema


def fit(p: Polynomial) -> tuple[list[float], float]:
    """Coefficients as doubles, and the largest weighted error of the polynomial they make, rounded up."""
    points = nodes(p.end, NODES)
    values, weights = [p.target(z) for z in points], [p.weight(z) for z in points]
    rounded: list[float] = []
    while len(rounded) < p.count:
        rest = [v - sum(mpf(a) * z**j for j, a in enumerate(rounded)) for z, v in zip(points, values, strict=True)]
        rounded.append(float(remez(rest, weights, points, len(rounded), p.count - len(rounded))[0]))
    finer = nodes(p.end, 3 * NODES + 1)
    errors = [p.weight(z) * (p.target(z) - sum(mpf(a) * z**j for j, a in enumerate(rounded))) for z in finer]
    return rounded, float(max(map(abs, errors)))


def sixteenths() -> list[float]:
    """Sines of 0 ... 4 sixteenths of a turn."""
    return [float(mp.sin(mp.pi * i / 8)) for i in range(5)]


def limbs(number: int, count: int) -> list[int]:
    return [number >> 64 * i & (2**64 - 1) for i in range(count)]


def long_constants() -> dict[str, int]:
    return {
        "TWO_OVER_PI": int(mp.floor(mp.ldexp(2 / mp.pi, BITS))),
        "HALF_PI": int(mp.floor(mp.ldexp(mp.pi / 2, BITS))),
    }


def up(error: float) -> str:
    """An error with two digits, rounded up."""
    mantissa, exponent = f"{error:.17e}".split("e")
    return f"{-(-float(mantissa) * 10 // 1) / 10:.1f}e{int(exponent)}"


def python_names(name: str, count: int) -> list[str]:
    return [f"{name[1]}{i}" for i in range(count)]  # kSine: S0, S1 ...


# What the files have.


def sources() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "csrc").rglob("*")) if path.suffix in (".hpp", ".cpp"))


def cpp_numbers(text: str, name: str) -> list[str]:
    found = re.findall(rf"\b{name}(?:\[[^\]]*\])? ?=? ?{{?([-+0-9a-fA-Fxp.,\s]+)", text)
    return [number for numbers in found for number in re.split(r"[,\s]+", numbers.strip(" ,\n")) if number]


def python_numbers(text: str, name: str) -> list[str]:
    return re.findall(rf'^{name} = float\.fromhex\("([^"]+)"\)', text, re.MULTILINE)


def check() -> list[str]:
    text, formula = sources(), (ROOT / "python/posenc/_formula.py").read_text()
    frequencies, document = (
        (ROOT / path).read_text() for path in ("python/posenc/_frequencies.py", "docs/accuracy.md")
    )
    wrong = []

    def compare(where: str, got: list[float] | list[int], want: list[float] | list[int]) -> None:
        if got != want:
            wrong.append(f"{where}: has {got}, expected {want}")

    for p in polynomials():
        coefficients, error = fit(p)
        compare(f"csrc, {p.name}", [float.fromhex(x) for x in cpp_numbers(text, p.name)], coefficients)
        if p.name in ("kSine", "kCosine"):
            for name, want in zip(python_names(p.name, p.count), coefficients, strict=True):
                compare(f"_formula.py, {name}", [float.fromhex(x) for x in python_numbers(formula, name)], [want])
        if f"`{p.name}` | {p.count} | {p.claim} | {up(error)} |" not in document:
            wrong.append(f"docs/accuracy.md: expected the error of {p.name} to be {up(error)}, {p.claim}")
    high, low = half_pi_parts()
    for name, want in (("HALF_PI", high), ("HALF_PI_LOW", low)):
        compare(f"_formula.py, {name}", [float.fromhex(x) for x in python_numbers(formula, name)], [want])
    for name, want in (("kHalfPi = ", high), ("kHalfPiLow = ", low)):
        found = re.findall(rf"\b{name}(-?0x1[0-9a-fp.+-]+)", text)
        compare(f"csrc, {name}", [float.fromhex(x) for x in found], [want] * max(1, len(found)))
    compare("csrc, kSines", [float.fromhex(x) for x in cpp_numbers(text, "kSines")], sixteenths())
    for name, want in long_constants().items():
        digits = "".join(re.findall(r'"([0-9a-f]{40,})"', frequencies.split(f"\n{name} = ")[1].split(")")[0]))
        compare(f"_frequencies.py, {name}", [int(digits, 16)], [want])
        words = limbs(want, 10 + (name == "HALF_PI"))
        cpp_name = {"TWO_OVER_PI": "kTwoOverPiLimbs", "HALF_PI": "kHalfPiLimbs"}[name]
        compare(f"csrc, {cpp_name}", [int(x, 16) for x in cpp_numbers(text, cpp_name)], words)
    return wrong


def show() -> None:
    for p in polynomials():
        coefficients, error = fit(p)
        print(f"{p.name}: {p.claim} error {up(error)}, 2^{float(mp.log(error, 2)):.1f}")
        print("   ", ", ".join(x.hex() for x in coefficients))
    print("pi/2:", ", ".join(x.hex() for x in half_pi_parts()))
    print("sines of sixteenths:", ", ".join(x.hex() for x in sixteenths()))
    for name, number in long_constants().items():
        print(f"{name}: {number:x}")
        print("   ", ", ".join(f"0x{limb:016x}" for limb in limbs(number, 10 + (name == "HALF_PI"))))


def main(arguments: list[str]) -> int:
    with mp.workprec(700):
        if arguments == ["--check"]:
            wrong = check()
            print("\n".join(wrong) or "all constants are what mpmath says")
            return 1 if wrong else 0
        show()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
