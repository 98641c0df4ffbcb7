"""Tell which encodings made a table in a .npy or .safetensors file."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np

import posenc
import posenc.files

from . import Refused, refusing, table

HELP = "which encodings made a table: posenc identify model.safetensors:embed.pe"


def arguments(parser: argparse.ArgumentParser) -> None:
    path = "a .npy or .safetensors file, and the tensor if that has several"
    parser.add_argument("path", metavar="FILE[:TENSOR]", help=path)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    path, tensor = split(args.path)
    with refusing():
        matches = posenc.identify(posenc.files.load(path, tensor))
    if args.json:
        found = [
            match._asdict() | {"encoding": repr(match.encoding), "start": np.asarray(match.start, float).tolist()}
            for match in matches
        ]
        print(json.dumps(found, indent=2))
    elif matches:
        lines = [
            table.Row((name, ",".join(f"{value:g}" for value in np.atleast_1d(start)), f"{error:.3g}", repr(encoding)))
            for name, encoding, start, error in matches
        ]
        table.show(("name", "start", "max error", "encoding"), 1, [lines])
    if not matches:
        raise Refused("no known encoding made this table; `posenc encodings` lists them")
    return 0


def split(text: str) -> tuple[str, str | None]:
    """A file, and the tensor in it."""
    found = re.fullmatch(r"(.*?\.(?:safetensors|npy)):(.+)", text, re.S)
    return (text, None) if found is None or Path(text).exists() else (found[1], found[2])
