"""The public functions: they check everything, then make one call into a backend.

Formula: Vaswani et al., "Attention Is All You Need" (2017), section 3.5,
PE(p, 2k) = sin(p w_k), PE(p, 2k + 1) = cos(p w_k), w_k = 10000^(-2k / D).
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _backend, _threads, _validate
from ._encoding import PAPER, spectra

Array = TypeVar("Array", bound=NDArray[Any])


def fill_(
    out: Array,
    *,
    start: ArrayLike = 0,
    positions: ArrayLike | None = None,
    seq_axis: int = -2,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Array:
    """Write sinusoidal positional encodings into `out`, in place.

    Parameters
    ----------
    out : ndarray of shape (..., L, D), float32 or float64
        Any strides and any number of leading dimensions; every sequence gets the same rows. An odd D ends with a sine.
    start : number, or array of shape out.shape[:-2], default 0
        Position of row 0: of all sequences, or of each. Row i stands at start + i, in float64. May be negative or
        fractional.
    positions : array of shape (L,) or out.shape[:-1], optional
        Position of every row instead: integers, float32 or float64, up to 2**53 in magnitude.
    seq_axis : int, default -2
        The axis of `out` along which positions count. The last axis holds the D channels.
    threads : int or "auto", optional
        How many threads a large call may use. Default: see `set_num_threads`. Only the compiled backend has several.
    backend : {"cpp", "numba", "numpy"}, optional
        Use this one. Default: the fastest available.

    Returns
    -------
    ndarray
        `out` itself.

    Raises
    ------
    TypeError
        If `out` is not a float32 or float64 ndarray in native byte order, or positions are not numbers of at least
        single precision.
    ValueError
        If `out` is read-only, overlaps itself or has no channels; if shapes do not fit; if a position is not finite or
        exceeds 2**53 in magnitude. Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> posenc.fill_(np.empty((2, 4), np.float32), start=1).round(4)
    array([[ 0.8415,  0.5403,  0.01  ,  1.    ],
           [ 0.9093, -0.4161,  0.02  ,  0.9998]], dtype=float32)
    """
    if _plain(positions, 1.0, seq_axis, threads, backend) and _backend.fill_small(out, start):
        return out
    view = _validate.writable(out, "out", seq_axis)
    rows = _validate.positions(start, positions, view.shape[:-2], view.shape[-2], seq_axis % out.ndim)
    workers = _threads.resolve(threads)
    run = _backend.get(backend)
    if view.size:
        run.fill(view, spectra(PAPER, view.shape[-1])[0], rows, workers)
    return out


def add_(
    x: Array,
    *,
    start: ArrayLike = 0,
    positions: ArrayLike | None = None,
    x_scale: float | str = 1.0,
    seq_axis: int = -2,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Array:
    """Add sinusoidal positional encodings to `x`, in place: x = x * x_scale + PE.

    Parameters
    ----------
    x : ndarray of shape (..., L, D), float32 or float64
        Any strides and any number of leading dimensions. An odd D ends with a sine.
    start : number, or array of shape x.shape[:-2], default 0
        Position of row 0: of all sequences, or of each. Row i stands at start + i, in float64.
    positions : array of shape (L,) or x.shape[:-1], optional
        Position of every row instead: integers, float32 or float64, up to 2**53 in magnitude.
    x_scale : float or "sqrt_dim", default 1.0
        Factor for `x`, rounded to its dtype; "sqrt_dim" is the square root of D (section 3.4 of the paper).
    seq_axis : int, default -2
        The axis of `x` along which positions count. The last axis holds the D channels.
    threads : int or "auto", optional
        How many threads a large call may use. Default: see `set_num_threads`. Only the compiled backend has several.
    backend : {"cpp", "numba", "numpy"}, optional
        Use this one. Default: the fastest available.

    Returns
    -------
    ndarray
        `x` itself. In float32 it equals ``x + encode(...)`` bit for bit.

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
    if _plain(positions, x_scale, seq_axis, threads, backend) and _backend.add_small(x, start):
        return x
    view = _validate.writable(x, "x", seq_axis)
    rows = _validate.positions(start, positions, view.shape[:-2], view.shape[-2], seq_axis % x.ndim)
    scale = _validate.x_scale(x_scale, view)
    workers = _threads.resolve(threads)
    run = _backend.get(backend)
    if view.size:
        run.add(view, view, spectra(PAPER, view.shape[-1])[0], rows, scale, workers)
    return x


def add(
    x: NDArray[Any],
    *,
    out: NDArray[Any] | None = None,
    start: ArrayLike = 0,
    positions: ArrayLike | None = None,
    x_scale: float | str = 1.0,
    seq_axis: int = -2,
    threads: int | str | None = None,
    backend: str | None = None,
) -> NDArray[Any]:
    """Return x * x_scale + PE as a new array; `x` stays as it is.

    Parameters
    ----------
    x : ndarray of shape (..., L, D), float32 or float64
        May be read-only or broadcast.
    out : ndarray of the shape and dtype of `x`, optional
        Where to put the result, as in NumPy. May be `x` itself.
    start, positions, x_scale, seq_axis, threads, backend
        As for `add_`.

    Returns
    -------
    ndarray
        A new array, or `out`.

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
    view = _validate.readable(x, "x", seq_axis)
    if out is None:
        result = np.empty_like(x, subok=False)
    else:
        _validate.same_form(out, x)
        result = out
    target = _validate.writable(result, "out", seq_axis)
    rows = _validate.positions(start, positions, view.shape[:-2], view.shape[-2], seq_axis % x.ndim)
    scale = _validate.x_scale(x_scale, view)
    workers = _threads.resolve(threads)
    run = _backend.get(backend)
    if view.size:
        if out is not None and np.may_share_memory(out, x):
            np.copyto(target, view)
            view = target
        run.add(view, target, spectra(PAPER, view.shape[-1])[0], rows, scale, workers)
    return result


def encode(
    positions: ArrayLike,
    dim: int,
    *,
    start: ArrayLike = 0,
    dtype: DTypeLike = np.float32,
    threads: int | str | None = None,
    backend: str | None = None,
) -> NDArray[Any]:
    """Return sinusoidal positional encodings as a new array.

    Parameters
    ----------
    positions : int, or array of shape (..., L)
        How many rows, at start, start + 1, ...; or the position of every row: integers, float32 or float64, up to
        2**53 in magnitude.
    dim : int
        Number of channels D, at least 1. If odd, the last one is a sine.
    start : number, default 0
        Position of row 0, where `positions` is a length.
    dtype : {float32, float64}, default float32
        Dtype of the result.
    threads : int or "auto", optional
        How many threads a large call may use. Default: see `set_num_threads`. Only the compiled backend has several.
    backend : {"cpp", "numba", "numpy"}, optional
        Use this one. Default: the fastest available.

    Returns
    -------
    ndarray of shape (..., L, D)
        float32: the correctly rounded value of the formula. float64: within 1e-15 of it up to position 2**31.

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
    kind = _validate.dtype(dtype)
    shape = _validate.shape(positions, "positions")
    if not shape:
        length = _validate.integer(positions, "positions", minimum=0)
        rows = _validate.positions(start, None, (), length)
        shape = (length,)
    else:
        rows = _validate.positions(start, positions, shape[:-1], shape[-1])
    workers = _threads.resolve(threads)
    run = _backend.get(backend)
    out = np.empty((*shape, width), kind)
    if out.size:
        run.fill(out, spectra(PAPER, width)[0], rows, workers)
    return out


def _plain(positions: Any, x_scale: Any, seq_axis: Any, threads: Any, backend: Any) -> bool:
    """Whether these arguments are the defaults, or no matter for a small call, so that a call may be one."""
    return (
        positions is None
        and (threads is None or (type(threads) is int and threads >= 1))
        and backend is None
        and type(x_scale) is float
        and x_scale == 1.0
        and type(seq_axis) is int
        and seq_axis == -2
    )
