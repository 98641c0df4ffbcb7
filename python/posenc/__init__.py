"""Sinusoidal positional encodings, filled and added in place: exact at every position, at the speed of memory."""

from importlib.metadata import version as _version

from ._api import add, add_, encode, fill_
from ._backend import BackendError, info
from ._threads import get_num_threads, set_num_threads

__all__ = ["BackendError", "add", "add_", "encode", "fill_", "get_num_threads", "info", "set_num_threads"]
__version__ = _version("posenc")
