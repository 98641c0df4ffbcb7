"""Pictures of encodings: drawn into an Axes of matplotlib, which comes back; nothing is shown, saved or configured.

As in seaborn, `ax=None` is the current Axes of pyplot, and further keywords go to the artist that draws the data.
matplotlib is imported by the first call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _encoding, _pictures, properties
from ._api import encode
from ._encoding import Encoding

__all__ = ["heatmap", "rows", "similarity", "wavelengths", "waves"]

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SINE, COSINE, GREY = COLOURS[0], COLOURS[1], "#8a8a8a"
DIVERGING = "RdBu_r"
LINES = ("-", "--", ":", "-.")
IMAGES, RIDGES, MARKED = 16, 8, 64  # images of a montage, rows, columns with markers: as many as can be told apart


def heatmap(
    length: int | tuple[int, ...],
    dim: int,
    *,
    start: float = 0,
    columns: Sequence[int] | None = None,
    colorbar: bool = True,
    encoding: str | Encoding | None = None,
    ax: Any = None,
    **kwargs: Any,
) -> Any:
    """Draw the encoding as an image: a row for every position, the first one on top, as an array is printed.

    For an encoding over two axes there is an image for each column, 16 of them at most; for more axes a row for each
    cell of the grid.

    Parameters
    ----------
    length : int, or tuple of int for an encoding over several axes
        How many positions; for an encoding over k axes along each of them, or along all.
    dim : int
        Number of columns D.
    start : float, default 0
        The first position.
    columns : sequence of int, optional
        Which columns to draw. Default: all; of images some that are evenly spaced.
    colorbar : bool, default True
        Draw the scale of colours beside it.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: the current Axes.
    **kwargs
        For `Axes.imshow`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError, ValueError
        If an argument is not of the kind, shape or size described above.

    Examples
    --------
    >>> import matplotlib.pyplot as plt, posenc.plot
    >>> ax = posenc.plot.heatmap(100, 64, encoding="whisper", ax=plt.figure().add_subplot())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('column', 'position')
    """
    which, width, sizes = _pictures.arguments(length, dim, encoding)
    images = which.axes == 2
    default = np.arange(width) if not images else np.linspace(0, width, min(width, IMAGES), endpoint=False).astype(int)
    chosen = _pictures.chosen_columns(columns, width, default)
    first = _pictures.first_position(start, which, sizes)
    axes, limit = _pictures.target(ax), _pictures.largest(which, width)
    values = encode(_pictures.cells(sizes, first), width, encoding=which)[..., chosen]
    style: dict[str, Any] = {"cmap": DIVERGING, "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
    if images:
        artist = _pictures.montage(axes, values, chosen, _pictures.coloured(style, kwargs))
    else:
        values = values.reshape(-1, len(chosen))
        first = first if which.axes == 1 else 0.0
        style |= {"aspect": "auto", "extent": (-0.5, len(chosen) - 0.5, first + len(values) - 0.5, first - 0.5)}
        artist = axes.imshow(values, **_pictures.coloured(style, kwargs))
        if columns is not None:
            axes.set_xticks(range(len(chosen)), [str(column) for column in chosen])
        axes.set(
            xlabel="column", ylabel="position" if which.axes == 1 else f"cell of {_pictures.times(sizes)}, row by row"
        )
    if colorbar:
        axes.figure.colorbar(artist, ax=axes, label="value", fraction=0.05, pad=0.03)
    return axes


def waves(
    length: int | tuple[int, ...],
    dim: int,
    *,
    start: float = 0,
    columns: Sequence[int] | None = None,
    encoding: str | Encoding | None = None,
    ax: Any = None,
    **kwargs: Any,
) -> Any:
    """Draw columns against the position: each is a wave, sines as solid lines and their cosines dashed.

    Parameters
    ----------
    length, dim, start, encoding, ax
        As for `heatmap`. Between whole positions the wave is drawn, too.
    columns : sequence of int, optional
        Which columns to draw. Default: the sines and cosines of up to four frequencies, evenly spaced.
    **kwargs
        For `Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ImportError, TypeError, ValueError
        As `heatmap`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt, posenc.plot
    >>> ax = posenc.plot.waves(60, 32, columns=[6, 7, 8, 9], ax=plt.figure().add_subplot())
    >>> [line.get_label() for line in ax.lines][:2]
    ['6: sin, wavelength 35.3', '7: cos, wavelength 35.3']
    """
    which, width, sizes = _pictures.arguments(length, dim, encoding)
    owner, source = _encoding.columns(which, width)
    chosen = _pictures.chosen_columns(columns, width, _pictures.some_pairs(owner, source, which.axes))
    first = _pictures.first_position(start, which, sizes)
    axes = _pictures.target(ax)
    looks: dict[tuple[int, int], int] = {}
    for column in chosen:
        axis, k, cosine = int(owner[column]), int(source[column]) >> 1, int(source[column]) & 1
        size = sizes[max(axis, 0)]
        wave = which.wavelengths(width, axis)[k] if axis >= 0 else math.inf
        along = first + _pictures.samples(size, wave)
        positions = np.full((len(along), which.axes), first)
        positions[:, max(axis, 0)] = along
        values = encode(positions if which.axes > 1 else along, width, encoding=which)[:, column]
        where = f", axis {axis}" if which.axes > 1 else ""
        text = f"{'cos' if cosine else 'sin'}{where}, wavelength {_pictures.short(wave)}" if axis >= 0 else "0"
        lap, colour = divmod(looks.setdefault((axis, k), len(looks)), len(COLOURS))
        line = LINES[(2 * lap + cosine) % len(LINES)]
        style = {"color": COLOURS[colour], "ls": line, "lw": 1.5, "label": f"{column}: {text}"}
        style |= {"marker": "o"} if size == 1 else {}  # through a single point no curve goes
        axes.plot(along, values, **_pictures.styled(style, kwargs))
    axes.set(xlabel="position" if which.axes == 1 else "position along the column's axis", ylabel="value")
    _pictures.legend(axes, "column")
    return axes


def rows(
    length: int,
    dim: int,
    *,
    start: float = 0,
    encoding: str | Encoding | None = None,
    ax: Any = None,
    **kwargs: Any,
) -> Any:
    """Draw rows against the column, one above the other: sines and cosines alternate, or stand side by side.

    Fast columns change from row to row and slow ones hardly do, as the digits of a counter.

    Parameters
    ----------
    length : int
        How many positions, of which 8 are drawn at most, evenly spaced. For an encoding over several axes they are the
        same along all of them.
    dim, start, encoding, ax
        As for `heatmap`.
    **kwargs
        For `Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ImportError, TypeError, ValueError
        As `heatmap`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt, posenc.plot
    >>> ax = posenc.plot.rows(5, 16, ax=plt.figure().add_subplot())
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['0', '1', '2', '3', '4']
    """
    which, width, sizes = _pictures.arguments(length, dim, encoding)
    if len(set(sizes)) > 1:
        raise ValueError(
            f"length: expected an integer, got {length}; rows are drawn at (p, p, ...), `length={min(sizes)}`"
        )
    owner, source = _encoding.columns(which, width)
    first = _pictures.first_position(start, which, sizes)
    axes, limit = _pictures.target(ax), _pictures.largest(which, width)
    steps = np.unique(np.linspace(0, sizes[0] - 1, min(sizes[0], RIDGES)).round())
    positions = first + steps
    places = np.stack([positions] * which.axes, -1) if which.axes > 1 else positions
    values = encode(places, width, encoding=which, dtype=np.float64)  # of any amplitude
    marked = width <= MARKED
    for i, row in enumerate(values / (2.3 * limit)):
        axes.axhline(i, color="#dddddd", lw=0.8, zorder=0)
        if marked:
            axes.plot(np.arange(width), i - row, color=GREY, lw=0.7, drawstyle="steps-mid", label="_row")
        for name, colour, marker, own in (
            ("sine", SINE, "o", (owner >= 0) & (source & 1 == 0)),
            ("cosine", COSINE, "s", (owner >= 0) & (source & 1 == 1)),
        ):
            style: dict[str, Any] = {"color": colour, "label": name if i == 0 else f"_{name}"}
            style |= {"marker": marker, "ms": 4, "ls": ""} if marked else {"lw": 1.0}
            axes.plot(np.flatnonzero(own), (i - row)[own], **_pictures.styled(style, kwargs))
    axes.set_yticks(range(len(positions)), [f"{position:.16g}" for position in positions])
    axes.set_ylim(len(positions) - 0.4, -0.6)
    axes.set(xlabel="column", ylabel="position" if which.axes == 1 else "position, along all axes")
    _pictures.legend(axes, f"value, upwards; rows are {2.3 * limit:.3g} apart")
    return axes


def similarity(
    length: int | tuple[int, ...],
    dim: int,
    *,
    encoding: str | Encoding | None = None,
    ax: Any = None,
    **kwargs: Any,
) -> Any:
    """Draw how alike two rows are, and how far from each other, against the offset between their positions.

    For an encoding over two axes an image over both offsets, with distances as contour lines; for more axes a curve
    along each.

    Parameters
    ----------
    length : int, or tuple of int for an encoding over several axes
        Offsets go from 1 - length to length - 1.
    dim, encoding, ax
        As for `heatmap`; see `posenc.properties.similarity`, too.
    **kwargs
        For `Axes.plot` or, of two axes, `Axes.imshow`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ImportError, TypeError, ValueError
        As `heatmap`, and if rows are not alike in the same way everywhere, as at odd widths.

    Examples
    --------
    >>> import matplotlib.pyplot as plt, posenc.plot
    >>> ax = posenc.plot.similarity(50, 128, ax=plt.figure().add_subplot())
    >>> float(ax.lines[0].get_ydata()[49])  # a row and itself
    1.0
    """
    which, width, sizes = _pictures.arguments(length, dim, encoding)
    norm = properties.similarity(0.0, width, encoding=which)
    axes = _pictures.target(ax)
    label = "similarity  PE(p) · PE(p + offset) / |PE|²"
    if which.axes == 2:
        offsets = np.stack(np.meshgrid(*(np.arange(1 - size, size) for size in sizes), indexing="ij"), -1)
        values = properties.similarity(offsets, width, encoding=which) / norm
        edges = (0.5 - sizes[1], sizes[1] - 0.5, sizes[0] - 0.5, 0.5 - sizes[0])
        style: dict[str, Any] = {"cmap": "viridis", "interpolation": "nearest", "extent": edges}
        image = axes.imshow(values, **_pictures.coloured(style, kwargs))
        if min(values.shape) > 1:
            apart = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * values))
            lines = axes.contour(offsets[0, :, 1], offsets[:, 0, 0], apart, 5, colors="white", linewidths=0.8)
            axes.clabel(lines, fontsize=7, fmt="%.2f")
        axes.figure.colorbar(image, ax=axes, label=label, fraction=0.05, pad=0.03)
        axes.set(xlabel="offset along axis 1 (lines: distance / |PE|)", ylabel="offset along axis 0")
        return axes
    curves: dict[bytes, list[int]] = {}  # axes that look alike share one
    for axis, size in enumerate(sizes):
        line = np.zeros((2 * size - 1, which.axes))
        line[:, axis] = np.arange(1 - size, size)
        curve = properties.similarity(line if which.axes > 1 else line[:, 0], width, encoding=which) / norm
        curves.setdefault(curve.round(9).tobytes(), []).append(axis)
    for i, (buffer, alike) in enumerate(curves.items()):
        values = np.frombuffer(buffer)
        along = np.arange(len(values)) - len(values) // 2
        name = f"along {_pictures.named(alike)}: " if which.axes > 1 else ""
        colour, second = COLOURS[2 * i % len(COLOURS)], COLOURS[(2 * i + 1) % len(COLOURS)]
        style = {"color": colour, "lw": 1.6, "label": f"{name}{label}"}
        axes.plot(along, values, **_pictures.styled(style, kwargs))
        text = f"{name}distance  |PE(p) - PE(p + offset)| / |PE|"
        apart = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * values))
        style = {"color": second, "lw": 1.2, "ls": "--", "label": text}
        axes.plot(along, apart, **_pictures.styled(style, kwargs))
    axes.axhline(0.0, color="#dddddd", lw=0.8, zorder=0)
    axes.set(xlabel="offset, in positions", ylabel="relative to |PE|² and |PE|")
    _pictures.legend(axes, None, columns=1)
    return axes


def wavelengths(
    length: int | tuple[int, ...],
    dim: int,
    *,
    encoding: str | Encoding | None = None,
    ax: Any = None,
    **kwargs: Any,
) -> Any:
    """Draw the wavelength of every frequency on a logarithmic scale, against a length.

    Within that length, columns of the near band turn at least once, and those of the far band by less than a quarter:
    their sines only rise, and their cosines only fall.

    Parameters
    ----------
    length : int, or tuple of int for an encoding over several axes
        The length of a sequence, drawn as a line.
    dim, encoding, ax
        As for `heatmap`.
    **kwargs
        For `Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ImportError, TypeError, ValueError
        As `heatmap`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt, posenc.plot
    >>> ax = posenc.plot.wavelengths(512, 128, ax=plt.figure().add_subplot())
    >>> ax.get_yscale(), ax.get_ylabel()
    ('log', 'wavelength, in positions')
    """
    which, width, sizes = _pictures.arguments(length, dim, encoding)
    axes = _pictures.target(ax)
    groups: dict[tuple[bytes, int], list[int]] = {}  # axes of equal wavelengths and sizes, whose markers would coincide
    for axis, size in enumerate(sizes):
        groups.setdefault((which.wavelengths(width, axis).tobytes(), size), []).append(axis)
    for i, ((buffer, size), alike) in enumerate(groups.items()):
        values = np.frombuffer(buffer)
        finite = np.isfinite(values)
        bands = (
            ("turn at least once", SINE, "o", values <= size),
            ("turn by a quarter or more", GREY, "^", (values > size) & (values <= 4 * size)),
            ("turn by less than a quarter", COSINE, "s", (values > 4 * size) & finite),
        )
        along = f"{_pictures.named(alike)}: " if which.axes > 1 else ""
        for name, colour, marker, own in bands:
            style: dict[str, Any] = {"color": colour, "marker": marker, "ls": "", "ms": 5.5 + 3.0 * i}
            style["label"] = f"{along}{own.sum()} of {len(values)} {name}"
            if i:  # a ring, around what another axis may have in the same place
                style["mfc"] = "none"
            if own.any():
                axes.plot(np.flatnonzero(own), values[own], **_pictures.styled(style, kwargs))
        if not finite.all():
            axes.plot([], [], ls="", label=f"{along}{(~finite).sum()} of {len(values)} do not move")
    for i, size in enumerate(sorted(set(sizes))):
        alike = [axis for axis, own in enumerate(sizes) if own == size]
        along = f"{_pictures.named(alike)}: " if which.axes > 1 else ""
        axes.axhline(size, color="black", lw=1.0, ls=LINES[i % len(LINES)], label=f"{along}{size} positions")
    axes.set_yscale("log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="frequency k", ylabel="wavelength, in positions")
    _pictures.legend(axes, None)
    return axes
