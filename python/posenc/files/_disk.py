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

from .. import _validate

fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None  # not on Windows

File = Any  # an unbuffered binary file: io.FileIO
JOURNAL = ".posenc-journal"  # behind the name of a file that is being changed in place
OWN = stat.S_IRUSR | stat.S_IWUSR
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


def is_named(file: File, path: Path) -> bool:
    """Whether that is the name of an open file, and not of another one, or of none."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    return False


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


# Why there is no room, and what to do.
NO_ROOM = {
    errno.ENOSPC: "a full disk; make room",
    errno.EDQUOT: "an exhausted quota; make room",
    errno.EFBIG: "a limit on the size of files; raise it (ulimit -f)",
}


def reserve(file: File, offset: int, size: int, what: str, way_out: str = "write to another disk") -> None:
    """Make sure that so many bytes can be written from `offset` on, or raise OSError, which says what they are for."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), offset, size)
        except OSError as error:
            if error.errno in NO_ROOM:
                text = f"{what}: expected room for {size} bytes, got {NO_ROOM[error.errno]}, or {way_out}"
                raise OSError(error.errno, text) from None
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise


def is_sparse(status: os.stat_result) -> bool:
    """Whether parts of a file may have no place on the disk yet."""
    return getattr(status, "st_blocks", 0) * 512 < status.st_size


def check_writable(path: Path, name: str, way_out: str) -> None:
    """Refuse a file that may not be written, and one that nobody may write to root, too, whom the system lets do it."""
    anybody = path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    if not (anybody and os.access(path, os.W_OK)):
        raise PermissionError(f"{name}: expected a file that may be written, got {path}, which is read-only; {way_out}")


def _given(path: Any, name: str) -> str:
    """What a user says is a path."""
    try:
        given = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{name}: expected the path of a file, got {_validate.shown(path)}; 'x.npy' is one") from None
    if "\0" in given:
        raise ValueError(f"{name}: expected the path of a file, got {given!r}; leave the zero byte out")
    return given


def source(path: Any) -> Path:
    """The file that a user wants to be read or changed, behind symbolic links."""
    given = _given(path, "path")
    if not given or (os.path.exists(given) and not os.path.isfile(given)):  # a pipe would wait for somebody to write
        raise ValueError(f"path: expected a regular file, got {given!r}, which is none; name one")
    return Path(os.path.realpath(given))


def target(path: Any) -> Path:
    """The file that a user wants to be written, behind symbolic links; refused if that can't be."""
    given = _given(path, "out")
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
    if os.path.lexists(journal):
        raise FileExistsError(
            f"{name}: expected a file without a journal, got {path}, beside which stands {journal.name} of a run that "
            "has not ended: the file is partly changed; complete that run with resume=True (posenc add --resume), or "
            "bring the original back with undo=True (posenc add --undo)"
        )


def create(path: Path, like: os.stat_result | None) -> File:
    """A new file, with the owner and the permissions of another one, as far as the system allows it.

    It has them before there is anything in it: what only its owner may read is in no file that others may read.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if like is None else OWN)

    file: File = open(path, "x+b", buffering=0, opener=opener)  # noqa: SIM115
    if like is not None:
        take_after(file, like)
    return file


def take_after(file: File, like: os.stat_result) -> None:
    """Give a file that is its owner's alone the owner and the permissions of another one."""
    if not hasattr(os, "fchown"):  # Windows
        return
    for owner in (like.st_uid, -1):
        with contextlib.suppress(OSError):  # only root gives files away
            os.fchown(file.fileno(), owner, like.st_gid)
            break
    mode = stat.S_IMODE(like.st_mode) & (stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    if os.fstat(file.fileno()).st_gid != like.st_gid:
        mode &= ~stat.S_IRWXG  # they were another group's
    with contextlib.suppress(PermissionError):  # of file systems that know no permissions
        os.fchmod(file.fileno(), mode)


def folder_error(error: OSError, name: str, path: Path, way_out: str) -> OSError:
    """What to tell if no new file can be made beside `path`."""
    if error.errno == errno.ENAMETOOLONG:
        way_out = "a shorter name would do"
    text = f"{name}: expected a folder in which a file can be made, got {path.parent}: {error.strerror}; {way_out}"
    return OSError(error.errno, text)


class Partial:
    """A new file, which gets its name in one step once it is complete, and is gone if it never is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.name}.partial-{os.urandom(4).hex()}")

    def __enter__(self) -> File:
        with contextlib.ExitStack() as kept:
            # What another process changes in place meanwhile would be lost.
            if fcntl is not None and self.path.exists() and os.access(self.path, os.R_OK):
                lock(kept.enter_context(open(self.path, "rb")), "out", shared=True)
            try:
                self.file = create(self.partial, self.path.stat() if self.path.exists() else None)
            except OSError as error:
                raise folder_error(error, "out", self.path, "name a file in another folder") from None
            self.kept = kept.pop_all()
        return self.file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self.kept:
                with self.file:
                    if kind is not None:
                        return
                    sync(self.file)
                os.replace(self.partial, self.path)
            sync_folder(self.path.parent)
        finally:
            self.partial.unlink(missing_ok=True)
