"""The public functions: they check everything, then make one call into a backend.

Formula: Vaswani et al., "Attention Is All You Need" (2017), section 3.5,
PE(p, 2k) = sin(p w_k), PE(p, 2k + 1) = cos(p w_k), w_k = 10000^(-2k / D); `Encoding` has the others.
"""

from __future__ import annotations

import importlib
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _apply, _arrays, _conventions, _validate
from ._apply import How
from ._backend import chosen as _chosen
from ._encoding import Encoding
from ._where import Where

Array = TypeVar("Array")


@_chosen.quick("fill")
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
    grid: int | tuple[int, ...] | None = None,
    prefix: int = 0,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Array:
    """Write sinusoidal positional encodings into `out`, in place.

    Parameters
    ----------
    out : array of shape (..., L, D); float32, float64, float16 or bfloat16
        A NumPy array (bfloat16: of ml_dtypes), a torch tensor on the CPU, or anything that lends its memory by
        `__dlpack__` or the buffer protocol. Any strides and any number of leading dimensions; every sequence gets the
        same rows. For an encoding over several axes: (..., H, W, D), (..., T, H, W, D), with at least one leading
        dimension unless `seq_axis` is given; or rows of tokens (..., N, D) with `grid`, or with `positions`.
    start : number, or array, default 0
        Position of row 0: of all sequences, or of each (of the shape of `out` without sequence and channels, where an
        axis of length 1 stands for all; with `cu_seqlens` one per packed sequence). Row i stands at start + i, in
        float64. May be negative or fractional. For an encoding over several axes: of the first cell along all of them,
        or along each.
    positions : array, optional
        Position of every row instead: integers, float32 or float64, up to 2**53 in magnitude, of shape (L,) or that of
        `out` without channels, where an axis of length 1 stands for all: (1, L), (B, 1, L). For an encoding over k axes
        they are followed by an axis of k coordinates, and the shape of a grid without leading dimensions will do as
        well: (L, k), (H, W, k), or (..., H, W, k); see `posenc.grid`, whose cells may also be the rows of (..., H * W,
        D).
    mask : array of bool, or of 0 and 1, optional
        Which rows are real, in one of the shapes of `positions`, without coordinates. The others become zero, whatever
        their position is (it may be NaN).
    cu_seqlens : array of int, optional
        Where packed sequences begin along the sequence axis, and where the last one ends: from 0 to L. Each is
        numbered anew from `start`. Sequences may be empty.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper.
    seq_axis : int, or tuple of int for an encoding over several axes, optional
        The axis of `out` along which positions count. Default: the last one, or ones, that do not hold the channels.
    channel_axis : int, default -1
        The axis of `out` that holds the D channels.
    grid : tuple of int, optional
        The N rows are the cells of a grid of these sizes, row by row, for an encoding over as many axes: (14, 20) for
        (..., N, D) with N = prefix + 14 * 20. `seq_axis` is then the one axis of the rows, and `mask` has their shape.
    prefix : int, default 0
        How many rows stand before those of the grid and have no position (class tokens, registers). They become zero.
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
        If `out` is read-only, overlaps itself, requires grad or has no channels; if shapes do not fit, or may mean two
        things; if the position of a real row is not finite or exceeds 2**53 in magnitude. Nothing has been written
        then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> posenc.fill_(np.empty((2, 4), np.float32), start=1).round(4)
    array([[ 0.8415,  0.5403,  0.01  ,  1.    ],
           [ 0.9093, -0.4161,  0.02  ,  0.9998]], dtype=float32)
    >>> tokens = posenc.fill_(np.empty((2, 7, 4), np.float32), encoding="mae", grid=(2, 3), prefix=1)
    >>> tokens[1, :3].round(4)  # a class token, then the cells (0, 0) and (0, 1)
    array([[0.    , 0.    , 0.    , 0.    ],
           [0.    , 1.    , 0.    , 1.    ],
           [0.8415, 0.5403, 0.    , 1.    ]], dtype=float32)
    """
    where = Where(start, positions, mask, cu_seqlens, seq_axis, channel_axis, grid, prefix)
    return _apply.apply(_apply.filled(out), where, How(encoding, threads, backend))  # type: ignore[no-any-return]


@_chosen.quick("add_")
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
    grid: int | tuple[int, ...] | None = None,
    prefix: int = 0,
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
    prefix : int, default 0
        As for `fill_`; these rows stay as they are.
    start, positions, cu_seqlens, encoding, seq_axis, channel_axis, grid, threads, backend
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
    where = Where(start, positions, mask, cu_seqlens, seq_axis, channel_axis, grid, prefix)
    return _apply.apply(_apply.updated(x), where, How(encoding, threads, backend), x_scale)  # type: ignore[no-any-return]


@_chosen.quick("add")
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
    grid: int | tuple[int, ...] | None = None,
    prefix: int = 0,
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
    prefix : int, default 0
        As for `fill_`; these rows are those of `x`.
    start, positions, cu_seqlens, x_scale, encoding, seq_axis, channel_axis, grid, threads, backend
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
    where = Where(start, positions, mask, cu_seqlens, seq_axis, channel_axis, grid, prefix)
    how = How(encoding, threads, backend)
    if out is None and _arrays.differentiable(x):
        autograd = importlib.import_module("posenc._autograd")
        return autograd.add(add, x, x_scale, **where._asdict(), **how._asdict())
    return _apply.apply(_apply.combined(x, out), where, how, x_scale)


@_chosen.quick("embed")
def embed(
    ids: ArrayLike,
    table: Any,
    *,
    out: Any = None,
    start: ArrayLike = 0,
    positions: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    cu_seqlens: ArrayLike | None = None,
    x_scale: float | str = 1.0,
    encoding: str | Encoding | None = None,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Any:
    """Return table[ids] * x_scale + PE: embeddings of tokens with their positions, in one pass.

    Parameters
    ----------
    ids : array of int, shape (..., L)
        Of tokens: rows of `table`, from 0 to V - 1. Any integer dtype. Negative ones do not count from the end.
    table : array of shape (V, D); float32, float64, float16 or bfloat16
        The embeddings, as `x` of `add`: of any strides, read-only, a memory map; only the rows that `ids` name are
        read.
    out : array of shape (..., L, D) and of the dtype of `table`, optional
        Where to put the result, in memory of its own. Large results cost less so, as their pages are there already.
    mask : array of bool, or of 0 and 1, optional
        Which tokens are real: (L,), or of the shape of `ids`, where an axis of length 1 stands for all. The rows of the
        others become zero, whatever their ids and positions are (-100 and the like). There is no padding index:
        ``mask=ids != padding`` says the same.
    x_scale : float or "sqrt_dim", default 1.0
        Factor for embeddings; "sqrt_dim" is the square root of D (section 3.4 of the paper).
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding` over one axis. Default: that of the paper.
    start, positions, cu_seqlens, threads, backend
        As for `fill_`, of an array (..., L, D).

    Returns
    -------
    array of shape (..., L, D)
        `out`; or a new tensor if `table` is one, and a new NumPy array otherwise. It equals
        ``posenc.add(table[ids], ...)`` bit for bit, but for masked rows. Where `table` requires grad, so does the new
        tensor: `table` gets the gradients of its rows, times `x_scale`.

    Raises
    ------
    IndexError
        If an id of a real token is none of a row of `table`: the first such id is named.
    TypeError, ValueError
        As `add`; also if `ids` are no integers, `table` has not got two dimensions, the encoding has several axes, or
        `out` shares memory with `ids` or `table`. Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> table = np.arange(12, dtype=np.float32).reshape(3, 4)
    >>> posenc.embed([[2, 0], [1, -100]], table, mask=[[1, 1], [1, 0]]).round(4)
    array([[[ 8.    , 10.    , 10.    , 12.    ],
            [ 0.8415,  1.5403,  2.01  ,  4.    ]],
    <BLANKLINE>
           [[ 4.    ,  6.    ,  6.    ,  8.    ],
            [ 0.    ,  0.    ,  0.    ,  0.    ]]], dtype=float32)
    """
    where, how = Where(start, positions, mask, cu_seqlens), How(encoding, threads, backend)
    if out is None and _arrays.differentiable(table):
        autograd = importlib.import_module("posenc._autograd")
        said = {"start": start, "positions": positions, "mask": mask, "cu_seqlens": cu_seqlens}
        return autograd.embed(embed, ids, table, x_scale, **said, **how._asdict())
    return _apply.apply(_apply.looked_up(ids, table, out), where, how, x_scale)


@_chosen.quick("rotate_")
def rotate_(
    x: Array,
    encoding: str | Encoding,
    *,
    start: ArrayLike = 0,
    positions: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    cu_seqlens: ArrayLike | None = None,
    inverse: bool = False,
    seq_axis: int | tuple[int, ...] | None = None,
    channel_axis: int = -1,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Array:
    """Turn the pairs of columns of `x` by the angles of their positions, in place: rotary encodings.

    A pair is a cosine and a sine of the same angle in `encoding`, and it is turned by that angle: what stands where the
    cosine would, u, becomes u cos - v sin, and v where the sine would becomes v cos + u sin. So
    ``rotate_(encode(p, D, encoding=e), e, start=q)`` is ``encode(p + q, D, encoding=e)``, but for rounding.

    Parameters
    ----------
    x : array of shape (..., L, D); float32, float64, float16 or bfloat16
        Queries or keys, say (B, H, L, D), as `x` of `add_`. Of a partial rotation, a view: ``x[..., :64]``.
    encoding : str or Encoding
        Which pairs, and at which frequencies, by name ("rope_hf" and others that `list_encodings` lists) or as an
        `Encoding`. There is no default: layouts and senses of rotation differ from model to model.
    inverse : bool, default False
        Turn back: undo what was done at the same positions. This is the gradient as well.
    start, positions, mask, cu_seqlens, seq_axis, channel_axis, threads, backend
        As for `add_`. Positions (B, 1, L), and starts (B, 1), are the same for all heads of (B, H, L, D).

    Returns
    -------
    array
        `x` itself. float32: fl(fl(u c) - fl(v s)) and fl(fl(v c) + fl(u s)) of the correctly rounded float32 cosine c
        and sine s, amplitude included; nothing is fused. The 16-bit dtypes: that, rounded once. float64: the same in
        double. Columns that are zero in the encoding, and masked rows, stay as they are.

    Raises
    ------
    TypeError, ValueError
        As `add_`; also if `encoding` is None, or not made of pairs at this width; or if its amplitude is not 1 and
        `inverse` is True. Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> q = np.ones((2, 4), np.float32)
    >>> posenc.rotate_(q, "rope_hf").round(4)
    array([[ 1.    ,  1.    ,  1.    ,  1.    ],
           [-0.3012,  0.99  ,  1.3818,  1.0099]], dtype=float32)
    >>> posenc.rotate_(q, "rope_hf", inverse=True).round(4)
    array([[1., 1., 1., 1.],
           [1., 1., 1., 1.]], dtype=float32)
    """
    where = Where(start, positions, mask, cu_seqlens, seq_axis, channel_axis)
    return _apply.apply(_apply.turned_in_place(x, inverse), where, How(encoding, threads, backend))  # type: ignore[no-any-return]


@_chosen.quick("rotate")
def rotate(
    x: Any,
    encoding: str | Encoding,
    *,
    out: Any = None,
    start: ArrayLike = 0,
    positions: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    cu_seqlens: ArrayLike | None = None,
    inverse: bool = False,
    seq_axis: int | tuple[int, ...] | None = None,
    channel_axis: int = -1,
    threads: int | str | None = None,
    backend: str | None = None,
) -> Any:
    """Return what `rotate_` makes of `x` as a new array; `x` stays as it is.

    Parameters
    ----------
    x : array of shape (..., L, D); float32, float64, float16 or bfloat16
        As for `rotate_`, and may be read-only or broadcast.
    out : array of the shape and dtype of `x`, optional
        Where to put the result, as in NumPy. May be `x` itself.
    encoding, start, positions, mask, cu_seqlens, inverse, seq_axis, channel_axis, threads, backend
        As for `rotate_`.

    Returns
    -------
    array
        `out`; or a new tensor if `x` is one, and a new NumPy array otherwise. Where `x` requires grad, so does the new
        tensor: its gradient, turned back, is that of `x`.

    Raises
    ------
    TypeError, ValueError
        As `rotate_`; also if `out` is not an array like `x`. Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> k = np.array([[1, 0, 0, 0]], np.float32)
    >>> posenc.rotate(k, "rope_meta", start=1), k  # adjacent columns are pairs
    (array([[0.5403023 , 0.84147096, 0.        , 0.        ]], dtype=float32), array([[1., 0., 0., 0.]], dtype=float32))
    """
    where = Where(start, positions, mask, cu_seqlens, seq_axis, channel_axis)
    how = How(encoding, threads, backend)
    if out is None and _arrays.differentiable(x):
        autograd = importlib.import_module("posenc._autograd")
        return autograd.rotate(x, inverse, where, how)
    return _apply.apply(_apply.turned(x, out, inverse), where, how)


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


@_chosen.quick("encode")
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
        How many rows, at start, start + 1, ...: a Python or NumPy integer; or the position of every row: integers,
        float32 or float64, up to 2**53 in magnitude, ``[t]`` for a single one. For an encoding over k axes:
        coordinates, (..., k); see `grid`.
    dim : int
        Number of channels D, at least 1.
    start : number, default 0
        Position of row 0, where `positions` is a length; with `cu_seqlens` one per packed sequence, too.
    mask : array of bool, or of 0 and 1, optional
        Which rows are real, of the shape of the result without D (an axis of length 1 stands for all), or (L,). The
        others are zero.
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
    shape, given = _apply.length_or_positions(positions, _conventions.resolve(encoding))
    where = Where(start, given, mask, cu_seqlens)
    return _apply.apply(_apply.created((*shape, width), kind, own), where, How(encoding, threads, backend))
