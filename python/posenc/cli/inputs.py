"""The arrays of a case, and where its rows stand."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import posenc

from . import cases
from .arrays import Array, lend, memory_dtype, rounded, tensor, widened
from .cases import COUNTED, LOOKS_UP, MAKES, RANGES, SCALES, TORCH, ZIPF, Case

REFERENCE = "numpy"  # the backend whose bits are right, if they are near the real numbers

LARGEST_INTEGER = 10**6
PACKED_LENGTH = 512  # of a packed sequence, on average
SHORT_LENGTHS = 20, 200
PADDING = 0.25  # of a padded sequence, at most
LARGEST_START = 1000  # of sequences with a start each
MAX_LEN = 4096  # rows of the ready table along which a moving start moves; more if the array has more than a quarter
VOCABULARY = 30_000  # rows of the embeddings, if nothing else is said


def recipe(out: Array, start: int, precision: type[np.floating], places: NDArray[np.float64] | None = None) -> Array:
    """The lines that are usually copied; `precision` is that of the angles. `places`: positions to take instead."""
    length, dim = out.shape[-2:]
    table = out if out.ndim == 2 else np.empty((length, dim), out.dtype)
    positions = np.arange(start, start + length, dtype=precision) if places is None else places.astype(precision)
    inv_freq = np.exp(np.arange(0, dim, 2, dtype=precision) * precision(-math.log(10000.0) / dim))
    angles = positions[:, None] * inv_freq
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : dim // 2])
    if table is not out:
        out[...] = table
    return out


class Inputs:
    """The arrays of a case, shared by all implementations."""

    def __init__(self, case: Case, memory: NDArray[Any] | None = None) -> None:
        self.case = case
        if memory is None:
            order: Literal["C", "F"] = "F" if case.order == "Fortran" else "C"
            memory = np.empty(case.shape, memory_dtype(case.dtype), order)
        self.memory = memory  # what is worked on, as NumPy sees it
        self.x = tensor(memory) if case.held == TORCH else lend(memory)  # the same as users hold it
        self.rows = self.with_channels_last(memory)
        self.axes = case.axes
        self.length, self.dim = self.rows.shape[-2:]
        self.scale = math.sqrt(self.dim) if case.op in SCALES else 1.0

    def with_channels_last(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array like `memory`, seen as rows."""
        case = self.case
        if case.seq_axis == -2:
            return np.moveaxis(array, case.channel_axis, -1)
        return np.moveaxis(array, (case.seq_axis, case.channel_axis), (-2, -1))

    @cached_property
    def twin(self) -> Inputs:
        """The same memory for the case's twin."""
        twin: Any = self.case.twin
        return Inputs(twin[1], self.memory)

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
        table = np.empty((self.case.vocabulary or VOCABULARY, self.dim), self.memory.dtype)
        _scatter(table)
        return table

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Of all tokens."""
        random, count = np.random.default_rng(6), len(self.embeddings)
        shape = self.rows.shape[:-1]
        if self.case.ids != ZIPF:
            return random.integers(count, size=shape)
        share = np.cumsum(1.0 / np.arange(1, count + 1))
        ranks = np.searchsorted(share, random.uniform(0.0, share[-1], shape))
        return np.asarray(random.permutation(count)[np.minimum(ranks, count - 1)])

    def before(self, index: tuple[Any, ...]) -> NDArray[Any]:
        """What positions are added to at an index of `rows`."""
        if self.case.op not in LOOKS_UP:
            return np.asarray(self.rows[index])
        numbers = np.broadcast_to(self.ids[..., None], self.rows.shape)[index]
        columns = np.broadcast_to(np.arange(self.dim), self.rows.shape)[index]
        return np.asarray(self.embeddings[numbers, columns])

    @cached_property
    def cu_seqlens(self) -> NDArray[np.int64]:
        """Where packed sequences of random lengths begin and end."""
        random = np.random.default_rng(3)
        if self.case.at == cases.PACKED_SHORT:
            ends = np.cumsum(random.integers(*SHORT_LENGTHS, size=self.length // SHORT_LENGTHS[0] + 1))
        else:
            ends = np.sort(random.integers(1, self.length, size=max(2, self.length // PACKED_LENGTH) - 1))
        return np.concatenate([[0], ends[ends < self.length], [self.length]])

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Of every sequence."""
        return np.asarray(np.random.default_rng(5).integers(LARGEST_START, size=self.rows.shape[:-2]))

    @cached_property
    def move(self) -> tuple[int, ...]:
        """Where the calls of a moving start begin, which one after the other; then again."""
        longest = max(MAX_LEN, 4 * self.length)
        return tuple(range(self.case.start, self.case.start + longest - self.length + 1, self.length))

    @cached_property
    def padding(self) -> NDArray[np.int64]:
        """How many rows of every sequence are padding."""
        longest = int(PADDING * self.length)
        return np.asarray(np.random.default_rng(4).integers(longest + 1, size=self.rows.shape[:-2]))

    @cached_property
    def mask(self) -> NDArray[np.bool_] | None:
        return np.arange(self.length) >= self.padding[..., None] if self.case.at == cases.PADDED else None

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Of every row, in a shape that posenc takes; of padding something or other."""
        at, random = self.case.at, np.random.default_rng(2)
        places: Any = np.arange(self.length) + self.case.start
        if self.axes > 1:
            places = posenc.grid(*self.rows.shape[-1 - self.axes : -1])
            if at == cases.GRIDS:  # cut out of larger images
                places = places + random.integers(100, size=(len(self.rows), *(1,) * self.axes, self.axes))
        elif at in RANGES:
            places = random.uniform(0, RANGES[at], self.length)
        elif at == cases.INTEGERS:
            places = random.integers(LARGEST_INTEGER, size=self.length)
        elif at == cases.LINSPACE:
            places = np.linspace(0.0, 1000.0, self.length)
        elif at == cases.STARTS:
            places = places + self.starts[..., None]
        elif at in (cases.PACKED, cases.PACKED_SHORT):
            places -= np.repeat(self.cu_seqlens[:-1], np.diff(self.cu_seqlens))
        elif at == cases.PADDED:
            places = np.maximum(places - self.padding[..., None], 0)
        return np.asarray(places, np.float64)

    @cached_property
    def table(self) -> NDArray[Any]:
        """The encoding as a ready table, which costs the peers that use it nothing; of all rows, if they are in order.

        Broadcasts to `memory`, and is of its dtype. Of sequences that count from where they begin, a row for each
        number; of a moving start, one for every place that it comes to.
        """
        case = self.case
        counted = case.at in COUNTED
        counts = self.rows.shape[-1 - self.axes : -1]
        if counted:
            counts = (int(self.positions.max()) + 1,)
        elif case.moving:
            counts = (self.move[-1] - self.move[0] + self.length,)
        values = np.empty((*counts, self.dim), widened(self.memory[:0]).dtype)
        if not case.of_the_paper:
            posenc.fill_(values[None], encoding=case.encodes, start=case.start, backend=REFERENCE)
        else:
            recipe(values, case.start, np.float64, None if counted or case.moving else self.positions)
        table = rounded(values, self.memory.dtype)
        if case.seq_axis == -2:
            channels = case.channel_axis % self.rows.ndim - (self.rows.ndim - table.ndim)
            return np.ascontiguousarray(np.moveaxis(table, -1, channels))
        table = table.reshape(*(1,) * (self.rows.ndim - 2), *table.shape)
        return np.ascontiguousarray(np.moveaxis(table, (-2, -1), (case.seq_axis, case.channel_axis)))

    def prepare(self) -> None:
        """NaN before x is filled, so that a gap shows; the same ordinary numbers before every add."""
        if self.case.op in (*MAKES, *LOOKS_UP):
            self.reset(np.nan)
        else:
            _scatter(self.memory)

    def reset(self, value: float = 1.0) -> None:
        """Before a sample, if the operation would otherwise make x overflow."""
        self.memory.fill(rounded(np.array([value]), self.memory.dtype)[0])


def _scatter(memory: NDArray[Any]) -> None:
    """Always the same ordinary numbers."""
    block = rounded(np.random.default_rng(1).standard_normal(2**18), memory.dtype)
    flat = memory.ravel(order="K")  # a view: it is contiguous, in C's order or Fortran's
    for first in range(0, flat.size, block.size):
        part = flat[first : first + block.size]
        part[:] = block[: part.size]
