"""What is benchmarked: every case by name, its arrays, and whether a result is right. The times are `bench`'s."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import posenc
from posenc import _backend

from . import truth
from .arrays import DTYPES, has_nan, lend, memory_dtype, memory_of, rounded, tensor, widened
from .cases import Array, recipe, some_rows
from .timing import Task

# What a user writes, in a word. `add_new` and `encode` make a new array.
OPS = {
    "fill": "posenc.fill_(x)",
    "add": "posenc.add_(x)",
    "scale_add": "posenc.add_(x, x_scale='sqrt_dim')",
    "add_new": "posenc.add(x)",
    "embed": "posenc.embed(ids, table, out=x, x_scale='sqrt_dim')",
    "embed_new": "posenc.embed(ids, table, x_scale='sqrt_dim')",
    "rotate": "posenc.rotate_(x, encoding)",
    "encode": "posenc.encode(L, D)",
    "first": "posenc.fill_(x, encoding=posenc.Encoding(...)), one that has never been used before",
}
MAKES = ("fill", "encode", "first")  # these take nothing from x
LOOKS_UP = ("embed", "embed_new")  # these take it from a table of embeddings
SCALES = ("scale_add", *LOOKS_UP)

# How rows may stand elsewhere than at start, start + 1 ...: at random reals from 0 to a number, at random integers, ...
REALS, INTEGERS, PACKED, PADDED = "reals", "integers", "packed", "left-padded"
RANGES = {REALS: 1e4, "reals to 1": 1.0, "reals to 1e9": 1e9, "reals to 1e13": 1e13}
PACKED_SHORT, STARTS, LINSPACE, GRIDS = "packed 20 to 200", "starts", "linspace", "grids of their own"
# From where sequences begin: whole numbers, by which rows are looked up.
COUNTED = (PACKED, PACKED_SHORT, PADDED, STARTS)
LARGEST_INTEGER = 10**6
PACKED_LENGTH = 512  # of a packed sequence, on average
SHORT_LENGTHS = 20, 200
PADDING = 0.25  # of a padded sequence, at most
LARGEST_START = 1000  # of sequences with a start each
MAX_LEN = 4096  # rows of the ready table along which a moving start moves; more if the array has more than a quarter

VOCABULARY = 30_000  # rows of the embeddings, if nothing else is said
ZIPF = "Zipf"  # how often ids occur: the n-th most frequent a constant / n times; without a word, all alike

TORCH = "torch"  # holds the array
FORTRAN = "Fortran"

REFERENCE = "numpy"  # the backend whose bits are right, if they are near the real numbers
CHECKED_ELEMENTS = 2**19
EXACT_ELEMENTS = 400


@dataclass(frozen=True)
class Workload:
    """One case: an operation, the array it works on, and where its rows stand.

    Attributes
    ----------
    op, shape, dtype : str, tuple of int, str
    start : int
        Where the first row stands.
    at : str
        How rows stand, if not one after the other from `start`.
    vocabulary : int
        How many rows the embeddings have that tokens are looked up in.
    ids : str
        How often each of them is.
    encoding : str
        Its name, if it is not that of the paper.
    settings : tuple of (str, float)
        Of an encoding of one's own, as `posenc.Encoding` takes them.
    channel_axis, seq_axis : int
    moving : bool
        Whether every call starts where the last one ended, so that nobody can reuse an earlier call's rows.
    order : {"C", "Fortran"}
        In memory.
    held : {"", "torch"}
        By whom, if not NumPy.
    call : bool
        Whether it is there for what a call costs: beside it stands the least that one costs elsewhere.
    note : str
        Why there is such a case.
    """

    op: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    start: int = 0
    at: str = ""
    vocabulary: int = 0
    ids: str = ""
    encoding: str = ""
    settings: tuple[tuple[str, float], ...] = ()
    channel_axis: int = -1
    seq_axis: int = -2
    moving: bool = False
    order: str = "C"
    held: str = ""
    call: bool = False
    note: str = ""

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * memory_dtype(self.dtype).itemsize

    @property
    def axes(self) -> int:
        """Over how many axes of the array positions count."""
        return posenc.get_encoding(self.encoding).axes if self.encoding else 1

    @cached_property
    def encodes(self) -> str | posenc.Encoding | None:
        """What a user passes as `encoding`, always the same object."""
        return posenc.Encoding(**dict(self.settings)) if self.settings else self.encoding or None  # type: ignore[arg-type]

    @property
    def plain_layout(self) -> bool:
        return (self.seq_axis, self.channel_axis, self.order) == (-2, -1, "C")

    @property
    def of_the_paper(self) -> bool:
        return self.encodes is None

    @property
    def shape_text(self) -> str:
        return "x".join(map(str, self.shape))

    def __str__(self) -> str:
        parts = [self.op, self.shape_text]
        parts += [self.dtype] if self.dtype != "float32" else []
        parts += [f"of {self.vocabulary}"] if self.vocabulary else []
        parts += [self.ids] if self.ids else []
        parts += [self.encoding] if self.encoding else []
        parts += [f"{name}={value:g}" for name, value in self.settings]
        parts += [f"from {self.start}"] if self.start else []
        parts += ["moving start"] if self.moving else []
        parts += [self.at if self.at in (*COUNTED, GRIDS) else f"at {self.at}"] if self.at else []
        parts += [f"channels {self.channel_axis}"] if self.channel_axis != -1 else []
        parts += [f"rows {self.seq_axis}"] if self.seq_axis != -2 else []
        parts += [self.order] if self.order != "C" else []
        parts += [self.held] if self.held else []
        parts += ["call"] if self.call else []
        return " ".join(parts)

    @property
    def tiny(self) -> Workload:
        """The same on an array of a few hundred elements: to see that everything works."""
        shape = list(self.shape)
        channel = self.channel_axis % len(shape)
        others = [axis for axis in range(len(shape)) if axis != channel]
        counted = others[len(others) - self.axes :] if self.seq_axis == -2 else [self.seq_axis % len(shape)]
        for axis in others:
            most = 12 - 3 * (len(counted) - 1 - counted.index(axis)) if axis in counted else 2
            shape[axis] = min(shape[axis], most)
        shape[channel] = min(shape[channel], 31 if shape[channel] % 2 else 32)
        return replace(self, shape=tuple(shape), vocabulary=min(self.vocabulary, 50))

    @property
    def twin(self) -> tuple[str, Workload] | None:
        """A plainer thing done to the same array, by which this one is judged, and a word for it."""
        if self.call or self.op == "rotate":  # which has no plainer encoding
            return None
        if self.axes == 1 and not self.of_the_paper:
            return "paper", replace(self, encoding="", settings=())
        if self.at in (*COUNTED, GRIDS):
            return "plain", replace(self, at="")
        if self.moving:
            return "repeated", replace(self, moving=False)
        if self.at == LINSPACE:
            return "plain", replace(self, at="")
        if self.at not in ("", REALS):
            return REALS, replace(self, at=REALS)
        return None


def encoded(name: str) -> list[Workload]:
    """The cases of an encoding: one sequence of a few sizes, a batch of images or of videos."""
    encoding = "" if name == "paper" else name
    axes = Workload("fill", (), encoding=encoding).axes
    if axes == 1:
        return [
            Workload("fill", (512, 512), encoding=encoding, note="1 MiB, stays in a core's cache"),
            Workload("fill", (131072, 512), encoding=encoding, note="256 MiB, beyond all caches"),
        ]
    shape = (64, 32, 32, 768) if axes == 2 else (4, *(16,) * (axes - 2), 32, 32, 768)
    return [Workload(op, shape, encoding=encoding, note=f"over {axes} axes") for op in ("fill", "add")]


# Each is there for one reason, its note. They are judged on one thread, against limits and peers of the same run.
GROUPS = {
    "core": [
        Workload("fill", (512, 512), note="1 MiB, stays in a core's cache"),
        Workload("fill", (4096, 512), note="8 MiB, what a model's max_len asks for"),
        Workload("fill", (131072, 512), note="256 MiB, beyond all caches"),
        Workload("fill", (4096, 512), start=10**9, note="no cliff at far positions"),
        Workload("fill", (8192, 512), at=REALS, note="positions given one by one, as reals"),
        Workload("fill", (4096, 512), dtype="float64", note="16 MiB"),
        Workload("encode", (131072, 512), note="256 MiB, a new array every time"),
        Workload("add", (512, 512), note="1 MiB, stays in a core's cache"),
        Workload("add", (131072, 512), note="256 MiB, one sequence"),
        Workload("add", (32, 512, 768), note="48 MiB, 32 sequences share their encoding"),
        Workload("scale_add", (32, 512, 768), note="x * sqrt(D) + PE in one pass"),
        Workload("add_new", (131072, 512), note="256 MiB, a new array every time"),
        Workload("add", (1, 512), note="one row: what a call costs"),
    ],
    "dtypes": [
        Workload(op, (length, 512), dtype=dtype, note=note)
        for dtype in DTYPES[2:]
        for length, note in ((512, "half a MiB, stays in a core's cache"), (262144, "256 MiB, beyond all caches"))
        for op in ("fill", "add")
    ],
    "positions": [
        *(Workload("fill", (8192, 512), at=at, note="as fast at any magnitude") for at in RANGES if at != REALS),
        Workload("fill", (8192, 512), at=INTEGERS, note="in no order, without runs"),
        Workload("add", (16384, 768), at=PACKED, note="48 MiB of sequences of some 512 tokens, by cu_seqlens"),
        Workload("add", (32, 512, 768), at=PADDED, note="up to a quarter is padding; positions are made from the mask"),
    ],
    # Sines before cosines; cosines before sines; with an amplitude; a head's columns repeated.
    "encodings": [
        *(case for name in ("whisper", "musicgen", "x_transformers", "ltae") for case in encoded(name)),
        Workload("add", (1, 512), encoding="whisper", note="one row: what it costs to name an encoding"),
    ],
    "axes": [
        *(case for name in ("mae", "detr") for case in encoded(name)),
        Workload("add", (64, 768, 32, 32), encoding="mae", channel_axis=1, note="images whose channels come first"),
    ],
    # A start that moves with every call, beside the repeated one in core; a ready table is sliced where it stands.
    "moving": [
        *(
            Workload(op, (length, 512), moving=True, note=note)
            for length, note in ((512, "1 MiB"), (4096, "8 MiB"))
            for op in ("fill", "add")
        ),
        Workload("add", (1, 512), moving=True, note="one row: decoding step by step"),
    ],
    # Where rows and columns stand in memory, and how many of them there are.
    "layouts": [
        *(
            Workload(op, (8, 256, 64, 64), seq_axis=0, channel_axis=1, note="a row serves all cells behind it")
            for op in ("fill", "add")
        ),
        Workload("add", (4, 128, 16, 32, 32), seq_axis=2, channel_axis=1, note="a row serves all cells behind it"),
        Workload("add", (8, 512, 4096), channel_axis=1, seq_axis=-1, note="64 MiB, channels first"),
        Workload("add", (32, 768, 512), channel_axis=1, seq_axis=-1, note="48 MiB, channels first, short"),
        Workload("add", (8, 512, 8, 512), seq_axis=1, note="64 MiB, (B, L, heads, d)"),
        Workload("add", (512, 32, 768), seq_axis=0, note="48 MiB, sequence first"),
        Workload("add", (4096, 4096), order=FORTRAN, note="64 MiB, Fortran order"),
        *(
            Workload(op, (65536, dim), note="no multiple of a vector")
            for dim in (63, 64, 100, 513, 1000)
            for op in ("fill", "add")
            if op == "fill" or dim in (63, 513)
        ),
        Workload("add", (16384, 768), at=PACKED_SHORT, note="48 MiB of short sequences"),
        Workload("add", (100000, 1, 32), at=STARTS, note="many short sequences with a start each"),
        Workload("add", (2048, 8, 512), at=STARTS, note="32 MiB, sequences with a start each"),
        Workload("fill", (1024, 8, 8, 192), encoding="mae", at=GRIDS, note="48 MiB, images with a grid of their own"),
    ],
    # What is small, exact or in even steps: no cliffs.
    "cliffs": [
        Workload("fill", (8192, 512), at=LINSPACE, note="regular timestamps"),
        *(
            Workload("fill", (4096, 512), settings=((name, value),), note="small results, or large ones")
            for name, value in (("base", 1e12), ("base", 1e30), ("position_scale", 1e-12), ("amplitude", 2.0))
        ),
        Workload("fill", (32768, 512), dtype="float64", note="128 MiB"),
        Workload("add", (32, 512, 768), dtype="bfloat16", note="24 MiB"),
    ],
    # One case for each kind of call, on next to nothing.
    "calls": [
        *(
            Workload("add", (1, 512), dtype=dtype, start=1000, held=held, call=True, note="one row")
            for held, dtypes in (("", DTYPES), (TORCH, ("float32", "bfloat16")))
            for dtype in dtypes
        ),
        Workload("scale_add", (1, 512), start=1000, call=True, note="with x_scale"),
        Workload("add", (1, 512), encoding="whisper", start=1000, call=True, note="a named encoding"),
        Workload("add", (1, 512), settings=(("base", 500.0),), start=1000, call=True, note="an encoding of one's own"),
        Workload("add", (8, 1, 512), at=STARTS, call=True, note="one start per sequence"),
        Workload("add", (4, 16, 64), at=REALS, call=True, note="positions"),
        Workload("add", (4, 16, 64), at=PADDED, call=True, note="positions_from_mask and mask"),
        Workload("add", (64, 64), at=PACKED_SHORT, call=True, note="cu_seqlens"),
        Workload("add", (1, 4, 4, 64), encoding="mae", call=True, note="a grid"),
        Workload("encode", (16, 64), call=True, note="a new array"),
    ],
    # Tokens of a batch. The embeddings are 46 to 768 MB, more than any cache; Zipf's ids come back to some of them.
    "embed": [
        *(
            Workload("embed", (32, 512, dim), vocabulary=vocabulary, ids=ids, note=f"{vocabulary} embeddings")
            for vocabulary in (30_000, 250_000)
            for dim in (384, 512, 768)
            for ids in ("", ZIPF)
        ),
        Workload("embed_new", (32, 512, 768), vocabulary=30_000, note="48 MiB, a new array every time"),
        *(
            Workload("embed", (32, 512, 768), vocabulary=30_000, dtype=dtype, note="24 MiB of 16-bit elements")
            for dtype in ("float16", "bfloat16")
        ),
        Workload("embed", (16384, 768), vocabulary=30_000, note="48 MiB, one sequence"),
        Workload("embed", (16384, 768), vocabulary=30_000, at=PACKED_SHORT, note="48 MiB of short sequences"),
        *(
            Workload("embed", (batch, 1, 768), vocabulary=30_000, start=1000, call=True, note="decoding")
            for batch in (1, 8)
        ),
    ],
    # Queries of 32 heads, 64 MiB of float32: halves as pairs, or adjacent columns.
    "rotate": [
        *(
            Workload("rotate", (1, 32, 4096, 128), dtype=dtype, encoding=name, note="queries of 32 heads")
            for dtype in ("float32", "bfloat16")
            for name in ("rope_hf", "rope_meta")
        ),
        Workload("rotate", (1, 32, 1, 128), encoding="rope_hf", start=1000, call=True, note="decoding"),
    ],
    "first": [Workload("first", (64, 1024), note="what the first call costs, and none after it")],
}
WORKLOADS = [case for group in GROUPS.values() for case in group]


class Arena:
    """The arrays of a workload, shared by all that enter it.

    Attributes
    ----------
    memory : ndarray
        What is worked on, as NumPy sees it.
    x : array
        The same as users hold it.
    rows : ndarray
        The same with channels last.
    """

    def __init__(self, workload: Workload, memory: NDArray[Any] | None = None) -> None:
        self.workload = workload
        if memory is None:
            order: Literal["C", "F"] = "F" if workload.order == FORTRAN else "C"
            memory = np.empty(workload.shape, memory_dtype(workload.dtype), order)
        self.memory = memory
        self.x = tensor(self.memory) if workload.held == TORCH else lend(self.memory)
        self.rows = self.with_channels_last(self.memory)
        self.axes = workload.axes
        self.length, self.dim = self.rows.shape[-2:]
        self.scale = math.sqrt(self.dim) if workload.op in SCALES else 1.0

    def with_channels_last(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array like `memory`, seen as rows."""
        workload = self.workload
        if workload.seq_axis == -2:
            return np.moveaxis(array, workload.channel_axis, -1)
        return np.moveaxis(array, (workload.seq_axis, workload.channel_axis), (-2, -1))

    @cached_property
    def twin(self) -> Arena:
        """The same memory for the workload's twin."""
        twin = self.workload.twin
        assert twin is not None
        return Arena(twin[1], self.memory)

    @cached_property
    def numbers(self) -> Array:
        """As many bytes of a dtype in which NumPy computes at the speed of memory: for limits."""
        return self.memory if self.memory.itemsize > 2 else np.ones(max(1, self.memory.nbytes // 4), np.float32)

    @cached_property
    def other_numbers(self) -> Array:
        """Another array like `numbers`, whose pages are there."""
        return np.ones_like(self.numbers)

    @cached_property
    def embeddings(self) -> NDArray[Any]:
        """What tokens are looked up in, (V, D), of the dtype of `memory`."""
        table = np.empty((self.workload.vocabulary or VOCABULARY, self.dim), self.memory.dtype)
        _scatter(table)
        return table

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Of all tokens."""
        random, count = np.random.default_rng(6), len(self.embeddings)
        shape = self.rows.shape[:-1]
        if self.workload.ids != ZIPF:
            return random.integers(count, size=shape)
        share = np.cumsum(1.0 / np.arange(1, count + 1))
        ranks = np.searchsorted(share, random.uniform(0.0, share[-1], shape))
        return np.asarray(random.permutation(count)[np.minimum(ranks, count - 1)])

    def before(self, index: tuple[Any, ...]) -> NDArray[Any]:
        """What positions are added to at an index of `rows`."""
        if self.workload.op not in LOOKS_UP:
            return np.asarray(self.rows[index])
        numbers = np.broadcast_to(self.ids[..., None], self.rows.shape)[index]
        columns = np.broadcast_to(np.arange(self.dim), self.rows.shape)[index]
        return np.asarray(self.embeddings[numbers, columns])

    @cached_property
    def cu_seqlens(self) -> NDArray[np.int64]:
        """Where packed sequences of random lengths begin and end."""
        if self.workload.at == PACKED_SHORT:
            lengths = np.random.default_rng(3).integers(*SHORT_LENGTHS, size=self.length // SHORT_LENGTHS[0] + 1)
            ends = np.cumsum(lengths)
            return np.concatenate([[0], ends[ends < self.length], [self.length]])
        count = max(2, self.length // PACKED_LENGTH)
        cuts = np.random.default_rng(3).integers(1, self.length, size=count - 1)
        return np.concatenate([[0], np.sort(cuts), [self.length]])

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Of every sequence."""
        return np.asarray(np.random.default_rng(5).integers(LARGEST_START, size=self.rows.shape[:-2]))

    @cached_property
    def move(self) -> tuple[int, ...]:
        """Where the calls of a moving start begin, which one after the other; then again."""
        longest = max(MAX_LEN, 4 * self.length)
        return tuple(range(self.workload.start, self.workload.start + longest - self.length + 1, self.length))

    @cached_property
    def padding(self) -> NDArray[np.int64]:
        """How many rows of every sequence are padding."""
        longest = int(PADDING * self.length)
        return np.asarray(np.random.default_rng(4).integers(longest + 1, size=self.rows.shape[:-2]))

    @cached_property
    def mask(self) -> NDArray[np.bool_] | None:
        return np.arange(self.length) >= self.padding[..., None] if self.workload.at == PADDED else None

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Of every row, in a shape that posenc takes; of padding something or other."""
        at, random = self.workload.at, np.random.default_rng(2)
        places: Any = np.arange(self.length) + self.workload.start
        if self.axes > 1:
            places = posenc.grid(*self.rows.shape[-1 - self.axes : -1])
            if at == GRIDS:  # cut out of larger images
                places = places + random.integers(100, size=(len(self.rows), *(1,) * self.axes, self.axes))
        elif at in RANGES:
            places = random.uniform(0, RANGES[at], self.length)
        elif at == INTEGERS:
            places = random.integers(LARGEST_INTEGER, size=self.length)
        elif at == LINSPACE:
            places = np.linspace(0.0, 1000.0, self.length)
        elif at == STARTS:
            places = places + self.starts[..., None]
        elif at in (PACKED, PACKED_SHORT):
            places -= np.repeat(self.cu_seqlens[:-1], np.diff(self.cu_seqlens))
        elif at == PADDED:
            places = np.maximum(places - self.padding[..., None], 0)
        return np.asarray(places, np.float64)

    @cached_property
    def table(self) -> NDArray[Any]:
        """The encoding as a ready table, which costs the peers that use it nothing; of all rows, if they are in order.

        Broadcasts to `memory`, and is of its dtype. Of sequences that count from where they begin, a row for each
        number; of a moving start, one for every place that it comes to.
        """
        workload = self.workload
        counted = workload.at in COUNTED
        counts = self.rows.shape[-1 - self.axes : -1]
        if counted:
            counts = (int(self.positions.max()) + 1,)
        elif workload.moving:
            counts = (self.move[-1] - self.move[0] + self.length,)
        values = np.empty((*counts, self.dim), widened(self.memory[:0]).dtype)
        if not workload.of_the_paper:
            posenc.fill_(values[None], encoding=workload.encodes, start=workload.start, backend=REFERENCE)
        else:
            recipe(values, workload.start, np.float64, None if counted or workload.moving else self.positions)
        table = rounded(values, self.memory.dtype)
        if workload.seq_axis == -2:
            channels = workload.channel_axis % self.rows.ndim - (self.rows.ndim - table.ndim)
            return np.ascontiguousarray(np.moveaxis(table, -1, channels))
        table = table.reshape(*(1,) * (self.rows.ndim - 2), *table.shape)
        return np.ascontiguousarray(np.moveaxis(table, (-2, -1), (workload.seq_axis, workload.channel_axis)))

    def prepare(self) -> None:
        """NaN before x is filled, so that a gap shows; the same ordinary numbers before every add."""
        if self.workload.op in (*MAKES, *LOOKS_UP):
            self.memory.fill(rounded(np.array([np.nan]), self.memory.dtype)[0])
        else:
            _scatter(self.memory)

    def reset(self) -> None:
        """Before a sample, if the operation would otherwise make x overflow."""
        self.memory.fill(rounded(np.ones(1), self.memory.dtype)[0])


def _scatter(memory: NDArray[Any]) -> None:
    """Always the same ordinary numbers."""
    block = rounded(np.random.default_rng(1).standard_normal(2**18), memory.dtype)
    flat = memory.ravel(order="K")  # a view: it is contiguous, in C's order or Fortran's
    for first in range(0, flat.size, block.size):
        part = flat[first : first + block.size]
        part[:] = block[: part.size]


def _as_float64(position: float) -> float:
    """The largest absolute error that angles in float64, or a table made from them, explain."""
    return 2e-6 + 1e-15 * position


@dataclass(frozen=True)
class Entrant:
    """Somebody who takes part.

    Attributes
    ----------
    kind : {"posenc", "twin", "limit", "peer"}
        A twin is a backend that does the twin of the workload.
    name : str
    make : callable
        Given an arena, gives the call to time; that returns the result. May raise Unavailable.
    isa, threads
        The compiled core's level; how many threads may work.
    tolerance : callable
        For peers: the error allowed, given the largest position.
    tidy : callable, optional
        Puts the columns of a result in the paper's order.
    doing : str
        Of a twin: what it does.
    """

    kind: str
    name: str
    make: Callable[[Arena], Callable[[], Any]]
    isa: str | None = None
    threads: int = 1
    tolerance: Callable[[float], float] = _as_float64
    tidy: Callable[[Array], Array] | None = None
    doing: str = ""

    def __str__(self) -> str:
        threads = f"{self.threads} threads" if self.threads > 1 else None
        parts = [self.name, self.isa, threads, f"({self.doing})" if self.doing else None]
        return " ".join(part for part in parts if part)

    def task(self, arena: Arena) -> Task:
        """What is to be timed in this arena, at the right ISA level."""
        call = self.make(arena)
        core = importlib.import_module("posenc._core") if self.isa else None
        resets = arena.workload.op == "scale_add"
        if core is None and not resets:
            return Task(call)

        def setup() -> None:
            if core is not None:
                core.use_level(self.isa)
            if resets:
                arena.reset()

        return Task(call, setup)


def ours(name: str, isa: str | None = None, threads: int = 1) -> Entrant:
    """A backend of posenc, called as a user would: keywords only where they differ from their defaults."""
    return Entrant("posenc", name, partial(_our_call, name=name, threads=threads), isa, threads)


def twins(workload: Workload, backends: Sequence[Entrant]) -> list[Entrant]:
    """The same backends for the twin of a workload, if it has one."""
    twin = workload.twin
    if twin is None:
        return []
    return [replace(one, kind="twin", make=partial(_twin_call, make=one.make), doing=twin[0]) for one in backends]


def _twin_call(arena: Arena, make: Callable[[Arena], Callable[[], Any]]) -> Callable[[], Any]:
    return make(arena.twin)


def _our_call(arena: Arena, name: str, threads: int) -> Callable[[], Any]:
    workload, x = arena.workload, arena.x
    keywords: dict[str, Any] = {}
    if name != _backend.default_name():
        keywords["backend"] = name
    if threads != posenc.get_num_threads():
        keywords["threads"] = threads
    if workload.op == "first":
        return _first_calls(arena, keywords)
    if not workload.of_the_paper:
        keywords["encoding"] = workload.encodes
    elif workload.op == "rotate":  # has no default
        keywords["encoding"] = posenc.Encoding()
    if workload.seq_axis != -2:
        keywords["seq_axis"] = workload.seq_axis
    if workload.start:
        keywords["start"] = workload.start
    if workload.channel_axis != -1:
        keywords["channel_axis"] = workload.channel_axis
    given = arena.positions.astype(np.int64) if workload.at == INTEGERS else arena.positions
    if workload.op == "encode":
        if workload.dtype != "float32":
            keywords["dtype"] = x.dtype
        each = workload.at in (INTEGERS, LINSPACE, *RANGES) or arena.axes > 1
        return partial(posenc.encode, given if each else arena.length, arena.dim, **keywords)
    if workload.op == "scale_add":
        keywords["x_scale"] = "sqrt_dim"
    functions: dict[str, Callable[..., Any]] = {
        "fill": posenc.fill_,
        "add_new": posenc.add,
        "rotate": posenc.rotate_,
    }
    does = functions.get(workload.op, posenc.add_)
    if workload.op in LOOKS_UP:
        keywords |= {"x_scale": "sqrt_dim"} | ({"out": x} if workload.op == "embed" else {})
        table = tensor(arena.embeddings) if workload.held == TORCH else lend(arena.embeddings)
        does = partial(posenc.embed, arena.ids)
        x = table
    if workload.at == PADDED:
        mask = arena.mask
        assert mask is not None
        return lambda: does(x, positions=posenc.positions_from_mask(mask), mask=mask, **keywords)
    if workload.moving:
        moves = itertools.cycle(arena.move)
        return lambda: does(x, start=next(moves), **keywords)
    if workload.at in (PACKED, PACKED_SHORT):
        keywords["cu_seqlens"] = arena.cu_seqlens
    elif workload.at == STARTS:
        keywords["start"] = arena.starts
    elif workload.at:
        keywords["positions"] = given
    return partial(does, x, **keywords)


_new_bases = map(float, itertools.count(10001))


def _first_calls(arena: Arena, keywords: dict[str, Any]) -> Callable[[], Any]:
    """A call whose encoding nobody has used, except that the first one, which is checked, takes the paper's."""
    bases = itertools.chain([10000.0], _new_bases)
    return lambda: posenc.fill_(arena.x, encoding=posenc.Encoding(base=next(bases)), **keywords)


@dataclass(frozen=True)
class Finding:
    """What is known of a result: why it is wrong, or `absent`, and its largest errors against the real numbers."""

    problem: str | None
    max_ulp: float | None = None
    max_error: float | None = None
    absent: bool = False
    equal: float | None = None  # the fraction of elements with the right bits


class Judge:
    """Knows what must come out of an arena: the numpy backend's bits, and some real numbers."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        arena.prepare()
        workload, rows, random = arena.workload, arena.rows, np.random.default_rng(0)
        where: dict[str, Any] = {"positions": arena.positions, "mask": arena.mask}
        if arena.axes > 1:  # whole images: the first and the last
            self.sample: tuple[Any, ...] = (np.array([0, -1]), ...) if rows.ndim - 1 > arena.axes else (...,)
        else:
            chosen = some_rows(arena.length, CHECKED_ELEMENTS * arena.length // rows.size, random)
            self.sample = (..., chosen, slice(None))
            where = {name: value if value is None else value[..., chosen] for name, value in where.items()}
        self.expected = np.array(arena.before(self.sample), order="C")
        if workload.at == GRIDS:
            where["positions"] = arena.positions[self.sample]
        where |= {"encoding": workload.encodes, "backend": REFERENCE}
        if workload.op in MAKES:
            posenc.fill_(lend(self.expected), **where)
        elif workload.op == "rotate":
            posenc.rotate_(lend(self.expected), **where | {"encoding": workload.encodes or posenc.Encoding()})
        else:
            posenc.add_(lend(self.expected), x_scale=arena.scale, **where)
        self.elements = np.unravel_index(random.integers(rows.size, size=EXACT_ELEMENTS), rows.shape)
        self.exact = (
            self._exact() if workload.of_the_paper and truth.available() else []
        )  # the real numbers are known of the paper's only

    @cached_property
    def twin(self) -> Judge:
        return Judge(self.arena.twin)

    def __call__(self, entrant: Entrant, task: Task) -> Finding:
        """Run `task` once and look at its result."""
        if entrant.kind == "twin":
            return self.twin(replace(entrant, kind="posenc"), task)
        arena = self.arena
        if task.setup is not None:
            task.setup()
        arena.prepare()
        try:
            result = memory_of(task.call())
        except Exception as error:  # any: the others are still worth timing
            return Finding(f"raised {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        if entrant.kind == "limit":
            return Finding(None)
        if entrant.tidy is not None:
            result = entrant.tidy(result)
        if result.shape[-2:] != arena.memory.shape[-2:] or result.dtype != arena.memory.dtype:
            return Finding(f"returned {result.dtype} of shape {result.shape}")
        result = arena.with_channels_last(np.broadcast_to(result, arena.memory.shape))
        written = result[self.sample]
        if has_nan(result):
            return Finding("left elements unwritten, or wrote NaN")
        bits = f"u{written.itemsize}"
        equal = float(np.mean(np.ascontiguousarray(written).view(bits) == self.expected.view(bits)))
        max_ulp = max_error = None
        if self.exact:
            values = widened(result[self.elements])
            errors = [abs(Decimal(float(v)) - value) for v, (value, _) in zip(values, self.exact, strict=True)]
            max_ulp = float(max(error / ulp for error, (_, ulp) in zip(errors, self.exact, strict=True)))
            max_error = float(max(errors))
        problem = None
        if entrant.kind == "posenc":
            if equal < 1.0:
                problem = f"differs from the {REFERENCE} backend"
            elif self.exact and max_ulp is not None and max_error is not None and not self._true(max_ulp, max_error):
                problem = f"up to {max_ulp:.3g} ulp from the real number"
        else:
            allowed = self._allowed(entrant)
            off = float(np.max(np.abs(widened(written).astype(np.float64) - widened(self.expected))))
            if off > allowed:
                problem = f"off by {off:.2g}, where {allowed:.2g} is allowed"
        return Finding(problem, max_ulp, max_error, equal=equal)

    def _true(self, max_ulp: float, max_error: float) -> bool:
        """Whether errors are those of a correctly rounded encoding, and of one rounded sum; a product adds its own."""
        op, kind = self.arena.workload.op, self.arena.memory.dtype
        if op not in (*MAKES, "add", "add_new"):
            return True
        if kind == np.float64:
            return max_error <= (1e-15 if op in MAKES else 2e-15)
        return max_ulp <= (0.51 if op in MAKES else 1.01)

    def _allowed(self, entrant: Entrant) -> float:
        """How far from what is expected a peer may be: what its angles explain, and two roundings to 16 bits."""
        allowed = entrant.tolerance(float(np.max(np.abs(self.arena.positions)))) * self.arena.scale
        if self.arena.memory.itemsize == 2:
            largest = float(np.max(np.abs(widened(self.expected))))
            allowed += 2 * float(truth.ulp(Decimal(largest), self.arena.memory.dtype))
        return allowed

    def _exact(self) -> list[tuple[Decimal, Decimal]]:
        """The values of some elements, and the unit in which the error of each is counted."""
        arena, places = self.arena, self.elements[:-1]
        kind, wide = arena.memory.dtype, widened(arena.memory[:0]).dtype
        scale = Decimal(float(wide.type(arena.scale)))
        positions = np.broadcast_to(arena.positions, arena.rows.shape[:-1])[places]
        real = np.broadcast_to(True if arena.mask is None else arena.mask, arena.rows.shape[:-1])[places]
        before = widened(arena.before(self.elements))
        exact = []
        for position, column, old, alive in zip(positions, self.elements[-1], before, real, strict=True):
            value = truth.encoding(float(position), int(column), arena.dim) if alive else Decimal(0)
            ulp = truth.ulp(value, kind)
            if arena.workload.op not in MAKES:
                term = Decimal(float(old)) * (scale if alive else 1)
                value += term
                ulp = max(ulp, truth.ulp(value, kind))
                if scale != 1:  # the product is rounded, too
                    ulp = max(ulp, truth.ulp(term, wide))
            exact.append((value, ulp))
        return exact
