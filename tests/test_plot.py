"""Pictures: what the artists hold is what `encode` says, labels are there, nothing global changes. Nothing is timed."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import plot, properties
from posenc.cli import main

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

KINDS = ("heatmap", "waves", "rows", "similarity", "wavelengths")
ENCODINGS = [
    None,
    "whisper",
    "mae",
    "simple_vit_3d",
    posenc.Encoding(amplitude="rsqrt_dim", tile=2),
    posenc.Encoding(axes=2, axis_widths="floor", nesting="tak"),
    posenc.Encoding(frequencies=[0.0, 1.0, 1e-4] * 8),
    posenc.Encoding.from_periods([365.2425, 7, 1] * 8),
]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    plt.close("all")  # what other tests have left
    yield
    plt.close("all")


@pytest.fixture
def ax() -> Any:
    return plt.figure(figsize=(6, 4), layout="constrained").add_subplot()


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_axes_in_axes_out(kind: str, encoding: Any, ax: Any) -> None:
    settings, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    function = getattr(plot, kind)
    assert function(4, 48, encoding=encoding, ax=ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert ax.lines or ax.images
    assert (dict(matplotlib.rcParams), matplotlib.get_backend()) == (settings, backend)
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [2, 512])
def test_everything_is_within_the_figure(kind: str, dim: int, ax: Any) -> None:
    getattr(plot, kind)(100, dim, ax=ax)
    ax.figure.canvas.draw()
    whole = ax.figure.bbox
    for artist in (ax.xaxis.label, ax.yaxis.label, ax.get_legend()):
        if artist is not None:
            box = artist.get_window_extent()
            assert whole.x0 <= box.x0 < box.x1 <= whole.x1, artist
            assert whole.y0 <= box.y0 < box.y1 <= whole.y1, artist


def test_default_axes(ax: Any) -> None:
    assert plot.waves(10, 8) is plt.gca() is ax


def test_heatmap(ax: Any) -> None:
    plot.heatmap(20, 8, start=3, encoding="whisper", ax=ax, cmap="gray")
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), posenc.encode(20, 8, start=3, encoding="whisper"))
    assert image.get_cmap().name == "gray"
    assert image.get_clim() == (-1, 1)
    assert ax.get_ylim() == (22.5, 2.5)  # position 3 on top
    assert len(ax.figure.axes) == 2  # and the scale of colours


def test_images_of_columns(ax: Any) -> None:
    plot.heatmap((3, 5), 8, encoding="mae", columns=[0, 5], ax=ax, colorbar=False)
    canvas = ax.images[0].get_array().filled(np.nan)
    want = posenc.encode(posenc.grid(3, 5), 8, encoding="mae")
    found = [
        np.array_equal(canvas[i : i + 3, j : j + 5], want[..., column])
        for column in (0, 5)
        for i in range(canvas.shape[0] - 2)
        for j in range(canvas.shape[1] - 4)
    ]
    assert sum(found) == 2
    assert [text.get_text() for text in ax.texts] == ["0", "5"]
    assert len(ax.figure.axes) == 1


def test_waves(ax: Any) -> None:
    plot.waves(30, 8, columns=[2, 3], start=5, ax=ax, lw=0.5)
    sine, cosine = ax.lines
    for line, column in ((sine, 2), (cosine, 3)):
        x, y = line.get_data()
        assert (x[0], x[-1]) == (5, 34)
        np.testing.assert_array_equal(y, posenc.encode(x, 8)[:, column])
        assert line.get_linewidth() == 0.5
    assert sine.get_color() == cosine.get_color()
    assert (sine.get_linestyle(), cosine.get_linestyle()) == ("-", "--")


@pytest.mark.parametrize("turns", [8_000, 20_000, 40_000, 30_001, 10**9])
def test_more_waves_than_points_are_a_band(turns: int, ax: Any) -> None:
    """At steps of whole turns, or of half ones, there would be a slow wave or none."""
    plot.waves(turns, 2, encoding=posenc.Encoding.from_periods([1.0]), ax=ax)
    for line in ax.lines:
        x, y = line.get_data()
        assert x[0] == 0
        assert turns * 0.999 < x[-1] <= turns - 1
        for part in np.array_split(y, 100):
            assert part.min() < -0.97
            assert part.max() > 0.97


def test_a_single_position_is_a_point(ax: Any) -> None:
    plot.waves(1, 4, ax=ax)
    assert [line.get_marker() for line in ax.lines] == ["o"] * 4


@pytest.mark.parametrize("amplitude", [2.0**127, 2.0**-256])
def test_rows_of_any_amplitude(amplitude: float, ax: Any) -> None:
    plot.rows(3, 8, encoding=posenc.Encoding(amplitude=amplitude), ax=ax)
    plot.rows(3, 8, ax=(plain := plt.figure().add_subplot()))
    for line, other in zip(ax.lines, plain.lines, strict=True):
        np.testing.assert_allclose(line.get_ydata(), other.get_ydata(), rtol=0, atol=1e-7)


def test_labels_of_far_rows_differ(ax: Any) -> None:
    plot.rows(3, 8, start=2**53 - 2, ax=ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == [str(2**53 - 2 + i) for i in range(3)]


@pytest.mark.parametrize("kind", ["waves", "rows", "similarity", "wavelengths"])
def test_every_name_of_a_keyword(kind: str, ax: Any) -> None:
    getattr(plot, kind)(5, 8, ax=ax, c="k", linewidth=3, linestyle=":", markersize=2)
    drawn = [line for line in ax.lines if line.get_color() == "k"]
    assert drawn
    assert {(line.get_linewidth(), line.get_linestyle(), line.get_markersize()) for line in drawn} == {(3, ":", 2)}


@pytest.mark.parametrize(("length", "encoding"), [(5, None), ((3, 4), "mae")])
def test_a_norm_has_its_own_limits(length: Any, encoding: Any, ax: Any) -> None:
    plot.heatmap(length, 8, encoding=encoding, ax=ax, norm=matplotlib.colors.Normalize(-2, 3))
    assert ax.images[0].get_clim() == (-2, 3)


def test_rows(ax: Any) -> None:
    plot.rows(3, 8, ax=ax)
    table = posenc.encode(3, 8)
    points = [line for line in ax.lines if line.get_marker() in "os"]
    for line, columns, row in zip(points, [range(0, 8, 2), range(1, 8, 2)] * 3, [0, 0, 1, 1, 2, 2], strict=True):
        x, y = line.get_data()
        np.testing.assert_array_equal(x, columns)
        np.testing.assert_allclose((row - y) * 2.3, table[row, list(columns)], rtol=0, atol=1e-6)  # upwards is positive
    assert ax.yaxis_inverted()


def test_similarity(ax: Any) -> None:
    plot.similarity(20, 64, ax=ax)
    alike, apart = ax.lines[:2]
    offsets = np.arange(-19, 20)
    np.testing.assert_array_equal(alike.get_xdata(), offsets)
    np.testing.assert_allclose(alike.get_ydata() * 32, properties.similarity(offsets, 64), rtol=0, atol=1e-6)
    rows = posenc.encode(20, 64, dtype="float64")
    np.testing.assert_allclose(
        apart.get_ydata()[19:], np.linalg.norm(rows - rows[0], axis=-1) / np.sqrt(32), rtol=0, atol=1e-4
    )


def test_wavelengths(ax: Any) -> None:
    plot.wavelengths(100, 64, ax=ax)
    near, middle, far, line = ax.lines
    waves = posenc.Encoding().wavelengths(64)
    for band, own in ((near, waves <= 100), (middle, (waves > 100) & (waves <= 400)), (far, waves > 400)):
        np.testing.assert_array_equal(band.get_xdata(), np.flatnonzero(own))
        np.testing.assert_array_equal(band.get_ydata(), waves[own])
    assert line.get_ydata()[0] == 100
    assert ax.get_legend().get_texts()[0].get_text() == "10 of 32 turn at least once"


def test_wavelengths_of_equal_axes_are_drawn_once(ax: Any) -> None:
    plot.wavelengths((4, 14, 14), 64, encoding=posenc.Encoding(axes=3, axis_widths=(2, 1, 1)), ax=ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {label.partition(":")[0] for label in labels} == {"axis 0", "axes 1, 2"}
    assert labels[-2:] == ["axis 0: 4 positions", "axes 1, 2: 14 positions"]
    # The frequencies of axis 0, and once those of the others.
    assert sum(len(line.get_xdata()) for line in ax.lines if line.get_marker() != "None") == 16 + 8


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: plot.heatmap(0, 8), ValueError, "length: expected at least 1"),
        (lambda: plot.heatmap((2, 2), 8), ValueError, "length: expected an integer"),
        (lambda: plot.heatmap(4, 7, encoding="whisper"), ValueError, "encoding: expected an even width"),
        (lambda: plot.waves(4, 8, columns=[8]), ValueError, r"columns: expected some of 0 \.\.\. 7, got \[8\]; `"),
        (lambda: plot.waves(4, 8, columns=[]), ValueError, "columns: expected some of"),
        (lambda: plot.waves(4, 8, columns=["a"]), TypeError, "columns: expected an integer"),
        (lambda: plot.rows((2, 3), 16, encoding="mae"), ValueError, "length: expected an integer"),
        (lambda: plot.similarity(4, 7), ValueError, "dim: expected a width at which"),
        (lambda: plot.waves(4, 8, ax=plt.figure()), TypeError, r"ax: expected an Axes .*; `ax=figure\.subplots\(\)`"),
        (lambda: plot.waves(4, 8, ax=3), TypeError, r"ax: expected an Axes .*; `ax=plt\.gca\(\)`"),
        (lambda: plot.waves(4, 8, encoding=3), TypeError, "encoding: expected"),
        (lambda: plot.heatmap(4, 8, start="1"), TypeError, "start: expected a number, got '1'"),
        (lambda: plot.heatmap(4, 8, start=[1, 2], encoding="mae"), TypeError, "start: expected a number"),
        (lambda: plot.waves(4, 8, start=np.nan), ValueError, "start: expected a finite number, got nan$"),
        (lambda: plot.rows(4, 8, start=2**53 - 2), ValueError, r"start: expected positions of .* and 4 rows; start"),
        (lambda: plot.heatmap(4, 8, start=10**30), ValueError, r"start: expected at most 2\*\*53"),
        (
            lambda: plot.waves(4, 8, encoding=posenc.Encoding(position_offset=2.0**53 - 2)),
            ValueError,
            "start: expected positions of .* with the encoding's offset",
        ),
        (lambda: plot.wavelengths(10**400, 8), ValueError, r"length: expected positions of at most 2\*\*53"),
    ],
)
def test_refusals(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        call()
    assert not any(figure.axes for figure in map(plt.figure, plt.get_fignums()))  # not even an empty Axes


def test_matplotlib_is_imported_inside() -> None:
    code = """
import sys
import posenc
posenc.plot.heatmap
assert "matplotlib" not in sys.modules
sys.modules["matplotlib"] = None
try:
    posenc.plot.heatmap(3, 4)
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "posenc.plot: expected matplotlib to be installed, got none; `pip install 'posenc[plot]'`\n"


# ---- the command ----


@pytest.mark.parametrize("kind", KINDS)
def test_command(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "pe.png"
    assert main(["plot", kind, "--encoding", "whisper", "--length", "9", "--dim", "16", "-o", str(target)]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == ""


def test_command_of_two_axes(tmp_path: Path) -> None:
    target = tmp_path / "pe.svg"
    assert main(["plot", "heatmap", "--encoding", "mae", "--length", "3x5", "--dim", "16", "-o", str(target)]) == 0
    assert b"<svg" in target.read_bytes()


def test_without_a_display(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "rows", "--dim", "8"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.read_bytes().startswith(b"\x89PNG")
    path.unlink()


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_terminal(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    assert main(["plot", kind, "--dim", "16"]) == 0
    title, *picture, ranges, path = out.getvalue().splitlines()
    assert title.startswith("paper, ")
    assert len(picture) == 22
    assert all(line.count("▀") == 60 for line in picture)
    assert len(set("".join(picture).split("m▀"))) > 4  # colours
    assert re.match(r"across: .*, \S+ to \S+; upwards: ", ranges)
    Path(path).unlink()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["similarity", "--dim", "63"], "dim: expected a width at which"),
        (["rows", "--encoding", "no such"], "encoding: expected a name"),
        (["rows", "-o", "x.abc"], "-o: expected a file name that ends in one of"),
        (["rows", "--dim", "9999999"], "--dim: expected at most"),
        (["rows", "--dim", "0"], "dim: expected at least 1"),
        (["rows", "--columns", "1"], "--columns: expected none with rows, got [1]; leave it out"),
        (["similarity", "--start", "0"], "--start: expected none with similarity, got 0.0; leave it out"),
        (["heatmap", "--length", "3x5"], "length: expected an integer, got (3, 5); `length=5`, or an encoding over 2"),
    ],
)
def test_command_refuses(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"posenc: {text}")


@pytest.mark.parametrize("arguments", [["nope"], ["rows", "--length", "0"], ["waves", "--columns", "a"], []])
def test_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plot", *arguments])
    assert "usage: posenc plot" in capsys.readouterr().err
