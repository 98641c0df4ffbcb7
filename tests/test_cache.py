"""The cache of derived tables by itself, with values that only have a size."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from posenc import _spectrum
from posenc._cache import LIMIT, Cache, Store

from .backends import spectrum

pytestmark = pytest.mark.thread_unsafe(reason="counts what is made")


@dataclass(frozen=True)
class Value:
    key: int
    nbytes: int


class Made:
    """Makes values whose size is their key, and counts them."""

    def __init__(self) -> None:
        self.keys: list[int] = []

    def __call__(self, key: int) -> Value:
        self.keys.append(key)
        return Value(key, key)


@pytest.fixture
def made() -> Made:
    return Made()


def test_made_once(made: Made) -> None:
    cache = Cache(made, Store(100), overhead=0)
    assert cache[7] is cache[7]
    assert made.keys == [7]


def test_the_oldest_goes_unless_it_was_used(made: Made) -> None:
    cache = Cache(made, Store(100), overhead=0)
    for key in (30, 31, 32, 30, 40):  # when 40 comes, 30 is the oldest and spared; 31 goes, and 32 with it
        cache[key]
    assert made.keys == [30, 31, 32, 40]
    cache[30], cache[40]
    assert made.keys == [30, 31, 32, 40]
    cache[32]
    assert made.keys == [30, 31, 32, 40, 32]


def test_just_as_much_as_the_limit_stays(made: Made) -> None:
    cache = Cache(made, Store(100), overhead=0)
    for key in (40, 60, 40, 60):
        cache[key]
    assert made.keys == [40, 60]


def test_a_value_that_is_too_large_is_not_kept(made: Made) -> None:
    cache = Cache(made, Store(100), overhead=0)
    cache[60]
    assert cache[101] == Value(101, 101)
    cache[101], cache[60]
    assert made.keys == [60, 101, 101]  # and pushes nothing out


def test_a_failure_is_not_kept() -> None:
    failures = [True, False]

    def make(key: int) -> Value:
        if failures.pop(0):
            raise MemoryError
        return Value(key, key)

    cache = Cache(make, Store(100), overhead=0)
    with pytest.raises(MemoryError):
        cache[1]
    assert cache[1] == Value(1, 1)


@given(keys=st.lists(st.integers(1, 120)), limit=st.integers(0, 200))
def test_against_a_list(keys: list[int], limit: int) -> None:
    # The plainest clock there is: a list, newest last, and who was used.
    made, kept, used, misses = Made(), [], set(), []
    cache = Cache(made, Store(limit), overhead=0)
    for key in keys:
        assert cache[key] == Value(key, key)
        if key in kept:
            used.add(key)
            continue
        misses.append(key)
        if key <= limit:
            kept.append(key)
        while sum(kept) > limit:
            oldest = kept.pop(0)
            if oldest in used:
                used.remove(oldest)
                kept.append(oldest)
        assert [key for _, key in cache._store.held.entries] == kept
        assert cache._store.held.nbytes == sum(kept)
    assert made.keys == misses


@pytest.mark.parametrize("cleared", [False, True])
def test_threads(cleared: bool) -> None:
    cache: Cache[int, Value] = Cache(lambda key: Value(key, key), Store(50), overhead=0)
    start, wrong = threading.Barrier(8), []

    def work(seed: int) -> None:
        start.wait()
        for i in range(3000):
            key = 1 + (i * 7 + seed) % 23
            if cleared and i % 5 == 0:
                cache._store.clear()
            if cache[key] != Value(key, key):
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    held = cache._store.held
    assert held.nbytes == sum(entry.nbytes for entry in held.entries.values()) <= 50


def test_cleared_while_a_value_is_made() -> None:
    # It comes too late for what the cache holds since then.
    cache: Cache[int, Value]

    def make(key: int) -> Value:
        cache._store.clear()
        return Value(key, key)

    cache = Cache(make, Store(100), overhead=0)
    assert cache[1] == Value(1, 1)
    assert not cache._store.held.entries
    assert cache._store.held.nbytes == 0


def test_no_waiting_for_another_keys_value() -> None:
    entered, leave = threading.Event(), threading.Event()

    def make(key: int) -> Value:
        if key == 1:
            entered.set()
            assert leave.wait(30)
        return Value(key, key)

    cache = Cache(make, Store(100), overhead=0)
    slow = threading.Thread(target=lambda: cache[1])
    slow.start()
    assert entered.wait(30)
    assert cache[2] == Value(2, 2)  # would hang if the lock were held while a value is made
    leave.set()
    slow.join()


def test_tables_are_bounded() -> None:
    for dim in range(1, 2000, 29):
        spectrum(dim)
    assert _spectrum._spectra._store.held.nbytes <= LIMIT
    assert spectrum(4096).nbytes > 3 * 2048 * 8 - 1


def test_compiled_tables_are_bounded() -> None:
    _cpp = pytest.importorskip("posenc._cpp", reason="no compiled core", exc_type=ImportError)
    for dim in range(1, 2000, 29):
        _cpp._tables[spectrum(dim)]
    assert 0 < _cpp._tables._store.held.nbytes <= LIMIT
