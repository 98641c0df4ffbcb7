"""A sum in the file itself: with a journal, or without."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .._encoding import Encoding
from . import _disk, _journal, _sums
from ._disk import File
from ._formats import Tensor
from ._journal import Asked, Journal
from ._sums import BLOCK_BYTES, Piece, Sum

SYNCED_BYTES = 2**24  # between two barriers, which take the disk milliseconds

Progress = Callable[[int, int], object]
Bytes = NDArray[np.uint8]


def step(sync: bool) -> int:
    """How many bytes are changed at a time."""
    return SYNCED_BYTES if sync else BLOCK_BYTES


def describe(file: File, tensor: Tensor, todo: Sum, sync: bool) -> Asked:
    """What a journal has to know of a sum, and of its file as it is now."""
    return {
        "file": tensor.path.name,
        "tensor": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.kind,
        "offset": tensor.offset,
        "file_size": tensor.file_size,
        "encoding": dataclasses.asdict(todo.rule),
        "start": list(todo.start),
        "x_scale": todo.factor,
        "seq_axis": list(todo.sequence),
        "step": step(sync),
        "sync": sync,
        "samples": list(_journal.samples(file, tensor.file_size, 0, 0)),
    }


def recall(asked: Asked, tensor: Tensor, backend: str | None) -> Sum:
    """The sum that a journal is of, for the tensor that it names."""
    try:
        return _recall(asked, tensor, backend)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"journal: expected what this version of posenc writes, got that of another one, or of nobody, beside "
            f"{tensor.path} ({type(error).__name__}: {error}); complete or undo the run with the version that began it"
        ) from None


def _recall(asked: Asked, tensor: Tensor, backend: str | None) -> Sum:
    found = {
        "file_size": tensor.file_size,
        "tensor": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.kind,
        "offset": tensor.offset,
    }
    for key, value in found.items():
        if asked[key] != value:
            raise ValueError(
                f"path: expected the file that the journal is of, with {key} {asked[key]}, got {tensor.path} with "
                f"{value}; {_PUT_BACK}"
            )
    if not (type(asked["step"]) is int and isinstance(asked["samples"], list)):
        raise TypeError(f"step: {asked['step']!r}, samples: {asked['samples']!r}")
    sequence, start = asked["seq_axis"], asked["start"]
    one = len(sequence) == 1
    return _sums.plan(
        tensor.shape,
        tensor.dtype,
        "path",
        encoding=Encoding(**asked["encoding"]),
        start=start[0] if one else start,
        x_scale=asked["x_scale"],
        seq_axis=sequence[0] if one else tuple(sequence),
        backend=backend,
    )


_PUT_BACK = (
    "put the file back as that run left it, or, to keep it as it is, delete the journal (after a power failure: only "
    "runs with sync=True, --sync, survive one)"
)


class Change:
    """A sum in the file itself, under way."""

    journal: Journal | None = None  # that of a change which has one

    def __init__(self, file: File, tensor: Tensor, todo: Sum, step: int, progress: Progress) -> None:
        self.file, self.tensor, self.todo, self.step, self.progress = file, tensor, todo, step, progress
        self.memory = np.empty(todo.largest(step), np.uint8)
        self.done = 0  # bytes whose sum is in the file for sure

    def run(self) -> None:
        """Complete it."""
        for piece, _, new, present in self._kept():
            if not np.array_equal(present, new):
                self._write(piece, new)
            self._report(piece)
        for piece in self.todo.pieces(self.step):
            if self.journal is None or piece.first >= self.journal.saved:
                part = self.memory[: piece.nbytes]
                _disk.read_at(self.file, self.tensor.offset + piece.first, part)
                if self.journal is not None:
                    self.journal.save(piece.first, part)
                self.todo.write(piece, part)
                self._write(piece, part)
                self._report(piece)
        self._end()

    def undo(self) -> None:
        """Bring the original back."""
        for piece, original, _, present in self._kept():
            if not np.array_equal(present, original):
                self._write(piece, original)
            self._report(piece)
        self._end()

    def check(self) -> None:
        """Refuse a file that is not as a run may have left it."""
        journal, offset = self.journal, self.tensor.offset
        assert journal is not None
        if journal.torn:
            self._count_one_more(journal)
        known = dict(journal.asked["samples"])
        now = _journal.samples(self.file, self.tensor.file_size, offset, offset + journal.saved)
        if any(known[place] != checksum for place, checksum in now):
            raise self._changed()
        for _, original, new, present in self._kept():
            if not np.all((present == original) | (present == new)):
                raise self._changed()

    def _count_one_more(self, journal: Journal) -> None:
        """Count the piece that a slot may have counted which can't be read, if its original is there."""
        for piece in self.todo.pieces(self.step):
            if piece.first == journal.saved and journal.holds(piece.first, piece.nbytes):
                original, new, present = self._states(journal, piece)
                if np.all((present == original) | (present == new)):
                    journal.saved += piece.nbytes
                elif original.any():  # not just room for it
                    raise self._changed()
                return

    def _changed(self) -> ValueError:
        assert self.journal is not None
        return ValueError(
            f"path: expected {self.tensor.path} as the run of {self.journal.path.name} left it, got a file that was "
            f"changed since; {_PUT_BACK}"
        )

    def _kept(self) -> Iterator[tuple[Piece, Bytes, Bytes, Bytes]]:
        """The pieces whose originals the journal holds: these, the sums, and what stands in the file."""
        if self.journal is None or not self.journal.saved:
            return
        for piece in self.todo.pieces(self.step):
            if piece.first >= self.journal.saved:
                return
            yield piece, *self._states(self.journal, piece)

    def _states(self, journal: Journal, piece: Piece) -> tuple[Bytes, Bytes, Bytes]:
        """The original of a piece as the journal has it, the sum, and what stands in the file."""
        original, new, present = (memory[: piece.nbytes] for memory in self._memories)
        journal.original(piece.first, original)
        new[:] = original
        self.todo.write(piece, new)
        _disk.read_at(self.file, self.tensor.offset + piece.first, present)
        return original, new, present

    @functools.cached_property
    def _memories(self) -> tuple[Bytes, Bytes, Bytes]:
        return np.empty_like(self.memory), np.empty_like(self.memory), np.empty_like(self.memory)

    def _write(self, piece: Piece, part: Bytes) -> None:
        _disk.write_at(self.file, self.tensor.offset + piece.first, part)

    def _report(self, piece: Piece) -> None:
        self.done = piece.first + piece.nbytes
        self.progress(self.done, self.todo.nbytes)

    def _end(self) -> None:
        if self.journal is not None:
            if self.journal.sync:
                _disk.sync(self.file)
            self.journal.remove()


def begin(file: File, tensor: Tensor, todo: Sum, *, sync: bool) -> Journal:
    """The journal of a sum that is to begin; everything that it needs is there, or nothing is."""
    asked, path = describe(file, tensor, todo, sync), _disk.journal_path(tensor.path)
    try:
        journal = _journal.create(path, asked, os.fstat(file.fileno()), sync=sync)
    except FileExistsError:
        raise
    except OSError as error:
        way_out = "write elsewhere with out= (-o), or do without a journal, journal=False (--no-journal)"
        raise _disk.folder_error(error, "journal", path, way_out) from None
    try:
        journal.reserve(tensor.nbytes)
        journal.begin()
    except BaseException:
        journal.remove()
        raise
    return journal
