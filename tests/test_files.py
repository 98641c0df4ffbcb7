"""posenc.files: the bits of one call in either format, what is refused, and what kills and power failures leave."""

from __future__ import annotations

import contextlib
import dataclasses
import doctest
import errno
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import posenc.files
import pytest
from posenc import _conventions, _notes
from posenc.files import _disk, _formats, _in_place, _journal, _sums

from .arrays import FLOATS, assert_same_bits, noise
from .killing import journal_of

IMAGE = posenc.Encoding(axes=2)
SAFE = {"float32": "F32", "float64": "F64", "float16": "F16", "bfloat16": "BF16"}
FORMATS = [".npy", ".safetensors"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sums, "BLOCK_BYTES", 100)
    monkeypatch.setattr(_in_place, "BLOCK_BYTES", 100)
    monkeypatch.setattr(_in_place, "SYNCED_BYTES", 300)
    monkeypatch.setattr(_disk, "sync", lambda _: None)  # which takes a disk its time
    monkeypatch.setattr(_disk, "sync_folder", lambda _: None)


def safetensors(path: Path, tensors: dict[str, np.ndarray], metadata: Any = None, padding: int = 0) -> None:
    """A file as the format's page describes it; without padding, tensors lie where they come to lie."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    place = 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": SAFE.get(array.dtype.name, "U8"),
            "shape": list(array.shape),
            "data_offsets": [place, place + array.nbytes],
        }
        place += array.nbytes
    text = json.dumps(header).encode() + b" " * padding
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in tensors.values()))


def write(path: Path, x: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, x)
    else:
        safetensors(path, {"odd": np.arange(5, dtype=np.uint8), "x": x, "more": np.arange(3, dtype=np.uint8)})


def read(path: Path, like: np.ndarray) -> np.ndarray:
    """Behind everybody's back: the array lies before the last 3 bytes, or at the end."""
    data = path.read_bytes()
    end = len(data) - (0 if path.suffix == ".npy" else 3)
    return np.frombuffer(data[end - like.nbytes : end], like.dtype).reshape(like.shape)


def options(path: Path) -> dict[str, Any]:
    return {} if path.suffix == ".npy" else {"tensor": "x"}


CASES: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((7, 4), {}),
    ((3, 11, 4), {"start": 5, "x_scale": "sqrt_dim"}),
    ((3, 11, 4), {"start": 0.1}),
    ((2, 3, 11, 4), {"encoding": "whisper"}),
    ((11, 3, 4), {"seq_axis": 0, "start": -3}),
    ((3, 11, 2, 4), {"seq_axis": 1, "start": 0.1}),
    ((2, 3, 80), {"start": 2**45}),
    ((2, 5, 7, 8), {"encoding": IMAGE, "start": (3, 0.1)}),
    ((2, 5, 7, 8), {"encoding": IMAGE, "start": 9}),
    ((5, 7, 8), {"encoding": IMAGE, "seq_axis": (0, 1)}),
    ((5, 2, 7, 8), {"encoding": IMAGE, "seq_axis": (0, 2)}),
    ((3, 11, 4), {"encoding": posenc.Encoding(position_offset=0.3), "start": 2}),
    ((0, 4), {}),
    ((3, 1, 1), {}),
]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "keywords"), CASES, ids=lambda value: repr(value)[:40])
def test_a_sum_has_the_bits_of_one_call(
    tmp_path: Path, shape: tuple[int, ...], keywords: dict[str, Any], dtype: Any, suffix: str
) -> None:
    x = noise(shape, dtype)
    if suffix == ".npy" and x.dtype.name == "bfloat16":
        pytest.skip(".npy has no bfloat16")
    path, out = tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    write(path, x)
    before, want = path.read_bytes(), posenc.add(x, **keywords)
    done = posenc.files.add(path, out, **options(path), **keywords)
    assert (done.shape, done.dtype, done.nbytes) == (shape, x.dtype.name, x.nbytes)
    assert path.read_bytes() == before
    assert_same_bits(read(out, x), want)
    for journal in (True, False):
        path.write_bytes(before)
        told: list[int] = []

        def tell(done: int, total: int, told: list[int] = told) -> None:
            told.append(done)

        posenc.files.add(path, in_place=True, journal=journal, progress=tell, **options(path), **keywords)
        assert path.read_bytes() == out.read_bytes()
        assert told == sorted(told)
        assert (told or [0])[-1] == x.nbytes
    assert sorted(os.listdir(tmp_path)) == [path.name, out.name]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("start", [0, 7, 0.1])
def test_a_table_has_the_bits_of_one_call(tmp_path: Path, dtype: str, suffix: str, start: float) -> None:
    path = tmp_path / f"pe{suffix}"
    path.write_text("what was there")
    if (suffix, dtype) == (".npy", "bfloat16"):
        with pytest.raises(TypeError, match=r"^dtype: .*\.safetensors"):
            posenc.files.encode(path, 23, 6, dtype=dtype)
        assert path.read_text() == "what was there"
        return
    pytest.importorskip("ml_dtypes")
    posenc.files.encode(path, 23, 6, dtype=dtype, start=start, encoding="whisper", name="k\u00e9y")
    want = posenc.encode(23, 6, dtype=dtype, start=start, encoding="whisper")
    assert_same_bits(np.array(posenc.files.load(path)), want)
    if suffix == ".npy":
        assert_same_bits(np.load(path), want)
    assert os.listdir(tmp_path) == [path.name]


def test_other_readers_take_it(tmp_path: Path) -> None:
    safe_open = pytest.importorskip("safetensors", reason="safetensors is not installed").safe_open
    path = tmp_path / "pe.safetensors"
    posenc.files.encode(path, 23, 6)
    with safe_open(path, "np") as file:
        assert list(file.keys()) == ["pe"]
        assert_same_bits(file.get_tensor("pe"), posenc.encode(23, 6))


def test_every_encoding_survives_a_journal() -> None:
    for row in _conventions.ROWS:
        from posenc.cli.encodings import example

        encoding = example(row)[1]
        assert posenc.Encoding(**json.loads(json.dumps(dataclasses.asdict(encoding)))) == encoding


def test_links_are_followed(tmp_path: Path) -> None:
    x = noise((7, 4), np.float32)
    write(tmp_path / "x.npy", x)
    (tmp_path / "link.npy").symlink_to("x.npy")
    posenc.files.add(tmp_path / "link.npy", in_place=True)
    assert_same_bits(np.load(tmp_path / "x.npy"), posenc.add(x))
    posenc.files.encode(tmp_path / "link.npy", 3, 4)
    assert (tmp_path / "link.npy").is_symlink()
    assert_same_bits(np.load(tmp_path / "x.npy"), posenc.encode(3, 4))


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_refusals_change_nothing(tmp_path: Path) -> None:
    x = noise((7, 4), np.float32)
    path = tmp_path / "x.npy"
    write(path, x)
    files: dict[str, Any] = {
        "foreign.npy": x.astype(">f4" if sys.byteorder == "little" else "<f4"),
        "ints.npy": x.astype(np.int32),
        "words.npy": np.zeros((3, 4), np.uint16),
        "fortran.npy": np.asfortranarray(x),
        "bfloat16.npy": np.zeros((3, 4), "V2"),
        "flat.npy": x[0],
        "narrow.npy": x[:, :0],
        "fields.npy": np.zeros(3, [("a", np.float32)]),
    }
    for name, array in files.items():
        np.save(tmp_path / name, array)
    np.save(tmp_path / "objects.npy", np.array([[None, 1], [2, 3]]), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=x)
    whole = path.read_bytes()
    (tmp_path / "negative.npy").write_bytes(whole.replace(b"(7, 4), ", b"(-7, 4),"))
    (tmp_path / "true.npy").write_bytes(whole.replace(b"(7, 4), } ", b"(True, 4)}"))
    (tmp_path / "new.npy").write_bytes(whole.replace(b"NUMPY\1", b"NUMPY\4"))
    (tmp_path / "cut.npy").write_bytes(whole[:-1])
    (tmp_path / "head.npy").write_bytes(whole[:20])
    (tmp_path / "open.npy").write_bytes(whole[:10] + b"(" * 117 + b"\n")
    (tmp_path / "short.safetensors").write_bytes(b"\x05\x00\x00")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "long.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}")
    (tmp_path / "list.safetensors").write_bytes(struct.pack("<Q", 2) + b"[]")
    (tmp_path / "deep.safetensors").write_bytes(struct.pack("<Q", 100_000) + b"[" * 100_000)
    write(tmp_path / "x.safetensors", x)
    text = json.dumps({name: {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]} for name in "xy"}).encode()
    (tmp_path / "shared.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    text = json.dumps({"x": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "wrong.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    place = {"in_place": True}
    cases: list[tuple[Any, dict[str, Any], str]] = [
        ("x.npy", {}, "^out: .*in_place=True"),
        ("x.npy", {"out": path}, "^out: expected another file"),
        ("x.npy", {"out": tmp_path / "y.safetensors"}, r"^out: .*'\.npy'"),
        ("x.npy", {"out": tmp_path}, "^out: .*folder"),
        ("x.npy", {"out": tmp_path / "no" / "y.npy"}, "^out: .*folder that exists"),
        ("x.npy", {"out": os.devnull}, r"^out: .*(regular|ends in)"),
        ("x.npy", {"out": tmp_path / "y.npy", **place}, "^out: .*both"),
        ("x.npy", {"resume": True, "undo": True}, "^resume, undo: .*both"),
        ("x.npy", {"resume": True}, "^journal: expected .*got none"),
        ("x.npy", {"undo": True, **place}, "^journal: expected .*got none"),
        ("x.npy", {"journal": False, "sync": True, **place}, "^journal: expected True"),
        ("x.npy", {"tensor": "x", **place}, "^tensor: expected None"),
        ("x.npy", {"start": np.nan, **place}, "^start: "),
        ("x.npy", {"start": [1, 2], **place}, "^start: expected a number"),
        ("x.npy", {"start": 2**53, **place}, "^start: "),
        ("x.npy", {"x_scale": np.inf, **place}, "^x_scale: "),
        ("x.npy", {"x_scale": None, **place}, "^x_scale: "),
        ("x.npy", {"encoding": "rope", **place}, "^encoding: "),
        ("x.npy", {"seq_axis": 1, **place}, "^seq_axis: "),
        ("x.npy", {"encoding": IMAGE, **place}, "^path: expected 2 axes"),
        ("none.npy", place, "No such file"),
        (".", place, "^path: expected a regular file"),
        (os.devnull, place, "^path: expected a regular file"),
        ("", place, "^path: expected a regular file"),
        ("x\0.npy", place, "^path: .*zero byte"),
        (3.5, place, "^path: expected the path of a file, got 3.5"),
        ("x.npy", {"out": 3.5}, "^out: expected the path of a file, got 3.5"),
        ("x.npz", place, r"^path: .*np\.save"),
        ("foreign.npy", place, "^path: .*native byte order.*astype"),
        ("ints.npy", place, "^path: expected float32.*int32"),
        ("words.npy", place, "^path: expected float32.*uint16"),
        ("bfloat16.npy", place, r"^path: .*\.npy has no bfloat16"),
        ("fortran.npy", place, "^path: expected an array in C order"),
        ("flat.npy", place, r"^path: expected at least 2 dimensions.*np\.load\(path\)\[None\]"),
        ("narrow.npy", place, "^path: expected .* 1 channel"),
        ("fields.npy", place, r"^path: .*np\.load\(path\)\['a'\]"),
        ("objects.npy", place, "^path: .*Python objects"),
        ("true.npy", place, r"^path: .*\(True, 4\)"),
        ("new.npy", place, "^path: .*version is 4.0"),
        ("cut.npy", place, "^path: expected 112 bytes.*cut"),
        ("negative.npy", place, r"^path: .*\(-7, 4\)"),
        ("head.npy", place, "^path: expected the header"),
        ("open.npy", place, "^path: expected the header"),
        ("x.safetensors", place, "^tensor: .*3 tensors.*more, odd, x"),
        ("x.safetensors", {"tensor": "y", **place}, "^tensor: .*more, odd, x"),
        ("x.safetensors", {"tensor": "odd", **place}, "^path: expected float32.*uint8"),
        ("shared.safetensors", {"tensor": "x", **place}, "^path: .*share no bytes"),
        ("wrong.safetensors", place, "^path: expected 16 bytes of 'x'"),
        *((f"{name}.safetensors", place, "^path: expected the header") for name in ("short", "empty", "long", "list")),
        ("deep.safetensors", place, "^path: expected the header"),
    ]
    for name, keywords, match in cases:
        path = tmp_path / name if isinstance(name, str) and name else name
        with pytest.raises((TypeError, ValueError, OSError), match=match):
            posenc.files.add(path, **keywords)
    with pytest.raises(TypeError, match="Python objects"):  # they are addresses, which a map would follow
        posenc.files.load(tmp_path / "objects.npy")
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_read_only(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    write(path, noise((7, 4), np.float32))
    before = path.read_bytes()
    path.chmod(0o444)
    with pytest.raises(PermissionError, match=r"^path: .*read-only; .*out="):
        posenc.files.add(path, in_place=True)
    posenc.files.add(path, tmp_path / "y.npy")
    with pytest.raises(PermissionError, match=r"^out: .*read-only"):
        posenc.files.add(tmp_path / "y.npy", path)
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["x.npy", "y.npy"]


@pytest.mark.parametrize("name", [None, 5, "", "__metadata__", "\udcff"])
def test_names_that_no_tensor_has(tmp_path: Path, name: Any) -> None:
    for suffix in FORMATS:
        with pytest.raises((TypeError, ValueError), match=r"^name: .*'pe' would do"):
            posenc.files.encode(tmp_path / f"pe{suffix}", 3, 4, name=name)
    assert not os.listdir(tmp_path)


def test_a_folder_in_which_no_file_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npy"
    write(path, noise((7, 4), np.float32))
    before = path.read_bytes()

    def refuse(*_: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(_disk, "create", refuse)
        patch.setattr(_journal, "_unnamed", refuse)
        with pytest.raises(PermissionError, match=r"journal: expected a folder .*out=.*journal=False"):
            posenc.files.add(path, in_place=True)
        with pytest.raises(PermissionError, match=r"out: expected a folder .*another folder"):
            posenc.files.add(path, tmp_path / "y.npy")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.npy"]


@pytest.mark.skipif(not hasattr(os, "fchown"), reason="no owners and permissions here")
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_permissions_are_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, named: bool
) -> None:
    if named:
        monkeypatch.setattr(_journal, "DESCRIPTORS", "/nowhere")
    path, out = tmp_path / "x.npy", tmp_path / "y.npy"
    for file in (path, out):
        write(file, noise((7, 40), np.float32))
        file.chmod(mode)
        if os.geteuid() == 0:
            os.chown(file, 1234, 5678)
    wanted = path.stat()
    seen: list[os.stat_result] = []

    def look(done: int, total: int) -> None:
        seen.extend(file.stat() for file in tmp_path.iterdir())

    posenc.files.add(path, out, progress=look)
    posenc.files.add(path, in_place=True, progress=look)
    posenc.files.add(out, in_place=True, journal=False, progress=look)
    assert len(seen) > 10
    for status in (*seen, path.stat(), out.stat()):
        for field in ("st_mode", "st_uid", "st_gid"):
            assert getattr(status, field) == getattr(wanted, field), field


@pytest.mark.skipif(not hasattr(os, "fchown"), reason="no owners and permissions here")
def test_file_systems_that_know_no_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fchmod", refuse)
    x, path, out = noise((7, 40), np.float32), tmp_path / "x.npy", tmp_path / "y.npy"
    write(path, x)
    out.write_text("what was there")
    posenc.files.add(path, out)
    posenc.files.add(path, in_place=True)
    assert_same_bits(np.load(path), posenc.add(x))
    assert_same_bits(np.load(out), posenc.add(x))


def test_a_sparse_file_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npy"
    write(path, noise((60, 40), np.float32))
    before = path.read_bytes()
    Full(monkeypatch, 4000, reserves=True)
    monkeypatch.setattr(_disk, "is_sparse", lambda _: True)
    for journal in (True, False):
        with pytest.raises(OSError, match=r"path \(x\.npy.*full disk"):
            posenc.files.add(path, in_place=True, journal=journal)
        assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.npy"]


class Full:
    """A disk that is full after so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, reserves: bool) -> None:
        self.room = room
        write_at = _disk.write_at

        def limited(file: Any, offset: int, memory: Any) -> None:
            self.room -= memoryview(memory).nbytes
            if self.room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write_at(file, offset, memory)

        def allocate(descriptor: int, offset: int, size: int) -> None:
            if not reserves:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            if size > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(_disk, "write_at", limited)
        monkeypatch.setattr(os, "posix_fallocate", allocate, raising=False)


@pytest.mark.parametrize("reserves", [True, False])
@pytest.mark.parametrize("room", [0, 10, 4000, 13000, 14000])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, reserves: bool) -> None:
    path = tmp_path / "x.npy"
    x = noise((60, 40), np.float32)
    write(path, x)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        Full(patch, min(room, 9000), reserves)
        for call in (
            lambda: posenc.files.add(path, tmp_path / "y.npy"),
            lambda: posenc.files.encode(tmp_path / "y.npy", 60, 40),
        ):
            with pytest.raises(OSError, match=r"full disk|No space"):
                call()
            assert os.listdir(tmp_path) == ["x.npy"]
    with monkeypatch.context() as patch:
        Full(patch, room, reserves)
        with pytest.raises(OSError, match=r"full disk|No space") as caught:
            posenc.files.add(path, in_place=True)
    if path.read_bytes() != before:
        assert not reserves or room > 9600
        assert "--undo" in _notes.of(caught.value)[0]
        posenc.files.add(path, undo=True)
    elif journal_of(path).exists():
        posenc.files.add(path, undo=True)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.npy"]


# ---- what ends a run ------------------------------------------------------------------------------------------------


class Stop(BaseException):
    """As KeyboardInterrupt."""


def stopped(path: Path, **keywords: Any) -> BaseException:
    """A run that ends in its midst."""

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise Stop

    with pytest.raises(Stop) as caught:
        posenc.files.add(path, progress=stop, **keywords)
    return caught.value


def test_an_interrupted_run(tmp_path: Path) -> None:
    x, path = noise((7, 40), np.float32), tmp_path / "x.npy"
    write(path, x)
    before = path.read_bytes()
    error = stopped(path, in_place=True, start=3, encoding="whisper")
    assert "--resume" in _notes.of(error)[0]
    half = path.read_bytes()
    for refused in (
        lambda: posenc.files.add(path, in_place=True),
        lambda: posenc.files.add(path, in_place=True, journal=False),
        lambda: posenc.files.add(path, tmp_path / "y.npy"),
        lambda: posenc.files.encode(path, 3, 4),
        lambda: posenc.files.load(path),
    ):
        with pytest.raises(FileExistsError, match=r"resume=True.*undo=True"):
            refused()
    for keywords in ({"start": 4}, {"encoding": "mae2d"}, {"x_scale": 2.0}, {"seq_axis": 0, "encoding": "paper"}):
        with pytest.raises(ValueError, match=r"^(start|encoding|x_scale): "):
            posenc.files.add(path, resume=True, **keywords)
    assert path.read_bytes() == half
    for keywords in ({}, {"start": 3, "encoding": "whisper", "in_place": True}):
        journal = journal_of(path).read_bytes()
        posenc.files.add(path, resume=True, **keywords)
        assert_same_bits(np.load(path), posenc.add(x, start=3, encoding="whisper"))
        path.write_bytes(half)
        journal_of(path).write_bytes(journal)
    stopped(path, undo=True)
    posenc.files.add(path, undo=True)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.npy"]
    assert "no journal" in _notes.of(stopped(path, in_place=True, journal=False))[0]


@pytest.mark.parametrize("undo", [False, True])
def test_an_interruption_after_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undo: bool) -> None:
    """A signal waits until the journal, which may be large, has been taken away."""
    path, unlink = tmp_path / "x.npy", Path.unlink
    x = noise((7, 40), np.float32)
    write(path, x)
    stopped(path, in_place=True)

    def interrupted(self: Path, **keywords: Any) -> None:
        unlink(self, **keywords)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", interrupted)
        with pytest.raises(Stop) as caught:
            posenc.files.add(path, resume=not undo, undo=undo)
    assert "is whole all the same" in _notes.of(caught.value)[0]
    assert_same_bits(np.load(path), x if undo else posenc.add(x))
    with pytest.raises(FileNotFoundError, match=r"^journal: expected .*got none"):
        posenc.files.add(path, resume=True)


def test_an_interruption_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, link = tmp_path / "x.npy", _journal._link
    write(path, noise((7, 40), np.float32))
    before = path.read_bytes()

    def interrupted(*arguments: Any) -> None:
        link(*arguments)
        raise Stop

    def no_memory(*arguments: Any, **keywords: Any) -> Any:
        raise MemoryError

    for module, name, value in ((_journal, "_link", interrupted), (np, "empty", no_memory)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            with pytest.raises((Stop, MemoryError)):
                posenc.files.add(path, in_place=True)
        assert os.listdir(tmp_path) == ["x.npy"]
        assert path.read_bytes() == before


def test_an_interrupted_new_file(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    write(path, noise((7, 40), np.float32))
    (tmp_path / "y.npy").write_text("what was there")
    stopped(path, out=tmp_path / "y.npy")
    assert (tmp_path / "y.npy").read_text() == "what was there"
    assert sorted(os.listdir(tmp_path)) == ["x.npy", "y.npy"]


def test_a_file_that_was_changed_since(tmp_path: Path) -> None:
    path, header = tmp_path / "x.npy", 128
    write(path, noise((60, 40), np.float32))
    stopped(path, in_place=True)
    half, journal = path.read_bytes(), journal_of(path).read_bytes()
    assert len(half) == header + 9600
    for place in (header, header + 4000, header + 9599, 30):
        changed = bytearray(half)
        changed[place] ^= 1
        path.write_bytes(changed)
        for keywords in ({"resume": True}, {"undo": True}):
            with pytest.raises(ValueError, match=r"^path: ") as caught:
                posenc.files.add(path, **keywords)
            assert path.read_bytes() == changed, place
        assert "; " in str(caught.value)
    write(path, noise((61, 40), np.float32))
    with pytest.raises(ValueError, match=r"^path: expected the file that the journal is of"):
        posenc.files.add(path, undo=True)
    path.write_bytes(half)
    for place in (3, 20, 60):  # of the head
        damaged = bytearray(journal)
        damaged[place] ^= 1
        journal_of(path).write_bytes(damaged)
        with pytest.raises(ValueError, match=r"^journal: .*damaged"):
            posenc.files.add(path, undo=True)
    assert path.read_bytes() == half


def test_a_file_that_was_changed_before_anything_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    write(path, noise((60, 40), np.float32))
    with open(path, "r+b", buffering=0) as file:
        found = _formats.find(file, path, None)
        todo = _sums.plan(found.shape, found.dtype, "path", x_scale=1.0)
        _in_place.begin(file, found, todo, sync=False).close()
    changed = bytearray(path.read_bytes())
    changed[130] ^= 1
    path.write_bytes(changed)
    for keywords in ({"resume": True}, {"undo": True}):
        with pytest.raises(ValueError, match=r"^path: .*changed since"):
            posenc.files.add(path, **keywords)
    assert path.read_bytes() == changed


@pytest.mark.parametrize("reserves", [True, False])
def test_damaged_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reserves: bool) -> None:
    """A slot that can't be read may have counted a piece that is in the file by now."""
    if not reserves:
        monkeypatch.setattr(_disk, "reserve", lambda *_: None)
    x, path = noise((60, 40), np.float32), tmp_path / "x.npy"
    write(path, x)
    before, after = path.read_bytes(), None
    stopped(path, in_place=True, start=0.5)
    half, journal = path.read_bytes(), journal_of(path).read_bytes()
    with _journal.load(journal_of(path)) as opened:
        slots = opened._slots
    write(path, posenc.add(x, start=0.5))
    after = path.read_bytes()
    for damaged in ((0,), (1,), (0, 1)):
        for keywords, wanted in (({"resume": True}, after), ({"undo": True}, before)):
            changed = bytearray(journal)
            for slot in damaged:
                changed[slots + slot * _journal.PAGE + 8] ^= 1
            path.write_bytes(half)
            journal_of(path).write_bytes(changed)
            if len(damaged) == 2:
                with pytest.raises(ValueError, match=r"^journal: .*slots are damaged"):
                    posenc.files.add(path, **keywords)
                assert path.read_bytes() == half
            else:
                posenc.files.add(path, **keywords)
                assert path.read_bytes() == wanted, damaged


def test_a_journal_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    write(path, noise((60, 40), np.float32))
    stopped(path, in_place=True)
    half, journal = path.read_bytes(), journal_of(path).read_bytes()
    _, length, _ = _journal.HEAD.unpack_from(journal)
    asked = json.loads(journal[_journal.HEAD.size :][:length])
    needed = asked.keys() - {"file", "sync", "tensor"}
    others: list[dict[str, Any]] = [{key: asked[key] for key in asked if key != left} for left in needed]
    others += [asked | {"encoding": asked["encoding"] | {"new": 1}}, asked | {"step": "1"}, asked | {"start": []}]
    for other in others:
        text = json.dumps(other).encode()
        head = _journal.HEAD.pack(_journal.MAGIC, len(text), zlib.crc32(text)) + text
        journal_of(path).write_bytes(head.ljust(_journal.PAGE, b"\0") + journal[_journal.PAGE :])
        with pytest.raises(ValueError, match=r"^journal: .*the version that began it"):
            posenc.files.add(path, undo=True)
        assert path.read_bytes() == half


@pytest.mark.skipif(_disk.fcntl is None, reason="no advisory locks here")
def test_two_processes(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    write(path, noise((60, 40), np.float32))
    with open(path, "rb") as other:
        _disk.lock(other, "path")
        for keywords in ({"in_place": True}, {"out": tmp_path / "y.npy"}):
            with pytest.raises(BlockingIOError, match=r"^path: .*wait"):
                posenc.files.add(path, **keywords)
        with pytest.raises(BlockingIOError, match=r"^out: .*wait"):
            posenc.files.encode(path, 3, 4)
    refused: list[str] = []

    def change_meanwhile(done: int, total: int) -> None:
        with pytest.raises(BlockingIOError, match=r"^path: .*wait") as caught:
            posenc.files.add(path, in_place=True)
        refused.append(str(caught.value))

    posenc.files.encode(path, 60, 40, progress=change_meanwhile)
    assert refused
    stopped(path, in_place=True)
    with open(journal_of(path), "rb") as other:
        _disk.lock(other, "journal")
        with pytest.raises(BlockingIOError, match=r"^journal: .*wait"):
            posenc.files.add(path, resume=True)
    posenc.files.add(path, resume=True)


@pytest.mark.skipif(_disk.fcntl is None, reason="no advisory locks here")
def test_a_file_that_is_replaced_just_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lock = tmp_path / "x.npy", _disk.lock
    write(path, noise((60, 40), np.float32))
    write(tmp_path / "y.npy", noise((3, 4), np.float32))
    before = path.read_bytes(), (tmp_path / "y.npy").read_bytes()

    def replaced(*arguments: Any) -> None:
        os.rename(path, tmp_path / "z.npy")
        os.rename(tmp_path / "y.npy", path)
        lock(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(_disk, "lock", replaced)
        with pytest.raises(BlockingIOError, match=r"^path: .*replaced; try again"):
            posenc.files.add(path, in_place=True)
    assert ((tmp_path / "z.npy").read_bytes(), path.read_bytes()) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_some_steps() -> None:
    """At every step: nox -s kills, which also kills real runs."""
    command = [sys.executable, "-m", "tests.killing", "steps", "--every", "9"]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("steps\n")


# ---- power failures -------------------------------------------------------------------------------------------------

SECTOR = 512


class Disk:
    """What is on a disk for sure, and what was handed to the system since: of which any sectors may be there or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.path, self.pending = path, []
        self.durable: dict[str, bytearray] = {"data": bytearray(path.read_bytes()), "journal": bytearray()}
        self.named = False  # whether the journal's name is there for sure
        self.states: list[Any] = []
        write_at, sync, sync_folder = _disk.write_at, _disk.sync, _disk.sync_folder

        def which(file: Any) -> str:
            return "data" if os.path.samefile(file.fileno(), path) else "journal"

        def note_write(file: Any, offset: int, memory: Any) -> None:
            write_at(file, offset, memory)
            self.pending.append((which(file), offset, bytes(memory)))
            self.states.append(self.snapshot())

        def note_sync(file: Any) -> None:
            sync(file)
            name = which(file)
            for other, offset, data in self.pending:
                if other == name:
                    put(self.durable[name], offset, data)
            self.pending = [entry for entry in self.pending if entry[0] != name]
            self.states.append(self.snapshot())

        def note_folder(folder: Path) -> None:
            sync_folder(folder)
            self.named = journal_of(path).exists()
            self.states.append(self.snapshot())

        monkeypatch.setattr(_disk, "write_at", note_write)
        monkeypatch.setattr(_disk, "sync", note_sync)
        monkeypatch.setattr(_disk, "sync_folder", note_folder)

    def snapshot(self) -> Any:
        linked = journal_of(self.path).exists()
        return {name: bytes(data) for name, data in self.durable.items()}, list(self.pending), self.named, linked


def put(memory: bytearray, offset: int, data: bytes) -> None:
    memory.extend(bytes(max(0, offset + len(data) - len(memory))))
    memory[offset : offset + len(data)] = data


def after_a_failure(state: Any, random: np.random.Generator) -> tuple[bytes, bytes | None]:
    """The file and the journal as they may be found."""
    durable, pending, named, linked = state
    found = {name: bytearray(data) for name, data in durable.items()}
    share = random.choice([0.0, 0.3, 0.7, 1.0])
    for name, offset, data in pending:
        place = offset
        while place < offset + len(data):
            end = min((place // SECTOR + 1) * SECTOR, offset + len(data))
            if random.random() < share:
                put(found[name], place, data[place - offset : end - offset])
            place = end
    there = named if named == linked else bool(random.integers(2))
    return bytes(found["data"]), bytes(found["journal"]) if there else None


def test_power_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_in_place, "SYNCED_BYTES", 4000)
    path = tmp_path / "x.npy"
    x = noise((90, 40), np.float32)
    write(path, x)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        disk = Disk(patch, path)
        posenc.files.add(path, in_place=True, sync=True, start=0.5)
    after = path.read_bytes()
    random, journals = np.random.default_rng(0), 0
    for state in disk.states * 3:
        data, journal = after_a_failure(state, random)
        if journal is None:
            assert data in (before, after)
            continue
        for undo in (True, False):
            path.write_bytes(data)
            journal_of(path).write_bytes(journal)
            if not state[2] and _torn(journal_of(path)):
                assert data == before  # nothing has been written before the journal was there for sure
                continue
            journals += 1
            posenc.files.add(path, resume=not undo, undo=undo)
            assert path.read_bytes() == (before if undo else after)
    assert journals > 30


def _torn(path: Path) -> bool:
    try:
        _journal.load(path).close()
    except ValueError:
        path.unlink()
        return True
    return False


@pytest.mark.parametrize("descriptors", [_journal.DESCRIPTORS, "/nowhere", os.devnull])
def test_slots_are_written_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descriptors: str) -> None:
    monkeypatch.setattr(_journal, "DESCRIPTORS", descriptors)  # without them, or if they can't be linked: a name
    path = tmp_path / "journal"
    like = os.stat(tmp_path)
    with _journal.create(path, {"sync": False}, like, sync=False) as journal:
        for count in (10, 20, 30):
            journal.mark(count)
        slots = journal._slots
    whole = path.read_bytes()
    with _journal.load(path) as journal:
        assert journal.saved == 30
    for slot, left in ((0, 20), (1, 30)):
        torn = bytearray(whole)
        torn[slots + slot * _journal.PAGE] ^= 1
        path.write_bytes(torn)
        with _journal.load(path) as journal:
            assert journal.saved == left, slot
    with pytest.raises(FileExistsError):
        _journal.create(path, {"sync": False}, like, sync=False)
    assert os.listdir(tmp_path) == ["journal"]


def test_docstrings() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as report:
        failed, tried = doctest.testmod(posenc.files, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed, report.getvalue()
    assert tried


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    os.mkfifo(tmp_path / "x.npy")
    for call in (posenc.files.load, lambda path: posenc.files.add(path, in_place=True)):
        with pytest.raises(ValueError, match="regular file"):
            call(tmp_path / "x.npy")


def test_headers_are_aligned(tmp_path: Path) -> None:
    for name in ("p", "pe", "a long name, with \u00e9"):
        head = _formats.header(tmp_path / "pe.safetensors", name, (3, 4), np.dtype(np.float32))
        assert len(head) % 8 == 0
