"""Draw an encoding: as an image, as waves, row by row, how alike its rows are, or its wavelengths against a length.

Without -o the picture is shown in a window or, where there is no display, written to a temporary file whose path is
printed, with a coarse picture in the terminal.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import os
import shutil
import sys
import tempfile
from typing import Any

from posenc import _pictures
from posenc._encoding import LARGEST_DIM

from . import figure, files, refusing
from .argtypes import one_or_more, typed

HELP = "draw an encoding: heatmap, waves, rows, similarity, wavelengths"

LENGTHS = {"heatmap": 100, "waves": 100, "rows": 5, "similarity": 100, "wavelengths": 512}
INCHES = (6.0, 4.0)
SIZES = typed("numbers such as 100 or 14x20", one_or_more(int, "x"), r"[1-9]\d{0,8}(x[1-9]\d{0,8})*")
COLUMNS = typed("numbers such as 0,1,8,9", lambda text: [*map(int, text.split(","))], r"\d{1,7}(,\d{1,7})*")


def arguments(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("kind", choices=LENGTHS, metavar="KIND", help=", ".join(LENGTHS))
    option("--encoding", default=None, help="one of `posenc encodings`; default: the paper's")
    option(
        "--length",
        type=SIZES,
        help="how many positions, or the sizes of several axes: 14x20; default "
        + ", ".join(f"{length} ({kind})" for kind, length in LENGTHS.items())
        + ", and 14 along each of several axes",
    )
    option("--dim", type=int, default=64, help="number of columns; default 64")
    option("--start", type=float, help="the first position, of heatmap, waves and rows; default 0")
    option("--columns", type=COLUMNS, help="which columns of heatmap and waves, such as 0,1,8,9")
    option("-o", metavar="FILE", dest="output", type=files.target, help="write it: .png, .svg, .pdf ...")


def run(args: argparse.Namespace) -> int:
    from posenc import _conventions, plot

    draw = getattr(plot, args.kind)
    options = {name: value for name in ("start", "columns") if (value := getattr(args, name)) is not None}
    with refusing():
        _pictures.matplotlib("plot")
        plt = importlib.import_module("matplotlib.pyplot")
        if args.output:
            figure.check(args.output, "-o")
            plt.switch_backend("Agg")
        for name in sorted(options.keys() - inspect.signature(draw).parameters.keys()):
            raise ValueError(f"--{name}: expected none with {args.kind}, got {options[name]}; leave it out")
        axes = _conventions.resolve(args.encoding).axes
        length = args.length or (LENGTHS[args.kind] if axes == 1 else (min(14, LENGTHS[args.kind]),) * axes)
        if args.dim > LARGEST_DIM:
            raise ValueError(f"--dim: expected at most {LARGEST_DIM}, got {args.dim}")
        drawn, ax = plt.subplots(figsize=INCHES, layout="constrained")
        draw(length, args.dim, encoding=args.encoding, ax=ax, **options)
    sizes = "x".join(map(str, length)) if isinstance(length, tuple) else length
    ax.set_title(f"{args.encoding or 'paper'}, {sizes} x {args.dim}", fontsize=10, loc="left")
    if args.output:
        with refusing("-o: "):  # .pgf needs TeX
            drawn.savefig(args.output, dpi=150)
    elif drawn.canvas.required_interactive_framework:
        plt.show()
    else:
        handle, path = tempfile.mkstemp(prefix=f"posenc-{args.kind}-", suffix=".png")
        os.close(handle)
        drawn.savefig(path, dpi=150)
        if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ:
            with contextlib.suppress(UnicodeEncodeError):  # of a terminal without block characters
                print(terminal_picture(drawn, ax))
        print(path)
    plt.close(drawn)
    return 0


def terminal_picture(drawn: Any, ax: Any) -> str:
    """What is within the Axes, two pixels to a character, with its title above and its ranges below."""
    import numpy as np

    width, height = min(100, shutil.get_terminal_size().columns), 22
    across, down = ax.get_xlim(), ax.get_ylim()
    ranges = f"across: {ax.get_xlabel()}, {across[0]:.4g} to {across[1]:.4g}; "
    ranges += f"upwards: {ax.get_ylabel()}, {down[0]:.4g} to {down[1]:.4g}"
    for other in filter(None, [*drawn.axes[1:], ax.get_legend(), *ax.texts]):
        other.set_visible(False)
    ax.set_axis_off()
    drawn.set_layout_engine("none")
    ax.set(aspect="auto", position=(0.0, 0.0, 1.0, 1.0))
    drawn.set(dpi=40.0, size_inches=(width / 40.0, 2 * height / 40.0))  # a line is about a pixel wide
    drawn.canvas.draw()
    pixels = np.asarray(drawn.canvas.buffer_rgba())[..., :3]
    lines = [ax.get_title("left")]
    for upper, lower in zip(pixels[0::2], pixels[1::2], strict=False):
        cells = (
            "\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*map(int, (*a, *b))) for a, b in zip(upper, lower, strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join([*lines, ranges])
