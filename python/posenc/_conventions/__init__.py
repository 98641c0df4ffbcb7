"""Public conventions by name: one table, `ROWS`, which the functions, the command line and docs/conventions/ read.

Options bear the names of the originals' own arguments, and have their defaults.
"""

from .layout import convert_layout_
from .lookup import ROWS, get_encoding, list_encodings, resolve
from .row import Row

__all__ = ["ROWS", "Row", "convert_layout_", "get_encoding", "list_encodings", "resolve"]
