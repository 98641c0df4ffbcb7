"""How others do it: the recipes that are copied, ready tables, and packages, where they are installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .cases import Array, recipe
from .workloads import MAKES, Arena, Entrant, Unavailable

Call = Callable[[], Any]


def peers(op: str) -> list[Entrant]:
    """Everybody who does `op`, or something that serves the same end."""
    field = {
        "fill": [
            Entrant("peer", "NumPy f64 recipe", partial(_numpy_recipe, precision=np.float64)),
            Entrant("peer", "NumPy f32 recipe", partial(_numpy_recipe, precision=np.float32), tolerance=_single),
            Entrant("peer", "torch recipe", _torch_recipe, tolerance=_single),
            Entrant("peer", "torch.compile", _torch_compiled, tolerance=_single, tidy=_interleaved),
            Entrant("peer", "positional-encodings", _package_fill, tolerance=_single),
        ],
        "add": [
            Entrant("peer", "np.add table", _numpy_add),
            Entrant("peer", "torch add_ table", _torch_add),
            Entrant("peer", "positional-encodings", _package_add, tolerance=_single),
        ],
        "scale_add": [
            Entrant("peer", "NumPy x*s + table", _numpy_scale_add),
            Entrant("peer", "NumPy *=, += table", _numpy_scale_add_in_place),
            Entrant("peer", "torch mul_.add_", _torch_scale_add),
        ],
        "add_new": [
            Entrant("peer", "NumPy x + table", _numpy_add_new),
            Entrant("peer", "torch x + table", _torch_add_new),
            Entrant("peer", "positional-encodings", _package_add, tolerance=_single),
        ],
    }
    return field["fill" if op in MAKES else op]


def _single(position: float) -> float:
    """Angles in float32 lose the phase as positions grow; past 0.1 the result is no encoding any more."""
    return min(0.1, 1e-5 + 3e-7 * position)


# ---- NumPy ----------------------------------------------------------------------------------------------------------


def _numpy_recipe(arena: Arena, precision: type[np.floating]) -> Call:
    if arena.x.dtype == np.float64 and precision is np.float32:
        raise Unavailable("makes float32 only")
    start, positions = arena.workload.start, arena.positions if arena.workload.real else None

    def fill(out: Array | None = None) -> Array:
        target = np.empty_like(arena.x) if out is None else out
        recipe(target, start, precision, positions)
        return target

    return fill if arena.workload.op == "encode" else partial(fill, arena.x)


def _numpy_add(arena: Arena) -> Call:
    return partial(np.add, arena.x, arena.table, out=arena.x)


def _numpy_add_new(arena: Arena) -> Call:
    return partial(np.add, arena.x, arena.table)


def _numpy_scale_add(arena: Arena) -> Call:
    x, table, scale = arena.x, arena.table, arena.x.dtype.type(arena.scale)
    return lambda: x * scale + table


def _numpy_scale_add_in_place(arena: Arena) -> Call:
    x, table, scale = arena.x, arena.table, arena.x.dtype.type(arena.scale)
    return lambda: np.add(np.multiply(x, scale, out=x), table, out=x)


# ---- torch ----------------------------------------------------------------------------------------------------------


@functools.cache
def _torch() -> Any:
    if importlib.util.find_spec("torch") is None:
        raise Unavailable("torch is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    return torch


def _angles(arena: Arena) -> tuple[Any, Any]:
    """Positions (L, 1) and frequencies (K,) in float32, as everybody has them."""
    torch = _torch()
    if arena.x.dtype != np.float32:
        raise Unavailable("makes float32 only")
    if arena.dim % 2:
        raise Unavailable("needs an even number of channels")
    positions = torch.from_numpy(arena.positions).to(torch.float32)[:, None]
    return positions, torch.exp(torch.arange(0, arena.dim, 2, dtype=torch.float32) * (-math.log(10000.0) / arena.dim))


def _torch_recipe(arena: Arena) -> Call:
    torch = _torch()
    positions, frequencies = _angles(arena)
    ready = torch.from_numpy(arena.x)

    def fill() -> Any:
        out = torch.empty(arena.x.shape) if arena.workload.op == "encode" else ready
        out[..., 0::2] = torch.sin(positions * frequencies)
        out[..., 1::2] = torch.cos(positions * frequencies)
        return out

    return fill


def _torch_compiled(arena: Arena) -> Call:
    """The concatenated form, sines first: it needs no strided stores, so this is the best that the compiler makes."""
    torch = _torch()
    positions, frequencies = _angles(arena)

    def concatenated(positions: Any, frequencies: Any) -> Any:
        angles = positions * frequencies
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module("torch._dynamo").reset()
            compiled = torch.compile(concatenated, dynamic=False)
            compiled(positions, frequencies)
        except Exception as error:  # whatever: no compiler, or one it can't use
            reason = next((line for line in str(error).splitlines() if line.strip()), "")
            raise Unavailable(f"torch.compile failed: {type(error).__name__}: {reason[:80]}") from None
    return partial(compiled, positions, frequencies)


def _interleaved(result: Array) -> Array:
    half = result.shape[-1] // 2
    out = np.empty_like(result)
    out[..., 0::2], out[..., 1::2] = result[..., :half], result[..., half:]
    return out


def _torch_add(arena: Arena) -> Call:
    torch = _torch()
    return partial(torch.from_numpy(arena.x).add_, torch.from_numpy(arena.table))


def _torch_add_new(arena: Arena) -> Call:
    torch = _torch()
    return partial(torch.add, torch.from_numpy(arena.x), torch.from_numpy(arena.table))


def _torch_scale_add(arena: Arena) -> Call:
    torch = _torch()
    x, table = torch.from_numpy(arena.x), torch.from_numpy(arena.table)
    return lambda: x.mul_(arena.scale).add_(table)


# ---- the package positional-encodings -------------------------------------------------------------------------------


def _package(arena: Arena) -> tuple[Any, Any, Any]:
    """The package's module, its encoder, and x as the (B, L, D) tensor that it wants."""
    torch = _torch()
    if importlib.util.find_spec("positional_encodings") is None:
        raise Unavailable("positional-encodings is not installed")
    if arena.workload.start or arena.workload.real or arena.x.dtype != np.float32:
        raise Unavailable("positions 0, 1, ... in float32 only")
    module: Any = importlib.import_module("positional_encodings.torch_encodings")
    x = torch.from_numpy(arena.x.reshape(-1, arena.length, arena.dim))
    return module, module.PositionalEncoding1D(arena.dim), x


def _package_fill(arena: Arena) -> Call:
    _, encoder, x = _package(arena)

    def fill() -> Any:
        encoder.cached_penc = None  # it would only return what it returned before
        return encoder(x).reshape(arena.x.shape)

    return fill


def _package_add(arena: Arena) -> Call:
    """Its `Summer`, which keeps the table and makes a new sum."""
    module, encoder, x = _package(arena)
    summer = module.Summer(encoder)
    return lambda: summer(x).reshape(arena.x.shape)
