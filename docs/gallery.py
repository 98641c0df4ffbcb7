"""What the site shows of the code: pictures by posenc.plot, and the command line's help.

python docs/gallery.py docs/_static/front.png     # the README's picture, which is committed
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import posenc
import posenc.plot
from posenc import _half
from posenc.cli import COMMANDS
from posenc.cli import main as command

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # draws to files

DPI = 130


def recipe(positions: np.ndarray, dim: int) -> np.ndarray:
    """The usual lines in float32."""
    div_term = np.exp(np.arange(0, dim, 2, dtype=np.float32) * np.float32(-math.log(10000.0) / dim))
    table = np.empty((len(positions), dim), np.float32)
    table[:, 0::2] = np.sin(positions.astype(np.float32)[:, None] * div_term)
    table[:, 1::2] = np.cos(positions.astype(np.float32)[:, None] * div_term)
    return table


def error_against_position(ax: Any) -> None:
    """By how much float32 tables are off: the usual recipe, the same with 16-bit positions, and posenc."""
    positions = np.unique(np.logspace(0, 9, 700).round())
    # The largest error up to the next of them, as single positions scatter.
    crowd = np.linspace(positions, positions * 10 ** (9 / 699), 64, endpoint=False, axis=1).round().reshape(-1)
    truth = posenc.encode(crowd, 128, dtype="float64")
    short = _half.widen(_half.narrow(crowd.astype(np.float32), np.dtype(np.uint16)))
    curves = {
        "positions in bfloat16, then float32": (recipe(short, 128), posenc.plot.COLOURS[4], ":"),
        "the usual recipe in float32": (recipe(crowd, 128), posenc.plot.COLOURS[1], "--"),
        "posenc in float32": (posenc.encode(crowd, 128), posenc.plot.COLOURS[0], "-"),
    }
    for label, (table, colour, style) in curves.items():
        worst = np.abs(table - truth).max(axis=1).reshape(len(positions), -1).max(axis=1)
        ax.plot(positions, worst, color=colour, ls=style, lw=1.8, label=label)
    ax.axhline(2.0**-25, color="black", lw=0.8)
    ax.text(1.3, 2.0**-25 / 2.2, "half a unit in the last place", fontsize=8)
    ax.set(xscale="log", yscale="log", xlabel="position", ylabel="largest error of 128 columns", ylim=(8e-9, 5))
    ax.legend(fontsize=8, frameon=False)


def told_apart(ax: Any) -> None:
    """The least distance of two rows among the first ones, by width and dtype."""
    lengths = [2**n for n in range(2, 13)]
    # The curves of the two dtypes lie on each other, but for two columns: rings, and what is within them.
    for dtype, look in (("float32", {"marker": "o", "ms": 9, "mfc": "none"}), ("bfloat16", {"marker": "s", "ms": 4})):
        for dim, colour in ((64, posenc.plot.COLOURS[0]), (2, posenc.plot.COLOURS[1])):
            least = [posenc.properties.min_distance(length, dim, dtype=dtype) for length in lengths]
            ax.plot(lengths, least, color=colour, ls="-", lw=1.2, label=f"{dtype}, {dim} columns", **look)
    ax.set(xscale="log", yscale="log", xlabel="rows", ylabel="smallest distance between two rows", ylim=(2e-5, 4))
    ax.set_xscale("log", base=2)
    ax.text(2**8.9, 1e-3, "0 in bfloat16:\nsome rows are equal", fontsize=8, ha="right")
    ax.legend(fontsize=8, frameon=False, loc="lower left")


PICTURES: dict[str, Callable[[Any], Any]] = {
    "heatmap": lambda ax: posenc.plot.heatmap(100, 64, ax=ax),
    "heatmap-whisper": lambda ax: posenc.plot.heatmap(100, 64, encoding="whisper", ax=ax),
    "heatmap-mae": lambda ax: posenc.plot.heatmap(14, 64, encoding="mae", ax=ax),
    "waves": lambda ax: posenc.plot.waves(60, 32, columns=[6, 7, 8, 9], ax=ax),
    "rows": lambda ax: posenc.plot.rows(6, 32, ax=ax),
    "similarity": lambda ax: posenc.plot.similarity(100, 128, ax=ax),
    "similarity-mae": lambda ax: posenc.plot.similarity(14, 64, encoding="mae", ax=ax),
    "wavelengths": lambda ax: posenc.plot.wavelengths(512, 128, ax=ax),
    "error": error_against_position,
    "told-apart": told_apart,
}


def draw(name: str, path: Path) -> None:
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    PICTURES[name](ax)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def front(path: Path) -> None:
    """The picture of the README: what is added, and four columns of it."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    posenc.plot.heatmap(100, 64, ax=left)
    posenc.plot.waves(100, 64, columns=[12, 13, 20, 21], ax=right)
    left.set_title("posenc.encode(100, 64)", loc="left", fontsize=9, family="monospace")
    right.set_title("four of its columns", loc="left", fontsize=9)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def command_line() -> str:
    """What --help says, of all commands."""
    os.environ["COLUMNS"] = "88"
    parts = []
    for name in ("", *COMMANDS):
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
            command([name, "--help"] if name else ["--help"])
        parts.append(f"## posenc {name}".rstrip() + f"\n\n```text\n{out.getvalue().rstrip()}\n```\n")
    return "\n".join(parts)


def make(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in PICTURES:
        draw(name, folder / f"{name}.png")
    (folder / "command-line.md").write_text(command_line(), encoding="utf-8")


if __name__ == "__main__":
    front(Path(sys.argv[1]))
