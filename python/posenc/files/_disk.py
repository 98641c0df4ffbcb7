"""Files: read and written to the last byte, synced, locked, and put in the place of others in one step."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Any

fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None  # not on Windows

File = Any  # an unbuffered binary file: io.FileIO
JOURNAL = ".posenc-journal"  # behind the name of a file that is being changed in place
# What a file system without advisory locks answers.
LOCKLESS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}


def journal_path(path: Path) -> Path:
    return path.with_name(path.name + JOURNAL)


def read_at(file: File, offset: int, memory: Any) -> None:
    """Fill `memory` with the bytes from `offset` on."""
    rest = memoryview(memory).cast("B")
    file.seek(offset)
    while rest:
        count = file.readinto(rest)
        if not count:
            raise OSError(
                f"{file.name}: expected {len(rest)} more bytes, got the end of the file; was it cut meanwhile?"
            )
        rest = rest[count:]


def write_at(file: File, offset: int, memory: Any) -> None:
    rest = memoryview(memory).cast("B")
    file.seek(offset)
    while rest:
        rest = rest[file.write(rest) :]


def sync(file: File) -> None:
    """Return once what was written is on the disk itself."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS, whose fsync leaves it in the disk's cache
        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)
    else:
        getattr(os, "fdatasync", os.fsync)(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return once names that were given and taken away in a folder are on the disk."""
    with contextlib.suppress(OSError):  # Windows does not open folders, and some file systems do not sync them
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock(file: File, what: str, *, shared: bool = False) -> None:
    """Keep a file from other processes of posenc, until it is closed or this process ends; or refuse.

    Nothing happens where there are no such locks.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(
            f"{what}: expected a file that no other process is changing, got {file.name}; wait until that is done"
        ) from None
    except OSError as error:
        if error.errno not in LOCKLESS:
            raise


def reserve(file: File, offset: int, size: int) -> None:
    """Make sure that so many bytes can be written from `offset` on, or raise OSError."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), offset, size)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                text = f"{file.name}: expected room for {size} bytes, got a full disk; make room, or write to another"
                raise OSError(errno.ENOSPC, text) from None
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise


def is_sparse(status: os.stat_result) -> bool:
    """Whether parts of a file may have no place on the disk yet."""
    return getattr(status, "st_blocks", 0) * 512 < status.st_size


def check_writable(path: Path, name: str, way_out: str) -> None:
    """Refuse a file that nobody may write; root, whom the system lets do it, neither."""
    if not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{name}: expected a file that may be written, got {path}, which is read-only; {way_out}")


def source(path: Any) -> Path:
    """The file that a user wants to be read or changed, behind symbolic links."""
    where = Path(os.path.realpath(os.fspath(path)))
    if where.exists() and not where.is_file():  # a pipe would wait for somebody to write to it
        raise ValueError(f"path: expected a regular file, got {str(path)!r}, which is none; name one")
    return where


def target(path: Any) -> Path:
    """The file that a user wants to be written, behind symbolic links; refused if that can't be."""
    given = os.fspath(path)
    where = Path(os.path.realpath(given))
    if not given or where.is_dir():
        raise IsADirectoryError(f"out: expected a file to write, got the folder {given!r}; name a file in it")
    if not where.parent.is_dir():
        raise FileNotFoundError(f"out: expected a file in a folder that exists, got {given!r}; make the folder first")
    if where.exists():
        if not where.is_file():
            raise ValueError(f"out: expected a regular file, or a new one, got {given!r}, which is none; name another")
        check_writable(where, "out", "name another, or allow it (chmod u+w)")
    refuse_journal(where, "out")
    return where


def refuse_journal(path: Path, name: str) -> None:
    """Refuse a file that is neither what it was nor what it is to be."""
    journal = journal_path(path)
    if journal.exists():
        raise FileExistsError(
            f"{name}: expected a file without a journal, got {path}, beside which stands {journal.name} of a run that "
            "has not ended: the file is partly changed; complete that run with resume=True (posenc add --resume), or "
            "bring the original back with undo=True (posenc add --undo)"
        )


class Partial:
    """A new file, which gets its name in one step once it is complete, and is gone if it never is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.name}.partial-{os.urandom(4).hex()}")

    def __enter__(self) -> File:
        self.file: File = open(self.partial, "x+b", buffering=0)
        return self.file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self.file:
                if kind is not None:
                    return
                if self.path.exists() and hasattr(os, "fchmod"):
                    os.fchmod(self.file.fileno(), stat.S_IMODE(self.path.stat().st_mode))
                sync(self.file)
            os.replace(self.partial, self.path)
            sync_folder(self.path.parent)
        finally:
            self.partial.unlink(missing_ok=True)
