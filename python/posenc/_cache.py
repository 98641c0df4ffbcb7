"""A small cache of derived tables: bounded in bytes, safe under threads, signals and forks, and never wrong to lose.

Keys may be compared by Python code, and signal handlers, finalizers and callbacks of the garbage collector may run
wherever Python code does, with calls of their own that come back here. So nobody ever waits: looking up takes no lock
(a dictionary bears being changed while it compares keys), and what is made while somebody else is storing something is
returned and not kept.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Hashable
from contextvars import Context
from typing import Any, Generic, Protocol, TypeVar


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Key = TypeVar("Key", bound=Hashable)
Owner = TypeVar("Owner")
Made = TypeVar("Made")
Value = TypeVar("Value", bound=Sized)

# Of all tables together: those of one encoding fit at every width. What the compiled core memoizes for small calls
# (kMemoBytes in csrc/tuning.hpp) comes on top: together, this is what docs/reference/limits.md and `info` say.
LIMIT = 52 * 2**20

# What an entry takes beside the bytes of its arrays: a key with its `Encoding` (415 bytes without explicit frequencies,
# on Python 3.11), the objects of a spectrum or a table and of their arrays (500), and a place in a dictionary (200).
OVERHEAD = 1280

PATIENCE = 100


class _Entry(Generic[Value]):
    __slots__ = ("nbytes", "used", "value")

    def __init__(self, value: Value, nbytes: int) -> None:
        self.value = value
        self.nbytes = nbytes
        self.used = False  # since it was stored, or last spared


class _Held(Generic[Key, Value]):
    """What a cache has, and who may change it: whoever gets the lock at once."""

    def __init__(self) -> None:
        self.entries: dict[Key, _Entry[Value]] = {}
        self.nbytes = 0
        self.lock = threading.Lock()
        self.refusals = 0  # one after the other


_caches: weakref.WeakSet[Cache[Any, Any]] = weakref.WeakSet()


def _forget_parts(held: _Held[Any, Any], value: Any) -> list[Any]:
    """Take what was made of the parts of a value that is gone, and that nobody will ask for again."""
    gone = []
    for part in value if isinstance(value, tuple) else ():
        for cache in list(_caches):
            entry = held.entries.pop((cache, part), None)
            if entry is not None:
                held.nbytes -= entry.nbytes
                gone.append(entry)
    return gone


class Store:
    """What some caches keep together, in at most `limit` bytes.

    Which entry goes is decided by a clock: the oldest one, unless it was used since the clock last passed it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held: _Held[Any, Any] = _Held()
        _all.add(self)

    def clear(self) -> None:
        """Start anew, with a lock that nobody holds. Whoever is at work goes on with what there was."""
        self.held = _Held()


_all: weakref.WeakSet[Store] = weakref.WeakSet()
SHARED = Store(LIMIT)


class memoized(Generic[Owner, Made]):  # used as functools.cached_property is
    """A property that is made once and kept in the instance.

    functools.cached_property holds a lock that, up to Python 3.11, all instances share: Python code runs under it, and
    a child that is forked while another thread holds it waits forever. Here two threads may both make the value.
    """

    def __init__(self, make: Callable[[Owner], Made]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Owner, owner: type | None = None) -> Made:
        value: Made = self._make(instance)
        instance.__dict__[self._name] = value
        return value


class Cache(Generic[Key, Value]):
    """Maps a key to `make(key)`, forgetting what is old and unused once the entries of its store exceed their limit.

    The size of an entry is `value.nbytes` and `overhead`. A value that is a tuple has parts, which are keys of other
    caches: with it go what these have of them.

    Two threads that miss the same key at once may both make its value; all of them get the same kind of value, and
    none waits for another. A value larger than the limit is made, returned and not kept.
    """

    def __init__(self, make: Callable[[Key], Value], store: Store = SHARED, overhead: int = OVERHEAD) -> None:
        self._make = make
        self._store = store
        self._overhead = overhead
        _caches.add(self)

    def __getitem__(self, key: Key) -> Value:
        held = self._store.held
        entry: _Entry[Value] | None = held.entries.get((self, key))
        if entry is not None:
            entry.used = True
            return entry.value
        # Context variables (of decimal, of NumPy's errstate) are set in a context of our own: up to Python 3.11 a
        # finalizer that sets one while another is being set in the same context crashes the interpreter.
        value = Context().run(self._make, key)
        nbytes = value.nbytes + self._overhead
        if nbytes <= self._store.limit:
            self._keep(held, (self, key), _Entry(value, nbytes))
        return value

    def _keep(self, held: _Held[Any, Any], key: tuple[Cache[Key, Value], Key], entry: _Entry[Value]) -> None:
        gone = []  # whose ends may run Python code: they come when the lock is free
        if not held.lock.acquire(blocking=False):
            held.refusals += 1
            if held.refusals >= PATIENCE:  # an exception came just when the lock had been taken
                self._store.clear()
            return
        try:
            held.refusals = 0
            if key not in held.entries:
                held.nbytes += entry.nbytes
                held.entries[key] = entry
                while held.nbytes > self._store.limit:
                    oldest = next(iter(held.entries))
                    last = held.entries.pop(oldest)
                    if last.used:
                        last.used = False
                        held.entries[oldest] = last
                    else:
                        held.nbytes -= last.nbytes
                        gone.append((oldest, last))
                        gone += _forget_parts(held, last.value)
        except BaseException:  # of a signal handler, for instance: who knows what was done and what was not
            self._store.clear()
            raise
        finally:
            held.lock.release()


def _clear_all() -> None:
    for store in list(_all):
        store.clear()


# A thread that does not live on in a forked child may have held a lock, or be half way through storing something.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_clear_all)
