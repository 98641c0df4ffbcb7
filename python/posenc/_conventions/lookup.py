"""Conventions by name."""

from __future__ import annotations

import functools
import inspect
from typing import Any, NamedTuple

import numpy as np

from .. import _validate
from .._encoding import LARGEST_AXES, LARGEST_DIM, LAYOUTS, PAPER, Encoding
from . import absent, concatenated, interleaved, rotary, several_axes
from .row import Row


class Kind(NamedTuple):
    types: Any
    words: str


# What an option must be whose default is of such a type.
KINDS = {
    bool: Kind(bool, "True or False"),
    int: Kind((int, np.integer), "an integer"),
    float: Kind((int, float, np.integer, np.floating), "a number"),
}

# Options that count something, with the least and the most they may be, and options that are sizes of axes.
COUNTS = {
    **dict.fromkeys(("length", "max_len", "klen", "seq_len"), (1, 2**53)),
    **dict.fromkeys(("n_head", "dim", "num_bands"), (1, LARGEST_DIM)),
    **dict.fromkeys(("axes", "input_dims"), (1, LARGEST_AXES)),
    **dict.fromkeys(("padding_idx", "_legacy_pad_idx"), (0, 2**53)),
    **dict.fromkeys(("base_size", "original", "max_position_embeddings", "pt", "ft"), (1, 2**53)),
    "num_freqs": (1, 64),
}
SIZES = ("shape", "grid_size", "max_resolution", "axes_dim", "sections")


class Summary(NamedTuple):
    """What `list_encodings` tells of an encoding; `evidence` is "ran", "read" or "paper", and `where` is of what."""

    name: str
    summary: str
    source: str
    evidence: str
    where: str


ROWS = [*interleaved.ROWS, *concatenated.ROWS, *several_axes.ROWS, *rotary.ROWS]
_rows = {name: row for row in ROWS for name in row.names}
_names = {absent.spelled(name): name for name in _rows}


def get_encoding(name: str, **options: Any) -> Encoding:
    """The encoding that a framework, a model or a paper uses.

    Parameters
    ----------
    name : str
        One of those that `list_encodings` lists. Case, "-", "_" and spaces do not matter.
    **options
        Arguments of the original, under their own names; ``posenc encodings NAME`` lists them.

    Returns
    -------
    Encoding

    Raises
    ------
    TypeError
        If the encoding does not take such options, or needs others; or if one is not of the kind it should be.
    ValueError
        If there is no encoding of that name, or an option has a value that makes no sense.

    Examples
    --------
    >>> import posenc
    >>> posenc.get_encoding("diffusers", flip_sin_to_cos=True, downscale_freq_shift=0)
    Encoding(layout='concatenated', cos_first=True, odd='zero')
    """
    if not isinstance(name, str):
        raise TypeError(
            f"encoding: expected the name of an encoding, got {_validate.shown(name)}; list_encodings() lists them"
        )
    return _make(row(name), name, options) if options else _plain(name)


@functools.lru_cache(maxsize=512)
def _plain(name: str) -> Encoding:
    known = known_name(name)
    return _make(row(name), name, {}) if known in (None, name) else _plain(known)


def resolve(encoding: str | Encoding | None) -> Encoding:
    """The encoding that a user means."""
    if encoding is None:
        return PAPER
    if isinstance(encoding, Encoding):
        return encoding
    if isinstance(encoding, str):
        return _plain(encoding)
    raise TypeError(f"encoding: expected an Encoding, or the name of one, got {_validate.shown(encoding)}")


def known_name(name: str) -> str | None:
    """`name` as the table spells it."""
    return name if name in _rows else _names.get(absent.spelled(name))


def row(name: str) -> Row:
    """The row of the table for `name`."""
    known = known_name(name)
    if known is not None:
        return _rows[known]
    expected = "encoding: expected a name that list_encodings() lists"
    if absent.spelled(name) in LAYOUTS:
        raise ValueError(f"{expected}, got the layout {name!r}: posenc.Encoding(layout={absent.spelled(name)!r})")
    text = absent.explanation(name)
    if text is not None:
        raise ValueError(f"{expected}, and {text}")
    near = nearest(name)
    hint = f"do you mean {' or '.join(near)}?" if near else "posenc.Encoding(...) makes any other"
    raise ValueError(f"{expected}, got {name!r}; {hint}")


def nearest(name: str) -> list[str]:
    """Up to three known names: those that begin as `name` does, or else those that are written much like it."""
    import difflib  # slow to import

    plain = absent.spelled(name)
    begun = [known for key, known in _names.items() if plain.startswith(key) or (plain and key.startswith(plain))]
    if begun:
        return sorted(begun, key=lambda known: abs(len(absent.spelled(known)) - len(plain)))[:3]
    return [_names[key] for key in difflib.get_close_matches(plain, _names, n=3, cutoff=0.75)]


def _make(row: Row, name: str, options: dict[str, Any]) -> Encoding:
    known = row.options
    for option, value in options.items():
        if option not in known:
            takes = f"takes {', '.join(known)}" if known else "takes none"
            raise TypeError(f"encoding: expected options of {name}, which {takes}, got {option}")
        kind = KINDS.get(type(known[option]))
        if kind is not None and not (isinstance(value, kind.types) and isinstance(value, bool) is (kind.types is bool)):
            raise TypeError(f"{option}: expected {kind.words}, got {_validate.shown(value)}")
        _check(option, value, known[option])
    for option, default in known.items():
        if default is inspect.Parameter.empty and option not in options:
            raise TypeError(f"encoding: expected {option} with {name}: get_encoding({name!r}, {option}=...)")
    try:
        return row.make(**options)
    except (TypeError, ValueError, ArithmeticError) as error:
        given = ", ".join(f"{option}={value!r}" for option, value in options.items())
        kind_of_error = TypeError if isinstance(error, TypeError) else ValueError
        raise kind_of_error(f"encoding: expected options that make sense, got {name}({given}): {error}") from None


def _check(option: str, value: Any, default: Any) -> None:
    """Refuse counts and sizes that are none."""
    if value is None and default is None:
        return
    if option in COUNTS:
        least, most = COUNTS[option]
        if _validate.integer(value, option, minimum=least) > most:
            raise ValueError(f"{option}: expected at most {most}, got {value}")
    elif option in SIZES and not isinstance(value, (int, np.integer)):
        for size in _validate.sequence(value, option, "the sizes of all axes, such as (14, 14)"):
            _validate.integer(size, option, minimum=1)
    elif option in SIZES:
        if option != "grid_size":
            raise TypeError(f"{option}: expected the sizes of all axes, such as (14, 14), got {_validate.shown(value)}")
        _validate.integer(value, option, minimum=1)


def list_encodings() -> list[Summary]:
    """All encodings that have a name.

    Returns
    -------
    list of (name, summary, source, evidence, where)
        In alphabetical order. `evidence` tells how the encoding was established: "ran" if it was compared with what
        the running original computes, "read" if it was read in the source, "paper" if only a paper's formula was;
        `where` is the version, or the commit, the file and the lines. ``posenc encodings`` prints it, and more of each.

    Examples
    --------
    >>> import posenc
    >>> [encoding.name for encoding in posenc.list_encodings() if "Marian NMT" in encoding.summary]
    ['marian', 'marian_nmt']
    """
    return sorted(Summary(name, row.summary, row.source, *row.evidence[name]) for name, row in _rows.items())
