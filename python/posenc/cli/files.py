"""Files that are to be written: looked at before anything is measured. What commands that change files share."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from posenc.files import Done

from . import refusing
from .table import progress


def target(text: str) -> str:
    """The type of an argument: a file that can be written, or "-"."""
    path = Path(text)
    if text == "-":
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


# ---- commands that change files -------------------------------------------------------------------------------------

REDRAW_SECONDS = 0.1


def finish(work: Callable[..., Done], args: argparse.Namespace) -> int:
    """Do the work of a command, whose options are named as its arguments, and print what was done."""
    options = {name: value for name, value in vars(args).items() if name not in ("run", "json")}
    begun = drawn = time.perf_counter()
    with refusing(), progress() as show:

        def report(done: int, total: int) -> None:
            nonlocal drawn
            now = time.perf_counter()
            if now - drawn >= REDRAW_SECONDS:
                drawn = now
                show(done / total, f"{done / (now - begun) / 1e9:.2f} GB/s")

        done = work(**options, progress=report)
    try:
        print(json.dumps(record(done)) if args.json else _printable(readable(done)), flush=True)
    except OSError as error:  # what follows "added" is not to be added again
        error.add_note(f"posenc: {readable(done)}")
        raise
    return 0


def _printable(text: str) -> str:
    """What stdout can take of a text: a path may hold what it has no bytes for."""
    encoding, errors = sys.stdout.encoding or "utf-8", sys.stdout.errors or "strict"
    return text.encode(encoding, "backslashreplace" if errors == "strict" else errors).decode(encoding, errors)


def record(done: Done) -> dict[str, Any]:
    """What goes into the line of JSON."""
    said = {"bytes" if name == "nbytes" else name: value for name, value in vars(done).items()}
    return said | {"encoding": repr(done.encoding), "gb_per_s": done.gb_per_s}


def readable(done: Done) -> str:
    tensor = "" if done.tensor is None else f":{done.tensor}"
    shape = " x ".join(map(str, done.shape))
    what = {"encode": "written", "add": "added", "resume": "completed", "undo": "brought back"}[done.action]
    return f"{what}: {done.path}{tensor}, {shape} {done.dtype}, {done.seconds:.2f} s, {done.gb_per_s:.2f} GB/s"
