"""`add` and `embed` as torch's autograd sees them. Imported only for a tensor that requires grad, so torch is there."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import _apply, _conventions, _lookup, _turns, _validate
from ._apply import How
from ._where import Where

torch: Any = importlib.import_module("torch")


class _Add(torch.autograd.Function):  # type: ignore[misc]
    """x * scale + PE; where `scaled` (None: everywhere) is False, x."""

    generate_vmap_rule = True  # so that it is `add` that refuses a batched tensor, and tells the way out

    @staticmethod
    def forward(x: Any, call: Callable[[Any], Any], scale: float, scaled: Any) -> Any:
        return call(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, _, ctx.scale, ctx.scaled = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> tuple[Any, None, None, None]:
        return _scaled(ctx, gradient), None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Any, *_: None) -> Any:
        return _scaled(ctx, tangent)


def _scaled(ctx: Any, change: Any) -> Any:
    """What a change of the sum is for one of `x`, and the other way round: both are linear."""
    if ctx.scale == 1.0:
        return change
    product = change * ctx.scale
    return product if ctx.scaled is None else torch.where(ctx.scaled, product, change)


def add(call: Callable[..., Any], x: Any, x_scale: Any, **keywords: Any) -> Any:
    """call(x, x_scale=x_scale, **keywords), where `call` is `posenc.add`, with a gradient for `x`."""
    scale, scaled = 1.0, None
    if not (type(x_scale) is float and x_scale == 1.0):
        axis = _validate.integer(keywords["channel_axis"], "channel_axis")
        kind = np.dtype(np.float64 if x.dtype == torch.float64 else np.float32)
        scale = _validate.x_scale(x_scale, kind, x.shape[axis] if -x.ndim <= axis < x.ndim else 1)
        if keywords["mask"] is not None or keywords.get("prefix"):  # infinity changes its sign where it is scaled
            scaled = torch.from_numpy(call(np.full(x.shape, np.inf, np.float32), x_scale=-1.0, **keywords) < 0)
    return _Add.apply(x, lambda plain: call(plain, x_scale=x_scale, **keywords), scale, scaled)


class _Rows:
    """The rows of a table that a call reads, known once it was made: below torch's transforms, where ids are plain."""

    def __init__(self, call: Callable[..., Any], ids: Any, x_scale: Any, keywords: dict[str, Any]) -> None:
        self.call, self.given, self.x_scale, self.keywords = call, ids, x_scale, keywords
        self.ids: Any = None
        self.real: Any = None  # (..., L, 1); None: everywhere

    def embed(self, table: Any) -> Any:
        result = self.call(self.given, table, x_scale=self.x_scale, **self.keywords)
        numbers = _lookup.integers(self.given)
        if self.keywords["mask"] is not None:
            infinite = np.broadcast_to(np.float32(np.inf), (len(table), 1))
            real = self.call(self.given, infinite, **self.keywords | {"encoding": None}) > 1.0
            numbers, self.real = np.where(real[..., 0], numbers, 0), torch.from_numpy(real)
        self.ids = torch.from_numpy(numbers.astype(np.int64))
        return result

    def masked(self, rows: Any) -> Any:
        return rows if self.real is None else torch.where(self.real, rows, torch.zeros_like(rows))


class _Embed(torch.autograd.Function):  # type: ignore[misc]
    """table[ids] * scale + PE, and 0 where rows are not real."""

    generate_vmap_rule = True

    @staticmethod
    def forward(table: Any, rows: _Rows, scale: float) -> Any:
        return rows.embed(table)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        table, ctx.rows, ctx.scale = inputs
        ctx.count = len(table)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> tuple[Any, None, None]:
        known = ctx.rows.masked(gradient * ctx.scale)
        return torch.ops.aten.embedding_dense_backward(known, ctx.rows.ids, ctx.count, -1, False), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Any, *_: None) -> Any:
        return ctx.rows.masked(tangent[ctx.rows.ids] * ctx.scale)


def embed(call: Callable[..., Any], ids: Any, table: Any, x_scale: Any, **keywords: Any) -> Any:
    """call(ids, table, x_scale=x_scale, **keywords), where `call` is `posenc.embed`, with a gradient for `table`."""
    kind = np.dtype(np.float64 if table.dtype == torch.float64 else np.float32)
    scale = _validate.x_scale(x_scale, kind, table.shape[-1] if table.ndim else 1, "table[ids]", "table")
    return _Embed.apply(table, _Rows(call, ids, x_scale, keywords), scale)


class _Turn(NamedTuple):
    """What `posenc.rotate` was asked for: a turn of pairs of columns, or back, which is its transpose."""

    inverse: bool
    where: Where
    how: How

    @property
    def transposed(self) -> _Turn:
        return self._replace(inverse=not self.inverse)

    def rotate(self, x: Any, gradient: bool) -> Any:
        """`x`, turned by posenc. As a gradient, it may be turned back where an amplitude forbids an inverse."""
        operands = _apply.turned(x, None, self.inverse, gradient and self.inverse)
        return _apply.apply(operands, self.where, self.how)

    def change(self, change: Any) -> Any:
        """What the turn makes of a gradient or a tangent."""
        return _Rotate.apply(change, self, True) if _has_memory(change) else self._by_torch(change)

    def _by_torch(self, change: Any) -> Any:
        """The same bits in operations of torch, for what a transform has wrapped (vmap, forward mode ...)."""
        axis = _validate.integer(self.where.channel_axis, "channel_axis")
        dim = change.shape[axis]
        cos: list[int] = []
        sin: list[int] = []
        for run in _turns.runs(_conventions.resolve(self.how.encoding), dim):
            for columns, part in zip((cos, sin), run.columns, strict=True):
                columns += range(dim)[part]
        partner = np.arange(dim)
        partner[cos + sin] = sin + cos
        # What becomes of ones in the columns of sines, and of ones in all others, are the two factors of each column.
        wide = np.float64 if change.dtype == torch.float64 else np.float32
        of_sines = np.isin(np.arange(dim), sin).reshape(-1, *[1] * (-axis - 1 if axis < 0 else change.ndim - axis - 1))
        ones = np.broadcast_to(of_sines.astype(wide), change.shape)
        a, b = self.rotate(1 - ones, True), self.rotate(ones, True)
        own, other = (torch.from_numpy(np.where(of_sines, *pair)) for pair in ((b, a), (a, b)))
        kind = own.dtype
        beside = change.to(kind).index_select(axis, torch.from_numpy(partner))
        return (change.to(kind) * own + beside * other).to(change.dtype)


class _Rotate(torch.autograd.Function):  # type: ignore[misc]
    """The turn of pairs, which is linear."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Any, turn: _Turn, gradient: bool) -> Any:
        return turn.rotate(x, gradient)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, ctx.turn, _ = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> tuple[Any, None, None]:
        return ctx.turn.transposed.change(gradient), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Any, *_: None) -> Any:
        return ctx.turn.change(tangent)


def _has_memory(x: Any) -> bool:
    """Whether `x` is no wrapper of a transform: the older vmap's, of batched gradients, have no other mark."""
    try:
        x.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return False
    return True


def rotate(x: Any, inverse: Any, where: Where, how: How) -> Any:
    """`posenc.rotate`, with a gradient for `x`."""
    return _Rotate.apply(x, _Turn(inverse, where, how), False)
