"""Files that are to be written: looked at before anything is measured."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

STDOUT = "-"


def target(text: str) -> str:
    """The type of an argument: a file that can be written, or "-"."""
    path = Path(text)
    if text == STDOUT:
        return text
    if not text or path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file to write, got the folder {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"expected a file in a folder that exists, got {text!r}; make the folder first"
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"expected a file that may be written, got {text!r}")
    return text


def same(one: str, other: str) -> bool:
    """Whether two targets are one file."""
    return one == other if STDOUT in (one, other) else Path(one).resolve() == Path(other).resolve()
