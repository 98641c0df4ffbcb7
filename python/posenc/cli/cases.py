"""What is benchmarked: every case by name. inputs.py has its arrays, implementations.py and peers.py who takes part."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import posenc

from .arrays import DTYPES, memory_dtype

# What a user writes for an operation, a word: the function and its arguments. `add_new` and `encode` make a new array.
OPS = {
    "fill": ("fill_", "x"),
    "add": ("add_", "x"),
    "scale_add": ("add_", "x", "x_scale='sqrt_dim'"),
    "add_new": ("add", "x"),
    "embed": ("embed", "ids", "table", "out=x", "x_scale='sqrt_dim'"),
    "embed_new": ("embed", "ids", "table", "x_scale='sqrt_dim'"),
    "rotate": ("rotate_", "x", "encoding"),
    "encode": ("encode", "L", "D"),
    "first": ("fill_", "x", "encoding=posenc.Encoding(...)"),
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

ZIPF = "Zipf"  # how often ids occur: the n-th most frequent a constant / n times; without a word, all alike

TORCH = "torch"  # holds the array


@dataclass(frozen=True)
class Case:
    """One case: an operation, the array it works on, and where its rows stand."""

    op: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    vocabulary: int = 0  # how many rows the embeddings have that tokens are looked up in
    ids: str = ""  # how often each of them is
    encoding: str = ""  # its name, if it is not that of the paper
    settings: tuple[tuple[str, float], ...] = ()  # of an encoding of one's own, as `posenc.Encoding` takes them
    start: int = 0  # where the first row stands
    moving: bool = False  # every call starts where the last one ended, so that nobody can reuse an earlier call's rows
    at: str = ""  # how rows stand, if not one after the other from `start`
    channel_axis: int = -1
    seq_axis: int = -2
    order: str = "C"  # in memory, or "Fortran"
    held: str = ""  # by "torch", if not by NumPy
    call: bool = False  # is there for what a call costs: beside it stands the least that one costs elsewhere
    note: str = ""  # why there is such a case

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
        """The operation, the shape, and what differs from the defaults, in the order of the fields."""
        words = {
            "vocabulary": f"of {self.vocabulary}",
            "settings": " ".join(f"{name}={value:g}" for name, value in self.settings),
            "start": f"from {self.start}",
            "moving": "moving start",
            "at": self.at if self.at in (*COUNTED, GRIDS) else f"at {self.at}",
            "channel_axis": f"channels {self.channel_axis}",
            "seq_axis": f"rows {self.seq_axis}",
            "call": "call",
        }
        given = [field.name for field in fields(self)[2:-1] if getattr(self, field.name) != field.default]
        return " ".join([self.op, self.shape_text, *(words.get(name, getattr(self, name)) for name in given)])

    @property
    def tiny(self) -> Case:
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
    def twin(self) -> tuple[str, Case] | None:
        """A plainer thing done to the same array, by which this one is judged, and a word for it."""
        if self.call or self.op == "rotate":  # which has no plainer encoding
            return None
        if self.axes == 1 and not self.of_the_paper:
            return "paper", replace(self, encoding="", settings=())
        if self.at in (*COUNTED, GRIDS, LINSPACE):
            return "plain", replace(self, at="")
        if self.moving:
            return "repeated", replace(self, moving=False)
        if self.at not in ("", REALS):
            return REALS, replace(self, at=REALS)
        return None


def every(op: str, note: str, **choices: Any) -> list[Case]:
    """A case for each combination of operations, with commas between, and of what is given as a list.

    The operation changes fastest, and then what comes last.
    """
    given = {name: value if isinstance(value, list) else [value] for name, value in choices.items()}
    combinations = itertools.product(*given.values(), op.split(","))
    return [Case(op, note=note, **dict(zip(given, values, strict=True))) for *values, op in combinations]


def encoded(name: str) -> list[Case]:
    """The cases of an encoding: one sequence of a few sizes, a batch of images or of videos."""
    encoding = "" if name == "paper" else name
    axes = Case("fill", (), encoding=encoding).axes
    if axes == 1:
        near = Case("fill", (512, 512), encoding=encoding, note="1 MiB, stays in a core's cache")
        return [near, replace(near, shape=(131072, 512), note="256 MiB, beyond all caches")]
    shape = (64, 32, 32, 768) if axes == 2 else (4, *(16,) * (axes - 2), 32, 32, 768)
    return every("fill,add", f"over {axes} axes", shape=shape, encoding=encoding)


SHORT = ["float16", "bfloat16"]
TRAINED = ["float32", "bfloat16"]  # what models are in
BATCHES = [(32, 512, dim) for dim in (384, 512, 768)]
ROPES = ["rope_hf", "rope_meta"]

# Each is there for one reason, its note. They are judged on one thread, against limits and peers of the same run.
GROUPS = {
    "core": [
        Case("fill", (512, 512), note="1 MiB, stays in a core's cache"),
        Case("fill", (4096, 512), note="8 MiB, what a model's max_len asks for"),
        Case("fill", (131072, 512), note="256 MiB, beyond all caches"),
        Case("fill", (4096, 512), start=10**9, note="no cliff at far positions"),
        Case("fill", (8192, 512), at=REALS, note="positions given one by one, as reals"),
        Case("fill", (4096, 512), dtype="float64", note="16 MiB"),
        Case("encode", (131072, 512), note="256 MiB, a new array every time"),
        Case("add", (512, 512), note="1 MiB, stays in a core's cache"),
        Case("add", (131072, 512), note="256 MiB, one sequence"),
        Case("add", (32, 512, 768), note="48 MiB, 32 sequences share their encoding"),
        Case("scale_add", (32, 512, 768), note="x * sqrt(D) + PE in one pass"),
        Case("add_new", (131072, 512), note="256 MiB, a new array every time"),
        Case("add", (1, 512), note="one row: what a call costs"),
    ],
    "dtypes": [
        *every("fill,add", "half a MiB, stays in a core's cache", shape=(512, 512), dtype=SHORT),
        *every("fill,add", "256 MiB, beyond all caches", shape=(262144, 512), dtype=SHORT),
    ],
    "positions": [
        *every("fill", "as fast at any magnitude", shape=(8192, 512), at=[at for at in RANGES if at != REALS]),
        Case("fill", (8192, 512), at=INTEGERS, note="in no order, without runs"),
        Case("add", (16384, 768), at=PACKED, note="48 MiB of sequences of some 512 tokens, by cu_seqlens"),
        Case("add", (32, 512, 768), at=PADDED, note="up to a quarter is padding; positions are made from the mask"),
    ],
    # Sines before cosines; cosines before sines; with an amplitude; a head's columns repeated.
    "encodings": [
        *(case for name in ("whisper", "musicgen", "x_transformers", "ltae") for case in encoded(name)),
        Case("add", (1, 512), encoding="whisper", note="one row: what it costs to name an encoding"),
    ],
    "axes": [
        *(case for name in ("mae", "detr") for case in encoded(name)),
        Case("add", (64, 768, 32, 32), encoding="mae", channel_axis=1, note="images whose channels come first"),
    ],
    # A start that moves with every call, beside the repeated one in core; a ready table is sliced where it stands.
    "moving": [
        *every("fill,add", "1 MiB", shape=(512, 512), moving=True),
        *every("fill,add", "8 MiB", shape=(4096, 512), moving=True),
        Case("add", (1, 512), moving=True, note="one row: decoding step by step"),
    ],
    # Where rows and columns stand in memory, and how many of them there are.
    "layouts": [
        *every("fill,add", "a row serves all cells behind it", shape=(8, 256, 64, 64), channel_axis=1, seq_axis=0),
        Case("add", (4, 128, 16, 32, 32), channel_axis=1, seq_axis=2, note="a row serves all cells behind it"),
        Case("add", (8, 512, 4096), channel_axis=1, seq_axis=-1, note="64 MiB, channels first"),
        Case("add", (32, 768, 512), channel_axis=1, seq_axis=-1, note="48 MiB, channels first, short"),
        Case("add", (8, 512, 8, 512), seq_axis=1, note="64 MiB, (B, L, heads, d)"),
        Case("add", (512, 32, 768), seq_axis=0, note="48 MiB, sequence first"),
        Case("add", (4096, 4096), order="Fortran", note="64 MiB, Fortran order"),
        *every("fill", "no multiple of a vector", shape=[(65536, dim) for dim in (63, 64, 100, 513, 1000)]),
        *every("add", "no multiple of a vector", shape=[(65536, dim) for dim in (63, 513)]),
        Case("add", (16384, 768), at=PACKED_SHORT, note="48 MiB of short sequences"),
        Case("add", (100000, 1, 32), at=STARTS, note="many short sequences with a start each"),
        Case("add", (2048, 8, 512), at=STARTS, note="32 MiB, sequences with a start each"),
        Case("fill", (1024, 8, 8, 192), encoding="mae", at=GRIDS, note="48 MiB, images with a grid of their own"),
    ],
    # What is small, exact or in even steps: no cliffs.
    "cliffs": [
        Case("fill", (8192, 512), at=LINSPACE, note="regular timestamps"),
        *every(
            "fill",
            "small results, or large ones",
            shape=(4096, 512),
            settings=[(("base", 1e12),), (("base", 1e30),), (("position_scale", 1e-12),), (("amplitude", 2.0),)],
        ),
        Case("fill", (32768, 512), dtype="float64", note="128 MiB"),
        Case("add", (32, 512, 768), dtype="bfloat16", note="24 MiB"),
    ],
    # One case for each kind of call, on next to nothing.
    "calls": [
        *every("add", "one row", shape=(1, 512), dtype=[*DTYPES], start=1000, call=True),
        *every("add", "one row", shape=(1, 512), dtype=TRAINED, start=1000, held=TORCH, call=True),
        Case("scale_add", (1, 512), start=1000, call=True, note="with x_scale"),
        Case("add", (1, 512), encoding="whisper", start=1000, call=True, note="a named encoding"),
        Case("add", (1, 512), settings=(("base", 500.0),), start=1000, call=True, note="an encoding of one's own"),
        Case("add", (8, 1, 512), at=STARTS, call=True, note="one start per sequence"),
        Case("add", (4, 16, 64), at=REALS, call=True, note="positions"),
        Case("add", (4, 16, 64), at=PADDED, call=True, note="positions_from_mask and mask"),
        Case("add", (64, 64), at=PACKED_SHORT, call=True, note="cu_seqlens"),
        Case("add", (1, 4, 4, 64), encoding="mae", call=True, note="a grid"),
        Case("encode", (16, 64), call=True, note="a new array"),
    ],
    # Tokens of a batch. The embeddings are 46 to 768 MB, more than any cache; Zipf's ids come back to some of them.
    "embed": [
        *every("embed", "30000 embeddings", vocabulary=30_000, shape=BATCHES, ids=["", ZIPF]),
        *every("embed", "250000 embeddings", vocabulary=250_000, shape=BATCHES, ids=["", ZIPF]),
        Case("embed_new", (32, 512, 768), vocabulary=30_000, note="48 MiB, a new array every time"),
        *every("embed", "24 MiB of 16-bit elements", shape=(32, 512, 768), vocabulary=30_000, dtype=SHORT),
        Case("embed", (16384, 768), vocabulary=30_000, note="48 MiB, one sequence"),
        Case("embed", (16384, 768), vocabulary=30_000, at=PACKED_SHORT, note="48 MiB of short sequences"),
        *every("embed", "decoding", shape=[(1, 1, 768), (8, 1, 768)], vocabulary=30_000, start=1000, call=True),
    ],
    # Queries of 32 heads, 64 MiB of float32: halves as pairs, or adjacent columns.
    "rotate": [
        *every("rotate", "queries of 32 heads", shape=(1, 32, 4096, 128), dtype=TRAINED, encoding=ROPES),
        Case("rotate", (1, 32, 1, 128), encoding="rope_hf", start=1000, call=True, note="decoding"),
    ],
    "first": [Case("first", (64, 1024), note="what the first call costs, and none after it")],
}
CASES = [case for group in GROUPS.values() for case in group]
