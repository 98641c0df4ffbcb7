"""Random calls of the public functions against a plain reckoning of what they should do, for as long as one likes.

`python -m tests.fuzz --seconds 600` (or `nox -s fuzz`) prints how many calls it made. Two kinds:
right ones, on every backend and ISA level: the result is what NumPy makes of the table of every row's position, the
table being that of the NumPy backend, and no other byte is written;
wrong ones, with arguments of any kind: a call is refused with a documented error and not a byte is written, or it
writes to its array alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import itertools
import math
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import numpy as np
import posenc
import pytest
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from posenc import _turns

from . import arrays, backends
from .arrays import Case, assert_same_bits, noise
from .pages import DTYPES

REFUSALS = (TypeError, ValueError, IndexError, posenc.BackendError)
HERE = [name for name in backends.NAMES if name not in backends.MISSING]
PAIRS = [(name, level) for name in HERE for level in (backends.LEVELS if name == "cpp" else [None])]
PAIRS.append((None, None))  # what users give, which has short cuts
# What an array may be passed as. Tensors, which take seconds to import, are the program's.
CONTAINERS = ["ndarray", "ndarray", "memoryview"]
counts: Counter[str] = Counter()


# ---- right calls ----------------------------------------------------------------------------------------------------


@dataclass
class Call:
    function: str
    case: Case  # the array that is written
    keywords: dict[str, Any]
    channel: int  # its axis of channels
    where: NDArray[np.float64]  # the position of every row; for k axes, coordinates (..., k)
    real: NDArray[np.bool_]  # what mask= says, of every row
    x: Case | None = None  # what `add` reads
    container: str = "ndarray"  # what the array is passed as

    def __repr__(self) -> str:
        return f"posenc.{self.function}({self.case!r} as {self.container}, x={self.x!r}, **{self.keywords!r})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def want(self, old: NDArray[Any]) -> NDArray[Any]:
        """What the array holds after the call, `old` being what it held, or what `add` read."""
        old = np.moveaxis(old, self.channel, -1)
        encoding = self.keywords.get("encoding")
        places = self.where.reshape(-1, *self.where.shape[old.ndim - 1 :])

        def table(dtype: Any) -> NDArray[Any]:
            made = posenc.encode(places, old.shape[-1], dtype=dtype, backend="numpy", encoding=encoding)
            return made.reshape(old.shape)

        if self.function == "fill_":
            new, unreal = table(old.dtype), np.zeros_like(old)
        else:
            kind = np.float64 if old.dtype == np.float64 else np.float32
            scale = self.keywords.get("x_scale", 1)
            factor = kind(math.sqrt(old.shape[-1]) if scale == "sqrt_dim" else scale)
            with np.errstate(over="ignore"):  # of float16
                new, unreal = (old.astype(kind) * factor + table(kind)).astype(old.dtype), old
        return np.moveaxis(np.where(self.real[..., None], new, unreal), -1, self.channel)


shapes = st.tuples(
    st.lists(st.integers(0, 3), max_size=2),
    st.one_of(st.integers(0, 80), st.sampled_from([127, 222, 300])),
    st.one_of(st.integers(1, 70), st.sampled_from([128, 200, 257])),
)
starts = st.one_of(
    st.integers(-100, 10_000),
    st.integers(-(2**53), 2**53 - 1000),
    st.floats(-1e6, 1e6),
    st.floats(-(2.0**53), 2.0**53 - 1000),
)
scales = st.one_of(st.just(1), st.just("sqrt_dim"), st.floats(-1e3, 1e3, width=32), st.integers(-5, 5))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    leading, length, dim = draw(shapes)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    keywords: dict[str, Any] = {}

    # (*leading, L, D), then the sequence axis and the one of channels elsewhere
    shape, channel = [*leading, length, dim], len(leading) + 1
    seq = len(leading)
    if draw(st.booleans()):
        seq = draw(st.integers(0, len(leading)))
        shape.insert(seq, shape.pop(-2))
        keywords["seq_axis"] = draw(st.sampled_from([seq, seq - len(shape)]))
    if draw(st.integers(0, 3)) == 0:
        channel = draw(st.integers(0, len(shape) - 1))
        shape.insert(channel, shape.pop())
        keywords["channel_axis"] = draw(st.sampled_from([channel, channel - len(shape)]))
        if "seq_axis" in keywords:
            moved = seq + (channel <= seq)
            keywords["seq_axis"] = draw(st.sampled_from([moved, moved - len(shape)]))
    rows = tuple(n for axis, n in enumerate(shape) if axis != channel)  # everything but channels

    kind = draw(st.sampled_from(DTYPES))
    case = draw(layouts(tuple(shape), kind))
    function = draw(st.sampled_from(["fill_", "add_", "add"]))
    if function != "fill_":
        keywords["x_scale"] = draw(scales)
    x = draw(layouts(tuple(shape), kind)) if function == "add" else None

    where = draw(places(rows, seq, generator, keywords))
    real = np.ones(rows, bool)
    if draw(st.integers(0, 3)) == 0:
        form = draw(st.sampled_from([rows, thinner(draw, rows), (length,)]))
        mask = generator.random(form) < draw(st.sampled_from([0.0, 0.2, 0.8, 1.0]))
        real[...] = mask if mask.ndim == len(rows) else along(mask, seq, len(rows))
        hide(draw, keywords, real)
        keywords["mask"] = draw(st.sampled_from([mask, mask.astype(np.int8), mask.tolist()])) if mask.size else mask
    if draw(st.booleans()):
        keywords["encoding"] = draw(encodings(dim))
    if draw(st.integers(0, 4)) == 0:
        keywords["threads"] = draw(st.sampled_from([1, 2, 3, "auto"]))
    return Call(function, case, keywords, channel, where, real, x, draw(st.sampled_from(CONTAINERS)))


@dataclass
class Embedding:
    """A call of `embed`, and what is known of it."""

    ids: Any
    rows: NDArray[np.int64]  # of the table, for every token; of those that are not real anything
    table: Case
    out: Case
    keywords: dict[str, Any]
    where: NDArray[np.float64]
    real: NDArray[np.bool_]
    container: str

    def __repr__(self) -> str:
        return f"posenc.embed({self.ids!r}, {self.table!r}, out={self.out!r} as {self.container}, **{self.keywords!r})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def want(self, table: NDArray[Any]) -> NDArray[Any]:
        old = table[np.where(self.real, self.rows, 0)]
        names = ("x_scale", "encoding")
        summed = {name: self.keywords[name] for name in names if name in self.keywords}
        plain = Call("add", self.out, summed, old.ndim - 1, self.where, np.ones_like(self.real))
        return np.where(self.real[..., None], plain.want(old), np.zeros_like(old))


@st.composite
def embed_calls(draw: st.DrawFn) -> Embedding:
    leading, length, dim = draw(shapes)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, count = (*leading, length), draw(st.sampled_from([1, 2, 50, 300]))
    keywords: dict[str, Any] = {"x_scale": draw(scales)}
    where = draw(places(rows, len(leading), generator, keywords))
    kind = draw(st.sampled_from(DTYPES))
    number = draw(st.sampled_from(["i1", "u1", "i2", "<i4", ">i4", "i8", "u8"]))
    tokens = generator.integers(0, min(count, 2 ** (8 * int(number[-1]) - 1)), rows)
    ids: Any = tokens.astype(number)
    real = np.ones(rows, bool)
    if draw(st.integers(0, 2)) == 0:
        form = draw(st.sampled_from([rows, thinner(draw, rows), (length,)]))
        mask = generator.random(form) < draw(st.sampled_from([0.0, 0.2, 0.8, 1.0]))
        real[...] = mask
        hide(draw, keywords, real)
        keywords["mask"] = mask
        limits = np.iinfo(ids.dtype)
        ids[~real] = draw(st.sampled_from([limits.min, limits.max]))
    form = draw(st.sampled_from(["array", "array", "list", "reversed", "strided"]))
    if form == "list" and ids.size:
        ids = ids.tolist()
    elif form == "reversed":
        ids = np.flip(np.flip(ids).copy())
    elif form == "strided":
        ids = np.repeat(ids, 2, axis=-1)[..., ::2]
    if draw(st.booleans()):
        keywords["encoding"] = draw(encodings(dim))
    if draw(st.integers(0, 4)) == 0:
        keywords["threads"] = draw(st.sampled_from([1, 2, 3, "auto"]))
    table, out = draw(layouts((count, dim), kind)), draw(layouts((*rows, dim), kind))
    return Embedding(ids, tokens, table, out, keywords, where, real, draw(st.sampled_from(CONTAINERS)))


def check_embedding(call: Embedding) -> None:
    """Make a call on every backend and ISA level; then with a wrong id."""
    kind = call.table.array.dtype
    call.table.put(np.clip(noise(call.table.array.shape, np.float32), -1e4, 1e4).astype(kind))
    want = call.want(call.table.array)
    results: dict[str, NDArray[Any]] = {}
    for name, level in PAIRS:
        label = f"{name or 'default'} {level or ''}"
        call.out.put(np.zeros((), kind))
        given, table = contained(call.out.array, call.container), contained(call.table.array, call.container)
        with backends.at_level(level):
            assert posenc.embed(call.ids, table, out=given, backend=name, **call.keywords) is given
        call.out.assert_canaries_alive()
        call.table.assert_untouched()
        assert_same_bits(call.out.array, want, label)
        results.setdefault(name, call.out.array.copy())
        assert_same_bits(call.out.array, results[name], label)
        if call.real.any():
            place = tuple(np.argwhere(call.real)[-1])
            wrong = np.array(call.ids, np.int64 if np.min(call.ids) < 0 else np.uint64)
            wrong[place] = len(call.table.array)
            call.out.put(call.out.array)
            named = re.escape(f"ids[{', '.join(map(str, place))}] = {len(call.table.array)};")
            with pytest.raises(IndexError, match=named):
                posenc.embed(wrong, table, out=given, backend=name, **call.keywords)
            call.out.assert_untouched()
        counts[label] += 1
    counts["embeddings"] += 1


@st.composite
def grid_calls(draw: st.DrawFn) -> Call:
    """The same with an encoding over several axes."""
    count = draw(st.sampled_from([2, 2, 3]))
    sizes = draw(st.tuples(*[st.integers(0, 9 if count == 2 else 5)] * count))
    leading = draw(st.lists(st.integers(0, 3), max_size=1))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dim = count * draw(st.integers(1, 20)) if draw(st.booleans()) else draw(st.integers(1, 70))
    encoding = draw(encodings(dim, axes=count))
    keywords: dict[str, Any] = {"encoding": encoding}
    shape = (*leading, *sizes, dim)
    channel = len(shape) - 1
    if draw(st.booleans()):  # images with channels first
        channel = len(leading)
        shape = (*leading, dim, *sizes)
        keywords["channel_axis"] = channel
    rows = (*leading, *sizes)
    kind = draw(st.sampled_from(DTYPES))
    function = draw(st.sampled_from(["fill_", "add_", "add"]))
    if function != "fill_":
        keywords["x_scale"] = draw(scales)

    cells = np.stack(np.meshgrid(*(np.arange(float(n)) for n in sizes), indexing="ij"), axis=-1)
    place = draw(st.sampled_from(["nothing", "start", "starts", "grid", "scattered"]))
    tokens = place in ("nothing", "start", "starts") and draw(st.booleans())
    if place == "start":
        keywords["start"] = draw(st.floats(-1e6, 1e6))
        cells = keywords["start"] + cells
    elif place == "starts":
        keywords["start"] = np.round(generator.standard_normal(count) * 1e4)
        cells = keywords["start"] + cells
    elif place == "grid":
        cells = keywords["positions"] = cells * draw(st.sampled_from([1.0, 0.25])) - 3
    elif place == "scattered":
        form = draw(st.sampled_from([rows, thinner(draw, rows)]))
        cells = keywords["positions"] = generator.standard_normal((*form, count)) * 1e3
    where = np.broadcast_to(cells, (*rows, count))
    common: tuple[int, ...] = sizes
    prefix = 0
    if tokens:  # rows of a list, some of them before those of the grid
        keywords["grid"], prefix = sizes, draw(st.integers(0, 3))
        if prefix or draw(st.booleans()):
            keywords["prefix"] = prefix
        where = where.reshape(*leading, math.prod(sizes), count)
        where = np.concatenate([np.zeros((*leading, prefix, count)), where], axis=-2)
        rows, common = where.shape[:-1], where.shape[-2:-1]
        shape = (*leading, dim, *common) if channel < len(shape) - 1 else (*rows, dim)
        channel = len(leading) if "channel_axis" in keywords else len(shape) - 1
    elif not leading and "positions" not in keywords:  # which may be a batch of sequences as well
        keywords["seq_axis"] = tuple(axis for axis in range(len(shape)) if axis != channel)
    real = np.ones(rows, bool)
    if draw(st.integers(0, 3)) == 0:
        form = draw(st.sampled_from([rows, common, thinner(draw, rows)]))
        keywords["mask"] = generator.random(form) < 0.6
        real[...] = keywords["mask"]
        hide(draw, keywords, real)
    real[..., :prefix] &= not tokens
    x = draw(layouts(shape, kind)) if function == "add" else None
    return Call(function, draw(layouts(shape, kind)), keywords, channel, where, real, x)


@st.composite
def layouts(draw: st.DrawFn, shape: tuple[int, ...], kind: Any) -> Case:
    made = itertools.islice(arrays.awkward(shape, kind), draw(st.integers(0, 15)), None)
    return next(made, None) or arrays.contiguous(shape, kind)


def thinner(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with some axes of length 1, which stand for all."""
    return tuple(1 if draw(st.booleans()) else n for n in shape)


def hide(draw: st.DrawFn, keywords: dict[str, Any], real: NDArray[np.bool_]) -> None:
    """Put anything at the positions of rows that are not real."""
    given = keywords.get("positions")
    if isinstance(given, np.ndarray) and given.dtype == np.float64 and given.shape[: real.ndim] == real.shape:
        keywords["positions"] = given.copy()
        keywords["positions"][~real] = draw(st.sampled_from([np.nan, np.inf, -1e300]))


def along(values: NDArray[Any], axis: int, ndim: int) -> NDArray[Any]:
    """`values` of an axis, to be broadcast along the others."""
    return values.reshape([-1 if i == axis else 1 for i in range(ndim)])


@st.composite
def places(
    draw: st.DrawFn, rows: tuple[int, ...], seq: int, generator: np.random.Generator, keywords: dict[str, Any]
) -> NDArray[np.float64]:
    """Choose start=, positions= or cu_seqlens=, and reckon where every row stands."""
    length = rows[seq]
    count = along(np.arange(length, dtype=np.float64), seq, len(rows))
    kind = draw(st.sampled_from(["nothing", "start", "starts", "positions", "all positions", "packed"]))
    if kind == "nothing":
        return np.zeros(rows) + count
    if kind == "start":
        keywords["start"] = draw(starts)
        return np.zeros(rows) + (float(keywords["start"]) + count)
    scale = 2.0 ** draw(st.integers(-30, 49))
    if kind == "starts":
        shape = rows[:seq] + rows[seq + 1 :]
        each = generator.standard_normal(draw(st.sampled_from([shape, thinner(draw, shape)]))) * scale
        start = np.round(each) if draw(st.booleans()) else each
        beside = np.expand_dims(start, seq)
        keywords["start"] = draw(st.sampled_from([start, beside]))
        return np.broadcast_to(beside + count, rows)
    if kind == "packed":
        ends = np.sort(generator.integers(0, length + 1, draw(st.integers(0, 6))))
        bounds = np.concatenate([[0], ends, [length]])
        first = np.round(generator.standard_normal(len(bounds) - 1) * scale) if draw(st.booleans()) else draw(starts)
        keywords |= {"cu_seqlens": draw(st.sampled_from([bounds, bounds.tolist(), bounds.astype(np.int32)]))}
        keywords["start"] = first
        values = np.empty(length)
        for i, (a, b) in enumerate(itertools.pairwise(bounds)):
            values[a:b] = (first[i] if np.ndim(first) else float(first)) + np.arange(b - a)
        return np.zeros(rows) + along(values, seq, len(rows))
    shape = draw(st.sampled_from([rows, thinner(draw, rows)])) if kind == "all positions" else (length,)
    values = generator.standard_normal(shape) * scale
    if kind != "all positions" or shape[seq] != length:
        count = np.arange(length) if kind != "all positions" else np.zeros(1)
    form = draw(st.sampled_from(["float64", "float32", "int64", "run", "runs", "list", "reversed", "big-endian"]))
    if form == "float32":
        values = values.astype(np.float32)
    elif form == "int64":
        values = values.astype(np.int64)
    elif form in ("run", "runs"):  # which take a path of their own
        values = np.round(values.flat[0] if values.size else 0.0) + np.zeros(values.shape)
        values = np.broadcast_to(values + count, values.shape).copy() if values.size else values
        if form == "runs" and length:
            values += np.round(scale) * (generator.random(values.shape) < 0.05)
    given: Any = values
    if form == "list" and values.size:
        given = values.tolist()
    elif form == "reversed":
        given = np.flip(np.flip(values).copy())
    elif form == "big-endian":
        given = values.astype(">f8")
    keywords["positions"] = given
    return np.zeros(rows) + (values if kind == "all positions" else along(values, seq, len(rows)))


@st.composite
def encodings(draw: st.DrawFn, dim: int, axes: int = 1) -> Any:
    """An encoding that goes with `dim`."""
    parameters: dict[str, Any] = {
        "layout": st.sampled_from(["interleaved", "concatenated"]),
        "cos_first": st.booleans(),
        "base": st.sampled_from([10000.0, 100.0, 1e6, 0.5]),
        "freq_shift": st.sampled_from([0.0, 1.0, 0.5]),
        "position_scale": st.sampled_from([1.0, 1000.0, -1.0, 0.1]),
        "position_offset": st.sampled_from([0.0, 2.0, -0.5]),
        "amplitude": st.sampled_from([1.0, -0.25, 3.0, "rsqrt_dim"]),
        "odd": st.sampled_from(["extra", "zero", "truncate"]),
    }
    if axes > 1:
        parameters["nesting"] = st.sampled_from(["akt", "atk", "tak", "kat", "kta", "tka"])
        parameters["axis_order"] = st.permutations(range(axes)).map(tuple)
        parameters["axis_widths"] = st.sampled_from(["floor", "ceil"])
    chosen = {name: draw(value) for name, value in parameters.items() if draw(st.integers(0, 2)) == 0}
    try:
        encoding = posenc.Encoding(axes=axes, **chosen)
        posenc.encode(np.zeros((0, axes)[: min(axes, 2)]), dim, encoding=encoding)
    except ValueError:  # some combinations and widths do not go together
        hypothesis.reject()
    return encoding


def check(call: Call) -> None:
    """Make a call on every backend and ISA level."""
    shape, kind = call.case.array.shape, call.case.array.dtype
    old = np.clip(noise(shape, np.float32), -1e4, 1e4).astype(kind)
    if call.x is not None:
        call.x.put(old)
    want = call.want(old)
    results: dict[str, NDArray[Any]] = {}
    for name, level in PAIRS:
        label = f"{name or 'default'} {level or ''}"
        call.case.put(old)
        given = contained(call.case.array, call.container)
        with backends.at_level(level):
            if call.x is None:
                returned = getattr(posenc, call.function)(given, backend=name, **call.keywords)
            else:
                read = contained(call.x.array, call.container)
                returned = posenc.add(read, out=given, backend=name, **call.keywords)
        assert returned is given
        call.case.assert_canaries_alive()
        if call.x is not None:
            call.x.assert_untouched()
        assert_same_bits(call.case.array, want, label)
        results.setdefault(name, call.case.array.copy())
        assert_same_bits(call.case.array, results[name], label)  # ISA levels agree in float64, too
        counts[label] += 1
    counts["right calls"] += 1
    counts[f"{kind}"] += 1


def contained(array: NDArray[Any], container: str) -> Any:
    """The memory of `array` as something else, if that can be."""
    if container == "memoryview" and array.dtype.char in "efd":
        return memoryview(array)
    if container == "tensor" and all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides):
        import torch

        if array.dtype.char in "efd":
            return torch.from_numpy(array)
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return array


# ---- wrong calls ----------------------------------------------------------------------------------------------------

JUNK = st.sampled_from(
    [
        *[None, True, False, 0, 1, -1, 7, -2, 2**31, 2**53, 2**53 + 1, -(2**63), 2**64, 10**400],
        *[0.0, 0.5, 1e308, -0.0, float("nan"), float("inf"), 1 + 2j, b"bytes", "", "auto", "sqrt_dim", "cpp", "numpy"],
        *[(), [], [[]], [1, [2]], [None], {}, {1}, object(), object, [0, 0.5], [True, False], ["a"], range(3), (0, 1)],
        *[np.float16(1), np.float64("nan"), np.int8(3), np.datetime64(0, "s"), np.str_("x"), np.ma.masked],
        *[np.zeros(0), np.zeros(()), np.zeros(3), np.ones((2, 3)), np.arange(4), np.arange(4)[::-1], np.eye(3) > 0],
        *[np.array([1, 2**60]), np.array([0.5, np.inf]), np.array([1j]), np.array(["a", "b"]), np.array([None, 1])],
        *[np.arange(3, dtype=np.float16), np.ma.array([1.0, 2.0], mask=[0, 1]), np.zeros(3, "datetime64[s]")],
        *[np.array([0, 2, 1, 3]), np.array([0, 3]), np.zeros((3, 0)), np.zeros(3, [("a", "f4")]), np.longdouble(3)],
    ]
)


@st.composite
def wrong_arrays(draw: st.DrawFn) -> tuple[Any, Case]:
    """Something to be written to, and the memory it lies in."""
    shape = draw(st.sampled_from([(4, 3), (3, 4), (2, 4, 3), (3, 3, 3), (0, 3), (3, 1)]))
    kind = draw(st.sampled_from(["f4", "f8", "f2", "i4", "u2", "c8", ">f4", "O", "V4", "M8[s]"]))
    if kind == "O":
        case = arrays.contiguous(shape, np.int64)
        return np.zeros(shape, object), case
    forms = ["as it is", "read-only", "stride 0", "overlap", "1-d", "list", "masked", "subclass", "none"]
    form = draw(st.sampled_from(forms))
    case = arrays.contiguous(shape, kind) if form in ("stride 0", "overlap") else draw(layouts(shape, kind))
    array = case.array
    if form == "read-only":
        array.flags.writeable = False
    elif form == "stride 0":
        array = as_strided(array, shape, (0, *array.strides[1:]))
    elif form == "overlap":
        array = as_strided(array, shape, (array.itemsize,) * len(shape))
    elif form == "1-d":
        array = array[(0,) * (len(shape) - 1)] if array.size else array
    elif form == "list":
        return array.tolist(), case
    elif form == "masked":
        array = np.ma.array(array, copy=False)
    elif form == "subclass":
        array = array.view(type("Mine", (np.ndarray,), {}))
    elif form == "none":
        return None, case
    return array, case


WRONG_IDS = st.one_of(
    JUNK, st.sampled_from([[[0, 1]], [[1, -1]], [0, 1, 2], np.array([[0, 3]]), np.array([[0, 2**40]])])
)


@st.composite
def wrong_embed_calls(draw: st.DrawFn) -> Wrong:
    """As `wrong_calls`; the array is `out`."""
    names = sorted(set(inspect.signature(posenc.embed).parameters) - {"ids", "table", "out"})
    keywords = {name: draw(JUNK) for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True))}
    array, case = draw(wrong_arrays())
    tables = [np.ones((3, 3), np.float32), np.ones((3, 4), np.float32), np.ones((3, 3)), draw(wrong_arrays())[0]]
    return Wrong("embed", array, case, {"ids": draw(WRONG_IDS), "table": draw(st.sampled_from(tables)), **keywords})


@dataclass
class Wrong:
    function: str
    array: Any
    case: Case
    keywords: dict[str, Any]

    def __repr__(self) -> str:
        return f"posenc.{self.function}({self.array!r}, **{self.keywords!r}), {self.case!r}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


@st.composite
def wrong_calls(draw: st.DrawFn) -> Wrong:
    function = draw(st.sampled_from(["fill_", "add_", "add"]))
    names = sorted(set(inspect.signature(getattr(posenc, function)).parameters) - {"x", "out"})
    keywords = {name: draw(JUNK) for name in draw(st.lists(st.sampled_from(names), max_size=3, unique=True))}
    array, case = draw(wrong_arrays())
    return Wrong(function, array, case, keywords)


def check_wrong(call: Wrong) -> None:
    for name, level in PAIRS:
        arrays_given = () if call.function == "embed" else (call.array,)
        out = {"out": call.array} if call.function in ("add", "embed") else {}
        with backends.at_level(level), np.errstate(all="ignore"):
            try:
                getattr(posenc, call.function)(*arrays_given, **{"backend": name} | call.keywords, **out)
            except REFUSALS:
                call.case.assert_untouched()
                counts["refusals"] += 1
            else:
                call.case.assert_canaries_alive()
                call.case.put(call.case.array)  # the next backend begins with what this one left
                counts["wrong arguments that were right"] += 1
    counts["wrong calls"] += 1


# ---- the program ----------------------------------------------------------------------------------------------------


def rounds(seconds: float, seed: int) -> Iterator[int]:
    """Seeds, until the time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield seed
        seed += 1


def check_turn(call: Call) -> None:
    """Turn what a call would add to, on every backend and ISA level; or see it refused, for want of pairs."""
    keywords = {name: value for name, value in call.keywords.items() if name not in ("x_scale", "grid", "prefix")}
    encoding = keywords.pop("encoding", posenc.Encoding())
    keywords["inverse"] = encoding.amplitude == 1.0 and len(keywords) % 2 == 0
    shape, kind = call.case.array.shape, call.case.array.dtype
    old = np.clip(noise(shape, np.float32), -1e4, 1e4).astype(kind)
    last = np.moveaxis(old, call.channel, -1)
    wide = np.float64 if kind == np.float64 else np.float32
    want = last.astype(wide)
    places = call.where.reshape(-1, *call.where.shape[last.ndim - 1 :])
    table = posenc.encode(places, last.shape[-1], dtype=wide, backend="numpy", encoding=encoding).reshape(last.shape)
    try:
        runs = _turns.runs(encoding, last.shape[-1])
    except ValueError:
        runs = None
    for run in runs or ():
        cos, sin = run.columns
        c, s = table[..., cos], table[..., sin] * wide(-1 if keywords["inverse"] else 1)
        u, v = last[..., cos].astype(wide), last[..., sin].astype(wide)
        want[..., cos], want[..., sin] = u * c - v * s, v * c + u * s
    with np.errstate(over="ignore"):
        want = np.moveaxis(np.where(call.real[..., None], want.astype(kind), last), -1, call.channel)
    for name, level in PAIRS:
        call.case.put(old)
        with backends.at_level(level):
            try:
                posenc.rotate_(call.case.array, encoding, backend=name, **keywords)
                assert runs is not None, "an encoding without pairs was not refused"
                assert_same_bits(np.asarray(call.case.array), want, f"rotate_ {name} {level} {encoding!r}")
                call.case.assert_canaries_alive()
            except ValueError:
                assert runs is None
                call.case.assert_untouched()
    counts["turns"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="default: another one each time")
    options = parser.parse_args()
    settings = hypothesis.settings(
        max_examples=200,
        deadline=None,
        database=None,
        report_multiple_bugs=True,
        derandomize=False,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    kinds = [
        (calls(), check),
        (grid_calls(), check),
        (calls(), check_turn),
        (embed_calls(), check_embedding),
        (wrong_calls(), check_wrong),
        (wrong_embed_calls(), check_wrong),
    ]
    if importlib.util.find_spec("torch"):
        CONTAINERS.append("tensor")
    print(f"seed {options.seed}; {posenc.info()}", flush=True)
    seed = options.seed
    for seed in rounds(options.seconds, options.seed):
        for strategy, test in kinds:
            try:
                hypothesis.seed(seed)(settings(hypothesis.given(strategy)(test)))()
            except BaseException as error:
                error.add_note(f"found with seed {seed}: python -m tests.fuzz --seed {seed} --seconds 1")
                raise
    print(f"seeds {options.seed} to {seed}: nothing found")
    print(*(f"{name}: {number:,}" for name, number in sorted(counts.items())), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
