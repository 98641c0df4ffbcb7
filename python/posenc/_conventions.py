"""Every public convention by its name."""

from __future__ import annotations

from ._encoding import Encoding


def get_encoding(name: str) -> Encoding:
    """The encoding called `name`."""
    if name != "paper":
        raise ValueError(f"encoding: expected 'paper', got {name!r}")
    return Encoding()
