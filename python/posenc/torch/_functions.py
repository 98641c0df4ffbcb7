"""The functions: posenc itself where it can be called, and operations of torch elsewhere (_graph.py)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike

import posenc

from .. import _ways
from .._encoding import Encoding
from . import _graph, _ops
from ._route import direct, threads

Numbers: TypeAlias = "ArrayLike | torch.Tensor"


def encode(
    length_or_positions: int | Numbers,
    dim: int,
    *,
    start: Numbers = 0,
    encoding: str | Encoding | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """Return sinusoidal positional encodings as a new tensor.

    Parameters
    ----------
    length_or_positions : int, or tensor of shape (..., L)
        How many rows, at start, start + 1, ...; or the position of every row: integers, float32 or float64, up to 2**53
        in magnitude. For an encoding over k axes: coordinates, (..., k).
    dim : int
        Number of channels D, at least 1.
    start : number, default 0
        Position of row 0, where the first argument is a length.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper.
    dtype : torch.dtype, optional
        float32, float64, float16 or bfloat16. Default: `torch.get_default_dtype()`.
    device : torch.device or str, optional
        Default: that of the positions, or torch's default device. Values are computed on the CPU, exactly; those of a
        length are kept on other devices, at most 64 MiB of them.

    Returns
    -------
    tensor of shape (..., L, D)
        As `posenc.encode` makes it, bit for bit, on every device, compiled and exported too.

    Raises
    ------
    TypeError, ValueError
        As `posenc.encode`; also if positions require grad: they get no gradient.

    Examples
    --------
    >>> import torch, posenc.torch
    >>> posenc.torch.encode(2, 4)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    >>> posenc.torch.encode(torch.tensor([0.5, 1e6]), 2, dtype=torch.bfloat16)
    tensor([[ 0.4785,  0.8789],
            [-0.3496,  0.9375]], dtype=torch.bfloat16)
    """
    kind = torch.get_default_dtype() if dtype is None else dtype
    _graph.floats(kind, "dtype")
    given: Any = length_or_positions
    tensor = isinstance(given, torch.Tensor)
    if tensor and given.requires_grad and torch.is_grad_enabled():
        raise _graph.trained("positions")
    if device is not None:
        place = torch.device(device)
    else:
        place = given.device if tensor else torch.empty(0).device
    if place.type == "cpu" and direct(*([given] if tensor else [])):
        return posenc.encode(given, dim, start=start, encoding=encoding, dtype=kind)
    width: Any = dim
    if isinstance(width, np.integer):
        width = int(width)
    if isinstance(width, bool) or not isinstance(width, (int, torch.SymInt)):
        raise TypeError(f"dim: expected an integer, got {dim!r}; `dim=int(dim)` if it is a whole number")
    text, axes = _ops.described(encoding)
    if isinstance(given, np.integer):
        given = int(given)
    if isinstance(given, (int, torch.SymInt)) and not isinstance(given, bool):
        if axes > 1:
            raise ValueError(
                f"positions: expected coordinates, shape (..., {axes}), for this encoding, got a length; posenc.grid() "
                "makes those of a grid"
            )
        return _graph.encode(given, width, start, text, axes, kind, place)
    _graph.refuse_start(start)
    where = _graph.numbers(given, "positions")
    if not where.ndim:
        raise TypeError(
            "positions: expected an integer, or a tensor of at least 1 dimension, got one of shape (); "
            "`positions[None]` is one position"
        )
    return _graph.encode(where, width, 0, text, axes, kind, place)


def add(
    x: torch.Tensor,
    *,
    start: Numbers = 0,
    positions: Numbers | None = None,
    mask: Numbers | None = None,
    x_scale: float | str = 1.0,
    encoding: str | Encoding | None = None,
) -> torch.Tensor:
    """Return x * x_scale + PE as a new tensor: differentiable, compiled without breaking the graph, exported.

    Parameters
    ----------
    x : tensor of shape (..., L, D); float32, float64, float16 or bfloat16
        On any device. For an encoding over several axes: (..., H, W, D), with at least one leading dimension, or rows
        (..., L, D) with `positions`.
    start : number, or tensor, default 0
        Position of row 0: of all sequences, or of each (of the shape of `x` without sequence and channels, where an
        axis of length 1 stands for all). For an encoding over several axes: of the first cell, or along each.
    positions : tensor, optional
        Position of every row instead: integers, float32 or float64, of shape (L,) or that of `x` without channels,
        where an axis of length 1 stands for all. For an encoding over k axes they are followed by an axis of k
        coordinates. They get no gradient.
    mask : tensor of bool, or of 0 and 1, optional
        Which rows are real, in one of the shapes of `positions`, without coordinates. The others are those of `x`.
    x_scale : float or "sqrt_dim", default 1.0
        Factor for `x`; "sqrt_dim" is the square root of D. One that is learned is multiplied before.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper.

    Returns
    -------
    tensor of the shape, dtype and device of `x`
        As `posenc.add` makes it, bit for bit. The gradient of `x` is that of the result, times `x_scale`.

    Raises
    ------
    TypeError, ValueError
        As `posenc.add`; also if `x` is no tensor. What depends on values, such as positions that are not finite, is
        refused when a graph runs; in a graph every number of a mask but 0 is taken for 1.

    Examples
    --------
    >>> import torch, posenc.torch
    >>> x = torch.ones(2, 3, 4, requires_grad=True)
    >>> y = posenc.torch.add(x, x_scale="sqrt_dim")
    >>> y[0, 1]
    tensor([2.8415, 2.5403, 2.0100, 2.9999], grad_fn=<SelectBackward0>)
    >>> y.sum().backward()
    >>> x.grad[0, 0]
    tensor([2., 2., 2., 2.])
    """
    return added(x, start, positions, mask, x_scale, encoding)


def added(
    x: torch.Tensor,
    start: Any,
    positions: Any,
    mask: Any,
    x_scale: Any,
    encoding: Any,
    sequence_first: bool = False,
) -> torch.Tensor:
    """`add`, also for (L, ..., D), with positions and mask of shapes (L,) or (L, ...)."""
    _refuse_other(x, "add")
    if isinstance(positions, torch.Tensor) and positions.requires_grad and torch.is_grad_enabled():
        raise _graph.trained("positions")
    if direct(x, *[given for given in (start, positions, mask) if isinstance(given, torch.Tensor)]):
        return posenc.add(
            x,
            start=start,
            positions=positions,
            mask=mask,
            x_scale=x_scale,
            encoding=encoding,
            seq_axis=0 if sequence_first else None,
            threads=threads(x.numel()),
        )
    if not sequence_first or x.ndim < 3:
        return _graph.add(x, start, positions, mask, x_scale, encoding)
    if positions is not None:
        positions = _last(_graph.numbers(positions, "positions"))
    if mask is not None:
        mask = _last(mask if isinstance(mask, torch.Tensor) else torch.as_tensor(mask))
    return _graph.add(x.movedim(0, -2), start, positions, mask, x_scale, encoding).movedim(-2, 0)


def _refuse_other(x: Any, verb: str) -> None:
    """Refuse what is no dense tensor."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"x: expected a torch.Tensor, got {type(x).__name__}; posenc.{verb} takes other arrays")
    part = "part" if verb == "add" else "part, encoding"
    _graph.dense(
        x,
        "x",
        "take its parts, `x = torch.nested.as_nested_tensor([posenc.torch."
        f"{verb}({part}) for part in x.unbind()], layout=x.layout)`",
    )


def _last(values: torch.Tensor) -> torch.Tensor:
    """Values of rows (L, ...) as (..., L)."""
    return values if values.ndim < 2 else values.movedim(0, -1)


def rotate(
    x: torch.Tensor,
    encoding: str | Encoding,
    *,
    start: Numbers = 0,
    positions: Numbers | None = None,
    mask: Numbers | None = None,
    inverse: bool = False,
) -> torch.Tensor:
    """Return `x` with its pairs of columns turned: differentiable, compiled without breaking the graph, exported.

    Parameters
    ----------
    x : tensor of shape (..., L, D); float32, float64, float16 or bfloat16
        Queries or keys (B, H, L, D), on any device.
    encoding : str or Encoding
        Which pairs, and at which frequencies: "rope_hf" and others that `posenc.list_encodings` lists.
    start, positions, mask
        As for `add`. Positions (B, 1, L), and starts (B, 1), are the same for all heads.
    inverse : bool, default False
        Turn back.

    Returns
    -------
    tensor of the shape and dtype of `x`
        As `posenc.rotate` makes it, bit for bit in eager calls on the CPU. The gradient of `x` is that of the result,
        turned back.

    Raises
    ------
    TypeError, ValueError
        As `posenc.rotate`; also if positions require grad.

    Examples
    --------
    >>> import torch, posenc.torch
    >>> q = torch.ones(1, 2, 2, 4, requires_grad=True)
    >>> y = posenc.torch.rotate(q, "rope_hf")
    >>> y[0, 0, 1]
    tensor([-0.3012,  0.9900,  1.3818,  1.0099], grad_fn=<SelectBackward0>)
    >>> y[..., :2].sum().backward()
    >>> q.grad[0, 0, 1]
    tensor([ 0.5403,  0.9999, -0.8415, -0.0100])
    """
    _refuse_other(x, "rotate")
    if isinstance(positions, torch.Tensor) and positions.requires_grad and torch.is_grad_enabled():
        raise _graph.trained("positions")
    if direct(x, *[given for given in (start, positions, mask) if isinstance(given, torch.Tensor)]):
        return posenc.rotate(
            x,
            encoding,
            start=start,
            positions=positions,
            mask=mask,
            inverse=inverse,
            threads=threads(x.numel()),
        )
    return _graph.rotate(x, start, positions, mask, encoding, inverse)


def embed(
    ids: Numbers,
    table: torch.Tensor,
    *,
    start: Numbers = 0,
    positions: Numbers | None = None,
    mask: Numbers | None = None,
    x_scale: float | str = 1.0,
    encoding: str | Encoding | None = None,
) -> torch.Tensor:
    """Return table[ids] * x_scale + PE as a new tensor, with a gradient for the table.

    Parameters
    ----------
    ids : tensor of shape (..., L), of integers
        Rows of the table, from 0 to V - 1.
    table : tensor of shape (V, D); float32, float64, float16 or bfloat16
        Such as the `weight` of a torch.nn.Embedding.
    mask : tensor of bool, or of 0 and 1, optional
        Which rows are real, of shape (L,) or that of `ids`, where an axis of length 1 stands for all. The others become
        zero, whatever their ids and positions are, and pass no gradient on.
    start, positions, x_scale, encoding
        As for `add`, whose `x` is of shape (..., L, D).

    Returns
    -------
    tensor of shape (..., L, D), of the dtype and device of `table`
        As `add(table[ids], ...)` makes it, bit for bit.

    Raises
    ------
    IndexError
        If the id of a real row is not one of the table.
    TypeError, ValueError
        As `add`; also if ids are not integers.

    Examples
    --------
    >>> import torch, posenc.torch
    >>> words = torch.nn.Embedding.from_pretrained(torch.ones(5, 4), freeze=False)
    >>> posenc.torch.embed(torch.tensor([[3, 1]]), words.weight, x_scale="sqrt_dim")
    tensor([[[2.0000, 3.0000, 2.0000, 3.0000],
             [2.8415, 2.5403, 2.0100, 2.9999]]], grad_fn=<_EmbedBackward>)
    """
    if not isinstance(table, torch.Tensor) or table.ndim != 2:
        came = f"shape {tuple(table.shape)}" if isinstance(table, torch.Tensor) else type(table).__name__
        layer = isinstance(getattr(table, "weight", None), torch.Tensor)
        raise (ValueError if isinstance(table, torch.Tensor) else TypeError)(
            f"table: expected a torch.Tensor of shape (V, D), got {came}; "
            + (_ways.module("table", False) if layer else "the weight of an nn.Embedding is one")
        )
    rows = ids if isinstance(ids, torch.Tensor) else _graph.tensor(ids, "ids").to(table.device)
    _graph.dense(rows, "ids")
    if rows.is_floating_point() or rows.is_complex() or rows.dtype == torch.bool:
        raise TypeError(f"ids: expected integers, got {rows.dtype}; `ids = ids.long()` if they are whole numbers")
    if not rows.ndim:
        raise ValueError("ids: expected at least 1 dimension, got shape (); `ids[None]` is a sequence of one")
    if direct(rows, table):
        return posenc.embed(
            rows,
            table,
            start=start,
            positions=positions,
            mask=mask,
            x_scale=x_scale,
            encoding=encoding,
            threads=threads(rows.numel() * table.shape[1]),
        )
    real = None
    if mask is not None:
        shape = (*rows.shape, table.shape[1])
        real = _graph.truths(mask, shape, _ops.described(encoding)[1], rows.device)
        rows = torch.where(real, rows, torch.zeros_like(rows))  # those of masked rows may be anything
    if rows.dtype not in (torch.int64, torch.int32):
        rows = rows.long()
    x = torch.nn.functional.embedding(rows, table)
    x = add(x, start=start, positions=positions, mask=real, x_scale=x_scale, encoding=encoding)
    return x if real is None else torch.where(real.unsqueeze(-1), x, torch.zeros_like(x))
