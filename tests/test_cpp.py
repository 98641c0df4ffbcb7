"""The compiled core's own doors: tables that come and go, what it checks itself."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import posenc
import pytest

from . import backends
from .arrays import assert_same_bits
from .backends import TUNING

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


EXACT = (np.arange(3), np.zeros((3, 10), np.uint64), np.zeros((0, 10), np.uint64), np.ones(1))
REST = (np.zeros((1, 10), np.uint64), EXACT, (0.0, 0.5, math.nan, math.nan, 1.0), False)


def test_nothing_is_merged_without_columns() -> None:
    _core.merge(None, np.zeros((2, 0), np.float32), [np.zeros((2, 0), np.float32)], 1.0, False, 1)


@pytest.mark.parametrize("table", [np.zeros((3, 3)), np.zeros(3)])
def test_tables_are_checked(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected frequencies of shape"):
        _core.Table(table, np.zeros(6, np.int32), 1.0, *REST)


@pytest.mark.parametrize("source", [[6], [-2], [0, 1, 2**31 - 1]])
def test_sources_are_checked(source: list[int]) -> None:
    with pytest.raises(ValueError, match="source: expected"):
        _core.Table(np.zeros((2, 3)), np.array(source, np.int32), 1.0, *REST)


NUMBERS = {
    "too few exact ones": (np.arange(2), *EXACT[1:]),
    "too many exact ones": (np.arange(4), np.zeros((4, 10), np.uint64), *EXACT[2:]),
    "in disorder": (np.array([0, 2, 1]), *EXACT[1:]),
    "no scale": (*EXACT[:3], np.ones(0)),
    "too few powers": (np.arange(0), np.zeros((0, 10), np.uint64), np.zeros((64, 10), np.uint64), np.ones(1)),
    "too few factors": (np.arange(0), np.zeros((0, 10), np.uint64), np.zeros((0, 10), np.uint64), np.ones(3)),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_are_checked(kind: str) -> None:
    with pytest.raises(ValueError, match="numbers: expected one for each"):
        _core.Table(np.zeros((2, 3)), np.zeros(4, np.int32), 1.0, REST[0], NUMBERS[kind], *REST[2:])
