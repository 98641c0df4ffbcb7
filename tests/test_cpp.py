"""The compiled core's own doors: small calls that bypass Python's checks, rows kept ready, what it checks itself."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import posenc
import pytest

from . import arrays, backends
from .arrays import assert_same_bits, noise
from .backends import TUNING, spectrum

pytestmark = pytest.mark.skipif("cpp" in backends.MISSING, reason=backends.MISSING.get("cpp", ""))
if "cpp" not in backends.MISSING:
    from posenc import _core, _cpp

HEADER = Path(__file__).parents[1] / "csrc" / "tuning.hpp"
SMALL = TUNING["small_elements"]


def test_every_threshold_is_exported() -> None:
    if not HEADER.exists():
        pytest.skip("the repository's csrc/ is not here")
    names = re.findall(r"^constexpr std::\w+ k(\w+) =", HEADER.read_text(), re.MULTILINE)
    snake = [re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in names]
    assert set(TUNING) == {*snake, "stream_bytes"}
    assert all(value > 0 for value in TUNING.values())


def test_caches_are_what_the_system_says() -> None:
    assert TUNING["second_level_bytes"] <= TUNING["last_level_bytes"]
    assert TUNING["least_stream_bytes"] <= TUNING["stream_bytes"] <= TUNING["most_stream_bytes"]
    assert TUNING["stream_bytes"] == _cpp.STREAM_BYTES
    sizes = {
        int((index / "level").read_text()): (index / "size").read_text().strip()
        for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
        if (index / "size").exists()
    }
    for level, name in ((2, "second_level_bytes"), (max(sizes, default=0), "last_level_bytes")):
        if level >= 2 and sizes.get(level, "").endswith("K"):
            assert TUNING[name] == int(sizes[level][:-1]) * 1024


@pytest.mark.parametrize("dim", [1, 2, 7, 16, 33, 64, 100, 512, 770])
def test_small_calls_are_the_reference(dim: int, compiled_backend: str) -> None:
    _core.remember(_cpp._tables[spectrum(dim)], None, 0.0)
    for shape in [(1, dim), (3, dim), (SMALL // 16 // dim, dim), (3, 2, 2, dim), (20, 1, dim)]:
        x = noise(shape, np.float32)
        for start in (0, 3, -1, -40, 10**7, 2**52, -(2**52)):
            table = posenc.fill_(np.empty(shape, np.float32), start=start, backend="numpy")
            for offset in (0, 4):
                case = arrays.contiguous(shape, np.float32, offset)
                assert _core.fill_small(case.array, start, None)
                case.assert_canaries_alive()
                assert_same_bits(case.array, table, f"fill, {shape}, {case.label}, start {start}")
                case.put(x)
                assert _core.add_small(case.array, start, None)
                case.assert_canaries_alive()
                assert_same_bits(case.array, x + table, f"add, {shape}, {case.label}, start {start}")


class Subclass(np.ndarray):
    pass


def _read_only() -> np.ndarray:
    x = np.ones((4, 6), np.float32)
    x.flags.writeable = False
    return x


NOT_SMALL = {
    "list": [[1.0]],
    "None": None,
    "float64": np.ones((4, 6)),
    "swapped": np.ones((4, 6), np.dtype(np.float32).newbyteorder()),
    "1-d": np.ones(6, np.float32),
    "0-d": np.ones((), np.float32),
    "strided": np.ones((4, 12), np.float32)[:, ::2],
    "Fortran": np.ones((4, 6), np.float32, order="F"),
    "unaligned": arrays.contiguous((4, 6), np.float32, 1).array,
    "read-only": _read_only(),
    "subclass": np.ones((4, 6), np.float32).view(Subclass),
    "masked": np.ma.ones((4, 6), np.float32),
    "empty": np.ones((0, 6), np.float32),
    "no channels": np.ones((4, 0), np.float32),
    "large": np.ones((SMALL // 6 + 1, 6), np.float32),
    "broadcast": np.broadcast_to(np.ones(6, np.float32), (4, 6)),
}


@pytest.mark.parametrize("kind", NOT_SMALL)
def test_what_is_not_small_is_left_to_python(kind: str) -> None:
    _core.remember(_cpp._tables[spectrum(6)], None, 0.0)
    x = NOT_SMALL[kind]
    before = x.tobytes() if isinstance(x, np.ndarray) else x
    assert not _core.fill_small(x, 0, None)
    assert not _core.add_small(x, 0, None)
    assert (x.tobytes() if isinstance(x, np.ndarray) else x) == before


@pytest.mark.parametrize(
    "start", [1.0, True, None, "0", [0], np.int64(0), np.zeros(()), 2**52 + 1, -(2**52) - 1, 2**80]
)
def test_starts_that_are_left_to_python(start: object) -> None:
    _core.remember(_cpp._tables[spectrum(6)], None, 0.0)
    x = np.ones((4, 6), np.float32)
    assert not _core.fill_small(x, start, None)
    assert not _core.add_small(x, start, None)
    assert_same_bits(x, np.ones((4, 6), np.float32))


def test_widths_come_and_go() -> None:
    # Only a few tables are remembered; a call at a width that was forgotten takes the long way to the same bits.
    for dim in [*range(40, 60), *range(40, 60)]:
        assert_same_bits(posenc.fill_(np.empty((9, dim), np.float32)), posenc.encode(9, dim, backend="numpy"), dim)


def test_encodings_come_and_go() -> None:
    # Small calls find their table by its width and by the object that named the encoding.
    named = [None, "whisper", "fairseq", "nemo_fixed", posenc.Encoding(base=77.0), posenc.Encoding(position_offset=0.5)]
    for k in [0, 1, 1, 2, 2, 2, 3, 4, 4, 5, 5, 0, 0, 1, 1]:
        want = posenc.encode(3, 48, start=7, encoding=named[k], backend="numpy")
        assert_same_bits(posenc.fill_(np.empty((3, 48), np.float32), start=7, encoding=named[k]), want, named[k])
        assert_same_bits(posenc.add_(np.zeros((3, 48), np.float32), start=7, encoding=named[k]), want, named[k])
    for base in range(2, 22):  # no two of them are the same object, though they could be at the same address
        want = posenc.encode(3, 48, encoding=posenc.Encoding(base=base), backend="numpy")
        assert_same_bits(posenc.fill_(np.empty((3, 48), np.float32), encoding=posenc.Encoding(base=base)), want, base)


@pytest.mark.skipif(posenc.info()["backend"] != "cpp", reason="another backend is the default")
@pytest.mark.parametrize("named", ["whisper", posenc.Encoding(position_offset=-3.0), None])
def test_named_encodings_are_remembered(named: str | posenc.Encoding | None) -> None:
    x = np.empty((3, 48), np.float32)
    posenc.fill_(x, encoding=named)
    assert _core.fill_small(x, 0, named)
    halves = posenc.Encoding(position_offset=0.5)
    posenc.fill_(x, encoding=halves)
    assert not _core.fill_small(x, 0, halves)


@pytest.mark.parametrize("dim", [1, 5, 64, 300])
def test_calls_on_either_side_of_small_ones(dim: int, compiled_backend: str) -> None:
    end = SMALL // dim
    for start, length in [(0, 9), (end - 9, 9), (end - 8, 9), (end, 9), (end - 1, 1), (0, end), (0, end + 1), (-1, 9)]:
        got = posenc.encode(length, dim, start=start, backend=compiled_backend)
        want = posenc.encode(length, dim, start=start, backend="numpy") if length < 10 else None
        if want is None:
            want = posenc.encode(np.arange(start, start + length), dim, backend=compiled_backend)  # as a list
        assert_same_bits(got, want, f"{length} rows from {start}")
    got = posenc.fill_(np.empty((3, 9, dim), np.float32), start=[0, end - 4, -9], backend=compiled_backend)
    assert_same_bits(got, posenc.fill_(np.empty_like(got), start=[0, end - 4, -9], backend="numpy"))
    got = posenc.encode(9, dim, start=0.5, backend=compiled_backend)
    assert_same_bits(got, posenc.encode(9, dim, start=0.5, backend="numpy"))


REST = (np.zeros((1, 10), np.uint64), np.zeros((3, 10), np.uint64), (0.0, 0.5, math.nan, math.nan, 1.0), False)


@pytest.mark.parametrize("table", [np.zeros((3, 3)), np.zeros(3)])
def test_tables_are_checked(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected frequencies of shape"):
        _core.Table(table, np.zeros(6, np.int32), 1.0, *REST)


@pytest.mark.parametrize("source", [[6], [-2], [0, 1, 2**31 - 1]])
def test_sources_are_checked(source: list[int]) -> None:
    with pytest.raises(ValueError, match="source: expected"):
        _core.Table(np.zeros((2, 3)), np.array(source, np.int32), 1.0, *REST)


def test_numbers_are_checked() -> None:
    with pytest.raises(ValueError, match="factor, numbers, special: expected"):
        _core.Table(np.zeros((2, 2)), np.zeros(4, np.int32), 1.0, *REST)
