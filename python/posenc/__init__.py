"""Sinusoidal positional encodings, filled and added in place: exact at every position, at the speed of memory."""

import contextlib as _contextlib
from importlib import import_module as _import_module
from typing import Any as _Any

from . import _reference as _reference  # see below
from ._api import add, add_, embed, encode, fill_, rotate, rotate_
from ._backend import BackendError, info
from ._backend import version as _version
from ._conventions import convert_layout_, from_rope_parameters, get_encoding, list_encodings
from ._dynamo import install as _install
from ._encoding import Encoding
from ._grid import grid
from ._identify import Match, identify
from ._positions import positions_from_mask
from ._threads import get_num_threads, set_num_threads

__all__ = [
    "BackendError",
    "Encoding",
    "Match",
    "add",
    "add_",
    "convert_layout_",
    "embed",
    "encode",
    "fill_",
    "from_rope_parameters",
    "get_encoding",
    "get_num_threads",
    "grid",
    "identify",
    "info",
    "list_encodings",
    "positions_from_mask",
    "rotate",
    "rotate_",
    "set_num_threads",
]

_install()

# Not left to the first call: a signal handler in the midst of that import, with a call of its own, would find a module
# that is half made.
with _contextlib.suppress(ImportError):
    from . import _cpp as _cpp


def __getattr__(name: str) -> _Any:
    if name == "__version__":
        return _version()
    if name in ("dask", "files", "plot", "properties", "torch"):  # at first use, as they import what need not be there
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
