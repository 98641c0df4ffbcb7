"""Coordinates of grids, for what `fill_` and `add_` do not do without positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _validate
from ._axes import per_axis


def grid(
    *shape: int,
    start: ArrayLike = 0.0,
    step: ArrayLike = 1.0,
    normalize: bool = False,
    offset: ArrayLike = 0.0,
    eps: float = 1e-6,
    order: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Coordinates of the cells of a grid: start + step * index along each axis.

    What `fill_` and `add_` do without positions needs none of it. Where a parameter is said to be one number or one per
    axis, the axes are those of `shape`.

    Parameters
    ----------
    *shape : int
        Number of cells along each axis: (h, w) for an image, (t, h, w) for a video.
    start, step : float, or one per axis, default 0 and 1
        Coordinate of the first cell, and from one to the next.
    normalize : bool, default False
        Whether to go on from a coordinate p to (p + offset) / (last + eps), where `last` is p of the axis' last cell.
        With start=1 that is what DETR does, and with offset=-0.5 as well Deformable DETR.
    offset : float, or one per axis, default 0
    eps : float, default 1e-6
        See `normalize`.
    order : sequence of int, optional
        Whose axis' coordinate stands first, second ...: (1, 0) gives x before y. Default: (0, 1, ...), as encodings
        over several axes expect it, whatever the order of their columns.

    Returns
    -------
    ndarray of shape (*shape, len(shape)), float64

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or shape described above.

    Examples
    --------
    >>> import posenc
    >>> posenc.grid(2, 3)[1]  # (y, x) of the second row
    array([[1., 0.],
           [1., 1.],
           [1., 2.]])
    >>> normalized = posenc.grid(4, 4, start=1, normalize=True)
    >>> posenc.encode(normalized, 8, encoding=posenc.get_encoding("detr", normalize=True)).shape
    (4, 4, 8)
    """
    if len(shape) == 1 and _is_shape(shape[0]):
        raise TypeError(
            f"shape: expected an integer, got {_validate.shown(shape[0])}; unpack it, `posenc.grid(*shape)`"
        )
    sizes = tuple(_validate.integer(size, "shape", minimum=0) for size in shape)
    if not sizes:
        raise ValueError(
            "shape: expected the size of at least 1 axis, got none; posenc.grid(height, width) is an image's"
        )
    if not isinstance(normalize, (bool, np.bool_)):
        raise TypeError(f"normalize: expected True or False, got {_validate.shown(normalize)}")
    count = len(sizes)
    first, gap, shift = (
        per_axis(value, name, count) for value, name in ((start, "start"), (step, "step"), (offset, "offset"))
    )
    last = first + gap * (np.array(sizes) - 1)
    below = last + per_axis(eps, "eps", count)
    if normalize and not below.all():
        raise ValueError(
            f"eps: expected last coordinates + eps other than 0, got {last.tolist()} + {eps}; `eps=1e-6` is the default"
        )
    axes = _validate.axis_order(order, "order", count)
    result = np.empty((*sizes, count))
    for place, a in enumerate(axes):
        line = first[a] + gap[a] * np.arange(sizes[a])
        if normalize:
            line = (line + shift[a]) / below[a]
        result[..., place] = line.reshape(-1, *(1,) * (count - 1 - a))
    return result


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and bool(value) and all(isinstance(n, (int, np.integer)) for n in value)
