"""What pictures of encodings have in common: where they are drawn, which columns, images side by side, legends."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _encoding, _fields, _positions, _validate, properties
from ._encoding import Encoding
from ._grid import grid

MOST_POINTS = 20_000  # of a wave
GOLDEN = (3.0 - math.sqrt(5.0)) / 2.0


def matplotlib(who: str = "posenc.plot") -> Any:
    """The package, or what to do where it is not."""
    try:
        return importlib.import_module("matplotlib")
    except ImportError as error:
        way = "`pip install 'posenc[plot]'`"
        raise ImportError(f"{who}: expected matplotlib to be installed, got none; {way}") from error


def target(ax: Any) -> Any:
    matplotlib()
    if ax is None:
        return importlib.import_module("matplotlib.pyplot").gca()
    if not hasattr(ax, "imshow") or not hasattr(ax, "set_xlabel"):
        way = "`ax=figure.subplots()` makes one" if hasattr(ax, "subplots") else "`ax=plt.gca()` is the current one"
        raise TypeError(f"ax: expected an Axes of matplotlib, got {_validate.shown(ax)}; {way}")
    return ax


def arguments(length: Any, dim: Any, encoding: Any) -> tuple[Encoding, int, tuple[int, ...]]:
    width, which, sizes = properties.arguments(length, dim, encoding)
    _encoding.spectra(which, width)  # refuses widths that do not fit before anything is drawn
    return which, width, sizes


def first_position(start: Any, encoding: Encoding, sizes: tuple[int, ...]) -> float:
    """`start`, from which positions are counted along each axis, if all of them are allowed."""
    first = _fields.finite(start, "start")
    offsets = encoding.position_offset
    for size, offset in zip(sizes, offsets if isinstance(offsets, tuple) else (offsets,) * len(sizes), strict=True):
        _positions.refuse_beyond(np.array(first), "start", size, offset)
    return first


def samples(size: int, wave: float) -> NDArray[np.float64]:
    """Where a wave over `size` positions is drawn, from 0.

    Of more turns than there are points for comes a band. Its steps are a golden part of a turn, as near a whole turn or
    half of one they would show a slow wave, or none.
    """
    if size == 1:
        return np.zeros(1)
    count = int(min(MOST_POINTS, max(600, 24 * size / wave)))
    turns = (size - 1) / (count - 1) / wave
    if turns <= 0.25:
        return np.linspace(0.0, size - 1, count)
    return np.arange(0.0, size - 1, (math.ceil(turns - GOLDEN) + GOLDEN) * wave)


def styled(own: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """How a line is drawn: as we would, but for what was given, by whichever name matplotlib has for it."""
    names, line = importlib.import_module("matplotlib.cbook"), importlib.import_module("matplotlib.lines").Line2D
    return {**names.normalize_kwargs(own, line), **names.normalize_kwargs(given, line)}


def coloured(own: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """How an image is drawn: as we would, but for what was given. A norm has limits of its own."""
    return {name: value for name, value in own.items() if "norm" not in given or name not in ("vmin", "vmax")} | given


def chosen_columns(given: Any, width: int, default: NDArray[Any]) -> list[int]:
    if given is None:
        return [int(column) for column in default]
    chosen = [
        _validate.integer(column, "columns") for column in _validate.sequence(given, "columns", "a list of columns")
    ]
    if not chosen or min(chosen) < -width or max(chosen) >= width:
        raise ValueError(f"columns: expected some of 0 ... {width - 1}, got {given}; `columns=range({min(4, width)})`")
    return [column % width for column in chosen]


def some_pairs(owner: NDArray[Any], source: NDArray[Any], axes: int) -> NDArray[Any]:
    """The columns of up to four frequencies altogether, evenly spaced, and other ones along each axis."""
    result = []
    for axis in range(axes):
        own = owner == axis
        numbers = np.unique(source[own] >> 1)
        count = min(len(numbers), max(1, 4 // axes))
        for k in numbers[((np.arange(count) + axis / axes) * len(numbers) / count).astype(int)]:
            for t in (0, 1):
                result += np.flatnonzero(own & (source == 2 * k + t))[:1].tolist()
    return np.array(result)


def cells(sizes: tuple[int, ...], start: float) -> NDArray[Any]:
    return start + np.arange(sizes[0]) if len(sizes) == 1 else start + np.asarray(grid(*sizes))


def largest(encoding: Encoding, dim: int) -> float:
    amplitude: float = abs(_encoding.spectra(encoding, dim)[0].amplitude)
    return amplitude


def montage(axes: Any, values: NDArray[Any], chosen: list[int], style: dict[str, Any]) -> Any:
    """Images (H, W, n) beside and below each other, each below the number of its column."""
    height, width, count = map(int, values.shape)
    gap, above = max(1, round(width * 0.08)), max(1, round(height * 0.3))

    def unused(across: int) -> float:
        """How far from the form of a figure, and how much of it stays empty."""
        down = math.ceil(count / across)
        form: float = across * (width + gap) / (down * (height + above))
        return abs(math.log(form / 1.3)) + 3.0 * (across * down - count) / count

    across = min(range(1, count + 1), key=unused)
    down = math.ceil(count / across)
    canvas = np.full((down * (height + above), across * (width + gap) - gap), np.nan, np.float32)
    for i, column in enumerate(chosen):
        top, left = (i // across) * (height + above) + above, (i % across) * (width + gap)
        canvas[top : top + height, left : left + width] = values[..., i]
        axes.text(left + width / 2 - 0.5, top - 0.5 - above * 0.1, str(column), ha="center", va="bottom", fontsize=8)
    artist = axes.imshow(canvas, **style)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set(xticks=[], yticks=[], xlabel=f"axis 1 to the right, {width} positions")
    axes.set_ylabel(f"images by column; axis 0 downwards, {height} positions")
    return artist


def legend(axes: Any, title: str | None, columns: int = 2) -> None:
    """A legend below the Axes, where it covers nothing."""
    style: dict[str, Any] = {"fontsize": 8, "frameon": False, "title": title, "title_fontsize": 8}
    transforms = importlib.import_module("matplotlib.transforms")
    below = axes.transAxes + transforms.ScaledTranslation(0.0, -34.0 / 72.0, axes.figure.dpi_scale_trans)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), bbox_transform=below, ncols=columns, **style)


def short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}" if value < 1e6 else f"{value:.1e}"


def named(numbers: list[int]) -> str:
    return f"{'axis' if len(numbers) == 1 else 'axes'} {', '.join(map(str, numbers))}"


def times(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
