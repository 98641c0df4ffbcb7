"""Public conventions by name: one table, `ROWS`, which the functions, the command line and docs/conventions/ read.

Options bear the names of the originals' own arguments, and have their defaults.
"""

from .layout import convert_layout_
from .lookup import ROWS, get_encoding, list_encodings, resolve
from .rope_parameters import from_rope_parameters
from .row import Row

__all__ = ["ROWS", "Row", "convert_layout_", "from_rope_parameters", "get_encoding", "list_encodings", "resolve"]
