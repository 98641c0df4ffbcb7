"""Tables to files, and positions into files, of any size: .npy and .safetensors.

What is new gets its name once it is complete. What is changed in place has a journal beside it until that is done.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _arrays, _conventions, _validate
from .._encoding import Encoding
from . import _disk, _formats, _in_place, _journal, _sums

__all__ = ["Done", "add", "encode", "load"]

COPIED_BYTES = 2**20  # at a time


@dataclass(frozen=True)
class Done:
    """What was done to a file.

    Attributes
    ----------
    path : str
        The file that was written.
    action : {"encode", "add", "resume", "undo"}
    tensor : str, or None
        Its name, in a .safetensors file.
    shape : tuple of int
    dtype : str
    encoding : Encoding
    nbytes : int
        Of the tensor.
    seconds : float
    """

    path: str
    action: str
    tensor: str | None
    shape: tuple[int, ...]
    dtype: str
    encoding: Encoding
    nbytes: int
    seconds: float

    @property
    def gb_per_s(self) -> float:
        """10^9 bytes of the tensor per second."""
        return self.nbytes / max(self.seconds, 1e-9) / 1e9


def _nothing(done: int, total: int) -> None: ...


def encode(
    path: str | os.PathLike[str],
    length: int,
    dim: int,
    *,
    name: str = "pe",
    start: float = 0,
    encoding: str | Encoding | None = None,
    dtype: DTypeLike = np.float32,
    backend: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Done:
    """Write a table of positional encodings to a file, which may be larger than memory.

    Parameters
    ----------
    path : str or path
        A .npy or .safetensors file. What had that name is replaced once the new file is complete and synced.
    length, dim : int
        The shape of the table: positions start, start + 1, ..., and channels.
    name : str, default "pe"
        The tensor's, in a .safetensors file.
    start, encoding, backend
        As for `posenc.encode`, for encodings over one axis.
    dtype : dtype, default float32
        float32, float64 or float16; in a .safetensors file bfloat16, too.
    progress : callable, optional
        Is told how many bytes have been written, and of how many.

    Returns
    -------
    Done

    Raises
    ------
    TypeError, ValueError
        As `posenc.encode`; also for another kind of file. Nothing has been written then.
    OSError
        If the file can't be written. There is no new one then, and what had its name is as it was.

    Examples
    --------
    >>> import numpy as np, posenc.files, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = posenc.files.encode(f"{folder}/pe.npy", 1500, 384, encoding="whisper")
    ...     np.array_equal(np.load(f"{folder}/pe.npy"), posenc.encode(1500, 384, encoding="whisper"))
    True
    """
    begun = time.perf_counter()
    target = _disk.target(path)
    kind = _arrays.BFLOAT16 if isinstance(dtype, str) and dtype == "bfloat16" else _arrays.dtype(dtype)[0]
    shape = _validate.integer(length, "length", minimum=0), _validate.integer(dim, "dim", minimum=1)
    rule = _conventions.resolve(encoding)
    if rule.axes > 1:
        raise ValueError(
            f"encoding: expected one over one axis, got one over {rule.axes}; np.save(path, posenc.encode(posenc.grid("
            f"{', '.join('8' * rule.axes)}), dim, encoding=encoding)) writes that of a grid"
        )
    head = _formats.header(target, name, shape, kind)
    todo = _sums.plan(shape, kind, "positions", encoding=rule, start=start, backend=backend)
    memory = np.empty(todo.largest(_sums.BLOCK_BYTES), np.uint8)
    with _disk.Partial(target) as file:
        _disk.write_at(file, 0, head)
        _disk.reserve(file, len(head), todo.nbytes, f"out ({target.name})")
        for piece in todo.pieces(_sums.BLOCK_BYTES):
            part = memory[: piece.nbytes]
            todo.write(piece, part)
            _disk.write_at(file, len(head) + piece.first, part)
            (progress or _nothing)(piece.first + piece.nbytes, todo.nbytes)
    tensor = name if target.suffix == _formats.SAFETENSORS else None
    seconds = time.perf_counter() - begun
    return Done(str(target), "encode", tensor, shape, _arrays.float_name(kind), rule, todo.nbytes, seconds)


def add(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    in_place: bool = False,
    resume: bool = False,
    undo: bool = False,
    journal: bool = True,
    sync: bool = False,
    tensor: str | None = None,
    start: Any = 0,
    x_scale: float | str = 1.0,
    encoding: str | Encoding | None = None,
    seq_axis: int | tuple[int, ...] | None = None,
    backend: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Done:
    """Add positional encodings to an array in a file: x = x * x_scale + PE. Memory does not grow with the file.

    Parameters
    ----------
    path : str or path
        A .npy or .safetensors file with an array (..., L, D) of float32, float64, float16 or, in .safetensors,
        bfloat16; aligned or not.
    out : str or path, optional
        The new file, with everything else that is in the old one. What had that name is replaced once the new one is
        complete and synced.
    in_place : bool, default False
        Change the file itself. Until that is done, a journal stands beside it (FILE.posenc-journal), which needs as
        much room as the array. A run that was interrupted or killed leaves both behind; other calls refuse the file
        until one of the next two has been called.
    resume : bool, default False
        Complete such a run, with what was asked then.
    undo : bool, default False
        Bring back every byte as it was before such a run.
    journal : bool, default True
        False: no journal. A run in place that does not come to its end has lost the array.
    sync : bool, default False
        Whether a run in place survives a power failure, too: the journal is on the disk before the file is changed,
        which costs the time to write both. Without it a run survives whatever ends the process.
    tensor : str, optional
        Which one, of a .safetensors file with several.
    start : number, default 0
        As for `posenc.add_`; for an encoding over several axes, one for all or one for each.
    x_scale, encoding, seq_axis, backend
        As for `posenc.add_`.
    progress : callable, optional
        Is told how many bytes of the array have been done, and of how many.

    Returns
    -------
    Done

    Raises
    ------
    TypeError, ValueError
        As `posenc.add_`; also for a file of another kind, or one that was changed since the run that is to be resumed
        or undone. Nothing has been written then.
    OSError
        If a file can't be read or written. FileExistsError: a journal stands beside it. FileNotFoundError: none does,
        and there is nothing to resume or undo. BlockingIOError: another process is changing it.

    Examples
    --------
    >>> import numpy as np, posenc.files, tempfile
    >>> x = np.ones((2, 3, 4), np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", x)
    ...     done = posenc.files.add(f"{folder}/x.npy", in_place=True)
    ...     np.array_equal(np.load(f"{folder}/x.npy"), posenc.add(x))
    True
    """
    begun = time.perf_counter()
    _check_modes(out, in_place, resume, undo, journal, sync)
    asked = {"start": start, "x_scale": x_scale, "encoding": encoding, "seq_axis": seq_axis, "backend": backend}
    source = _disk.source(path)
    tell = progress or _nothing
    if out is not None:
        found, todo, where = _add_to_new(source, out, tensor, asked, tell)
    elif resume or undo:
        found, todo = _end(source, tensor, asked, undo, tell)
        where = source
    else:
        found, todo = _add_in_place(source, tensor, asked, journal, sync, tell)
        where = source
    action = "resume" if resume else "undo" if undo else "add"
    seconds = time.perf_counter() - begun
    return Done(str(where), action, found.name, found.shape, found.kind, todo.rule, found.nbytes, seconds)


def load(path: str | os.PathLike[str], tensor: str | None = None) -> NDArray[Any]:
    """The array in a .npy or .safetensors file, mapped read-only; bfloat16 as that of ml_dtypes, or else as float32.

    Parameters
    ----------
    path : str or path
    tensor : str, optional
        Which one, of a .safetensors file with several.

    Returns
    -------
    ndarray

    Raises
    ------
    TypeError, ValueError, OSError
        If it is no such file, or has no such array.

    Examples
    --------
    >>> import posenc.files, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = posenc.files.encode(f"{folder}/pe.safetensors", 2, 4)
    ...     posenc.files.load(f"{folder}/pe.safetensors").shape
    (2, 4)
    """
    source = _disk.source(path)
    _disk.refuse_journal(source, "path")
    with open(source, "rb", buffering=0) as file:
        return _formats.find(file, source, tensor).load()


def _check_modes(out: Any, in_place: bool, resume: bool, undo: bool, journal: bool, sync: bool) -> None:
    if resume and undo:
        raise ValueError("resume, undo: expected one of them, got both; leave one out")
    ends = resume or undo
    if out is None and not (in_place or ends):
        raise ValueError("out: expected a file, or in_place=True, got neither; out= (-o) or in_place=True (--in-place)")
    if out is not None and (in_place or ends):
        raise ValueError("out: expected either a file or a change in place, got both; leave one out")
    if not journal and (ends or sync):
        raise ValueError("journal: expected True with resume, undo or sync, which need one, got False; leave it out")


def _plan(found: _formats.Tensor, asked: dict[str, Any]) -> _sums.Sum:
    _formats.check(found)
    return _sums.plan(found.shape, found.dtype, "path", **asked)


def _add_to_new(
    source: Path, out: Any, tensor: str | None, asked: dict[str, Any], progress: _in_place.Progress
) -> tuple[_formats.Tensor, _sums.Sum, Path]:
    _disk.refuse_journal(source, "path")
    with open(source, "rb", buffering=0) as old:
        target = _disk.target(out)
        if target.exists() and os.path.samefile(source, target):
            raise ValueError(f"out: expected another file than path, got {out!r} for both; in_place=True (--in-place)")
        if target.suffix != source.suffix:
            raise ValueError(f"out: expected a name that ends in {source.suffix!r} as path does, got {str(out)!r}")
        _disk.lock(old, "path", shared=True)
        found = _formats.find(old, source, tensor)
        todo = _plan(found, asked)
        memory = np.empty(max(todo.largest(_sums.BLOCK_BYTES), COPIED_BYTES), np.uint8)
        end = found.offset + found.nbytes
        with _disk.Partial(target) as new:
            _disk.reserve(new, 0, found.file_size, f"out ({target.name})")
            for first, last in ((0, found.offset), (end, found.file_size)):
                for place in range(first, last, COPIED_BYTES):
                    part = memory[: min(COPIED_BYTES, last - place)]
                    _disk.read_at(old, place, part)
                    _disk.write_at(new, place, part)
            for piece in todo.pieces(_sums.BLOCK_BYTES):
                part = memory[: piece.nbytes]
                _disk.read_at(old, found.offset + piece.first, part)
                todo.write(piece, part)
                _disk.write_at(new, found.offset + piece.first, part)
                progress(piece.first + piece.nbytes, todo.nbytes)
    return found, todo, target


def _open_to_change(source: Path) -> _disk.File:
    file: _disk.File = open(source, "rb", buffering=0)  # noqa: SIM115  # it says what is wrong with the name
    file.close()
    _disk.check_writable(source, "path", "write a new file with out= (-o), or allow it (chmod u+w)")
    file = open(source, "r+b", buffering=0)  # noqa: SIM115  # closed by those who called this
    try:
        _disk.lock(file, "path")
        if not _disk.is_named(file, source):
            raise BlockingIOError(f"path: expected {source}, which another process has just replaced; try again")
    except BaseException:
        file.close()
        raise
    return file


def _add_in_place(
    source: Path, tensor: str | None, asked: dict[str, Any], journaled: bool, sync: bool, progress: _in_place.Progress
) -> tuple[_formats.Tensor, _sums.Sum]:
    with _open_to_change(source) as file:
        _disk.refuse_journal(source, "path")
        found = _formats.find(file, source, tensor)
        todo = _plan(found, asked)
        if not todo.nbytes:
            return found, todo
        if _disk.is_sparse(os.fstat(file.fileno())):
            _disk.reserve(file, found.offset, found.nbytes, f"path ({source.name}, parts of which have no room yet)")
        change = _in_place.Change(file, found, todo, _in_place.step(sync), progress)
        if journaled:
            change.journal = _in_place.begin(file, found, todo, sync=sync)
        _run(change, undo=False)
    return found, todo


def _end(
    source: Path, tensor: str | None, asked: dict[str, Any], undo: bool, progress: _in_place.Progress
) -> tuple[_formats.Tensor, _sums.Sum]:
    """Complete or undo the run that left a journal."""
    journal = _journal.load(_disk.journal_path(source))
    with journal, _open_to_change(source) as file:
        found = _formats.find(file, source, journal.asked.get("tensor"))
        todo = _in_place.recall(journal.asked, found, asked["backend"])
        _same_as_asked(found, todo, tensor, asked)
        change = _in_place.Change(file, found, todo, journal.asked["step"], progress)
        change.journal = journal
        change.check()
        _run(change, undo=undo)
    return found, todo


def _same_as_asked(found: _formats.Tensor, todo: _sums.Sum, tensor: str | None, asked: dict[str, Any]) -> None:
    """Refuse what differs from what the journal says, unless it is a default."""
    given = _plan(found, asked)
    defaults = {"start": 0, "x_scale": 1.0, "encoding": None, "seq_axis": None}
    if tensor not in (None, found.name):
        raise ValueError(f"tensor: expected {found.name!r}, as the journal says, got {tensor!r}; leave it out")
    for name, field in (("start", "start"), ("x_scale", "factor"), ("encoding", "rule"), ("seq_axis", "sequence")):
        same = getattr(given, field) == getattr(todo, field)
        if not same and not (asked[name] is None or (np.ndim(asked[name]) == 0 and asked[name] == defaults[name])):
            raise ValueError(
                f"{name}: expected what was asked at first, {getattr(todo, field)!r}, got {asked[name]!r}; leave it out"
            )


def _run(change: _in_place.Change, *, undo: bool) -> None:
    """Run it to its end, or say how to."""
    journal, path = change.journal, change.tensor.path
    try:
        if undo:
            change.undo()
        else:
            change.run()
    except BaseException as error:
        total = change.todo.nbytes
        if journal is None:
            error.add_note(
                f"posenc: {path} is partly changed: {change.done} bytes of {total} for sure, and perhaps the "
                f"{change.step} behind them; there is no journal",
            )
        elif journal.gone():
            error.add_note(
                f"posenc: {path} is whole all the same: " + ("its original is back" if undo else "all is done")
            )
        elif journal.saved or undo:
            error.add_note(
                f"posenc: {path} is partly changed ({change.done} bytes of {total}); complete it with resume=True "
                "(--resume), or bring the original back with undo=True (--undo)",
            )
        else:
            journal.remove()
        raise
    finally:
        if journal is not None:
            journal.close()
