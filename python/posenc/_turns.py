"""The columns of an encoding as pairs to be turned, and how Python backends turn them.

A pair is a cosine and a sine of the same angle: columns of one frequency, axis and tile. Of an array x with a column u
where a row of the encoding has a cosine c, and v where it has the sine s of that angle, a turn makes

    x[u] c - x[v] s   and   x[v] c + x[u] s

each product and each sum rounded: nothing is fused. 16-bit elements are computed in float32, and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _encoding, _notes
from ._blocks import blocks
from ._cache import Cache
from ._encoding import Encoding
from ._half import narrow, widen

TILE_ELEMENTS = 2**16  # that are turned at a time


class Run(NamedTuple):
    """Pairs whose columns are evenly spaced: cosines at cos, cos + step, ..., sines at sin, sin + step, ..."""

    cos: int
    sin: int
    number: int
    step: int

    @property
    def columns(self) -> tuple[slice, slice]:
        reach = (self.number - 1) * self.step + 1
        return slice(self.cos, self.cos + reach, self.step), slice(self.sin, self.sin + reach, self.step)


class Runs(tuple[Run, ...]):
    """All pairs of an encoding at one width."""

    @property
    def nbytes(self) -> int:
        return 200 * len(self)

    @property
    def pairs(self) -> int:
        return sum(run.number for run in self)


def runs(encoding: Encoding, dim: int) -> Runs:
    """The pairs of an encoding with `dim` columns, or an error if some column has no partner."""
    return _runs[encoding, dim]


def _make(key: tuple[Encoding, int]) -> Runs:
    encoding, dim = key
    partners = _partners(encoding, dim)
    if partners is None:
        raise _broken(encoding, dim)
    cos, sin = partners
    result: list[Run] = []
    for c, s in zip(cos.tolist(), sin.tolist(), strict=True):
        last = result[-1] if result else None
        if last is not None:
            step = c - last.cos if last.number == 1 else last.step
            if step > 0 and c - last.cos == s - last.sin == last.number * step:
                result[-1] = last._replace(number=last.number + 1, step=step)
                continue
        result.append(Run(c, s, 1, 1))
    return Runs(result)


_runs: Cache[tuple[Encoding, int], Runs] = Cache(_make)


def _partners(encoding: Encoding, dim: int) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """The columns of cosines and of their sines, from left to right; None if some column has no partner."""
    axis, source = _encoding.columns(encoding, dim)
    column = np.flatnonzero(axis >= 0)
    axis, k, cosine = axis[column], source[column] >> 1, source[column] & 1
    tile = column // (dim // encoding.tile)
    order = np.lexsort((cosine, k, axis, tile))
    if len(order) % 2:
        return None
    keys = np.stack((tile, axis, k))[:, order]
    if not ((keys[:, ::2] == keys[:, 1::2]).all() and (cosine[order].reshape(-1, 2) == (0, 1)).all()):
        return None
    sin, cos = column[order[::2]], column[order[1::2]]
    order = np.argsort(np.minimum(sin, cos))
    return cos[order], sin[order]


def _broken(encoding: Encoding, dim: int) -> ValueError:
    widths = (dim - 1, dim + 1, *(dim + off for n in range(2, 65) for off in (-n, n)))
    width = next((width for width in widths if width > 0 and _is_paired(encoding, width)), 0)
    way = "use an encoding with an even width for each of its axes"
    if 0 < width < dim:
        way = f"a view of {width} channels would do, `x[..., :{width}]`"
    elif width:
        way = f"{width} channels would do"
    return ValueError(
        f"encoding: expected pairs of columns, a sine and a cosine of each angle, got {encoding!r} of {dim} columns, "
        f"where one has no partner; {way}"
    )


def _is_paired(encoding: Encoding, dim: int) -> bool:
    try:
        _encoding.spectra(encoding, dim)
    except ValueError:
        return False
    return _partners(encoding, dim) is not None


def turn(
    x: NDArray[Any], out: NDArray[Any], rows: NDArray[Any], pairs: Sequence[Run], inverse: bool, elements: int
) -> None:
    """Write `x` (*own, *shared, L, dim), turned by `rows` (*own, L, dim), to `out`, which may be `x`.

    A row of NaN turns nothing: `out` stays as it is. So do columns that are in no pair.
    """
    own = rows.ndim - 2
    rows = rows.reshape(*rows.shape[:own], *(1,) * (x.ndim - 2 - own), *rows.shape[own:])
    rows = np.broadcast_to(rows, x.shape)
    # errstate as in compiled code: what the caller asked for may not end half way
    with np.errstate(all="ignore"), _notes.Walk(out.size, "the first ones") as walk:
        for index in blocks(x.shape[:-1], max(1, elements // x.shape[-1])):
            _turn(x[index], out[index], rows[index], pairs, inverse)
            walk.done += out[index].size


def _turn(x: NDArray[Any], out: NDArray[Any], rows: NDArray[Any], pairs: Sequence[Run], inverse: bool) -> None:
    half = x.itemsize == 2
    masked = np.isnan(rows[..., :1])
    real: Any = ~masked if masked.any() else True
    wide = widen(x) if half else x
    for run in pairs:
        cos, sin = run.columns
        u, v, c, s = wide[..., cos], wide[..., sin], rows[..., cos], rows[..., sin]
        first, second = u * c, v * c
        if inverse:
            first += v * s
            second -= u * s
        else:
            first -= v * s
            second += u * s
        for columns, values in ((cos, first), (sin, second)):
            np.copyto(out[..., columns], narrow(values, out.dtype) if half else values, where=real)
