"""Write a table of positional encodings to a .npy or .safetensors file. It may be larger than memory."""

from __future__ import annotations

import argparse

import posenc.files

from . import argtypes, files
from .arrays import DTYPES

HELP = "write a table to a file: posenc encode 1500 384 --encoding whisper -o pe.safetensors"


def arguments(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("length", metavar="LENGTH", type=int, help="number of positions, the rows of the table")
    option("dim", metavar="DIM", type=int, help="number of channels, its columns")
    file = "the file, .npy or .safetensors; replaced if it is there"
    option("-o", "--out", dest="path", metavar="FILE", required=True, help=file)
    option("--encoding", metavar="NAME", help="see `posenc encodings`; default: that of the paper")
    option("--start", metavar="N", type=argtypes.number, default=0, help="position of the first row; default 0")
    option("--dtype", choices=DTYPES, default="float32", help="default float32; bfloat16: .safetensors only")
    option("--name", metavar="KEY", default="pe", help="name of the tensor in a .safetensors file; default pe")
    option("--json", action="store_true", help="print one line of JSON")


def run(args: argparse.Namespace) -> int:
    return files.finish(posenc.files.encode, args)
