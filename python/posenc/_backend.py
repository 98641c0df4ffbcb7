"""Which backend runs, and why: chosen once, forced by name or by environment, never replaced in silence.

POSENC_BACKEND names the backend to use, POSENC_ISA the compiled core's instruction set. Both are read when first
needed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
from collections.abc import Callable
from typing import Any, TypeVar

from ._cache import LIMIT
from ._protocol import Backend

# Fastest first; each is a module that is a _protocol.Backend.
MODULES = {"cpp": "posenc._cpp", "numba": "posenc._numba", "numpy": "posenc._reference"}


class BackendError(RuntimeError):
    """A backend or instruction set that was asked for by name can't be had here."""


def get(name: str | None) -> Backend:
    """The backend called `name`, or the default one."""
    if name is None:
        return default()
    if not isinstance(name, str):
        raise TypeError(f"backend: expected one of {', '.join(MODULES)}, got {name!r} ({type(name).__name__})")
    if name not in MODULES:
        raise ValueError(f"backend: expected one of {', '.join(MODULES)}, got {name!r}")
    return _load(name)


Function = TypeVar("Function", bound=Callable[..., Any])


class Chosen:
    """What the default backend does at once, in calls that need no explanation: a _core.SmallCalls, or None."""

    def __init__(self) -> None:
        self._small: Any = None
        self._verbs: list[Any] = []

    @property
    def small(self) -> Any:
        return self._small

    @small.setter
    def small(self, calls: Any) -> None:
        self._small = calls
        for verb in self._verbs:
            verb.calls = calls

    def quick(self, name: str) -> Callable[[Function], Function]:
        """Let a function do its plain calls at once, by the method of SmallCalls of that name, if there is any."""

        def verb(function: Function) -> Function:
            try:
                core: Any = importlib.import_module("posenc._core")
            except ImportError:
                return function
            made: Any = functools.update_wrapper(core.Verb(function, name), function)
            made.__signature__ = inspect.signature(function)  # for those who do not look at what is wrapped
            self._verbs.append(made)
            return made  # type: ignore[no-any-return]

        return verb


chosen = Chosen()


@functools.cache
def default() -> Backend:
    """The backend that runs unless a call names another."""
    name = default_name()
    module = _load(name)
    chosen.small = module.small_calls()
    return module


@functools.cache
def default_name() -> str:
    forced = os.environ.get("POSENC_BACKEND")
    if forced:
        if forced not in MODULES:
            raise BackendError(f"POSENC_BACKEND: expected one of {', '.join(MODULES)}, got {forced!r}")
        return forced
    if os.environ.get("POSENC_ISA"):
        return "cpp"
    return next(name for name in MODULES if why_not(name) is None)


@functools.cache
def _load(name: str) -> Backend:
    _require(name)
    module: Any = importlib.import_module(MODULES[name])
    if getattr(module.__spec__, "_initializing", False):  # the call came from a signal handler, or the like
        raise BackendError(
            f"backend {name!r} is being imported, in the midst of which it can't run; before calls come from signal "
            f"handlers, finalizers and the like, make one: posenc.encode(1, 2, backend={name!r})"
        )
    backend: Backend = module
    return backend


def _require(name: str) -> None:
    reason = why_not(name)
    if reason is not None:
        raise BackendError(f"backend {name!r} is not available: {reason}")


_asked: set[str] = set()  # whether there was a reason to import Numba


@functools.cache
def why_not(name: str) -> str | None:
    """Why the backend called `name` can't be used, or None if it can. Imports Numba if that is asked about."""
    if name == "cpp":
        try:
            core = importlib.import_module("posenc._core")
        except ImportError as error:
            return f"the compiled core could not be imported: {error}"
        level = os.environ.get("POSENC_ISA")
        if level:
            try:
                core.use_level(level)
            except ValueError as error:
                raise BackendError(f"POSENC_ISA: {error}") from None
    elif name == "numba":
        _asked.add(name)
        if not _is_installed("numba"):
            return "numba is not installed (pip install 'posenc[numba]')"
        try:
            importlib.import_module(MODULES[name])
        except Exception as error:  # of any kind: Numba refuses a NumPy that it does not know, or breaks on it
            return (
                f"numba is installed, but can't be imported: {type(error).__name__}: {error} (pip install --upgrade "
                "numba, or posenc's backend 'numpy')"
            )
    return None


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _status(name: str) -> str:
    """What `info` says of a backend: of Numba, only whether it is installed as long as nobody needs it."""
    needed = name in _asked or name == default_name() or why_not("cpp") is not None
    if name == "numba" and not needed and _is_installed(name):
        return "available"
    return why_not(name) or "available"


def version() -> str:
    """The version that was installed; pyproject.toml says it."""
    from importlib import metadata  # slow to import

    return metadata.version("posenc")


def info() -> dict[str, Any]:
    """What is installed, what runs, and why.

    Returns
    -------
    dict
        ``version``: of posenc. ``backend``: the one in use. ``reason``: why that one. ``isa``: the compiled core's
        instruction set, or None where another backend runs. ``isa_levels``: those this processor can run, fastest
        first. ``backends``: for each, "available" or why it is not; Numba is not imported for that unless there is no
        compiled core, or somebody asked for Numba. ``compiler`` and ``flags``: of the compiled core, or None.
        ``cache_limit``: how many bytes all tables that are kept for the next calls may take.

    Raises
    ------
    BackendError
        If POSENC_BACKEND or POSENC_ISA asks for something that can't be had.

    Examples
    --------
    >>> import posenc
    >>> sorted(posenc.info()["backends"])
    ['cpp', 'numba', 'numpy']
    """
    name = default_name()
    _require(name)
    core = importlib.import_module("posenc._core") if why_not("cpp") is None else None
    forced = [key for key in ("POSENC_BACKEND", "POSENC_ISA") if os.environ.get(key)]
    return {
        "version": version(),
        "backend": name,
        "reason": f"{', '.join(forced)} set" if forced else "fastest available",
        "isa": core.level() if core is not None and name == "cpp" else None,
        "isa_levels": core.levels() if core is not None else [],
        "backends": {key: _status(key) for key in MODULES},
        "compiler": core.compiler if core is not None else None,
        "flags": core.flags if core is not None else None,
        "cache_limit": LIMIT + (core.tuning()["memo_bytes"] if core is not None else 0),
    }
