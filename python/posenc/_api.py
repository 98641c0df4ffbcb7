"""The public functions: they check everything, then make one call into a backend.

Formula: Vaswani et al., "Attention Is All You Need" (2017), section 3.5,
PE(p, 2k) = sin(p w_k), PE(p, 2k + 1) = cos(p w_k), w_k = 10000^(-2k / D); `Encoding` has the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _arrays, _backend, _conventions, _encoding, _grid, _positions, _threads, _validate
from ._encoding import Encoding
from ._positions import LAST, Axes

Array = TypeVar("Array")


def fill_(
    out: Array,
    *,
    start: ArrayLike = 0,
    positions: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    cu_seqlens: ArrayLike | None = None,
    encoding: str | Encoding | None = None,
    seq_axis: int | tuple[int, ...] | None = None,
    channel_axis: int = -1,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Array:
    """Write sinusoidal positional encodings into `out`, in place.

    Parameters
    ----------
    out : array of shape (..., L, D); float32, float64, float16 or bfloat16
        A NumPy array (bfloat16: of ml_dtypes), a torch tensor on the CPU, or anything that lends its memory by
        `__dlpack__` or the buffer protocol. Any strides and any number of leading dimensions; every sequence gets the
        same rows. For an encoding over several axes: (..., H, W, D), (..., T, H, W, D); rows of H * W tokens are passed
        as such a view, or with `positions`.
    start : number, or array, default 0
        Position of row 0: of all sequences, or of each (of the shape of `out` without sequence and channels; with
        `cu_seqlens` one per packed sequence). Row i stands at start + i, in float64. May be negative or fractional. For
        an encoding over several axes: of the first cell along all of them, or along each.
    positions : array, optional
        Position of every row instead: integers, float32 or float64, up to 2**53 in magnitude, of shape (L,) or that of
        `out` without channels. For an encoding over k axes they are followed by an axis of k coordinates, and the
        shape of a grid without leading dimensions will do as well: (L, k), (H, W, k), or (..., H, W, k); see `grid`.
    mask : array of bool, or of 0 and 1, optional
        Which rows are real, in one of the shapes of `positions`, without coordinates. The others become zero.
    cu_seqlens : array of int, optional
        Where packed sequences begin along the sequence axis, and where the last one ends: from 0 to L. Each is
        numbered anew from `start`. Sequences may be empty.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper.
    seq_axis : int, or tuple of int for an encoding over several axes, optional
        The axis of `out` along which positions count. Default: the last one, or ones, that do not hold the channels.
    channel_axis : int, default -1
        The axis of `out` that holds the D channels.
    threads : int or "auto", optional
        How many threads a large call may use. Default: see `set_num_threads`. Only the compiled backend has several.
    backend : {"cpp", "numba", "numpy"}, optional
        Use this one. Default: the fastest available.

    Returns
    -------
    array
        `out` itself.

    Raises
    ------
    TypeError
        If `out` is not such an array, or not in native byte order; if positions are not numbers of at least single
        precision.
    ValueError
        If `out` is read-only, overlaps itself, requires grad or has no channels; if shapes do not fit; if a position is
        not finite or exceeds 2**53 in magnitude. Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> posenc.fill_(np.empty((2, 4), np.float32), start=1).round(4)
    array([[ 0.8415,  0.5403,  0.01  ,  1.    ],
           [ 0.9093, -0.4161,  0.02  ,  0.9998]], dtype=float32)
    """
    if (  # the plainest calls, at once
        positions is None
        and mask is None
        and cu_seqlens is None
        and seq_axis is None
        and channel_axis is LAST
        and backend is None
        and (threads is None or (type(threads) is int and threads >= 1))
        and _backend.fill_small(out, start, encoding)
    ):
        return out
    target = _validate.writable(out, "out")
    rule = _conventions.resolve(encoding)
    axes = _positions.axes(target.shape, "out", rule.axes, positions, seq_axis, channel_axis)
    dim = target.shape[channel_axis]
    write = _prepare(axes, rule, dim, start, positions, mask, cu_seqlens, threads, backend)
    if target.size:
        if backend is None:
            _backend.remember(encoding, rule, dim)
        _arrays.written(out)
        write(None, axes.view(target), 1.0)
    return out


def add_(
    x: Array,
    *,
    start: ArrayLike = 0,
    positions: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    cu_seqlens: ArrayLike | None = None,
    x_scale: float | str = 1.0,
    encoding: str | Encoding | None = None,
    seq_axis: int | tuple[int, ...] | None = None,
    channel_axis: int = -1,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Array:
    """Add sinusoidal positional encodings to `x`, in place: x = x * x_scale + PE.

    Parameters
    ----------
    x : array of shape (..., L, D); float32, float64, float16 or bfloat16
        As `out` of `fill_`.
    mask : array of bool, or of 0 and 1, optional
        Which rows are real, as for `fill_`. The others stay as they are.
    x_scale : float or "sqrt_dim", default 1.0
        Factor for `x`; "sqrt_dim" is the square root of D (section 3.4 of the paper).
    start, positions, cu_seqlens, encoding, seq_axis, channel_axis, threads, backend
        As for `fill_`.

    Returns
    -------
    array
        `x` itself. In float32 and float64 it equals ``x * x_scale + encode(...)`` bit for bit, with `x_scale` rounded
        to the dtype; for the 16-bit dtypes that is computed in float32, and then rounded once.

    Raises
    ------
    TypeError, ValueError
        As `fill_`; also if `x_scale` is not a finite number or "sqrt_dim". Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> x = np.ones((2, 3, 4), np.float32)  # (batch, sequence, channels)
    >>> posenc.add_(x, x_scale="sqrt_dim") is x
    True
    >>> x[0].round(4)
    array([[2.    , 3.    , 2.    , 3.    ],
           [2.8415, 2.5403, 2.01  , 3.    ],
           [2.9093, 1.5839, 2.02  , 2.9998]], dtype=float32)
    """
    if (  # the plainest calls, at once
        positions is None
        and mask is None
        and cu_seqlens is None
        and seq_axis is None
        and channel_axis is LAST
        and backend is None
        and (threads is None or (type(threads) is int and threads >= 1))
        and type(x_scale) is float
        and x_scale == 1.0
        and _backend.add_small(x, start, encoding)
    ):
        return x
    target = _validate.writable(x, "x")
    rule = _conventions.resolve(encoding)
    axes = _positions.axes(target.shape, "x", rule.axes, positions, seq_axis, channel_axis)
    dim = target.shape[channel_axis]
    write = _prepare(axes, rule, dim, start, positions, mask, cu_seqlens, threads, backend)
    scale = _validate.x_scale(x_scale, target.dtype, dim)
    if target.size:
        if backend is None:
            _backend.remember(encoding, rule, dim)
        _arrays.written(x)
        view = axes.view(target)
        write(view, view, scale)
    return x


def add(
    x: Any,
    *,
    out: Any = None,
    start: ArrayLike = 0,
    positions: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    cu_seqlens: ArrayLike | None = None,
    x_scale: float | str = 1.0,
    encoding: str | Encoding | None = None,
    seq_axis: int | tuple[int, ...] | None = None,
    channel_axis: int = -1,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Any:
    """Return x * x_scale + PE as a new array; `x` stays as it is.

    Parameters
    ----------
    x : array of shape (..., L, D); float32, float64, float16 or bfloat16
        As for `add_`, and may be read-only or broadcast.
    out : array of the shape and dtype of `x`, optional
        Where to put the result, as in NumPy. May be `x` itself.
    mask : array of bool, or of 0 and 1, optional
        Which rows are real, as for `fill_`. The others are those of `x`.
    start, positions, cu_seqlens, x_scale, encoding, seq_axis, channel_axis, threads, backend
        As for `add_`.

    Returns
    -------
    array
        `out`; or a new tensor if `x` is one, and a new NumPy array otherwise. Where `x` requires grad, so does the new
        tensor: its gradient, times `x_scale`, is that of `x`.

    Raises
    ------
    TypeError, ValueError
        As `add_`; also if `out` is not an array like `x`. Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> x = np.zeros((1, 2), np.float32)
    >>> posenc.add(x), x
    (array([[0., 1.]], dtype=float32), array([[0., 0.]], dtype=float32))
    """
    if out is None and _arrays.differentiable(x):
        autograd = importlib.import_module("posenc._autograd")
        return autograd.add(
            add,
            x,
            x_scale,
            start=start,
            positions=positions,
            mask=mask,
            cu_seqlens=cu_seqlens,
            encoding=encoding,
            seq_axis=seq_axis,
            channel_axis=channel_axis,
            threads=threads,
            backend=backend,
        )
    source = _validate.readable(x, "x")
    rule = _conventions.resolve(encoding)
    axes = _positions.axes(source.shape, "x", rule.axes, positions, seq_axis, channel_axis)
    dim = source.shape[channel_axis]
    if out is None:
        target = np.empty_like(source)
        result = _arrays.like(target, x)
    else:
        target, result = _validate.writable(out, "out"), out
        _validate.same_form(target, source)
    write = _prepare(axes, rule, dim, start, positions, mask, cu_seqlens, threads, backend)
    scale = _validate.x_scale(x_scale, source.dtype, dim)
    if target.size:
        _arrays.written(result)
        view = axes.view(target)
        if mask is None and (out is None or not np.may_share_memory(target, source)):
            write(axes.view(source), view, scale)
        else:
            np.copyto(target, source)
            write(view, view, scale)
    return result


@overload
def encode(
    positions: ArrayLike,
    dim: int,
    *,
    start: ArrayLike = 0,
    mask: ArrayLike | None = None,
    cu_seqlens: ArrayLike | None = None,
    encoding: str | Encoding | None = None,
    dtype: DTypeLike = np.float32,
    threads: int | str | None = None,
    backend: str | None = None,
) -> NDArray[Any]: ...


@overload
def encode(
    positions: ArrayLike,
    dim: int,
    *,
    start: ArrayLike = 0,
    mask: ArrayLike | None = None,
    cu_seqlens: ArrayLike | None = None,
    encoding: str | Encoding | None = None,
    dtype: object,  # torch.float32 ...
    threads: int | str | None = None,
    backend: str | None = None,
) -> Any: ...


def encode(
    positions: Any,
    dim: int,
    *,
    start: ArrayLike = 0,
    mask: ArrayLike | None = None,
    cu_seqlens: ArrayLike | None = None,
    encoding: str | Encoding | None = None,
    dtype: Any = np.float32,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Any:
    """Return sinusoidal positional encodings as a new array.

    Parameters
    ----------
    positions : int, or array of shape (..., L)
        How many rows, at start, start + 1, ...; or the position of every row: integers, float32 or float64, up to
        2**53 in magnitude. For an encoding over k axes: coordinates, (..., k); see `grid`.
    dim : int
        Number of channels D, at least 1.
    start : number, default 0
        Position of row 0, where `positions` is a length; with `cu_seqlens` one per packed sequence, too.
    mask : array of bool, or of 0 and 1, optional
        Which rows are real, of the shape of the result without D, or (L,). The others are zero.
    cu_seqlens : array of int, optional
        Where packed sequences begin and the last one ends, where `positions` is a length; as for `fill_`.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper.
    dtype : dtype, default float32
        Of the result: float32, float64, float16; bfloat16 of ml_dtypes, or its name. One of torch's makes a tensor.
    threads : int or "auto", optional
        How many threads a large call may use. Default: see `set_num_threads`. Only the compiled backend has several.
    backend : {"cpp", "numba", "numpy"}, optional
        Use this one. Default: the fastest available.

    Returns
    -------
    array of shape (..., L, D)
        float32, float16, bfloat16: the correctly rounded value of the formula. float64: within 1e-15 of it up to
        position 2**31.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind, shape or size described above.

    Examples
    --------
    >>> import posenc
    >>> posenc.encode(2, 4)
    array([[0.        , 1.        , 0.        , 1.        ],
           [0.84147096, 0.5403023 , 0.00999983, 0.99995   ]], dtype=float32)
    >>> posenc.encode([-0.5, 1e9], 2).round(4)
    array([[-0.4794,  0.8776],
           [ 0.5458,  0.8379]], dtype=float32)
    """
    width = _validate.integer(dim, "dim", minimum=1)
    kind, own = _arrays.dtype(dtype)
    rule = _conventions.resolve(encoding)
    given = None if type(positions) is int else _arrays.numbers(positions, "positions")
    shape = () if given is None else given.shape
    if rule.axes > 1:
        if len(shape) < 2:
            raise ValueError(
                f"positions: expected coordinates, shape (..., {rule.axes}), for this encoding, got shape {shape}"
            )
        shape = shape[:-1]
    elif not shape:
        given, shape = None, (_validate.integer(positions, "positions", minimum=0),)
    axes = _positions.axes((*shape, width), "positions", rule.axes, given, None, -1)
    write = _prepare(axes, rule, width, start, given, mask, cu_seqlens, threads, backend)
    out = np.empty((*shape, width), kind)
    result = _arrays.wrap(out, own)
    if out.size:
        write(None, out, 1.0)
    return result


def _prepare(
    axes: Axes,
    rule: Encoding,
    dim: int,
    start: Any,
    positions: Any,
    mask: Any,
    cu_seqlens: Any,
    threads: Any,
    backend: Any,
) -> Callable[[NDArray[Any] | None, NDArray[Any], float], None]:
    """Check all that is left; return what writes x * scale + PE, or PE if `x` is None, to a view in backends' order."""
    spectra = _encoding.spectra(rule, dim)
    workers = _threads.resolve(threads)
    run = _backend.get(backend)
    if len(spectra) > 1:
        where = _grid.places(axes, [spectrum.offset for spectrum in spectra], start, positions, mask, cu_seqlens)
        return lambda x, out, scale: _grid.Job(run, x, out, spectra, scale, workers).at(where)
    (spectrum,) = spectra
    rows = _positions.rows(axes, spectrum.offset, start, positions, mask, cu_seqlens)

    def write(x: NDArray[Any] | None, out: NDArray[Any], scale: float) -> None:
        if x is None:
            run.fill(out, spectrum, rows, workers)
        else:
            run.add(x, out, spectrum, rows, scale, workers)

    return write
