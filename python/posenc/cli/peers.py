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

from .arrays import Array, Unavailable, lend, tensor, torch
from .cases import CASES, COUNTED, GRIDS, GROUPS, LOOKS_UP, MAKES, SHORT, TORCH, Case
from .implementations import Implementation
from .inputs import Inputs, recipe
from .timing import Call

_peer = partial(Implementation, "peer")


def peers(case: Case) -> list[Implementation]:
    """Everybody who does the operation of `case`, or something that serves the same end."""
    left_out = [] if _compiles(case) else ["torch.compile"]
    left_out += ["NumPy f64 recipe"] if case.dtype in SHORT else []
    return [peer for peer in PEERS.get(_kind(case), []) if peer.name not in left_out]


def _kind(case: Case) -> str:
    """What PEERS has them under; nobody under nothing."""
    op = case.op
    if op in LOOKS_UP:
        return "" if case.at else "embed"  # a row of the table for each token
    if op == "rotate":
        return case.encoding + (", 16 bits" if case.dtype in SHORT and case.encoding == "rope_meta" else "")
    if case.held == TORCH:
        return "tensor"
    if case.at == GRIDS:
        return ""
    if case.moving:
        return "moving add" if op == "add" else "moving fill"
    if op not in MAKES:
        return op if case.at not in COUNTED else "add rows" if op == "add" else ""
    if case.of_the_paper and op != "first" and case.plain_layout:
        return "recipe"
    batch = op == "fill" and not (case.axes == 1 and case.plain_layout)
    return "copy" if batch else ""  # a ready table can be copied


def _compiles(case: Case) -> bool:
    """Whether torch.compile takes part: it compiles for half a minute, for each shape."""
    if case not in CASES or case in GROUPS["core"]:
        return True
    return case.op == "embed" and (str(case) == "embed 32x512x768 of 30000" or case.dtype != "float32")


def _single(position: float) -> float:
    """Angles in float32 lose the phase as positions grow; past 0.1 the result is no encoding any more."""
    return min(0.1, 1e-5 + 3e-7 * position)


# ---- those who have a ready table: x, the table and the scale, as NumPy and torch hold them -------------------------


def _array(inputs: Inputs) -> Any:
    if not isinstance(inputs.x, np.ndarray):
        raise Unavailable("NumPy has no bfloat16 without ml_dtypes")
    return inputs.x


def _numpy(name: str, make: Callable[[Any, Any, Any, Inputs], Call]) -> Implementation:
    return _peer(
        name, lambda inputs: make(_array(inputs), lend(inputs.table), inputs.x.dtype.type(inputs.scale), inputs)
    )


def _torch(name: str, make: Callable[[Any, Any, Any, Inputs], Call]) -> Implementation:
    return _peer(name, lambda inputs: make(tensor(inputs.memory), tensor(inputs.table), inputs.scale, inputs))


def _moving(inputs: Inputs, table: Any, write: Callable[[Any], Any]) -> Call:
    """Rows of a ready table from where the start stands."""
    moves, length, begin = itertools.cycle(inputs.move), inputs.length, inputs.move[0]

    def call() -> Any:
        first = next(moves) - begin
        return write(table[first : first + length])

    return call


def _numpy_rows(x: Any, table: Any, _: Any, inputs: Inputs) -> Call:
    """A row of the table for each token; padding stays as it is."""
    where = np.True_ if inputs.mask is None else inputs.mask[..., None]
    positions = inputs.positions.astype(np.int64)
    return lambda: np.add(x, table[positions], out=x, where=where)


def _torch_rows(x: Any, table: Any, _: Any, inputs: Inputs) -> Call:
    """As fairseq does: a row of zeros is what padding gets."""
    table = torch().cat([table, torch().zeros_like(table[:1])])
    positions = inputs.positions if inputs.mask is None else np.where(inputs.mask, inputs.positions, len(table) - 1)
    index, embedding = tensor(positions.astype(np.int64)), torch().nn.functional.embedding
    return lambda: x.add_(embedding(index, table))


def _numpy_embed(_: Any, pe: Any, scale: Any, inputs: Inputs) -> Call:
    table, ids = lend(inputs.embeddings), inputs.ids
    return lambda: table[ids] * scale + pe


def _numpy_take(inputs: Inputs) -> Call:
    """The best that two steps can do: the rows are copied once, into an array that is there."""
    table, ids, memory, start = inputs.embeddings, inputs.ids, inputs.memory, inputs.case.start
    x = lend(memory)

    def call() -> Any:
        np.take(table, ids, 0, memory, "clip")
        return posenc.add_(x, start=start, x_scale="sqrt_dim")

    return call


def _torch_embed(_: Any, pe: Any, scale: Any, inputs: Inputs, compiled: bool = False) -> Call:
    table, ids, embedding = tensor(inputs.embeddings), tensor(inputs.ids), torch().nn.functional.embedding
    if compiled:
        return _compiled(lambda ids, table, pe: embedding(ids, table) * scale + pe, ids, table, pe)
    return lambda: embedding(ids, table).mul_(scale).add_(pe)


def _torch_rotate_half(x: Any, table: Any, _: Any, inputs: Inputs) -> Call:
    """As transformers' apply_rotary_pos_emb; the table in the dtype of the queries, as its models have it."""
    half, cat = inputs.dim // 2, torch().cat
    cos, sin = (part.repeat(1, 2) for part in table.chunk(2, dim=-1))
    return lambda: x * cos + cat((-x[..., half:], x[..., :half]), -1) * sin


def _torch_complex(inputs: Inputs) -> Call:
    """As Meta's apply_rotary_emb, in place; torch has no complex numbers of 16 bits, which become float32 for it."""
    case, x, module = inputs.case, tensor(inputs.memory), torch()
    ready = posenc.encode(inputs.length, inputs.dim, start=case.start, encoding=case.encodes, dtype=np.float32)
    table = module.view_as_complex(tensor(ready).unflatten(-1, (-1, 2)))
    if case.dtype not in SHORT:
        return partial(module.view_as_complex(x.unflatten(-1, (-1, 2))).mul_, table)

    def rotate() -> Any:
        product = module.view_as_complex(x.float().unflatten(-1, (-1, 2))) * table
        return module.view_as_real(product).flatten(-2).type_as(x)

    return rotate


# ---- recipes --------------------------------------------------------------------------------------------------------


def _numpy_recipe(inputs: Inputs, precision: type[np.floating]) -> Call:
    if inputs.case.dtype == "float64" and precision is np.float32:
        raise Unavailable("float32 only")
    x, makes = _array(inputs), inputs.case.op == "encode"
    start, positions = inputs.case.start, inputs.positions if inputs.case.at else None
    return lambda: recipe(np.empty_like(x) if makes else x, start, precision, positions)


def _angles(inputs: Inputs) -> tuple[Any, Any]:
    """Positions (L, 1) and frequencies (K,) in float32, as everybody has them."""
    if (double := inputs.case.dtype == "float64") or inputs.dim % 2:
        raise Unavailable("float32 only" if double else "even numbers of channels only")
    single = torch().float32
    positions = tensor(inputs.positions).to(single)[:, None]
    return positions, torch().exp(torch().arange(0, inputs.dim, 2, dtype=single) * (-math.log(10000.0) / inputs.dim))


def _torch_recipe(inputs: Inputs) -> Call:
    (positions, frequencies), ready, module = _angles(inputs), tensor(inputs.memory), torch()

    def fill() -> Any:
        out = module.empty_like(ready) if inputs.case.op == "encode" else ready
        out[..., 0::2] = module.sin(positions * frequencies)
        out[..., 1::2] = module.cos(positions * frequencies)
        return out

    return fill


def _torch_compiled(inputs: Inputs) -> Call:
    """The concatenated form, sines first: it needs no strided stores, so this is the best that the compiler makes."""
    cat, sin, cos = torch().cat, torch().sin, torch().cos
    positions, frequencies = _angles(inputs)
    kind = tensor(inputs.memory[:0]).dtype

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


def _interleaved(halves: Array) -> Array:
    return np.stack(np.split(halves, 2, -1), -1).reshape(halves.shape)


def _package(inputs: Inputs, adds: bool) -> Call:
    """The encoder of positional-encodings, or its `Summer`, which keeps the table and makes a new sum."""
    torch()
    if importlib.util.find_spec("positional_encodings") is None:
        raise Unavailable("positional-encodings is not installed")
    case, shape = inputs.case, inputs.memory.shape
    simple = case.plain_layout and case.of_the_paper and not (case.start or case.at)
    if not simple or case.dtype != "float32":
        raise Unavailable("(B, L, D) at 0, 1, ... in float32 only")
    module: Any = importlib.import_module("positional_encodings.torch_encodings")
    encoder, x = module.PositionalEncoding1D(inputs.dim), tensor(inputs.memory.reshape(-1, inputs.length, inputs.dim))
    if adds:
        summer = module.Summer(encoder)
        return lambda: summer(x).reshape(shape)

    def fill() -> Any:
        encoder.cached_penc = None  # it would only return what it returned before
        return encoder(x).reshape(shape)

    return fill


# ---- all of them ----------------------------------------------------------------------------------------------------

_TORCH_ADD = _torch("torch add_ table", lambda x, table, *_: partial(x.add_, table))
_PACKAGE_ADD = _peer("positional-encodings", partial(_package, adds=True), tolerance=_single)

PEERS = {
    "recipe": [
        _peer("NumPy f64 recipe", partial(_numpy_recipe, precision=np.float64)),
        _peer("NumPy f32 recipe", partial(_numpy_recipe, precision=np.float32), tolerance=_single),
        _peer("torch recipe", _torch_recipe, tolerance=_single),
        _peer("torch.compile", _torch_compiled, tolerance=_single, tidy=_interleaved),
        _peer("positional-encodings", partial(_package, adds=False), tolerance=_single),
    ],
    "copy": [_peer("np.copyto table", lambda inputs: partial(np.copyto, inputs.memory, inputs.table))],
    "moving fill": [
        _numpy("np.copyto table[p:]", lambda x, table, _, inputs: _moving(inputs, table, partial(np.copyto, x))),
        _torch("torch copy_ table[p:]", lambda x, table, _, inputs: _moving(inputs, table, x.copy_)),
    ],
    "moving add": [
        _numpy("np.add table[p:]", lambda x, table, _, inputs: _moving(inputs, table, partial(np.add, x, out=x))),
        _torch("torch add_ table[p:]", lambda x, table, _, inputs: _moving(inputs, table, x.add_)),
    ],
    "add": [_numpy("np.add table", lambda x, table, *_: partial(np.add, x, table, out=x)), _TORCH_ADD, _PACKAGE_ADD],
    "tensor": [_TORCH_ADD],
    "add rows": [_numpy("np.add table[p]", _numpy_rows), _torch("torch add_ embedding", _torch_rows)],
    "scale_add": [
        _numpy("NumPy x*s + table", lambda x, table, s, _: lambda: x * s + table),
        _numpy("NumPy *=, += table", lambda x, table, s, _: lambda: np.add(np.multiply(x, s, out=x), table, out=x)),
        _torch("torch mul_.add_", lambda x, table, s, _: lambda: x.mul_(s).add_(table)),
    ],
    "add_new": [
        _numpy("NumPy x + table", lambda x, table, *_: partial(np.add, x, table)),
        _torch("torch x + table", lambda x, table, *_: partial(torch().add, x, table)),
        _PACKAGE_ADD,
    ],
    "embed": [
        _numpy("NumPy table[ids]*s + pe", _numpy_embed),
        _peer("np.take, posenc.add_", _numpy_take),
        _torch("torch embedding mul_ add_", _torch_embed),
        _torch("torch.compile", partial(_torch_embed, compiled=True)),
    ],
    # Transformers' eager function for halves, Meta's for adjacent pairs; each has a ready table, as posenc has not.
    "rope_hf": [_torch("torch rotate_half", _torch_rotate_half)],
    "rope_meta": [_peer("torch complex mul_", _torch_complex, tidy=lambda pairs: pairs.view(np.float32))],
    "rope_meta, 16 bits": [_peer("torch complex, in float32", _torch_complex)],
}
