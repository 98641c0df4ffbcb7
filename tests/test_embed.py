"""`embed` is table[ids] with positions, bit for bit, and writes nothing before every id is known to be right."""

from __future__ import annotations

import contextlib
import functools
import math
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest
from numpy.lib.stride_tricks import as_strided
from posenc import _backend

from . import backends
from .arrays import FLOATS, Case, assert_same_bits, awkward, contiguous, noise
from .truth import encoding
from .ways import follow, ways

V = 97
SHAPES = [(1, 1), (8, 1), (7,), (3, 50), (2, 3, 100), (1, 300), (6, 130), (0, 4), (3, 0)]
DIMS = [1, 2, 7, 33, 64, 513, 1100]


def tokens(shape: tuple[int, ...], seed: int = 0, count: int = V) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, count, shape)


def want(ids: np.ndarray, table: np.ndarray, mask: Any = None, **said: Any) -> np.ndarray:
    """What three steps make: rows, sums, zeros."""
    real = np.broadcast_to(True if mask is None else np.asarray(mask) != 0, ids.shape)
    rows = table[np.where(real, ids, 0)]
    sums = posenc.add(rows, **said, backend="numpy") if rows.size else rows
    sums[~real] = 0
    return sums


def hidden(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The ids with anything in the place of padding."""
    junk = np.resize([-100, V, -1, 2**62, -(2**63)], ids.shape)
    return np.where(np.broadcast_to(mask, ids.shape), ids, junk)


# ---- results --------------------------------------------------------------------------------------------------------


@functools.cache  # the next backend asks for the same again
def plain_case(shape: tuple[int, ...], dim: int, dtype: Any) -> tuple[np.ndarray, np.ndarray, dict[str, Any], Any]:
    generator = np.random.default_rng(3)
    table, ids = noise((V, dim), dtype), tokens(shape)
    stand: list[dict[str, Any]] = [
        {},
        {"start": 5, "x_scale": "sqrt_dim"},
        {"start": generator.integers(-9, 9, shape[:-1]), "x_scale": -0.3},
        {"positions": generator.permutation(shape[-1])},
        {"positions": generator.standard_normal(shape), "x_scale": 2},
        {"cu_seqlens": [0, shape[-1] // 3, shape[-1]], "encoding": "whisper" if dim % 2 == 0 else None},
    ]
    said = stand[(dim + len(shape)) % len(stand)]
    with np.errstate(all="ignore"):
        return ids, table, said, want(ids, table, **said)


@pytest.mark.parametrize("dtype", FLOATS)
def test_embed_equals_add_of_the_rows(dtype: Any, backend: str | None) -> None:
    for shape in SHAPES:
        for dim in DIMS if backend not in ("numba", "numpy") else DIMS[3:5]:
            ids, table, said, expected = plain_case(shape, dim, dtype)
            with np.errstate(all="ignore"):
                assert_same_bits(posenc.embed(ids, table, backend=backend, **said), expected, (shape, dim, said))


@pytest.mark.parametrize("dtype", FLOATS)
def test_rows_without_a_token_are_zero(dtype: Any, backend: str | None) -> None:
    generator = np.random.default_rng(4)
    table = noise((V, 40), dtype)
    for shape in [(1, 1), (5,), (2, 3, 90)]:
        for form in [shape, shape[-1:], (*shape[:-1], 1), (1,) * (len(shape) - 1) + shape[-1:]]:
            for share in (0.0, 0.6, 1.0):
                mask = generator.random(form) < share
                ids = hidden(tokens(shape), mask)
                out = np.full((*shape, 40), 7.5, dtype)
                with np.errstate(all="ignore"):
                    said: dict[str, Any] = {"x_scale": "sqrt_dim", "start": 2}
                    posenc.embed(ids, table, out=out, mask=mask, backend=backend, **said)
                    assert_same_bits(out, want(ids, table, mask, **said))
                    positions = np.where(np.broadcast_to(mask, shape), generator.standard_normal(shape), np.nan)
                    got = posenc.embed(ids, table, mask=mask.astype(np.int8), positions=positions, backend=backend)
                    known = np.where(np.isnan(positions), 0, positions)
                    assert_same_bits(got, want(ids, table, mask, positions=known))


def test_no_token_at_all(backend: str | None) -> None:
    table = np.ones((0, 8), np.float32)
    got = posenc.embed([[-1, 5]], table, mask=[[0]], backend=backend)
    assert_same_bits(got, np.zeros((1, 2, 8), np.float32))
    assert posenc.embed([], table, backend=backend).shape == (0, 8)
    assert posenc.embed(np.zeros((3, 0), np.int8), table, backend=backend).shape == (3, 0, 8)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u2"])
def test_ids_of_every_integer_dtype(kind: str, backend: str | None) -> None:
    table, ids = noise((V, 12), np.float32), tokens((3, 20))
    expected = want(ids, table)
    given = ids.astype(kind)
    strided = np.zeros((20, 6), kind)[:, ::2].T
    strided[...] = given
    for same in (given, strided, np.flip(np.flip(given).copy()), given.tolist()):
        assert_same_bits(posenc.embed(same, table, backend=backend), expected)
    with pytest.raises(IndexError, match=re.escape("ids[0, 0]") if kind[-2] == "i" else "ids"):
        posenc.embed(np.full((2, 2), -1 if kind[-2] == "i" else 2 ** (8 * int(kind[-1])) - 1, kind), table)


@pytest.mark.parametrize("dtype", FLOATS)
def test_any_table_and_any_out(dtype: Any, backend: str | None, tmp_path: Path) -> None:
    shape, ids = (2, 9), tokens((2, 9), count=11)
    plain = np.clip(noise((11, 24), np.float32), -1e3, 1e3).astype(dtype)
    expected = want(ids, plain, x_scale=3, start=-2)
    for case in awkward((11, 24), dtype, tmp_path):
        case.put(plain)
        assert_same_bits(posenc.embed(ids, case.array, x_scale=3, start=-2, backend=backend), expected, case.label)
        case.assert_untouched()
    for case in awkward((*shape, 24), dtype, tmp_path):
        assert posenc.embed(ids, plain, out=case.array, x_scale=3, start=-2, backend=backend) is case.array
        case.assert_canaries_alive()
        assert_same_bits(case.array, expected, case.label)


def test_a_table_that_is_read_only_or_broadcast(backend: str | None) -> None:
    ids = tokens((2, 5))
    row = noise((1, 16), np.float32)
    table = np.broadcast_to(row, (V, 16))
    assert_same_bits(posenc.embed(ids, table, backend=backend), want(ids, table))
    one = np.broadcast_to(np.float32(2), (V, 16))
    assert_same_bits(posenc.embed(ids, one, backend=backend), want(ids, one))


def test_a_memory_map(tmp_path: Path, backend: str | None) -> None:
    values = noise((V, 16), np.float32)
    np.save(tmp_path / "table.npy", values)
    table = np.load(tmp_path / "table.npy", mmap_mode="r")
    ids = tokens((3, 7))
    got = posenc.embed(ids, table, backend=backend)
    assert type(got) is np.ndarray
    assert_same_bits(got, want(ids, values))


def test_it_is_the_encoding_that_is_added(backend: str | None) -> None:
    ids, table = np.zeros((1, 9), np.int8), noise((1, 6), np.float32)
    truth = encoding(range(10**6, 10**6 + 9), 6).float32()
    got = posenc.embed(ids, table, start=10**6, x_scale=-0.7, backend=backend)
    assert_same_bits(got[0], table * np.float32(-0.7) + truth)


# ---- large results: past the caches, in pieces, on several threads --------------------------------------------------


def streamed(ids: np.ndarray, table: np.ndarray, out: np.ndarray, positions: np.ndarray, scale: float) -> None:
    """What `posenc._cpp` does where the result is large."""
    from posenc import _cpp

    made = _cpp._tables[backends.spectrum(table.shape[1])]
    bits = [a.view(np.uint16) if a.dtype.kind == "V" else a for a in (table, out)]
    _cpp._core.embed(made, ids, *bits, positions, scale, True, 1)  # type: ignore[attr-defined]


def tame(dim: int, dtype: Any) -> np.ndarray:
    return np.clip(noise((V, dim), np.float32), -1e3, 1e3).astype(dtype)


@functools.cache
def streamed_case(shape: tuple[int, ...], dim: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    ids = tokens(shape, dim)
    expected = want(ids, tame(dim, dtype), x_scale=3)
    ids[-1, -1] = ids[0, 0] = -1
    expected[-1, -1] = expected[0, 0] = 0
    return ids, expected


@pytest.mark.parametrize("dtype", FLOATS)
def test_past_the_caches(dtype: Any, compiled_backend: str) -> None:
    for dim in (1, 3, 16, 31, 64, 257):
        table = tame(dim, dtype)
        for number, shape in enumerate([(1, 1), (1, 200), (2, 70), (5, 70), (40, 3)]):
            ids, expected = streamed_case(shape, dim, dtype)
            for case in outs((*shape, dim), dtype, dim + number):
                streamed(ids, table, case.array, np.zeros(1), 3.0)
                case.assert_canaries_alive()
                assert_same_bits(case.array, expected, (case.label, dim))
                streamed(ids, table, case.array, np.tile(np.arange(shape[1], dtype=float), (shape[0], 1)), 3.0)
                assert_same_bits(case.array, expected, (case.label, dim))


def outs(shape: tuple[int, ...], dtype: Any, number: int) -> Iterator[Case]:
    """Arrays that begin anywhere in a line, and rows that are not side by side."""
    size = np.dtype(dtype).itemsize
    yield contiguous(shape, dtype, number * size % 64)
    yield contiguous(shape, dtype)
    yield from [case for case in awkward(shape, dtype) if "slice" in case.label or "rows reversed" in case.label]


@pytest.mark.parametrize("shape", [(1, 20_000), (3, 9000), (40, 600), (7000, 3)])
def test_pieces_and_threads(shape: tuple[int, ...], compiled_backend: str) -> None:
    table, ids = noise((V, 70), np.float32), tokens(shape)
    mask = np.random.default_rng(1).random(shape) < 0.8
    expected = want(ids, table, mask, start=3)
    for threads in (1, 3):
        got = posenc.embed(ids, table, mask=mask, start=3, threads=threads, backend=compiled_backend)
        assert_same_bits(got, expected)
    halves = [posenc.embed(part, table, start=3, backend=compiled_backend) for part in np.array_split(ids, 2)]
    assert_same_bits(np.where(mask[..., None], np.concatenate(halves), np.float32(0)), expected)


def test_slices_of_a_sequence(backend: str | None) -> None:
    table, ids = noise((V, 48), np.float32), tokens((200,))
    whole = posenc.embed(ids, table, start=9, x_scale="sqrt_dim", backend=backend)
    for first, last in [(0, 1), (1, 70), (63, 200)]:
        part = posenc.embed(ids[first:last], table, start=9 + first, x_scale="sqrt_dim", backend=backend)
        assert_same_bits(part, whole[first:last])


def test_a_batch_that_takes_many_backend_calls(backend: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posenc._rows.POSITIONS", 64)
    monkeypatch.setattr("posenc._rows.SEQUENCES", 3)
    monkeypatch.setattr("posenc._lookup.CHECKED", 16)
    table, ids = noise((V, 8), np.float32), tokens((2, 5, 50))
    for said in ({}, {"positions": tokens((2, 5, 50), 1) / 3}, {"cu_seqlens": [0, 30, 50]}, {"start": tokens((2, 5))}):
        assert_same_bits(posenc.embed(ids, table, backend=backend, **said), want(ids, table, **said))
    ids[1, 3, 44] = V
    with pytest.raises(IndexError, match=re.escape(f"got ids[1, 3, 44] = {V}")):
        posenc.embed(ids, table, backend=backend or "cpp" if "cpp" not in backends.MISSING else "numpy")


# ---- refusals -------------------------------------------------------------------------------------------------------

WRONG_IDS = [
    (np.array([[3, 4, V, -1]]), "ids[0, 2]", V),
    (np.array([[3, -1, V, 4]]), "ids[0, 1]", -1),
    (np.array([[3, 0, -100, 4]], np.int16), "ids[0, 2]", -100),
    (np.array([[3, 2**63, 0, 4]], np.uint64), "ids[0, 1]", 2**63),
    (np.array([[0, 1, 2, 3], [0, 1, 2, 2**40]]), "ids[1, 3]", 2**40),
    (np.array([0, 1, V + 1]), "ids[2]", V + 1),
    ([[0, 2**70]], "ids[0, 1]", 2**70),
    ([[0, 2**64 - 1]], "ids[0, 1]", 2**64 - 1),
    ([-(2**63)], "ids[0]", -(2**63)),
]


@pytest.mark.parametrize(("ids", "place", "value"), WRONG_IDS, ids=[str(case[1:]) for case in WRONG_IDS])
def test_the_first_wrong_id_is_named(ids: Any, place: str, value: int, backend: str | None) -> None:
    table = noise((V, 8), np.float32)
    out = contiguous((*np.shape(ids), 8), np.float32)
    with pytest.raises(IndexError) as error:
        posenc.embed(ids, table, out=out.array, backend=backend)
    text = str(error.value)
    assert f"the {V} rows of table" in text
    assert f"got {place} = {value};" in text
    out.assert_untouched()
    (way,) = ways(text)
    scope = {"np": np, "ids": ids}
    mask = eval(way.removeprefix("mask="), scope)
    if np.asarray(ids).dtype != object:
        posenc.embed(ids, table, mask=mask & (np.asarray(ids) >= 0) & (np.asarray(ids) < V), backend=backend)


def test_a_wrong_id_that_the_mask_does_not_hide(backend: str | None) -> None:
    ids, mask = np.array([[-100, 3, -1, 5]]), np.array([[0, 1, 1, 1]])
    table = noise((V, 8), np.float32)
    with pytest.raises(IndexError, match=re.escape("got ids[0, 2] = -1;")) as error:
        posenc.embed(ids, table, mask=mask, backend=backend)
    (way,) = ways(str(error.value))
    better = eval(way.removeprefix("mask="), {"np": np, "ids": ids, "mask": mask})
    assert_same_bits(posenc.embed(ids, table, mask=better, backend=backend), want(ids, table, [[0, 1, 0, 1]]))


def test_what_comes_after_many_right_ids(backend: str | None) -> None:
    ids = tokens((3, 70_000))
    ids[1, 65_999] = V
    ids[2, 1] = -1
    out = np.full((3, 70_000, 1), 7.5, np.float32)
    with pytest.raises(IndexError, match=re.escape(f"got ids[1, 65999] = {V};")):
        posenc.embed(ids, np.ones((V, 1), np.float32), out=out, backend=backend)
    assert (out == 7.5).all()


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "bool ids": ({"ids": np.array([[True, False]])}, TypeError, "ids: expected integers, got an array of bool"),
    "float ids": ({"ids": np.array([[1.0, 2.0]])}, TypeError, "ids: expected integers, got an array of float64"),
    "one float": ({"ids": [[0, 1.5]]}, TypeError, "ids: expected integers, got an array of float64"),
    "NaN": ({"ids": [[0, math.nan]]}, TypeError, "ids: expected integers"),
    "texts": ({"ids": ["a", "b"]}, TypeError, "ids: expected integers"),
    "nothing": ({"ids": None}, TypeError, "ids: expected integers"),
    "objects": ({"ids": np.array([[1, None]])}, TypeError, "ids: expected integers"),
    "ragged": ({"ids": [[1, 2], [3]]}, ValueError, "ids: expected numbers"),
    "a number": ({"ids": 3}, ValueError, "ids: expected at least 1 dimension"),
    "exchanged": ({"ids": np.ones((4, 2)) / 3, "table": tokens((2, 3))}, TypeError, "table.dtype: expected float32"),
    "table of integers": ({"table": np.ones((V, 8), int)}, TypeError, "table.dtype: expected float32"),
    "table, 1-d": ({"table": np.ones(8)}, ValueError, "table: expected 2 dimensions, (V, D), got shape (8,)"),
    "table, 3-d": ({"table": np.ones((2, 3, 4))}, ValueError, "table: expected 2 dimensions"),
    "table without channels": ({"table": np.ones((3, 0))}, ValueError, "table: expected at least 1 channel"),
    "list": ({"table": [[1.0, 2.0]] * V}, TypeError, "table: expected a numpy.ndarray"),
    "out, dtype": ({"out": np.ones((1, 2, 8))}, TypeError, "out: expected the dtype of table, float32, got float64"),
    "out, shape": ({"out": np.ones((2, 8), np.float32)}, ValueError, "out: expected the shape of ids, and D of table"),
    "read-only": ({"out": np.broadcast_to(np.float32(1), (1, 2, 8))}, ValueError, "out: expected a writeable array"),
    "axes": ({"encoding": "mae"}, ValueError, "encoding: expected one over a single axis"),
    "mask": ({"mask": [1, 0, 1]}, ValueError, "mask: expected shape (2,) or (1, 2)"),
    "mask of floats": ({"mask": [0.5, 1]}, TypeError, "mask: expected True or False"),
    "positions": ({"positions": [0.0, math.nan]}, ValueError, "positions: expected finite"),
    "both": ({"positions": [0, 1], "start": 1}, ValueError, "positions: expected either"),
    "start": ({"start": 2**53}, ValueError, "start: expected positions of at most 2**53"),
    "cu_seqlens": ({"cu_seqlens": [0, 1]}, ValueError, "cu_seqlens: expected integers from 0 to 2"),
    "x_scale": ({"x_scale": math.inf}, ValueError, "x_scale: expected a finite number"),
    "x_scale, text": ({"x_scale": "dim"}, ValueError, "x_scale: expected a number or 'sqrt_dim'"),
    "x_scale, array": ({"x_scale": np.ones(8)}, TypeError, "x_scale: expected a number"),
    "threads": ({"threads": 0}, ValueError, "threads: expected"),
    "backend": ({"backend": "gpu"}, ValueError, "backend: expected"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("short", [True, False], ids=["small calls", "no small calls"])
def test_refusals(kind: str, short: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said, error, text = REFUSED[kind]
    _backend.default()
    if not short:
        monkeypatch.setattr(_backend.chosen, "small", None)
    out = contiguous((1, 2, 8), np.float32)
    arguments = {"ids": [[0, 1]], "table": np.ones((V, 8), np.float32), "out": out.array} | said
    with pytest.raises(error, match=re.escape(text)) as caught:
        posenc.embed(**arguments)
    out.assert_untouched()
    assert "got " in str(caught.value)


WAYS = {
    "bool ids": 1,
    "float ids": 1,
    "a number": 1,
    "table, 1-d": 1,
    "table, 3-d": 1,
    "table of integers": 1,
    "list": 1,
    "out, dtype": 1,
    "out, shape": 1,
}


@pytest.mark.parametrize("kind", WAYS)
def test_the_code_works(kind: str, backend: str | None) -> None:
    said, error, _ = REFUSED[kind]
    arguments = {"ids": [[0, 1]], "table": np.ones((V, 8), np.float32), "out": None, "backend": backend} | said
    with pytest.raises(error) as caught:
        posenc.embed(**arguments)
    codes = ways(str(caught.value))
    assert len(codes) == WAYS[kind]
    for code in codes:
        scope: dict[str, Any] = {"np": np, **arguments}
        exec(code, scope)
        fixed = {name: scope[name] for name in arguments}
        assert posenc.embed(**fixed).shape == (*np.shape(fixed["ids"]), fixed["table"].shape[-1])


def test_x_scale_of_each_channel_has_a_way_out() -> None:
    ids, table, factors = [[0, 1]], noise((V, 8), np.float32), np.arange(8)
    with pytest.raises(TypeError) as error:
        posenc.embed(ids, table, x_scale=factors)
    (code,) = ways(str(error.value))
    got = follow(code, "x_scale", factors, lambda _: None, {"ids": ids, "table": table})
    assert_same_bits(got, posenc.embed(ids, (table * factors).astype(np.float32)))


def test_out_may_not_share_memory_with_what_is_read(backend: str | None) -> None:
    memory = noise((V, 16), np.float32)
    before = memory.copy()
    ids = tokens((4,))
    for out in (memory[:4], memory[-4:], memory[3:19:4]):
        with pytest.raises(ValueError, match="out: expected memory of its own, got some that is also that of table"):
            posenc.embed(ids, memory, out=out, backend=backend)
    assert_same_bits(memory, before)
    halves = memory[:, :8], memory[:4, 8:]  # side by side
    assert_same_bits(posenc.embed(ids, halves[0], out=halves[1], backend=backend), want(ids, before[:, :8]))
    assert_same_bits(memory[:, :8], before[:, :8])
    raw = np.zeros((4, 8), np.float32)
    numbers = raw.view(np.int32)[:, 0]
    with pytest.raises(ValueError, match="out: expected memory of its own, got some that is also that of ids"):
        posenc.embed(numbers, before[:, :8], out=raw, backend=backend)
    assert not raw.any()


def test_an_out_whose_overlap_is_hard_to_tell_is_refused() -> None:
    memory = np.zeros(2**16, np.float32)
    table = as_strided(memory, (40, 31), (4 * 37, 4))
    out = as_strided(memory[5:], (3, 7, 31), (4 * 1009, 4 * 101, 4))
    with pytest.raises(ValueError, match="out: expected memory of its own"):
        posenc.embed(tokens((3, 7), count=40), table, out=out)
    assert not memory.any()


# ---- small calls ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif("cpp" in backends.MISSING, reason=backends.MISSING.get("cpp", ""))
def test_plain_calls_are_done_in_one_go() -> None:
    from posenc import _cpp

    small = _cpp.small_calls()
    table = noise((V, 16), np.float32)

    def done(ids: Any, table: Any = table, out: Any = None, **said: Any) -> bool:
        usual = {"start": 0, "positions": None, "mask": None, "cu_seqlens": None, "x_scale": 1.0, "encoding": None}
        result = small.embed(ids, table, out, *(usual | said).values(), None, None)
        if result is not None:
            real = said.pop("mask", None)
            assert_same_bits(np.asarray(result), want(np.asarray(ids), table, real, **said))
            assert out is None or result is out
        return result is not None

    ids = tokens((2, 3))
    assert done(ids)
    assert done(ids.astype(np.int32))
    assert done(ids.tolist()[0])
    assert done(ids[:, ::-1], table[:, ::2], start=5)
    assert done(ids, out=np.empty((2, 3, 16), np.float32), x_scale="sqrt_dim")
    assert done(ids, positions=[0, 2, 4], encoding="whisper")
    assert done(hidden(ids, np.array([1, 0, 1])), mask=np.array([1, 0, 1]))
    assert done(ids, noise((V, 16), np.float64))
    assert done(tokens((1, 1, 1, 1)), noise((V, 3), np.float16))
    for wrong in (ids - 50, ids + V, ids.astype(float), ids > 3, 3, [], "a", None, ids.astype(object)):
        assert not done(wrong)
    assert not done(ids, out=np.empty((2, 3, 16)))
    assert not done(ids, out=np.empty((3, 2, 16), np.float32))
    assert not done(ids, out=table[:6].reshape(2, 3, 16))
    assert not done(ids, noise((V, 16, 1), np.float32))
    assert not done(ids, encoding="mae")
    assert not done(np.broadcast_to(ids[:1, :1], (300, 300)), noise((V, 16), np.float32))  # not small
    with pytest.raises(TypeError, match="arguments"):
        small.embed(ids)


def test_ids_that_change_meanwhile(backend: str | None) -> None:
    """The ids that are checked are those that are used."""
    table, ids = noise((V, 64), np.float32), tokens((40, 600))
    end = threading.Event()

    def spoil() -> None:
        while not end.is_set():
            ids[20:] = 2**40
            ids[20:] = 0

    thread = threading.Thread(target=spoil)
    thread.start()
    try:
        for _ in range(5 if backend != "numpy" else 1):
            with contextlib.suppress(IndexError):
                posenc.embed(ids, table, backend=backend)
    finally:
        end.set()
        thread.join()


# ---- torch ----------------------------------------------------------------------------------------------------------


def test_tensors(backend: str | None) -> None:
    torch = pytest.importorskip("torch")
    ids = torch.tensor(tokens((2, 7)))
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        table = torch.randn(V, 24).to(dtype)
        with torch.no_grad():
            expected = posenc.add(table[ids], x_scale="sqrt_dim", start=4, backend="numpy")
        for given in (ids, ids.int(), ids.numpy(), ids.tolist()):
            got = posenc.embed(given, table, x_scale="sqrt_dim", start=4, backend=backend)
            assert type(got) is torch.Tensor
            assert got.dtype == dtype
            assert torch.equal(got, expected)
        out = torch.empty(2, 7, 24, dtype=dtype)
        version = out._version
        assert posenc.embed(ids, table, out=out, x_scale="sqrt_dim", start=4, backend=backend) is out
        assert out._version > version
        assert torch.equal(out, expected)
        rows = torch.empty(V, 50, dtype=dtype)[:, 3:27]
        rows[...] = table
        assert torch.equal(posenc.embed(ids, rows, x_scale="sqrt_dim", start=4, backend=backend), expected)
    mixed = posenc.embed(ids, np.ones((V, 4), np.float32), backend=backend)
    assert type(mixed) is np.ndarray
    with pytest.raises(TypeError, match="ids: expected integers"):
        posenc.embed(ids.float(), table, backend=backend)
    with pytest.raises(IndexError, match=re.escape("got ids[0, 0] = -1")):
        posenc.embed(ids * 0 - 1, table, backend=backend)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_gradients(backend: str | None) -> None:
    torch = pytest.importorskip("torch")
    ids = torch.tensor(tokens((2, 7), count=11))
    mask = torch.tensor([[1, 1, 1, 0, 1, 1, 0], [1] * 7]).bool()
    padded = torch.where(mask, ids, -100)
    for said, given in (({}, ids), ({"mask": mask}, padded), ({"mask": mask[:1]}, ids)):
        table = torch.randn(11, 6, requires_grad=True)
        got = posenc.embed(given, table, x_scale=3.0, backend=backend, **said)
        assert got.requires_grad
        weight = torch.randn(got.shape)
        (got * weight).sum().backward()
        real = said.get("mask", torch.ones(1, 7, dtype=torch.bool)).expand(2, 7)
        plain = table.detach().clone().requires_grad_()
        rows = plain[ids] * 3.0 + posenc.encode(7, 6, dtype=torch.float32)
        torch.where(real[..., None], rows, 0.0).mul(weight).sum().backward()
        torch.testing.assert_close(table.grad, plain.grad)
        assert torch.equal(got.detach(), posenc.embed(given, table.detach(), x_scale=3.0, backend=backend, **said))
    double = torch.randn(11, 3, dtype=torch.float64, requires_grad=True)

    def function(t: Any) -> Any:
        return posenc.embed(padded, t, x_scale="sqrt_dim", mask=mask, backend=backend)

    if backend is None:  # the derivatives are not the backend's
        assert torch.autograd.gradcheck(function, double, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, double)
    with torch.no_grad():
        assert not posenc.embed(ids, double, backend=backend).requires_grad
    with pytest.raises(ValueError, match=r"requires grad; leave out= away, `posenc.embed\(ids, table\)`"):
        posenc.embed(ids, double, out=torch.empty(2, 7, 3, dtype=torch.float64), backend=backend)
    for wrong in (ids - 20, ids.float()):
        with pytest.raises((IndexError, TypeError), match="ids: expected"):
            posenc.embed(wrong, double, backend=backend)
    slope = torch.func.grad(lambda t: posenc.embed(ids, t, x_scale=2, backend=backend).sum())(double.detach())
    assert slope.sum() == 2 * 2 * 7 * 3
    with pytest.raises(TypeError, match="table: expected a tensor with memory of its own"):
        torch.func.vmap(lambda t: posenc.embed([[0]], t, backend=backend))(double.detach()[None])
