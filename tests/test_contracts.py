"""The same bits: whatever the start, slice, batch, axis, ISA level or backend. How near they are to the truth is
test_accuracy.py's question; how arrays lie in memory, test_memory.py's."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import posenc
import pytest

from . import backends
from .arrays import assert_same_bits, noise
from .backends import TUNING

FLOATS = [np.float32, np.float64]
DIMS = [1, 2, 3, 7, 16, 33, 64, 100, 512, 770]
# Lengths around everything that the kernels count in: vectors, rows of a strip, tiles until an anchor is made again.
TILE, RUN, GROUP = TUNING["tile_rows"], TUNING["run"], (TUNING["rotations"] + 1) * TUNING["tile_rows"]
LENGTHS = sorted(
    {1, 2, 3, RUN - 1, RUN, RUN + 1, 2 * RUN, 2 * RUN + 1, 16, 17, TILE // 2 - 1, TILE // 2, TILE // 2 + 1}
    | {TILE - 1, TILE, TILE + 1, TILE + RUN - 1, TILE + RUN, 2 * TILE - 1, 2 * TILE, GROUP - 1, GROUP, GROUP + TILE + 1}
)
# sha256 of encode(512, 64) in float32, little-endian, as mpmath has it. Correct rounding leaves no freedom.
TABLE_512_64 = "aa44d855d631ef8e6b9081f81f16d0a4cd16811b0c5ed8c2d8d8063b81f5b8df"


@pytest.fixture(params=FLOATS, ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> type:
    return request.param


@pytest.mark.parametrize("dim", DIMS)
def test_a_slice_is_a_fill_with_that_start(dim: int, dtype: type, backend: str) -> None:
    for first in (0, -700, 10**6 - 3):
        whole = posenc.encode(LENGTHS[-1] + 53, dim, start=first, dtype=dtype, backend=backend)
        for length in LENGTHS:
            for row in (0, 1, 50, len(whole) - length):
                part = posenc.encode(length, dim, start=first + row, dtype=dtype, backend=backend)
                assert_same_bits(part, whole[row : row + length], f"{length} rows from {first} + {row}")


@pytest.mark.parametrize(
    ("start", "row"), [(0.3, 2**19), (0.7, 2**19), (-0.3, 2**21), (0.1, 2**20), (2.0**19 - 300.7, 0)]
)
def test_fractional_starts_where_sums_lose_digits(start: float, row: int, backend: str) -> None:
    """Past a power of two start + i is rounded more than before; (start + i) - start, which is too, does not tell."""
    count = 2000
    got = np.zeros((row + count, 2), np.float32)
    posenc.fill_(got, start=start, backend=backend)
    want = posenc.encode(start + np.arange(row, row + count), 2, backend="numpy")
    assert_same_bits(got[row:], want)


@pytest.mark.parametrize("start", [0.5, -3.25, 1e-3, 2.0**40 + 0.5])
def test_fractional_starts(start: float, dtype: type, backend: str) -> None:
    # Row i stands at start + i, in float64: for 0.001 that is not the same as counting on from another row.
    rows = start + np.arange(70.0)
    want = posenc.encode(rows, 33, dtype=dtype, backend=backend)
    assert_same_bits(posenc.encode(70, 33, start=start, dtype=dtype, backend=backend), want)


@pytest.mark.parametrize("start", [0, 7, -40, 2**24 + 1, 2**53 - 69, -(2**53)])
def test_every_spelling_of_a_position(start: int, dtype: type, backend: str) -> None:
    want = posenc.encode(70, 33, start=start, dtype=dtype, backend=backend)
    whole = np.arange(start, start + 70)
    spellings = [whole, whole.astype(np.float64), whole.tolist(), whole[::-1].copy()[::-1], whole.astype(">f8")]
    if start >= 0:
        spellings.append(whole.astype(np.uint64))
    if abs(start) < 100:
        spellings += [whole.astype(np.int8), whole.astype(np.float32)]
    for positions in spellings:
        assert_same_bits(posenc.encode(positions, 33, dtype=dtype, backend=backend), want)
    for number in (float(start), np.int64(start), np.float64(start), np.array(start)):
        assert_same_bits(posenc.encode(70, 33, start=number, dtype=dtype, backend=backend), want)


@pytest.mark.parametrize("dim", [3, 64, 200])
def test_a_batch_is_its_sequences(dim: int, dtype: type, backend: str) -> None:
    x = noise((2, 3, 75, dim), dtype)
    starts, positions = np.array([[0, 5, -9], [2.5, 10**7, 5]]), noise((2, 3, 75), np.float64, 1)
    for together, alone in [
        ({"start": 11}, lambda _: {"start": 11}),
        ({"start": starts}, lambda i: {"start": starts[i]}),
        ({"positions": positions}, lambda i: {"positions": positions[i]}),
        ({"positions": positions[0, 0]}, lambda _: {"positions": positions[0, 0]}),
    ]:
        filled = posenc.fill_(np.empty_like(x), **together, backend=backend)
        added = posenc.add_(x.copy(), **together, x_scale=3.5, backend=backend)
        for i in np.ndindex(2, 3):
            assert_same_bits(filled[i], posenc.fill_(np.empty_like(x[i]), **alone(i), backend=backend), i)
            assert_same_bits(added[i], posenc.add_(x[i].copy(), **alone(i), x_scale=3.5, backend=backend), i)


@pytest.mark.parametrize(("length", "dim"), [(1, 1), (1, 512), (40, 33), (75, 64), (230, 350)])
def test_add_is_x_plus_encode(length: int, dim: int, dtype: type, backend: str) -> None:
    x = noise((length, dim), dtype)
    for where in ({"start": 3}, {"start": 0.75}, {"positions": noise((length,), np.float64, 2)}):
        table = posenc.fill_(np.empty_like(x), **where, backend=backend)
        assert_same_bits(posenc.add_(x.copy(), **where, backend=backend), x + table, where)
        for scale in (2, 0.1, -1.0, 0, 1e-3, np.float32(0.3), np.int64(3)):
            got = posenc.add_(x.copy(), x_scale=scale, **where, backend=backend)
            assert_same_bits(got, x * dtype(scale) + table, f"{where}, x_scale {scale}")
        got = posenc.add_(x.copy(), x_scale="sqrt_dim", **where, backend=backend)
        assert_same_bits(got, x * dtype(np.sqrt(dim)) + table, f"{where}, sqrt_dim")


def test_add_leaves_x_alone(dtype: type, backend: str) -> None:
    x = noise((2, 40, 33), dtype)
    before = x.copy()
    want = posenc.add_(x.copy(), start=4, x_scale=0.5, backend=backend)
    options = {"start": 4, "x_scale": 0.5, "backend": backend}

    new = posenc.add(x, **options)
    assert_same_bits(new, want)
    out = np.empty_like(x)
    assert posenc.add(x, out=out, **options) is out
    assert_same_bits(out, want)
    strided = np.empty((2, 40, 66), dtype)[:, ::-1, ::2]
    assert posenc.add(x, out=strided, **options) is strided
    assert_same_bits(strided, want)
    assert_same_bits(x, before)
    assert not np.shares_memory(new, x)

    assert posenc.add(x, out=x, **options) is x
    assert_same_bits(x, want)


def test_add_reads_what_add_in_place_refuses(dtype: type, backend: str) -> None:
    row = noise((1, 33), dtype)
    row.flags.writeable = False
    x = np.broadcast_to(row, (3, 5, 33))
    new = posenc.add(x, backend=backend)
    assert new.flags.writeable
    assert_same_bits(new, posenc.add_(x.copy(), backend=backend))


def test_add_where_out_overlaps_x(dtype: type, backend: str) -> None:
    memory = noise((45, 33), dtype)
    want = posenc.add(memory[:40].copy(), backend=backend)
    assert_same_bits(posenc.add(memory[:40], out=memory[5:], backend=backend), want)


def test_the_very_object_comes_back(backend: str) -> None:
    class Mine(np.ndarray):
        pass

    for x in (np.zeros((4, 3), np.float32), np.zeros((4, 6))[:, ::2], np.zeros((2, 4, 3)).view(Mine), np.zeros((0, 3))):
        assert posenc.fill_(x, backend=backend) is x
        assert posenc.add_(x, backend=backend) is x
        assert posenc.add_(x, seq_axis=0, backend=backend) is x


def test_seq_axis(dtype: type, backend: str) -> None:
    generator = np.random.default_rng(6)
    for shape, axis in [((9, 2, 33), 0), ((2, 9, 4, 33), 1), ((2, 9, 4, 33), -3), ((9, 2, 3, 33), -4), ((9, 33), 0)]:
        x = noise(shape, dtype)
        leading = np.delete(np.array(shape[:-1]), axis if axis >= 0 else axis + len(shape))
        starts = generator.integers(-99, 99, tuple(leading))
        positions = noise(shape[:-1], np.float64, 3)
        moved = np.moveaxis(positions, axis if axis >= 0 else axis + 1, -1)
        for here, there in [
            ({"start": 5}, {"start": 5}),
            ({"start": starts}, {"start": starts}),
            ({"positions": positions}, {"positions": moved}),
            ({"positions": np.arange(9) * 1.5}, {"positions": np.arange(9) * 1.5}),
        ]:
            for call in (posenc.fill_, posenc.add_, posenc.add):
                want = call(np.moveaxis(x, axis, -2).copy(), **there, backend=backend)
                got = call(x.copy(), **here, seq_axis=axis, backend=backend)
                assert_same_bits(np.moveaxis(got, axis, -2), want, (shape, axis, call.__name__, list(here)))


def test_positions_may_be_what_is_written_to(backend: str) -> None:
    x = np.arange(0.5, 40)[:, None]
    want = posenc.encode(x[:, 0].copy(), 1, dtype=np.float64, backend=backend)
    assert_same_bits(posenc.fill_(x, positions=x[:, 0], backend=backend), want)


def test_encode_is_fill(dtype: type, backend: str) -> None:
    positions = noise((2, 3, 20), np.float64, 4)
    got = posenc.encode(positions, 33, dtype=dtype, backend=backend)
    assert got.shape == (2, 3, 20, 33)
    assert got.flags.c_contiguous
    assert got.flags.owndata
    assert_same_bits(got, posenc.fill_(np.empty((2, 3, 20, 33), dtype), positions=positions, backend=backend))


def test_defaults() -> None:
    assert posenc.encode(2, 3).dtype == np.float32
    x = np.zeros((2, 3), np.float32)
    assert_same_bits(posenc.add_(x), posenc.encode(2, 3, start=0))


@pytest.mark.parametrize("dim", [1, 7, 64, 512])
def test_wide_and_long_across_tiles_of_the_python_backends(dim: int, other_backend: str) -> None:
    # The Python backends make 2^16 elements at a time.
    length = 2**17 // dim + 3
    got, want = (posenc.encode(length, dim, start=-9, backend=b) for b in (other_backend, "numpy"))
    assert_same_bits(got, want)


@pytest.mark.parametrize("dim", [1000, 4099, 20_000])
def test_very_wide(dim: int, other_backend: str) -> None:
    for where in ({"start": 2**31 - 5}, {"start": 0.5}):
        got, want = (posenc.encode(30, dim, **where, backend=b) for b in (other_backend, "numpy"))
        assert_same_bits(got, want)


SAMPLES = [
    {"positions": 70, "start": 0},
    {"positions": 70, "start": -(2**53)},
    {"positions": 70, "start": 2**53 - 69},
    {"positions": 70, "start": 1e7 + 0.25},
    {"positions": noise((70,), np.float64, 5)},
    {"positions": np.array([1e-300, 5e-324, -1e-310, 1e-290, 1e-160, 1e-20, -1e-300])},
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{np.shape(s['positions'])}-{s.get('start', 'list')}")
def test_backends_agree(sample: dict, other_backend: str) -> None:
    for dim in (1, 2, 33, 64, 350):
        got, want = (posenc.encode(**sample, dim=dim, backend=b) for b in (other_backend, "numpy"))
        assert_same_bits(got, want, dim)
        got, want = (posenc.encode(**sample, dim=dim, dtype=np.float64, backend=b) for b in (other_backend, "numpy"))
        assert_same_bits(got, want)


@pytest.mark.skipif(len(backends.LEVELS) < 2, reason="this processor runs one ISA level only")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{np.shape(s['positions'])}-{s.get('start', 'list')}")
def test_isa_levels_agree(sample: dict, dtype: type) -> None:
    for dim in (1, 2, 33, 64, 350):
        tables = []
        for level in backends.LEVELS:
            with backends.at_level(level):
                tables.append(posenc.encode(**sample, dim=dim, dtype=dtype, backend="cpp"))
        for (a, table_a), (b, table_b) in itertools.pairwise(zip(backends.LEVELS, tables, strict=True)):
            assert_same_bits(table_a, table_b, f"D = {dim}, {a} and {b}")


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 10**7, 2**40, 2**53 - 2**17 + 1])
def test_backends_agree_on_millions(start: int, other_backend: str) -> None:
    # About one element in a million can't be rounded from a double.
    got, want = (posenc.encode(2**17, 64, start=start, backend=b) for b in (other_backend, "numpy"))
    assert_same_bits(got, want)


def test_one_table_for_all_time(backend: str) -> None:
    table = posenc.encode(512, 64, backend=backend)
    assert hashlib.sha256(table.astype("<f4").tobytes()).hexdigest() == TABLE_512_64
