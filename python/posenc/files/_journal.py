"""The journal of a sum in place: what was asked, how far it came, and the original bytes.

A sum can't be undone by a subtraction, which rounds. So before a piece of the array is written its original goes into
the journal, which is as large as the array in the end, and is taken away with one unlink once all is done.

What a journal consists of:

1. The head: MAGIC, the length of a JSON text, its CRC-32, the text. It is written to a file without a name, which then
   gets the journal's: there is no journal without a whole head, and no two processes can make one.
2. Two slots, a page each, written in turn: a sequence number, how many bytes of originals there are, a CRC-32. The slot
   with the larger number counts; one that is torn does not, and then the other one does. The piece behind that may
   have been written if it was not torn but damaged later: so its original, if there is one, counts, too.
3. The originals, in the order of the array.

The order of writes, piece by piece: the original, then a slot that counts it, then the piece itself. The pieces in
front of that one have been written whole. A process that is killed takes nothing back from what it handed to the
system, and that order is enough. A machine that loses power may have kept later writes and lost earlier ones; with
`sync` the journal is synced before the slot, after the slot, and the array before the journal is taken away, so that no
piece reaches the disk before its original and the slot that counts it.

Whatever was counted is done again by `--resume`, from the originals, whether or not it had reached the file: both that
and `--undo` may be killed and started again as often as anybody likes.

The file is known by its content, and may be moved or copied together with its journal: where originals are kept, each
of its bytes must be the original's or the sum's; elsewhere samples are compared. Both are done before anything is
written. Neither inode nor time would do: the run itself changes the time, and a copy has another inode.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import _disk
from ._disk import File

MAGIC = b"posenc journal 1"
HEAD = struct.Struct("<16sII")  # and the text
SLOT = struct.Struct("<QQ")  # and its CRC-32
PAGE = 4096
SAMPLES = 64
DESCRIPTORS = "/proc/self/fd"

Asked = dict[str, Any]


def create(path: Path, asked: Asked, like: os.stat_result, *, sync: bool) -> Journal:
    """A new journal, or FileExistsError if there is one. It may be read by those who may read the file `like`."""
    try:
        return _create(path, None, asked, like, sync)
    except FileExistsError:
        raise
    except OSError:  # no files without a name here
        return _create(path, path.with_name(f"{path.name}.{os.urandom(4).hex()}"), asked, like, sync)


def _create(path: Path, own: Path | None, asked: Asked, like: os.stat_result, sync: bool) -> Journal:
    """A new journal, in a file called `own` or, so that a kill leaves nothing, without a name until it is whole."""
    text = json.dumps(asked).encode()
    head = HEAD.pack(MAGIC, len(text), zlib.crc32(text)) + text
    file = _unnamed(path.parent, like) if own is None else _disk.create(own, like)
    try:
        _disk.write_at(file, 0, head)
        _disk.lock(file, "journal")
        journal = Journal(path, file, asked, len(head), sync)
        journal.mark(0)
        _link(file, own, path)
    except BaseException:  # perhaps a signal, just after it got its name
        if _disk.is_named(file, path):
            path.unlink()
        file.close()
        raise
    finally:
        if own is not None:
            own.unlink(missing_ok=True)
    return journal


def _unnamed(folder: Path, like: os.stat_result) -> File:
    if not hasattr(os, "O_TMPFILE") or not os.path.exists(DESCRIPTORS):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    file: File = open(os.open(folder, os.O_TMPFILE | os.O_RDWR, _disk.OWN), "r+b", buffering=0)  # noqa: SIM115
    _disk.take_after(file, like)
    return file


def _link(file: File, own: Path | None, target: Path) -> None:
    """Give a new file its name, unless there is a file of that name."""
    try:
        if own is not None:
            os.link(own, target)
            return
        folder = os.open(DESCRIPTORS, os.O_RDONLY)
        try:  # a folder makes Python call linkat(), which follows the symbolic link that a descriptor is there
            os.link(str(file.fileno()), target, src_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)
    except OSError as error:
        if os.path.lexists(target):
            raise FileExistsError(f"journal: expected none, got {target}; another run has just begun") from None
        if own is None or isinstance(error, FileExistsError):
            raise
        os.rename(own, target)  # a file system without links


def load(path: Path) -> Journal:
    """The journal that stands there, which no other process has."""
    try:
        file: File = open(path, "r+b", buffering=0)  # noqa: SIM115  # closed by Journal
    except FileNotFoundError:
        raise FileNotFoundError(
            f"journal: expected {path}, got none: under this name nothing has begun, or all has been done; a file that "
            "was moved needs its journal beside it"
        ) from None
    try:
        _disk.lock(file, "journal")
        if _disk.is_named(file, path):
            return _read(path, file)
        raise FileNotFoundError(
            f"journal: expected {path}, which another process has just completed; there is no more to do"
        )
    except BaseException:
        file.close()
        raise


def _read(path: Path, file: File) -> Journal:
    size = os.fstat(file.fileno()).st_size
    head = bytearray(HEAD.size)
    if size >= HEAD.size:
        _disk.read_at(file, 0, head)
    magic, length, checksum = HEAD.unpack(head)
    text = bytearray(length if magic == MAGIC and length <= size - HEAD.size else 0)
    if text:
        _disk.read_at(file, HEAD.size, text)
    if not text or zlib.crc32(text) != checksum:
        raise _damaged(path, "head is")
    asked = json.loads(text)
    journal = Journal(path, file, asked, HEAD.size + len(text), bool(asked.get("sync")))
    if not journal.counts:
        raise _damaged(path, "slots are")
    return journal


def _damaged(path: Path, what: str) -> ValueError:
    return ValueError(
        f"journal: expected what posenc wrote, got {path}, whose {what} damaged; the file beside it may be partly "
        "changed: bring it back from a copy, and delete the journal"
    )


class Journal:
    """An open journal, locked.

    Attributes
    ----------
    asked : dict
        What was asked, for JSON.
    saved : int
        How many bytes of originals it holds.
    torn : bool
        Whether a slot that has been written can't be read: there may be one piece more.
    """

    def __init__(self, path: Path, file: File, asked: Asked, head: int, sync: bool) -> None:
        self.path, self.file, self.asked, self.sync = path, file, asked, sync
        self._slots = -(-head // PAGE) * PAGE
        self.saved, self._number, self.torn = 0, 0, False
        for which in (0, 1):
            slot = self._slot(which)
            if slot is None:
                self.torn = True
            elif slot[0] > self._number:
                self._number, self.saved = slot

    @property
    def counts(self) -> bool:
        """Whether there is a slot that tells how many bytes there are."""
        return self._number > 0

    @property
    def _originals(self) -> int:
        return self._slots + 2 * PAGE

    def _slot(self, which: int) -> tuple[int, int] | None:
        """A slot's number and what it counts, zeros if it has not been written, None if it can't be read."""
        slot = bytearray(SLOT.size + 4)
        place = self._slots + which * PAGE
        if os.fstat(self.file.fileno()).st_size >= place + len(slot):
            _disk.read_at(self.file, place, slot)
        if any(slot) and zlib.crc32(slot[: SLOT.size]) != int.from_bytes(slot[SLOT.size :], "little"):
            return None
        return SLOT.unpack_from(slot)

    def reserve(self, nbytes: int) -> None:
        """Make sure that there is room for so many bytes of originals."""
        way_out = "write to another disk with out= (-o), or do without a journal, journal=False (--no-journal)"
        _disk.reserve(self.file, self._originals, nbytes, f"journal ({self.path.name})", way_out)

    def save(self, first: int, original: Any) -> None:
        """Keep the original bytes from `first` on, and count them once they are kept."""
        _disk.write_at(self.file, self._originals + first, original)
        self._barrier()
        self.mark(first + memoryview(original).nbytes)
        self._barrier()

    def mark(self, saved: int) -> None:
        number = self._number + 1
        slot = SLOT.pack(number, saved)
        _disk.write_at(self.file, self._slots + number % 2 * PAGE, slot + zlib.crc32(slot).to_bytes(4, "little"))
        self.saved, self._number = saved, number

    def holds(self, first: int, nbytes: int) -> bool:
        """Whether there are, or is room for, so many bytes of originals from `first` on."""
        return os.fstat(self.file.fileno()).st_size >= self._originals + first + nbytes

    def original(self, first: int, memory: Any) -> None:
        """Read kept bytes from `first` on."""
        _disk.read_at(self.file, self._originals + first, memory)

    def _barrier(self) -> None:
        if self.sync:
            _disk.sync(self.file)

    def begin(self) -> None:
        """Return once the journal is there whatever happens to the machine, if that was asked."""
        if self.sync:
            _disk.sync(self.file)
            _disk.sync_folder(self.path.parent)

    def gone(self) -> bool:
        """Whether it has been taken away, as the last step of what it was for."""
        return self.file.closed or not _disk.is_named(self.file, self.path)

    def remove(self) -> None:
        self.path.unlink()
        if self.sync:
            _disk.sync_folder(self.path.parent)
        self.file.close()

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def samples(file: File, size: int, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Offsets and CRC-32s of pages all over a file, the bytes [first, last) left out."""
    for offset in sorted({number * max(size - PAGE, 0) // (SAMPLES - 1) for number in range(SAMPLES)}):
        length = min(PAGE, size - offset)
        if first == last or offset + length <= first or last <= offset:
            page = bytearray(length)
            _disk.read_at(file, offset, page)
            yield offset, zlib.crc32(page)
