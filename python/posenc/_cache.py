"""A small cache of derived tables: bounded in bytes, safe under threads, and never wrong to lose."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value", bound=Sized)

LIMIT = 8 * 2**20


class _Held(Generic[Key, Value]):
    """What a cache has, and who may touch it."""

    def __init__(self) -> None:
        self.values: OrderedDict[Key, Value] = OrderedDict()
        self.nbytes = 0
        self.lock = threading.Lock()


class Cache(Generic[Key, Value]):
    """Maps a key to `make(key)`, forgetting what was used longest ago once the values exceed `limit` bytes.

    Two threads that miss the same key at once may both make its value; all of them get the same kind of value, and
    none waits for another. A value larger than the limit is made, returned and not kept.
    """

    def __init__(self, make: Callable[[Key], Value], limit: int = LIMIT) -> None:
        self._make = make
        self._limit = limit
        self._held: _Held[Key, Value] = _Held()
        _all.add(self)

    def clear(self) -> None:
        """Start anew, with a lock that nobody holds. Whoever is at work goes on with what there was."""
        self._held = _Held()

    def __getitem__(self, key: Key) -> Value:
        held = self._held
        with held.lock:
            value = held.values.get(key)
            if value is not None:
                held.values.move_to_end(key)
                return value
        value = self._make(key)
        if value.nbytes > self._limit:
            return value
        with held.lock:
            if key not in held.values:
                held.values[key] = value
                held.nbytes += value.nbytes
                while held.nbytes > self._limit:
                    held.nbytes -= held.values.popitem(last=False)[1].nbytes
        return value


_all: weakref.WeakSet[Cache[Any, Any]] = weakref.WeakSet()


def _clear_all() -> None:
    for cache in list(_all):
        cache.clear()


# A thread that does not live on in a forked child may have held a lock, or be half way through making a value.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_clear_all)
