"""Whatever an array looks like in memory: right values in it, and not one byte written beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest

from . import arrays, backends, truth
from .arrays import assert_same_bits, bfloat16, noise

FLOATS = [np.float32, np.float64]
SINGLES = {"float32": np.float32, "float16": np.float16, "bfloat16": bfloat16}  # what is computed in float32


def single(kind: str) -> Any:
    if SINGLES[kind] is None:
        pytest.skip("ml_dtypes is not installed")
    return SINGLES[kind]


def test_every_width(backend: str) -> None:
    # 35 rows: more than one tile of rows turned from a common anchor, at every width up to 70.
    positions = range(-3, 32)
    for dim in range(1, 71):
        true = truth.encoding(positions, dim)
        for offset in (0, 4, 1):
            case = arrays.contiguous((35, dim), np.float32, offset)
            posenc.fill_(case.array, start=-3, backend=backend)
            case.assert_canaries_alive()
            assert_same_bits(case.array, true.float32(), f"D = {dim}, {case.label}")
            posenc.add_(case.array, start=-3, backend=backend)
            case.assert_canaries_alive()
            assert_same_bits(case.array, true.float32() + true.float32(), f"D = {dim}, {case.label}")
        case = arrays.contiguous((35, dim), np.float64, 8)
        posenc.fill_(case.array, start=-3, backend=backend)
        case.assert_canaries_alive()
        assert true.distance(case.array).max() <= 1e-15


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", arrays.SHAPES, ids=str)
def test_every_arrangement(shape: tuple[int, ...], dtype: type, backend: str, tmp_path: Path) -> None:
    x = noise(shape, dtype)
    starts = np.arange(np.prod(shape[:-2], dtype=int)).reshape(shape[:-2]) * 7.0 - 3
    for where in ({"start": -3}, {"start": starts}, {"positions": noise(shape[:-1], np.float64, 1)}):
        filled = posenc.fill_(np.empty(shape, dtype), **where, backend=backend)
        added = posenc.add_(x.copy(), **where, backend=backend)
        scaled = posenc.add_(x.copy(), **where, x_scale=1.5, backend=backend)
        for case in arrays.awkward(shape, dtype, tmp_path):
            posenc.fill_(case.array, **where, backend=backend)
            case.assert_canaries_alive()
            assert_same_bits(case.array, filled, f"fill_, {case.label}, {where}")
            for options, want in (({}, added), ({"x_scale": 1.5}, scaled)):
                case.put(x)
                posenc.add_(case.array, **where, **options, backend=backend)
                case.assert_canaries_alive()
                assert_same_bits(case.array, want, f"add_, {case.label}, {where}, {options}")
            case.put(x)
            assert_same_bits(posenc.add(case.array, **where, backend=backend), added, f"add, {case.label}, {where}")
            case.assert_untouched()


@pytest.mark.parametrize("dtype", FLOATS)
def test_sequence_axes_of_every_arrangement(dtype: type, backend: str, tmp_path: Path) -> None:
    want = np.moveaxis(posenc.fill_(np.empty((3, 7, 5), dtype), start=[4, 0, -5], backend=backend), 1, 0)
    for case in arrays.awkward((7, 3, 5), dtype, tmp_path):
        posenc.fill_(case.array, start=[4, 0, -5], seq_axis=0, backend=backend)
        case.assert_canaries_alive()
        assert_same_bits(case.array, want, case.label)


def test_a_memory_map_reaches_its_file(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "map.bin"
    mapped = np.memmap(path, np.float32, "w+", shape=(9, 33))
    assert posenc.fill_(mapped, backend=backend) is mapped
    mapped.flush()
    assert_same_bits(np.fromfile(path, np.float32).reshape(9, 33), posenc.encode(9, 33, backend=backend))


@pytest.mark.parametrize("dtype", FLOATS)
def test_infinities_and_nans_pass_through(dtype: type, backend: str) -> None:
    special = np.array([np.inf, -np.inf, np.nan, -0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal], dtype)
    table = posenc.encode(20, 35, dtype=dtype, backend=backend)
    x = np.resize(special, (20, 35)).astype(dtype)
    strided = np.empty((20, 70), dtype)[:, ::2]
    for scale in (1, -2, 0):
        with np.errstate(all="ignore"):
            want = x * dtype(scale) + table if scale != 1 else x + table
            for array in (x.copy(), strided):
                array[...] = x
                posenc.add_(array, x_scale=scale, backend=backend)
                np.testing.assert_array_equal(array, want)  # NaNs as equals, whatever their payload
    finite = np.isfinite(x)
    assert_same_bits(posenc.add_(x.copy(), backend=backend)[finite], (x + table)[finite])


def test_old_contents_do_not_matter_to_a_fill(backend: str) -> None:
    for shape in ((20, 35), (3, 20, 35)):
        old = np.full(shape, np.nan, np.float32)
        assert_same_bits(posenc.fill_(old, backend=backend), posenc.fill_(np.zeros(shape, np.float32), backend=backend))


# ---- outputs so large that they are written past the caches ---------------------------------------------------------

LARGE = backends.TUNING["stream_bytes"] + 2**18  # bytes: a little beyond where streaming begins
WAYS = [
    # offset, dim, row bytes, start (none from 0 on: the first rows are copied from a table that is ready)
    (0, 512, 2048, -7),
    (16, 512, 2048, -7),  # off a cache line
    (60, 520, 2112, 10**6),  # gaps between rows, and a row's end inside a cache line
    (16, 512, 2080, -7),  # rows that lie differently towards cache lines
    (4, 3, 64, -7),  # rows shorter than the way to the next cache line
    (4, 3, 12, 10**6),  # several of them in one line
    (1, 512, 2048, -7),  # not aligned to its own size
    (16, 33, 132, 0.5),
]


def check_streamed(rows: int, offset: int, dim: int, row_bytes: int, start: float) -> None:
    memory = arrays.canaries(4096)
    memory = np.resize(memory, rows * row_bytes + 256)
    before = memory.copy()
    first = 64 + (offset - memory.__array_interface__["data"][0]) % 64
    body, body_before = (m[first : first + rows * row_bytes].reshape(rows, row_bytes) for m in (memory, before))
    out = body[:, : 4 * dim].view(np.float32)
    posenc.fill_(out, start=start, backend="cpp")
    for i in range(0, rows, 1000):
        want = posenc.encode(min(1000, rows - i), dim, start=start + i, backend="numpy" if rows < 9999 else "cpp")
        assert_same_bits(out[i : i + 1000], want, f"rows from {i}")
    assert_same_bits(memory[:first], before[:first])
    assert_same_bits(memory[first + rows * row_bytes :], before[first + rows * row_bytes :])
    assert_same_bits(body[:, 4 * dim :], body_before[:, 4 * dim :])


@pytest.mark.parametrize(("offset", "dim", "row_bytes", "start"), WAYS)
def test_streamed_rows(
    offset: int, dim: int, row_bytes: int, start: float, compiled_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posenc._cpp.STREAM_BYTES", 0)
    for rows in (1, 13, 300):
        check_streamed(rows, offset, dim, row_bytes, start)


def test_large_outputs(compiled_backend: str) -> None:
    # Streamed because they are large, not because a test says so; the rows to compare with are not.
    check_streamed(LARGE // 2048, 16, 512, 2048, -7)
    check_streamed(LARGE // 2080, 16, 520, 2080, 3)


@pytest.mark.parametrize("x_scale", [1, 0.5])
def test_streamed_sums(x_scale: float, compiled_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posenc._cpp.STREAM_BYTES", 0)
    x = noise((300, 512), np.float32)
    want = x * np.float32(x_scale) + posenc.encode(300, 512, start=-9, backend="numpy")
    for offset in (0, 16, 4, 1):
        case = arrays.contiguous(x.shape, np.float32, offset)
        posenc.add(x, out=case.array, start=-9, x_scale=x_scale, backend=compiled_backend)
        case.assert_canaries_alive()
        assert_same_bits(case.array, want, case.label)


# ---- rows that are added again and again: made once, and added from the caches --------------------------------------

LENGTHS = [70, 3, 40, 41, 1, 64, 70, 9, 70, 70, 33, 2] * 3  # of packed sequences
REPEATED: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "packed": ((sum(LENGTHS), 63), {"cu_seqlens": np.cumsum([0, *LENGTHS])}),
    "packed, starts": ((sum(LENGTHS), 16), {"cu_seqlens": np.cumsum([0, *LENGTHS]), "start": np.arange(36) - 7}),
    "packed, and a half": ((sum(LENGTHS), 63), {"positions": np.concatenate([*map(np.arange, LENGTHS)]) + 0.5}),
    "padded": ((40, 50, 33), {"mask": np.arange(50) >= np.arange(40)[:, None]}),
    "starts": ((48, 7, 20), {"start": np.arange(48) % 5 - 3}),
    "batch": ((30, 5, 100), {"start": 2**53 - 6}),
    "positions of all": ((20, 60, 8), {"positions": np.arange(60) % 7 + 1e9}),
    "shuffled": ((1, 500, 48), {"positions": np.arange(500) * 77 % 30}),
    "channels first": ((5, 24, 77), {"channel_axis": 1, "start": -3}),
    "channels first, odd": ((3, 13, 300), {"channel_axis": 1, "start": 2**40}),
    "channels first, short": ((40, 9, 20), {"channel_axis": 1}),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", SINGLES)
@pytest.mark.parametrize("case", REPEATED)
def test_repeated_rows(case: str, kind: str, threads: int, compiled_backend: str) -> None:
    dtype = single(kind)
    form, first = REPEATED[case]
    name = "positions" if "positions" in first else "start"
    for where in (first, first | {name: first.get(name, 0) + 1}):  # other rows than those that were ready
        for shape in (form, (*form[:-1], 3 * form[-1])):  # of the second one, every third column
            x = noise(shape, dtype)[..., :: shape[-1] // form[-1]]
            want = posenc.add(x, **where, backend="numpy")
            assert_same_bits(posenc.add(x, **where, threads=threads, backend=compiled_backend), want, "add")
            assert_same_bits(posenc.add_(x.copy(), **where, threads=threads, backend=compiled_backend), want, "add_")
            got, want = (posenc.fill_(x.copy(), **where, backend=b) for b in (compiled_backend, "numpy"))
            assert_same_bits(got, want, "fill_")


def test_repeated_rows_past_the_caches(compiled_backend: str) -> None:
    # More than half of the last level: few rows are repeated in the workspace.
    rows = backends.TUNING["last_level_bytes"] // 2 // 2048 + 100
    x, where = noise((rows, 512), np.float32), {"positions": np.arange(rows) % 61 + 4.0}
    want = x + posenc.encode(61, 512, start=4, backend="numpy")[np.arange(rows) % 61]
    assert_same_bits(posenc.add_(x, **where, backend=compiled_backend), want)


@pytest.mark.parametrize("past", [False, True], ids=["in the caches", "past the caches"])
@pytest.mark.parametrize("kind", SINGLES)
def test_lines(kind: str, past: bool, compiled_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Rows written in whole cache lines, of which two share one, at every width up to 70 and around powers of 2.
    dtype, rows = single(kind), backends.TUNING["line_rows"] + 5
    if past:
        monkeypatch.setattr("posenc._cpp.STREAM_BYTES", 0)
    for dim in [*range(1, 71), 96, 127, 128, 130, 255, 256, 511, 512, 520]:
        x = noise((rows, dim), dtype)
        fill, add = (verb(x.copy(), start=-9, backend="numpy") for verb in (posenc.fill_, posenc.add_))
        for offset in (0, 16, 48, 6 if dtype != np.float32 else 4):
            case = arrays.contiguous(x.shape, dtype, offset)
            assert_same_bits(posenc.fill_(case.array, start=-9, backend=compiled_backend), fill, f"{dim}, {case.label}")
            case.put(x)
            assert_same_bits(posenc.add_(case.array, start=-9, backend=compiled_backend), add, f"{dim}, {case.label}")
            case.assert_canaries_alive()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", FLOATS)
def test_pieces(dtype: type, backend: str) -> None:
    # Large calls are made piece by piece, and must go on where they stopped.
    out = np.empty((2, 2**18 + 77, 33), dtype)
    posenc.fill_(out, start=[-5, 9], backend=backend)
    for sequence, start in zip(out, (-5, 9), strict=True):
        for i in range(0, out.shape[1], 40_000):
            part = sequence[i : i + 40_000]
            assert_same_bits(part, posenc.encode(len(part), 33, start=start + i, dtype=dtype, backend=backend), i)
    x = noise((2**19, 33), dtype)
    assert_same_bits(posenc.add_(x.copy(), backend=backend), x + posenc.encode(*x.shape, dtype=dtype, backend=backend))
