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

POSITIONS = np.array([0.0, 1.0, 2.5, 37.0])
ONE_AXIS = [
    pytest.param(posenc.get_encoding(case.names.split()[0], **case.options), case.dim, id=name)
    for case, name in zip(CASES, IDS, strict=True)
    if case.axes == 1 and posenc.get_encoding(case.names.split()[0], **case.options).axis_widths is None
] + [
    pytest.param(encoding, 8, id=repr(encoding))
    for encoding in (
        Encoding(),
        Encoding(freq_shift=-0.5, base=0.25, amplitude="sqrt_2_over_dim", position_offset=-2.5),
        Encoding(layout="concatenated", cos_first=True, full_turns=True, position_scale=1e-5, amplitude=3e-7),
        Encoding(frequencies=[1.5, 0.25, 1e-9, -2], position_scale=-2.0),
        Encoding(tile=2, position_offset=1e7),
        Encoding(base=1e10),
    )
]


def evaluated(expression: str, **names: Any) -> Any:
    return eval(expression, {"sqrt": math.sqrt, "pi": math.pi, **names})


def agree(columns: list[Any], encoding: Encoding, dim: int) -> None:
    rows = np.stack(np.broadcast_arrays(*columns), -1) + 0 * POSITIONS[:, None]
    rows = np.tile(rows, encoding.tile)
    want = posenc.encode(POSITIONS, dim, encoding=encoding, dtype="float64")
    reach = 1 + np.abs(encoding.frequencies_for(dim)).max() * (40 + abs(encoding.position_offset))
    digits = 1e-14 if encoding.frequencies is None else 1e-6  # explicit frequencies are shown to six
    np.testing.assert_allclose(rows, want, rtol=0, atol=digits * reach * np.abs(want).max())


@pytest.mark.parametrize(("encoding", "dim"), ONE_AXIS)
def test_text(encoding: Encoding, dim: int) -> None:
    text = encoding.formula()
    assert text == encoding.formula("text")
    if "..." in (line := re.search(r"w_k = (.*)", text).group(1)):
        pytest.skip("not all frequencies are written out")
    if line[0].isdigit() and "^" not in line:
        w = np.array([float(number) for number in line.split()])
    else:
        power, half = re.fullmatch(r"(.*), K = (.*)", line).groups()
        K = evaluated(half, dim=dim)
        w = np.array([evaluated(power.replace("^", "**"), k=k, K=K) if k else 1.0 for k in range(int(K))])
    angle = evaluated(
        re.search(r"angle = (.*)", text).group(1).replace("2 pi", "(2 * pi)"),
        p=POSITIONS[:, None],
        w_k=w,
    )
    times = re.search(r"times (.*)", text)
    factor = evaluated(times.group(1), dim=dim) if times else 1.0
    values = {"sin": factor * np.sin(angle), "cos": factor * np.cos(angle)}
    names = re.findall(r"(sin|cos)_(\d)", text)
    if (names[0][1], names[1][1]) == ("0", "0"):
        columns = [values[name][:, k] for k in range(len(w)) for name, _ in names[:2]]
    else:
        columns = [values[name][:, k] for name, _ in (names[0], names[2]) for k in range(len(w))]
    agree(columns, encoding, dim)


def plain(latex: str) -> str:
    """LaTeX as an expression of Python."""
    text = latex.replace(r"\omega_k", "w").replace(r"\pi", "*pi").replace(r"\cdot", "*").replace(r"\,", "*")
    text = re.sub(r"\\sqrt\{(.*?)\}", r"sqrt(\1)", text)
    return re.sub(r"\^\{(.*?)\}", r"**(\1)", text).replace("\\", "")


@pytest.mark.parametrize(("encoding", "dim"), ONE_AXIS)
def test_latex(encoding: Encoding, dim: int) -> None:
    latex = encoding.formula("latex")
    if r"\dots" in latex:
        pytest.skip("not all frequencies are written out")
    first, second, third = (line.split(" &= ")[1].removesuffix(r" \\") for line in latex.splitlines()[1:-1])
    if r"\quad" in third:
        power, half = third.split(r", \quad K = ")
        K = evaluated(half, D=dim)
        w = np.array([evaluated(plain(power), k=k, K=K) if k else 1.0 for k in range(int(K))])
    else:
        w = np.array([evaluated(plain(number)) for number in third.split(r",\ ")])
    columns = [
        [evaluated(plain(phase), p=POSITIONS, w=w_k, D=dim, sin=np.sin, cos=np.cos) for w_k in w]
        for phase in (first, second)
    ]
    interleaved = re.search(r"\(p, 2k\)", latex)
    assert bool(interleaved) == (encoding.layout == "interleaved")
    in_order = zip(*columns, strict=True) if interleaved else columns
    agree([column for group in in_order for column in group], encoding, dim)


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
        ([5e-324], ValueError, "frequencies"),
        ([1e300], ValueError, "frequencies"),
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
