"""Add positional encodings to an array in a .npy or .safetensors file: x = x * x_scale + PE.

The array is streamed, so that memory does not grow with it. A new file gets its name once it is complete. A change in
place keeps a journal beside the file, FILE.posenc-journal, as large as the array: whatever ends such a run, --resume
completes it, and --undo brings every byte back.
"""

from __future__ import annotations

import argparse
from functools import partial

import posenc.files

from . import files
from .argtypes import axes, factor, numbers

HELP = "add to an array in a file, into a new file or in place: posenc add x.npy -o y.npy"


def arguments(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    flag = partial(option, action="store_true")
    option("path", metavar="IN", help="a .npy or .safetensors file with an array (..., L, D)")
    option("-o", "--out", metavar="OUT", help="the new file; replaced if it is there")
    flag("--in-place", help="change IN itself, with a journal beside it")
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--resume", action="store_true", help="complete a run in place that was interrupted or killed")
    end.add_argument("--undo", action="store_true", help="bring back what was there before such a run")
    faster = "in place: faster; what interrupts it loses the array"
    option("--no-journal", dest="journal", action="store_false", help=faster)
    flag("--sync", help="in place: survive a power failure, too; takes the disk's time for both files")
    option("--tensor", metavar="NAME", help="which one, in a .safetensors file with several")
    option("--encoding", metavar="NAME", help="see `posenc encodings`; default: that of the paper")
    option("--x-scale", metavar="S", type=factor, default=1.0, help="factor for x: a number or sqrt_dim; default 1")
    option("--start", metavar="N[,N...]", type=numbers, default=0, help="first position (along each axis); default 0")
    along = "the axis along which positions count, or several; default: the last before the channels"
    option("--seq-axis", metavar="A[,A...]", type=axes, help=along)
    flag("--json", help="print one line of JSON")


def run(args: argparse.Namespace) -> int:
    return files.finish(posenc.files.add, args)
