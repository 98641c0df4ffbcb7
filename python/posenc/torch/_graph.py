"""x * x_scale + PE, and the rows of PE, in operations of torch: traced by Dynamo, differentiated and batched by torch.

What depends on shapes and kinds is checked here; values, when the op `posenc::encode` runs. Nothing here may call
posenc itself, which Dynamo does not trace.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import torch

from . import _ops

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
HALVES = (torch.float16, torch.bfloat16)
TOO_LARGE = (2.0 - 2.0**-24) * 2.0**127  # what float32 rounds to infinity
EXPECTED = "float32, float64, float16 or bfloat16"  # of torch


def add(x: torch.Tensor, start: Any, positions: Any, mask: Any, x_scale: Any, encoding: Any) -> torch.Tensor:
    """Return x * x_scale + PE for `x` (..., *sequence, D), as `posenc.add` computes it, bit for bit."""
    floats(x.dtype, "x.dtype")
    scale = factor(x_scale, x.shape[-1], x.dtype) if len(x.shape) else None
    rows, real = _beside(x, start, positions, mask, encoding)
    half = x.dtype in HALVES
    total = x.float() if half else x
    if scale is not None:
        total = total * scale
    total = total + rows
    if half:
        total = total.to(x.dtype)  # rounded once
    return total if real is None else torch.where(real.unsqueeze(-1), total, x)


def rotate(x: torch.Tensor, start: Any, positions: Any, mask: Any, encoding: Any, inverse: bool) -> torch.Tensor:
    """Return `x` (..., *sequence, D), turned as `posenc.rotate` turns it, bit for bit."""
    floats(x.dtype, "x.dtype")
    rows, real = _beside(x, start, positions, mask, encoding)
    half = x.dtype in HALVES
    wide = x.float() if half else x
    dim = operator.index(x.shape[-1])  # a number, also where a graph has symbols for all sizes (`dynamic=True`)
    runs, order = _ops.paired(encoding, dim, inverse)
    columns, alone = [], 2 * sum(number for _, _, number, _ in runs)
    for cos, sin, number, step in runs:
        reach = (number - 1) * step + 1
        u, v = wide[..., cos : cos + reach : step], wide[..., sin : sin + reach : step]
        c, s = rows[..., cos : cos + reach : step], rows[..., sin : sin + reach : step]
        columns += [u * c + v * s, v * c - u * s] if inverse else [u * c - v * s, v * c + u * s]
    if alone < len(order):
        columns.append(wide[..., torch.tensor(order[alone:], device=x.device)].expand(*columns[0].shape[:-1], -1))
    place = [0] * len(order)
    for j, column in enumerate(order):
        place[column] = j
    total = torch.cat(columns, -1)[..., torch.tensor(place, device=x.device)]
    if half:
        total = total.to(x.dtype)  # rounded once
    return total if real is None else torch.where(real.unsqueeze(-1), total, x)


def _beside(x: torch.Tensor, start: Any, positions: Any, mask: Any, encoding: Any) -> tuple[Any, Any]:
    """The rows that belong to `x`, which broadcast to it, and which of them are real."""
    text, axes = _ops.described(encoding)
    given = None if positions is None else numbers(positions, "positions")
    width = _sequence_axes(x.shape, axes, given)
    real = None if mask is None else truths(mask, x.shape, width, x.device)
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    if given is None:
        return _counted(x.shape, start, text, axes, kind, x.device), real
    refuse_start(start)
    given = _rows_of(given, x.shape, axes)
    if real is not None:
        given = _visible(given, real, axes)
    return encode(given, x.shape[-1], 0, text, axes, kind, x.device), real


def encode(where: Any, dim: int, start: Any, text: str, axes: int, dtype: torch.dtype, device: Any) -> torch.Tensor:
    """Rows at positions, or of a length from `start` on: by the op."""
    if isinstance(where, torch.Tensor):
        if axes > 1 and (where.ndim < 2 or where.shape[-1] != axes):
            raise ValueError(
                f"positions: expected coordinates, shape (..., {axes}), for this encoding, got {tuple(where.shape)}; "
                "posenc.grid() makes those of a grid"
            )
        return _ops.encode(0, dim, where, 0, text, dtype, device)
    if isinstance(start, (int, torch.SymInt)):
        return _ops.encode(where, dim, None, start, text, dtype, device)
    return encode(_count(where, start), dim, 0, text, axes, dtype, device)


def _count(length: Any, start: Any) -> torch.Tensor:
    """Positions start, start + 1, ... (..., length), on the CPU or where `start` is."""
    if isinstance(start, (float, torch.SymFloat)):
        return torch.arange(length, dtype=torch.float64, device="cpu") + start
    if isinstance(start, (int, torch.SymInt)):  # which as a tensor would be a constant of the graph
        return torch.arange(length, dtype=torch.int64, device="cpu") + start
    first = numbers(start, "start")
    if first.is_floating_point():
        first = first.to("cpu", torch.float64)  # there may be no float64 on its device
    else:
        first = first.to(torch.int64)
    return first.unsqueeze(-1) + torch.arange(length, dtype=first.dtype, device=first.device)


def _counted(shape: Any, start: Any, text: str, axes: int, dtype: torch.dtype, device: Any) -> torch.Tensor:
    """Rows of an array of `shape` from `start` on."""
    if isinstance(start, bool):
        raise TypeError(f"start: expected a number, got {start}; use `start = int(start)`")
    if axes == 1:
        if not isinstance(start, (int, float, torch.SymInt, torch.SymFloat)):
            start = numbers(start, "start")
            wanted = shape[:-2]
            if start.ndim and not _fits(start.shape, wanted):
                raise ValueError(
                    f"start: expected a number or one per sequence, shape {tuple(wanted)}, got shape "
                    f"{tuple(start.shape)}; an axis of length 1 stands for all"
                )
        return encode(shape[-2], shape[-1], start, text, axes, dtype, device)
    starts = start if isinstance(start, (tuple, list)) else None
    if starts is None and not isinstance(start, (int, float, torch.SymInt, torch.SymFloat)):
        start = numbers(start, "start")
        if start.ndim > 1:
            raise ValueError(
                f"start: expected a number, or one for each of {axes} axes, got shape {tuple(start.shape)}; sequences "
                "that start elsewhere have positions= of their own"
            )
        starts = start.unbind() if start.ndim == 1 else None
    if starts is not None and len(starts) != axes:
        raise ValueError(
            f"start: expected a number, or one for each of {axes} axes, got {len(starts)}; leave out those of others"
        )
    along = [_count(n, start if starts is None else starts[i]) for i, n in enumerate(shape[-1 - axes : -1])]
    kind = torch.float64 if any(line.is_floating_point() for line in along) else torch.int64
    cells = torch.stack(torch.meshgrid(*[line.to(kind) for line in along], indexing="ij"), -1)
    return encode(cells, shape[-1], 0, text, axes, dtype, device)


def _sequence_axes(shape: Any, axes: int, positions: Any) -> int:
    """How many axes before the channels are those of positions."""
    wanted = axes if positions is None else 1
    if len(shape) and shape[-1] == 0:
        raise ValueError(
            f"x: expected at least 1 channel in the last dimension, got shape {tuple(shape)}; `x.movedim(0, -1)` if "
            "the first one holds them"
        )
    if len(shape) < wanted + 1:
        raise ValueError(
            f"x: expected at least {wanted + 1} dimensions (positions along {wanted}, and channels), got shape "
            f"{tuple(shape)}; `x[None]` has one more"
        )
    if axes > 1 and positions is None and len(shape) == axes + 1:
        raise ValueError(
            f"x: expected shape (..., *grid, channels) with a batch axis before the {axes} axes of the encoding, got "
            f"shape {tuple(shape)}, which may be one grid or a batch of sequences; `x[None]` if it is one grid, "
            "positions= if its rows are the cells of one"
        )
    return min(axes, len(shape) - 1)


def _rows_of(positions: torch.Tensor, shape: Any, axes: int) -> torch.Tensor:
    """Positions, checked, whose axes are the last ones of `shape` without channels (and one of coordinates)."""
    rows = positions.shape[:-1] if axes > 1 else positions.shape
    whole = shape[:-1]
    if axes > 1 and len(rows) == axes and rows[-1] != whole[-1] and math.prod(rows) == whole[-1]:
        return positions.flatten(0, -2)  # the cells of a grid as a list
    if len(rows) in (1, axes) and rows == whole[len(whole) - len(rows) :]:
        return positions
    if not _fits(rows, whole):
        raise _refused("positions", rows, whole)
    return positions


def truths(mask: Any, shape: Any, width: int, device: Any) -> torch.Tensor:
    real = mask if isinstance(mask, torch.Tensor) else tensor(mask, "mask")
    dense(real, "mask")
    if real.dtype != torch.bool:
        if real.is_floating_point() or real.is_complex():
            raise TypeError(
                f"mask: expected True or False, or 1 or 0, got {real.dtype}; of one that is added to scores, 0 where a "
                "row is real, use `mask = mask == 0`"
            )
        real = real != 0
    whole = shape[:-1]
    if not (real.ndim in (1, width) and real.shape == whole[len(whole) - real.ndim :]) and not _fits(real.shape, whole):
        raise _refused("mask", real.shape, whole)
    return real.to(device)


def _visible(positions: torch.Tensor, real: torch.Tensor, axes: int) -> torch.Tensor:
    """Positions with 0 in place of those that belong to masked rows alone, which may be anything."""
    rows = positions.ndim - (axes > 1)
    while real.ndim > rows:
        real = real.any(0)
    for axis in range(-real.ndim, 0):
        if positions.shape[axis - (axes > 1)] == 1 and real.shape[axis] != 1:
            real = real.any(axis, keepdim=True)
    real = real.to(positions.device)
    return torch.where(real.unsqueeze(-1) if axes > 1 else real, positions, torch.zeros_like(positions))


def _fits(shape: Any, wanted: Any) -> bool:
    return len(shape) == len(wanted) and all(n == 1 or n == m for n, m in zip(shape, wanted, strict=True))


def _refused(name: str, got: Any, whole: Any) -> ValueError:
    return ValueError(
        f"{name}: expected shape {tuple(whole[-1:])} or {tuple(whole)}, got {tuple(got)}; an axis of length 1 stands "
        "for all, in an array of as many dimensions as the last of these"
    )


# ---- kinds of arguments ---------------------------------------------------------------------------------------------


def floats(dtype: Any, name: str) -> None:
    if not isinstance(dtype, torch.dtype) or dtype not in FLOATS:
        way = "use `dtype=torch.float32`" if name == "dtype" else "convert it, `x = x.to(torch.float32)`"
        raise TypeError(f"{name}: expected {EXPECTED}, got {dtype!r}; {way}")


def numbers(value: Any, name: str) -> torch.Tensor:
    """Positions or starts as a tensor: integers, float32 or float64."""
    if isinstance(value, torch.Tensor):
        given = value
        if given.requires_grad and torch.is_grad_enabled():
            raise trained(name)
    else:
        given = tensor(value, name)
    dense(given, name)
    if given.dtype in HALVES or given.dtype == torch.bool or given.is_complex():
        raise TypeError(
            f"{name}: expected integers or float32 or float64 numbers, got {given.dtype}; half precision can't tell "
            f"one position from the next: make them in float32 or as integers from the start"
        )
    return given


def dense(given: torch.Tensor, name: str, way: str = "pad it, and leave rows out with mask=") -> None:
    if given.is_nested:
        raise TypeError(f"{name}: expected a dense tensor, got a nested one; {way}")


def tensor(value: Any, name: str) -> torch.Tensor:
    """What is no tensor as one, in float64 if it is a list of positions."""
    try:
        if isinstance(value, (list, tuple)) and name not in ("mask", "ids"):
            return torch.as_tensor(value, device="cpu", dtype=torch.float64)
        return torch.as_tensor(value, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{name}: expected a tensor, or what torch makes one of, got {type(value).__name__}: {error}; make one of "
            "numbers"
        ) from None


def trained(name: str) -> ValueError:
    return ValueError(
        f"{name}: expected a tensor without gradient, got one that requires grad, which the encoding would not pass on "
        f"to it; compute {name} within torch.no_grad() if they are not to be trained"
    )


def refuse_start(start: Any) -> None:
    if not (isinstance(start, int) and start == 0):
        raise ValueError("positions: expected either start or positions, got both; leave one of them out")


def factor(x_scale: Any, dim: int, dtype: torch.dtype) -> Any:
    """The number that x_scale stands for, or None for 1."""
    if isinstance(x_scale, str):
        if x_scale != "sqrt_dim":
            raise ValueError(f"x_scale: expected a number or 'sqrt_dim', got {x_scale!r}; use `x_scale = 'sqrt_dim'`")
        return math.sqrt(dim)
    if isinstance(x_scale, (np.integer, np.floating)):
        x_scale = float(x_scale)
    if isinstance(x_scale, bool) or not isinstance(x_scale, (int, float, torch.SymInt, torch.SymFloat)):
        raise TypeError(
            f"x_scale: expected a number or 'sqrt_dim', got {type(x_scale).__name__}; multiply first, "
            "`posenc.torch.add(x * x_scale)`"
        )
    if type(x_scale) not in (int, float):
        return x_scale  # a symbol
    if not abs(x_scale) < (math.inf if dtype == torch.float64 else TOO_LARGE):
        raise ValueError(
            f"x_scale: expected a finite number in the dtype of x, got {x_scale}; use `x_scale = 1.0` to leave x as it "
            "is"
        )
    return None if x_scale == 1 else x_scale
