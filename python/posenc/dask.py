"""Positional encodings for dask's arrays: lazily, chunk by chunk, with the bits of one call.

A chunk does not know where it stands in its array; these functions tell it. They use what dask documents,
``map_blocks`` and ``blockwise``, and write nothing in place: dask's chunks are shared, and tasks may run twice.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import posenc

from . import _arrays, _axes, _conventions, _encoding, _positions, _rows, _validate, _where
from ._dtypes import EXPECTED
from ._encoding import Encoding
from ._where import Where

__all__ = ["add", "encode"]

try:
    da: Any = importlib.import_module("dask.array")
except ModuleNotFoundError as error:
    if error.name not in ("dask", "dask.array"):
        raise
    raise ImportError(
        'posenc.dask: expected dask to be installed, got none; `pip install "posenc[dask]"`, or '
        '`pip install "dask[array]"`'
    ) from None


def encode(
    length: Any,
    dim: int,
    *,
    chunks: Any,
    start: float = 0,
    encoding: str | Encoding | None = None,
    dtype: DTypeLike = "float32",
) -> Any:
    """Return sinusoidal positional encodings as a dask array.

    Parameters
    ----------
    length : int, or dask array of shape (..., L)
        How many rows, at start, start + 1, ...; or the position of every row, as for `posenc.encode`. For an encoding
        over k axes: coordinates (..., k), the last axis in one chunk.
    dim : int
        Number of channels D, which are all in one chunk.
    chunks : int, tuple or "auto"
        How many rows there are in a chunk, or what dask takes for the shape (L, D), with D in one chunk. None, where
        `length` is an array: its chunks are kept.
    start : number, default 0
        Position of row 0, where `length` is one.
    encoding, dtype
        As for `posenc.encode`, dtypes of NumPy only.

    Returns
    -------
    dask array of shape (..., L, D)
        Equal bit for bit to ``posenc.encode``, whatever the chunks are.

    Raises
    ------
    TypeError, ValueError
        As `posenc.encode`; also if D is in several chunks. Positions that are not finite are refused when their chunk
        is computed.

    Examples
    --------
    >>> import numpy as np, posenc, posenc.dask
    >>> table = posenc.dask.encode(10_000, 64, chunks=1_000)
    >>> table.numblocks
    (10, 1)
    >>> np.array_equal(table.compute(), posenc.encode(10_000, 64))
    True
    """
    rule = _conventions.resolve(encoding)
    width = _validate.integer(dim, "dim", minimum=1)
    own = _numpy_dtype(dtype)
    _encoding.spectra(rule, width)
    if isinstance(length, da.Array):
        if chunks is not None:
            raise ValueError("chunks: expected None with an array of positions, got both; `length.rechunk(chunks)`")
        _rows.refuse_both(Where(start=start))
        return _encode_positions(length, width, rule, own)
    if rule.axes > 1 or not isinstance(length, (int, np.integer)) or isinstance(length, bool):
        raise TypeError(
            f"length: expected an integer{'' if rule.axes == 1 else ' and an encoding over one axis'}, or a dask array "
            f"of positions, got {_validate.shown(length)}; `da.from_array(positions, chunks)` with chunks=None"
        )
    shape = _validate.integer(length, "length", minimum=0), width
    first = _one_start(start)
    axes = _where.axes(shape, "length", 1, Where(), None)
    _rows.place(axes, _encoding.spectra(rule, width)[0].offset, Where(start=first), None, None)
    cut = _chunks(chunks, shape, own)
    # block_info tells where a chunk begins.
    return da.map_blocks(
        _encode_rows, chunks=cut, dtype=own, meta=np.empty((0, 0), own), dim=width, start=first, rule=rule, kind=own
    )


def add(
    x: Any,
    *,
    start: Any = 0,
    positions: Any = None,
    mask: Any = None,
    x_scale: float | str = 1.0,
    encoding: str | Encoding | None = None,
    seq_axis: int | tuple[int, ...] = -2,
) -> Any:
    """Return x * x_scale + PE as a dask array. `x` and its chunks stay as they are.

    Parameters
    ----------
    x : dask array of shape (..., L, D); float32, float64, float16 or bfloat16
        Of NumPy arrays, in chunks along any axis but the channels.
    start : number, default 0
        Position of row 0; for an encoding over several axes, one for all or one for each.
    positions, mask : array, optional
        As for `posenc.add`, as NumPy arrays or dask arrays, which are given the chunks of `x`.
    x_scale, encoding
        As for `posenc.add`.
    seq_axis : int, or tuple of int for an encoding over several axes, default -2
        The axis along which positions count. For an encoding over k axes the default is the last k before the
        channels.

    Returns
    -------
    dask array
        Equal bit for bit to ``posenc.add`` of the whole array, whatever the chunks are. Every chunk is a new array.

    Raises
    ------
    TypeError, ValueError
        As `posenc.add`; also if the channels are in several chunks, or the sizes of chunks are unknown. Positions that
        are not finite are refused when their chunk is computed.

    Examples
    --------
    >>> import dask.array as da, numpy as np, posenc, posenc.dask
    >>> x = da.ones((4, 1_000, 64), chunks=(2, 100, -1), dtype="float32")
    >>> y = posenc.dask.add(x, encoding="whisper")
    >>> np.array_equal(y.compute(), posenc.add(x.compute(), encoding="whisper"))
    True
    """
    rule = _conventions.resolve(encoding)
    _check_array(x)
    where = Where(start=start, seq_axis=None if rule.axes > 1 and seq_axis == -2 else seq_axis)
    given = None if positions is None else _lazy(positions, "positions")
    axes = _where.axes(x.shape, "x", rule.axes, where, None if given is None else given.shape)
    sequence = _sequence(axes, x.ndim)
    _check_chunks(x, sequence)
    kind = _arrays.dtype(x.dtype)[0]
    scale = _validate.x_scale(x_scale, kind, x.shape[-1])
    spectra = _encoding.spectra(rule, x.shape[-1])
    letters = tuple(range(x.ndim))
    fixed = {"rule": rule, "scale": scale, "sequence": sequence}
    if given is not None:
        _rows.refuse_both(Where(start=start))
        _positions.numbers(np.empty(0, given.dtype), "positions")
        last = (rule.axes,) if rule.axes > 1 else ()
        beside = _beside(given, x, axes, sequence, last, "positions")
        parts: list[Any] = [x, letters, beside, (*letters[:-1], x.ndim)]
        if mask is not None:
            _positions.truths(np.empty(0, _lazy(mask, "mask").dtype))
            parts += [_beside(_lazy(mask, "mask"), x, axes, sequence, (), "mask"), (*letters[:-1], x.ndim + 1)]
        meta = np.empty((0,) * x.ndim, x.dtype)
        return da.blockwise(
            _add_positions, letters, *parts, dtype=x.dtype, meta=meta, concatenate=True, align_arrays=False, **fixed
        )
    if rule.axes == 1:
        starts: tuple[float, ...] = (_one_start(start),)
        _rows.place(axes, spectra[0].offset, Where(start=starts[0]), None, None)
    else:
        _axes.place(axes, [spectrum.offset for spectrum in spectra], Where(start=start), None, None)
        starts = tuple(map(float, _axes.per_axis(start, "start", rule.axes)))
    arrays = [x]
    if mask is not None:
        _positions.truths(np.empty(0, _lazy(mask, "mask").dtype))
        arrays.append(_beside(_lazy(mask, "mask"), x, axes, sequence, (), "mask"))
    meta = np.empty((0,) * x.ndim, x.dtype)
    return da.map_blocks(_add_rows, *arrays, dtype=x.dtype, meta=meta, chunks=x.chunks, starts=starts, **fixed)


# ---- what runs in tasks: functions of a module, whose arguments tell all ---------------------------------------------


def _encode_rows(*, dim: int, start: float, rule: Encoding, kind: Any, block_info: Any = None) -> NDArray[Any]:
    first, last = block_info[None]["array-location"][0]
    place = _counted(start, first, last)
    if "start" in place:
        return _made(posenc.encode(last - first, dim, encoding=rule, dtype=kind, threads=1, **place))
    return _made(posenc.encode(place["positions"], dim, encoding=rule, dtype=kind, threads=1))


def _encode_each(positions: NDArray[Any], *, dim: int, rule: Encoding, kind: Any) -> NDArray[Any]:
    return _made(posenc.encode(positions, dim, encoding=rule, dtype=kind, threads=1))


def _add_rows(
    x: NDArray[Any],
    mask: NDArray[Any] | None = None,
    *,
    starts: tuple[float, ...],
    rule: Encoding,
    scale: float,
    sequence: tuple[int, ...],
    block_info: Any = None,
) -> NDArray[Any]:
    location = block_info[0]["array-location"]
    spans = [location[axis] for axis in sequence]
    one = len(sequence) == 1
    places = [_counted(start, *span) for start, span in zip(starts, spans, strict=True)]
    if all("start" in place for place in places):
        counted = [place["start"] for place in places]
        where: dict[str, Any] = {"start": counted[0] if one else counted}
    else:
        lines = [start + np.arange(*span, dtype=np.float64) for start, span in zip(starts, spans, strict=True)]
        where = {"positions": lines[0] if one else np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)}
    return _sum(x, mask, rule, scale, sequence, where)


def _add_positions(
    x: NDArray[Any],
    positions: NDArray[Any],
    mask: NDArray[Any] | None = None,
    *,
    rule: Encoding,
    scale: float,
    sequence: tuple[int, ...],
) -> NDArray[Any]:
    coordinates = positions if rule.axes > 1 else positions[..., 0]
    return _sum(x, mask, rule, scale, sequence, {"positions": coordinates})


def _sum(
    x: NDArray[Any],
    mask: NDArray[Any] | None,
    rule: Encoding,
    scale: float,
    sequence: tuple[int, ...],
    where: dict[str, Any],
) -> NDArray[Any]:
    real = None if mask is None else mask[..., 0]
    axis = sequence[0] if len(sequence) == 1 else sequence
    return _made(posenc.add(x, mask=real, x_scale=scale, encoding=rule, seq_axis=axis, threads=1, **where))


def _made(result: Any) -> NDArray[Any]:
    array: NDArray[Any] = result
    return array


def _counted(start: float, first: int, last: int) -> dict[str, Any]:
    """Where the rows [first, last) of an array stand: start + i is rounded once."""
    if float(start).is_integer():
        return {"start": start + first}
    return {"positions": start + np.arange(first, last, dtype=np.float64)}


# ---- what users pass in ----------------------------------------------------------------------------------------------


def _encode_positions(positions: Any, dim: int, rule: Encoding, own: np.dtype[Any]) -> Any:
    _positions.numbers(np.empty(0, positions.dtype), "length")
    letters = tuple(range(positions.ndim))
    several = rule.axes > 1
    if several and (positions.ndim < 2 or positions.shape[-1] != rule.axes):
        raise ValueError(
            f"length: expected coordinates, shape (..., {rule.axes}), for this encoding, got shape {positions.shape}"
        )
    if several and positions.numblocks[-1] != 1:
        raise ValueError(
            f"length: expected the coordinates in one chunk, got {positions.numblocks[-1]}; "
            "`length.rechunk({-1: -1})`"
        )
    if not positions.ndim:
        raise TypeError(
            "length: expected an integer, or an array of at least 1 dimension, got one of none; `length[None]`"
        )
    out = (*(letters[:-1] if several else letters), positions.ndim)
    meta = np.empty((0,) * len(out), own)
    new = {positions.ndim: dim}
    return da.blockwise(
        _encode_each,
        out,
        positions,
        letters,
        new_axes=new,
        dtype=own,
        meta=meta,
        concatenate=True,
        dim=dim,
        rule=rule,
        kind=own,
    )


def _numpy_dtype(dtype: Any) -> np.dtype[Any]:
    own = _arrays.dtype(dtype)[1]
    if not isinstance(own, np.dtype):
        own = np.dtype(own) if isinstance(own, type) else own
    if not isinstance(own, np.dtype):
        raise TypeError(f"dtype: expected one of NumPy's, got {dtype}; its name is one")
    return own


def _one_start(start: Any) -> float:
    if np.ndim(start):
        raise TypeError(
            f"start: expected a number, got {_validate.shown(start)}; for one per sequence pass positions=, "
            "`positions=np.asarray(start)[:, None] + np.arange(x.shape[-2])`"
        )
    number = _positions.numbers(start, "start").item()
    return number if isinstance(number, int) else float(number)


def _chunks(chunks: Any, shape: tuple[int, int], dtype: np.dtype[Any]) -> Any:
    """What a user says about chunks, as dask has it, with all channels in one."""
    if chunks is None or isinstance(chunks, bool):
        raise TypeError("chunks: expected an integer, a tuple or 'auto', got None; `chunks=\"auto\"` lets dask choose")
    try:
        if isinstance(chunks, dict):
            whole: Any = {1: -1} | {range(2)[axis]: size for axis, size in chunks.items()}
        elif not isinstance(chunks, (tuple, list)):
            whole = (chunks, -1)
        else:
            whole = (*chunks, -1) if len(chunks) == 1 else chunks
        cut = da.core.normalize_chunks(whole, shape, dtype=dtype)
        sensible = all(size >= 0 for sizes in cut for size in sizes)
    except (ValueError, TypeError, IndexError, ZeroDivisionError):
        sensible = False
    if not sensible:
        raise ValueError(
            f"chunks: expected sizes from 1 on, or what dask takes for the shape {shape}, got {chunks!r}; "
            '`chunks="auto"` lets dask choose'
        )
    if len(cut[1]) != 1:
        raise ValueError(
            f"chunks: expected all {shape[1]} channels in one chunk, got {cut[1]}; `chunks=({cut[0][0]}, -1)`"
        )
    return cut


def _check_array(x: Any) -> None:
    if not isinstance(x, da.Array):
        raise TypeError(
            f"x: expected a dask array, got {_arrays.type_name(x)}; `posenc.add(x)` for an array in memory, or "
            '`x = da.from_array(x, chunks="auto")`'
        )
    if type(x._meta) is not np.ndarray:
        raise TypeError(
            f"x: expected a dask array of NumPy arrays, got one of {_arrays.type_name(x._meta)}; "
            "`x = x.map_blocks(np.asarray)`"
        )
    try:
        _arrays.dtype(x.dtype)
    except TypeError:
        raise TypeError(
            f"x.dtype: expected {EXPECTED} in native byte order, got {_arrays.dtype_name(x.dtype)}; "
            '`x = x.astype("float32")`'
        ) from None


def _check_chunks(x: Any, sequence: tuple[int, ...]) -> None:
    if any(math.isnan(size) for axis in (*sequence, x.ndim - 1) for size in x.chunks[axis]):
        raise ValueError("x: expected chunks of known sizes, got unknown ones; `x = x.compute_chunk_sizes()`")
    if x.numblocks[-1] != 1:
        raise ValueError(
            f"x: expected all channels in one chunk, got {x.numblocks[-1]} of sizes {x.chunks[-1]}; "
            "`x = x.rechunk({-1: -1})`"
        )


def _sequence(axes: _where.Axes, ndim: int) -> tuple[int, ...]:
    order = axes.order or tuple(range(ndim))
    return order[len(axes.leading) : -1]


def _lazy(values: Any, name: str) -> Any:
    """Positions or a mask, in dask's hands."""
    if isinstance(values, da.Array):
        return values
    array = _arrays.numbers(values, name)
    return da.from_array(array, chunks=array.shape or -1)


def _beside(values: Any, x: Any, axes: _where.Axes, sequence: tuple[int, ...], last: tuple[int, ...], name: str) -> Any:
    """`values` of rows as (..., k), or (..., 1) if `last` is (), with as many axes and the chunks of `x`."""
    size = values.ndim - len(last)
    rows, coordinates = values.shape[:size], values.shape[size:]
    unknown = name if any(map(math.isnan, rows)) else None
    if size == x.ndim - 1 and any(math.isnan(n) and m != 1 for n, m in zip(x.shape, rows, strict=False)):
        unknown = "x"
    if unknown is not None:
        raise ValueError(
            f"{name}: expected chunks of known sizes, in x too, got unknown ones in {unknown}; "
            f"`{unknown} = {unknown}.compute_chunk_sizes()`"
        )
    common = tuple(x.shape[axis] for axis in sequence)
    if coordinates != last or not (rows == common or _positions.fits(rows, x.shape[:-1])):
        whole = (*x.shape[:-1], *last)
        raise ValueError(
            f"{name}: expected shape {(*common, *last)} or {whole}, got {values.shape}; an axis of length 1 stands for "
            "all, in an array of as many dimensions as the last of these"
        )
    if rows == common and len(rows) != x.ndim - 1:
        place = [1] * (x.ndim - 1)
        for axis in sequence:
            place[axis] = x.shape[axis]
        rows = tuple(place)
        values = values.reshape((*rows, *last))
    if not last:
        values = values[..., None]
    cut = [x.chunks[axis] if rows[axis] == x.shape[axis] else (1,) for axis in range(x.ndim - 1)]
    return values.rechunk((*cut, values.shape[-1:]))
