"""How others do it: the recipes that are copied, ready tables, and packages, where they are installed."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import posenc

from .arena import Arena
from .arrays import Unavailable, lend, tensor, torch
from .cases import Array, recipe
from .entrants import Entrant
from .workloads import COUNTED, GRIDS, GROUPS, LOOKS_UP, MAKES, TORCH, WORKLOADS, Workload

Call = Callable[[], Any]


def peers(workload: Workload) -> list[Entrant]:
    """Everybody who does the operation of `workload`, or something that serves the same end."""
    op = workload.op
    if op in LOOKS_UP:
        return _embedders(workload)
    if op == "rotate":
        return _rotators(workload)
    if workload.held == TORCH:
        return [Entrant("peer", "torch add_ table", _torch_add)]
    if workload.at == GRIDS:
        return []
    if workload.moving:
        return [
            Entrant("peer", f"np.{'add' if op == 'add' else 'copyto'} table[p:]", _numpy_moving),
            Entrant("peer", f"torch {'add_' if op == 'add' else 'copy_'} table[p:]", _torch_moving),
        ]
    f64_recipe = Entrant("peer", "NumPy f64 recipe", partial(_numpy_recipe, precision=np.float64))
    recipes = [
        Entrant("peer", "NumPy f32 recipe", partial(_numpy_recipe, precision=np.float32), tolerance=_single),
        Entrant("peer", "torch recipe", _torch_recipe, tolerance=_single),
        Entrant("peer", "torch.compile", _torch_compiled, tolerance=_single, tidy=_interleaved),
        Entrant("peer", "positional-encodings", _package_fill, tolerance=_single),
    ]
    if workload in WORKLOADS and workload not in GROUPS["core"]:  # it compiles for half a minute, for each shape
        recipes = [one for one in recipes if one.make is not _torch_compiled]
    package = Entrant("peer", "positional-encodings", _package_add, tolerance=_single)
    if op in MAKES:
        if not workload.of_the_paper or op == "first" or not workload.plain_layout:
            batch = op == "fill" and not (workload.axes == 1 and workload.plain_layout)
            return [Entrant("peer", "np.copyto table", _numpy_copy)] if batch else []  # a ready table can be copied
        return recipes if workload.dtype in ("float16", "bfloat16") else [f64_recipe, *recipes]
    if workload.at in COUNTED:
        looked_up = [
            Entrant("peer", "np.add table[p]", _numpy_add_looked_up),
            Entrant("peer", "torch add_ embedding", _torch_add_looked_up),
        ]
        return looked_up if op == "add" else []
    if op == "add":
        return [
            Entrant("peer", "np.add table", _numpy_add),
            Entrant("peer", "torch add_ table", _torch_add),
            package,
        ]
    if op == "scale_add":
        return [
            Entrant("peer", "NumPy x*s + table", _numpy_scale_add),
            Entrant("peer", "NumPy *=, += table", _numpy_scale_add_in_place),
            Entrant("peer", "torch mul_.add_", _torch_scale_add),
        ]
    return [
        Entrant("peer", "NumPy x + table", _numpy_add_new),
        Entrant("peer", "torch x + table", _torch_add_new),
        package,
    ]


def _rotators(workload: Workload) -> list[Entrant]:
    """Transformers' eager function for halves, Meta's for adjacent pairs; each has a ready table, as posenc has not."""
    if workload.encoding == "rope_hf":
        return [Entrant("peer", "torch rotate_half", _torch_rotate_half)]
    if workload.encoding != "rope_meta":
        return []
    if workload.dtype in ("float16", "bfloat16"):  # torch has no complex numbers of these
        return [Entrant("peer", "torch complex, in float32", _torch_complex)]
    return [Entrant("peer", "torch complex mul_", _torch_complex_in_place)]


def _embedders(workload: Workload) -> list[Entrant]:
    if workload.at:  # a row of the table for each token
        return []
    compiled = Entrant("peer", "torch.compile", _torch_embed_compiled)
    shown = str(workload) == "embed 32x512x768 of 30000" or workload.dtype != "float32" or workload not in WORKLOADS
    return [
        Entrant("peer", "NumPy table[ids]*s + pe", _numpy_embed),
        Entrant("peer", "np.take, posenc.add_", _numpy_take),
        Entrant("peer", "torch embedding mul_ add_", _torch_embed),
        *([compiled] if shown else []),  # it compiles for half a minute, for each shape
    ]


def _single(position: float) -> float:
    """Angles in float32 lose the phase as positions grow; past 0.1 the result is no encoding any more."""
    return min(0.1, 1e-5 + 3e-7 * position)


# ---- NumPy ----------------------------------------------------------------------------------------------------------


def _arrays(arena: Arena) -> tuple[Array, Array]:
    """What NumPy adds: x and the table."""
    if not isinstance(arena.x, np.ndarray):
        raise Unavailable("NumPy has no bfloat16 without ml_dtypes")
    return arena.x, lend(arena.table)


def _numpy_recipe(arena: Arena, precision: type[np.floating]) -> Call:
    if arena.workload.dtype == "float64" and precision is np.float32:
        raise Unavailable("makes float32 only")
    if not isinstance(arena.x, np.ndarray):
        raise Unavailable("NumPy has no bfloat16 without ml_dtypes")
    start, positions = arena.workload.start, arena.positions if arena.workload.at else None

    def fill(out: Array | None = None) -> Array:
        target = np.empty_like(arena.x) if out is None else out
        recipe(target, start, precision, positions)
        return target

    return fill if arena.workload.op == "encode" else partial(fill, arena.x)


def _numpy_copy(arena: Arena) -> Call:
    memory, table = arena.memory, arena.table

    def copy() -> Array:
        np.copyto(memory, table)
        return memory

    return copy


def _numpy_add(arena: Arena) -> Call:
    x, table = _arrays(arena)
    return partial(np.add, x, table, out=x)


def _numpy_moving(arena: Arena) -> Call:
    """Rows of a ready table from where the start stands."""
    x, table = _arrays(arena)
    moves, length, adds = itertools.cycle(arena.move), arena.length, arena.workload.op == "add"
    begin = arena.move[0]

    def call() -> Array:
        first = next(moves) - begin
        rows = table[first : first + length]
        if adds:
            return np.add(x, rows, out=x)
        np.copyto(x, rows)
        return x

    return call


def _torch_moving(arena: Arena) -> Call:
    x, table = tensor(arena.memory), tensor(arena.table)
    moves, length, begin = itertools.cycle(arena.move), arena.length, arena.move[0]
    write = x.add_ if arena.workload.op == "add" else x.copy_

    def call() -> Any:
        first = next(moves) - begin
        return write(table[first : first + length])

    return call


def _numpy_add_looked_up(arena: Arena) -> Call:
    """A row of the table for each token; padding stays as it is."""
    x, table = _arrays(arena)
    where = np.True_ if arena.mask is None else arena.mask[..., None]
    positions = arena.positions.astype(np.int64)
    return lambda: np.add(x, table[positions], out=x, where=where)


def _numpy_add_new(arena: Arena) -> Call:
    return partial(np.add, *_arrays(arena))


def _numpy_scale_add(arena: Arena) -> Call:
    x, table = _arrays(arena)
    scale = x.dtype.type(arena.scale)
    return lambda: x * scale + table


def _numpy_scale_add_in_place(arena: Arena) -> Call:
    x, table = _arrays(arena)
    scale = x.dtype.type(arena.scale)
    return lambda: np.add(np.multiply(x, scale, out=x), table, out=x)


def _numpy_embed(arena: Arena) -> Call:
    _, pe = _arrays(arena)
    table, ids, scale = lend(arena.embeddings), arena.ids, pe.dtype.type(arena.scale)
    return lambda: table[ids] * scale + pe


def _numpy_take(arena: Arena) -> Call:
    """The best that two steps can do: the rows are copied once, into an array that is there."""
    table, ids, memory, start = arena.embeddings, arena.ids, arena.memory, arena.workload.start
    x = lend(memory)

    def call() -> Any:
        np.take(table, ids, 0, memory, "clip")
        return posenc.add_(x, start=start, x_scale="sqrt_dim")

    return call


# ---- torch ----------------------------------------------------------------------------------------------------------


def _angles(arena: Arena) -> tuple[Any, Any]:
    """Positions (L, 1) and frequencies (K,) in float32, as everybody has them."""
    if arena.workload.dtype == "float64":
        raise Unavailable("makes float32 only")
    if arena.dim % 2:
        raise Unavailable("even numbers of channels only")
    single = torch().float32
    positions = tensor(arena.positions).to(single)[:, None]
    return positions, torch().exp(torch().arange(0, arena.dim, 2, dtype=single) * (-math.log(10000.0) / arena.dim))


def _torch_recipe(arena: Arena) -> Call:
    sin, cos, empty_like = torch().sin, torch().cos, torch().empty_like
    positions, frequencies = _angles(arena)
    ready = tensor(arena.memory)

    def fill() -> Any:
        out = empty_like(ready) if arena.workload.op == "encode" else ready
        out[..., 0::2] = sin(positions * frequencies)
        out[..., 1::2] = cos(positions * frequencies)
        return out

    return fill


def _torch_compiled(arena: Arena) -> Call:
    """The concatenated form, sines first: it needs no strided stores, so this is the best that the compiler makes."""
    cat, sin, cos = torch().cat, torch().sin, torch().cos
    positions, frequencies = _angles(arena)
    kind = tensor(arena.memory[:0]).dtype

    def concatenated(positions: Any, frequencies: Any) -> Any:
        angles = positions * frequencies
        return cat([sin(angles), cos(angles)], dim=-1).to(kind)

    return _compiled(concatenated, positions, frequencies)


def _compiled(function: Callable[..., Any], *arguments: Any) -> Call:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module("torch._dynamo").reset()
            compiled = torch().compile(function, dynamic=False)
            compiled(*arguments)
        except Exception as error:  # whatever: no compiler, or one it can't use
            reason = next((line for line in str(error).splitlines() if line.strip()), "")
            raise Unavailable(f"torch.compile failed: {type(error).__name__}: {reason[:80]}") from None
    return partial(compiled, *arguments)


def _interleaved(result: Array) -> Array:
    half = result.shape[-1] // 2
    out = np.empty_like(result)
    out[..., 0::2], out[..., 1::2] = result[..., :half], result[..., half:]
    return out


def _torch_add(arena: Arena) -> Call:
    return partial(tensor(arena.memory).add_, tensor(arena.table))


def _torch_add_looked_up(arena: Arena) -> Call:
    """As fairseq does: a row of zeros is what padding gets."""
    x, table = tensor(arena.memory), tensor(arena.table)
    table = torch().cat([table, torch().zeros_like(table[:1])])
    positions = arena.positions if arena.mask is None else np.where(arena.mask, arena.positions, len(table) - 1)
    index, embedding = tensor(positions.astype(np.int64)), torch().nn.functional.embedding
    return lambda: x.add_(embedding(index, table))


def _torch_add_new(arena: Arena) -> Call:
    return partial(torch().add, tensor(arena.memory), tensor(arena.table))


def _torch_scale_add(arena: Arena) -> Call:
    x, table = tensor(arena.memory), tensor(arena.table)
    return lambda: x.mul_(arena.scale).add_(table)


def _torch_embed(arena: Arena) -> Call:
    table, pe, ids, scale = tensor(arena.embeddings), tensor(arena.table), tensor(arena.ids), arena.scale
    embedding = torch().nn.functional.embedding
    return lambda: embedding(ids, table).mul_(scale).add_(pe)


def _torch_embed_compiled(arena: Arena) -> Call:
    table, pe, ids, scale = tensor(arena.embeddings), tensor(arena.table), tensor(arena.ids), arena.scale
    embedding = torch().nn.functional.embedding

    def embed(ids: Any, table: Any, pe: Any) -> Any:
        return embedding(ids, table) * scale + pe

    return _compiled(embed, ids, table, pe)


# ---- the package positional-encodings -------------------------------------------------------------------------------


def _package(arena: Arena) -> tuple[Any, Any, Any]:
    """The package's module, its encoder, and x as the (B, L, D) tensor that it wants."""
    torch()
    if importlib.util.find_spec("positional_encodings") is None:
        raise Unavailable("positional-encodings is not installed")
    workload = arena.workload
    if not workload.plain_layout:
        raise Unavailable("(B, L, D) only")
    if workload.start or workload.at or not workload.of_the_paper or workload.dtype != "float32":
        raise Unavailable("positions 0, 1, ... in float32 only")
    module: Any = importlib.import_module("positional_encodings.torch_encodings")
    x = tensor(arena.memory.reshape(-1, arena.length, arena.dim))
    return module, module.PositionalEncoding1D(arena.dim), x


def _package_fill(arena: Arena) -> Call:
    _, encoder, x = _package(arena)

    def fill() -> Any:
        encoder.cached_penc = None  # it would only return what it returned before
        return encoder(x).reshape(arena.memory.shape)

    return fill


def _package_add(arena: Arena) -> Call:
    """Its `Summer`, which keeps the table and makes a new sum."""
    module, encoder, x = _package(arena)
    summer = module.Summer(encoder)
    return lambda: summer(x).reshape(arena.memory.shape)


def _torch_rotate_half(arena: Arena) -> Call:
    """As transformers' apply_rotary_pos_emb; the table in the dtype of the queries, as its models have it."""
    x, half = tensor(arena.memory), arena.dim // 2
    cos, sin = (tensor(np.tile(part, 2)) for part in np.split(arena.table, 2, axis=-1))
    cat = torch().cat

    def rotate() -> Any:
        turned = cat((-x[..., half:], x[..., :half]), -1)
        return x * cos + turned * sin

    return rotate


def _complex_table(arena: Arena) -> Any:
    table = posenc.encode(
        arena.length, arena.dim, start=arena.workload.start, encoding=arena.workload.encodes, dtype=np.float32
    )
    return torch().view_as_complex(tensor(table).unflatten(-1, (-1, 2)))


def _torch_complex(arena: Arena) -> Call:
    """As Meta's apply_rotary_emb."""
    x, table, module = tensor(arena.memory), _complex_table(arena), torch()

    def rotate() -> Any:
        product = module.view_as_complex(x.float().unflatten(-1, (-1, 2))) * table
        return module.view_as_real(product).flatten(-2).type_as(x)

    return rotate


def _torch_complex_in_place(arena: Arena) -> Call:
    x, table, module = tensor(arena.memory), _complex_table(arena), torch()
    pairs = module.view_as_complex(x.unflatten(-1, (-1, 2)))

    def rotate() -> Any:
        pairs.mul_(table)
        return x

    return rotate
