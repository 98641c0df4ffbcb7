"""Formulas say what is computed: evaluated as they are written, they give what `encode` does. Others made from one."""

from __future__ import annotations

import copy
import dataclasses
import html.parser
import math
import re
import sys
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import Encoding

from .golden import CASES
from .test_conventions import IDS

GOLDEN = [
    pytest.param(posenc.get_encoding(case.names.split()[0], **case.options), case.dim, id=name)
    for case, name in zip(CASES, IDS, strict=True)
]
OTHERS = [
    pytest.param(encoding, dim, id=repr(encoding))
    for encoding, dim in (
        (Encoding(), 8),
        (Encoding(freq_shift=-0.5, base=0.25, amplitude="sqrt_2_over_dim", position_offset=-2.5), 8),
        (Encoding(layout="concatenated", cos_first=True, full_turns=True, position_scale=1e-5, amplitude=3e-7), 8),
        (Encoding(frequencies=[1.5, 0.25, 1e-9, -2], position_scale=-2.0), 8),
        (Encoding(frequencies=[1.5, 0.25, 1e-9, -2], layout="concatenated", tile=3), 24),
        (Encoding(tile=2, position_offset=1e7), 8),
        (Encoding(base=1e10), 8),
        (Encoding(base=1e16, freq_shift=-0.123456789), 8),
        (Encoding(base=2.5e-7), 8),
        (Encoding(full_turns=True, position_scale=-0.5), 8),
        (Encoding(axes=2, tile=3, base=(10.0, 20.0), position_offset=(1.0, -2.0)), 48),
        (Encoding(axes=3, tile=2, axis_widths=(1, 2, 1), axis_order=(2, 0, 1), nesting="tka"), 32),
        (Encoding(axes=3, tile=2, axis_widths="floor", nesting="kat"), 32),
        (Encoding(axes=2, tile=2, axis_widths="ceil", layout="concatenated"), 28),
        (Encoding(tile=2, axis_widths="ceil"), 14),
        (Encoding(tile=2, axis_widths="floor", layout="concatenated"), 14),
    )
]
NUMBERS = re.compile(r"\((-?[\d.e+/-]+(?:, -?[\d.e+/-]+)+)\)(?:_a)?")  # one for each axis


@dataclasses.dataclass
class Formula:
    """What a formula says, as it is written."""

    order: list[int]  # of axes
    nesting: str
    width: str  # of an axis, an expression of `dim`
    half: str  # K, an expression of `dim` and `width`
    power: str  # an expression of k and K, or numbers
    phases: list[str]
    angle: str  # an expression of p and w
    factor: str
    tile: int

    def agrees(self, encoding: Encoding, dim: int) -> None:
        """Evaluated, it gives what `encode` does."""
        axes = len(self.order)
        positions = np.array([0.0, 1.0, 2.5, 37.0])[:, None] + np.arange(axes) / 8
        columns = {}
        for rank, axis in enumerate(self.order):

            def value(text: str, axis: int = axis, **names: Any) -> Any:
                text = NUMBERS.sub(lambda found: found.group(1).split(", ")[axis], text)
                functions = {"sqrt": math.sqrt, "floor": math.floor, "ceil": math.ceil, "sin": np.sin, "cos": np.cos}
                return eval(text, {"pi": math.pi, "dim": dim, **functions, **names})

            half = value(self.half, width=value(self.width))
            if "k" in self.power:
                w = [value(self.power, k=k, K=half) if k else 1.0 for k in range(int(half))]
            else:
                w = [value(number) for number in self.power.split()]
                assert len(w) == half
            for k, w_k in enumerate(w):
                for t, phase in enumerate(self.phases):
                    place = {"a": rank, "k": k, "t": t}
                    angle = value(self.angle, p=positions[:, axis], w=w_k)
                    column = value(f"{self.factor} * {phase}(x)", x=angle)
                    columns[tuple(place[letter] for letter in self.nesting)] = column
        block = dim // self.tile
        rows = np.stack([columns[place] for place in sorted(columns)], -1)[:, :block]
        rows = np.tile(np.pad(rows, ((0, 0), (0, block - rows.shape[1]))), self.tile)
        want = posenc.encode(positions if axes > 1 else positions[:, 0], dim, encoding=encoding, dtype="float64")
        fastest = max(np.abs(encoding.frequencies_for(dim, axis=axis)).max() for axis in range(axes))
        reach = 1 + fastest * (40 + np.abs(encoding.position_offset).max())
        digits = 1e-14 if encoding.frequencies is None else 1e-6  # explicit frequencies are shown to six
        np.testing.assert_allclose(rows, want, rtol=0, atol=digits * reach * np.abs(want).max())


@pytest.mark.parametrize(("encoding", "dim"), GOLDEN + OTHERS)
def test_text(encoding: Encoding, dim: int) -> None:
    text = encoding.formula()
    assert text == encoding.formula("text")
    named = dict(re.split(" = |: ", line, maxsplit=1) for line in text.splitlines() if not line.startswith("times"))
    if "..." in named["w_k"] or "explicit" in named["w_k"]:
        pytest.skip("not all frequencies are written out")
    axes = re.search(r"for each axis ([\d, ]+)", text)
    order = list(map(int, axes.group(1).split(", "))) if axes else [0]
    names = re.findall(r"(sin|cos)(_\d)?", named["columns"])
    if axes:
        loops = {"axis": "a", "frequency": "k", "sin": "t", "cos": "t"}
        nesting = "".join(loops[name] for name in re.findall(r"for each (\w+)", named["columns"]))
    else:
        nesting = "akt" if names[0][1] == names[1][1] else "atk"
    width = named.get("width of an axis", "dim").partition(";")[0]
    if ", " in width:
        shares = width.replace(" dim", "").split(", ")
        width = f"dim * ({', '.join(shares[order.index(axis)] for axis in range(len(order)))})"
    times = re.search(r"^times (.*)", text, re.MULTILINE)
    tile = re.search(r"; all (\d+) times", named["columns"])
    power, _, half = named["w_k"].replace("^", "**").partition(", K = ")
    Formula(
        order,
        nesting,
        width.replace("2 ", "2 * "),
        half or str(len(power.split())),
        power,
        list(dict.fromkeys(name for name, _ in names)),
        named["angle"].replace("2 pi", "(2 * pi)").replace("w_k", "w"),
        times.group(1) if times else "1",
        int(tile.group(1)) if tile else 1,
    ).agrees(encoding, dim)


def plain(latex: str) -> str:
    """LaTeX as an expression of Python."""
    names = {r"\omega_k": "w", "p_a": "p", "D_a": "width", "D": "dim", r"\pi": "*pi", r"\cdot": "*", r"\,": "*"}
    text = re.sub("|".join(map(re.escape, names)), lambda found: names[found.group()], latex)
    text = re.sub(r"\\sqrt\{(.*?)\}", r"sqrt(\1)", text)
    text = re.sub(r"\\l(floor|ceil) (.*?) \\r\1", r"\1(\2)", text)
    return re.sub(r"\^\{(.*?)\}", r"**(\1)", text).replace("\\", "")


@pytest.mark.parametrize(("encoding", "dim"), GOLDEN + OTHERS)
def test_latex(encoding: Encoding, dim: int) -> None:
    latex = encoding.formula("latex")
    if r"\dots" in latex or "explicit" in latex:
        pytest.skip("not all frequencies are written out")
    first, second, omega, *others = (line.removesuffix(r" \\") for line in latex.splitlines()[1:-1])
    index = re.search(r"p\}?, (.*?)\)", first).group(1)
    nesting = index.replace("0", "t").replace(", ", "") if "a" in index else "akt" if index == "2k" else "atk"
    assert re.search(r"p\}?, (.*?)\)", second).group(1) == {"2k": "2k + 1", "k": "K + k"}.get(
        index, index.replace("0", "1")
    )
    width, order, tile = "dim", [0], 1
    if "a" in index:
        width, axes = others.pop(0).removeprefix("D_a &= ").split(r", \quad a = ")
        order = list(map(int, axes.split(", ")))
    if others:
        tile = int(re.fullmatch(r"(.*), j \+ D/(\d+)\) &= \1, j\)", others.pop()).group(2))
    assert not others
    power, half = omega.removeprefix(r"\omega_k &= ").split(r", \quad K = ")
    factor, phase, angle = re.fullmatch(r".* &= (.*?)\\(sin|cos)\((.*)\)", first).groups()
    assert second.endswith(f"&= {factor}\\{'cos' if phase == 'sin' else 'sin'}({angle})")
    Formula(
        order,
        nesting,
        plain(width),
        plain(half),
        " ".join(plain(number).replace(" * ", "*") for number in power.split(r",\ ")),
        [phase, "cos" if phase == "sin" else "sin"],
        plain(angle),
        plain(factor + "1"),
        tile,
    ).agrees(encoding, dim)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_notebooks(case: Any) -> None:
    encoding = posenc.get_encoding(case.names.split()[0], **case.options)
    page, text = encoding._repr_html_(), encoding._repr_markdown_()
    opened: list[str] = []

    class Checked(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attributes: Any) -> None:
            opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Checked().feed(page)
    assert not opened
    assert "Encoding(" in page
    assert len(page) < 2000
    assert text.count("$$") == 2
    latex = encoding.formula("latex")
    assert latex in text
    assert latex.count("{") == latex.count("}")
    assert latex.count("(") == latex.count(")")


def test_powers_and_signs_in_latex() -> None:
    """TeX refuses two powers of one number, and a factor after a sign is a difference."""
    assert r"&= (10^{16})^{-k/K}, " in Encoding(base=1e16).formula("latex")
    assert r"&= (2.5 \cdot 10^{-7})^{-k/K}, " in Encoding(base=2.5e-7).formula("latex")
    assert r"&= 12345678^{-k/K}, " in Encoding(base=12345678.0).formula("latex")
    assert r"(2\pi\,(-0.5)\,p\," in Encoding(full_turns=True, position_scale=-0.5).formula("latex")
    assert r"\sin(-0.5\,p\," in Encoding(position_scale=-0.5).formula("latex")
    assert "w_k = 1e+300^(-k / K)" in Encoding(base=1e300).formula()


def test_styles() -> None:
    with pytest.raises(ValueError, match=r"^style: expected one of text, latex, got 'html'"):
        Encoding().formula("html")
    with pytest.raises(TypeError, match=r"^style: expected one of text, latex, got None"):
        Encoding().formula(None)


# ---- replace ----


def test_replace_is_the_constructor() -> None:
    encoding = Encoding(layout="concatenated", base=500.0, odd="zero")
    assert encoding.replace() == encoding
    assert encoding.replace(base=500) == encoding
    assert encoding.replace(frequencies=None, nesting=None) == encoding  # which it has none of
    assert encoding.replace(freq_shift=1, odd="extra") == Encoding(layout="concatenated", base=500.0, freq_shift=1)
    assert encoding.replace(frequencies=[1, 2]) == Encoding(layout="concatenated", frequencies=[1, 2], odd="zero")
    assert Encoding(frequencies=[1, 2]).replace(base=7.0) == Encoding(base=7.0)
    two = Encoding(axes=2, nesting="tak")
    assert two.replace(layout="concatenated") == Encoding(axes=2, layout="concatenated")
    assert two.replace(nesting="atk") == Encoding(axes=2, layout="concatenated")
    assert Encoding(axes=2, layout="concatenated").replace(nesting="akt") == Encoding(axes=2)
    if sys.version_info >= (3, 13):
        assert copy.replace(encoding, frequencies=[1, 2]) == encoding.replace(frequencies=[1, 2])


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_replace_undone(case: Any) -> None:
    encoding = posenc.get_encoding(case.names.split()[0], **case.options)
    other = encoding.replace(amplitude=0.5, position_offset=3.0)
    assert (other.amplitude, other.position_offset) == (0.5, 3.0)
    assert other.replace(amplitude=encoding.amplitude, position_offset=encoding.position_offset) == encoding


def test_replace_refuses() -> None:
    with pytest.raises(TypeError, match=r"^freqshift: expected a parameter of Encoding; do you mean freq_shift\?"):
        Encoding().replace(freqshift=1)
    with pytest.raises(TypeError, match=r"^zzz: expected a parameter of Encoding; there are layout, "):
        Encoding().replace(zzz=1)
    with pytest.raises(ValueError, match=r"^base: "):
        Encoding(axes=2, base=[1, 2]).replace(axes=1)
    assert {field.name for field in dataclasses.fields(Encoding)} >= {"base", "axes"}


# ---- from_periods ----


def test_from_periods() -> None:
    periods = [365.2425, 7, 1]
    encoding = Encoding.from_periods(periods)
    np.testing.assert_allclose(encoding.wavelengths(6), periods, rtol=1e-15)
    rows = posenc.encode([0, 7, 70], 6, encoding=encoding, dtype="float64")
    np.testing.assert_allclose(rows[:, 2:], [[0, 1, 0, 1]] * 3, rtol=0, atol=1e-13)
    assert Encoding.from_periods(np.array(periods)) == encoding == Encoding.from_periods(tuple(periods))
    assert Encoding.from_periods(periods, layout="concatenated") == encoding.replace(layout="concatenated")
    two = Encoding.from_periods([[24, 12], [7, 3.5]], axes=2)
    np.testing.assert_allclose(two.wavelengths(8, axis=1), [7, 3.5], rtol=1e-15)


@pytest.mark.parametrize(
    ("periods", "error", "text"),
    [
        (7, TypeError, r"periods: expected several numbers, got 7 .*`periods=\[7\.0\]`"),
        ("7", TypeError, "periods: expected several numbers"),
        (np.array(7.0), TypeError, "periods: expected several numbers"),
        ({7, 1}, TypeError, "periods: expected several numbers"),  # in which order?
        ({"week": 7}, TypeError, "periods: expected several numbers"),
        (["7"], TypeError, "periods: expected a number"),
        ([True], TypeError, "periods: expected a number"),
        ([], ValueError, "periods: expected at least one number"),
        ([1, 0], ValueError, "periods: expected a number greater than 0"),
        ([1, -7], ValueError, "periods: expected a number greater than 0"),
        ([math.inf], ValueError, "periods: expected a finite number"),
        ([math.nan], ValueError, "periods: expected a finite number"),
        ([5e-324], ValueError, r"periods: .*, got \[5e-324\] \(list\): frequencies: expected a finite number"),
        ([1e300], ValueError, r"periods: .*: frequencies times position_scale: expected at least"),
        ([[1, 2], [3]], ValueError, "periods: .*for each of 1 axes, got 2 lists"),
        ([[]], ValueError, "periods: .* at least one number, got none"),
    ],
)
def test_from_periods_refuses(periods: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        Encoding.from_periods(periods)


@pytest.mark.parametrize("name", ["base", "freq_shift", "frequencies", "full_turns"])
def test_periods_imply_the_frequencies(name: str) -> None:
    with pytest.raises(
        TypeError, match=rf"^{name}: expected none, as it follows from periods, got 1 \(int\); leave it out"
    ):
        Encoding.from_periods([7], **{name: 1})
