"""The figure of `posenc bench --plot`: GB/s against the size of the array, one panel for each operation."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from posenc import _pictures
from posenc.plot import COLOURS, GREY  # grey is for those who are not posenc

from . import Refused, refusing

DASHES = ("--", ":", "-.", (0, (1, 1)), (0, (5, 1)))


def check(path: str, option: str = "--plot") -> None:
    """Refuse what can't be drawn, before anything is timed."""
    with refusing():
        _pictures.matplotlib(option)
    known = importlib.import_module("matplotlib.backend_bases").FigureCanvasBase.get_supported_filetypes()
    if Path(path).suffix[1:].lower() not in known:
        kinds = ", ".join(f".{kind}" for kind in sorted(known))
        raise Refused(f"{option}: expected a file name that ends in one of {kinds}, got {path!r}")


def figure_of(rows: Sequence[dict[str, Any]], machine: dict[str, Any]) -> Any:
    """The figure of the rows of a JSON document."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["ok"] and row["kind"] != "twin":
            title = ", ".join(filter(None, [row["op"], row["dtype"], row["encoding"]]))
            panels.setdefault(title, []).append(row)
    width = max(1, len(panels))
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(6.2 * width, 4.8), layout="constrained")
    axes = figure.subplots(1, width, squeeze=False)[0]
    for axis, (title, group) in zip(axes, panels.items(), strict=False):
        _panel(axis, group)
        axis.set_title(title, fontsize=12, loc="left", fontweight="bold")
    axes[0].set_ylabel("GB/s of an array of this size")
    figure.suptitle(
        f"{machine['cpu']}  ·  posenc {machine['posenc']}, {machine['date'][:10]}", x=0.01, ha="left", fontsize=10
    )
    return figure


def _panel(axis: Any, rows: Sequence[dict[str, Any]]) -> None:
    curves: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        kind, size = row["kind"], row["nbytes"]
        who = ["posenc" if kind == "posenc" else None, row["name"], row["isa"]]
        name = "limit of the memory" if kind == "limit" else " ".join(filter(None, who))
        name += f", {row['threads']} threads" if row["threads"] > 1 else ""
        curve = curves.setdefault((kind, name), {})
        curve[size] = max(curve.get(size, 0.0), row["gb_per_s"])
    colours, dashes = itertools.cycle(COLOURS), itertools.cycle(DASHES)
    for (kind, name), curve in sorted(curves.items(), key=lambda item: item[0][0] != "limit"):  # those come first
        style: dict[str, Any] = {"marker": "D"} if len(curve) == 1 else {}  # through a single point no curve goes
        if kind == "limit":
            style |= {"color": "black", "lw": 1.2 if "threads" in name else 2.2, "zorder": 4}
        elif kind == "posenc":
            style |= {"color": next(colours), "marker": "o", "lw": 1.8, "zorder": 5}
        else:
            style |= {"color": GREY, "ls": next(dashes), "lw": 1.2, "zorder": 3}
        axis.plot(*zip(*sorted(curve.items()), strict=True), ms=4, label=name, **style)
    sizes = sorted({row["nbytes"] for row in rows})
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(sizes, [_size(size) for size in sizes], fontsize=8)
    axis.minorticks_off()
    ticker = importlib.import_module("matplotlib.ticker")
    axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(True, color="#e4e4e4", lw=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3)


def _size(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.4g}\n{unit}"
    return f"{count}\nB"
