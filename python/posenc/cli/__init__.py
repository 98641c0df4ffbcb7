"""The command `posenc`. Each subcommand is a module with HELP, `arguments(parser)` and `run(args) -> exit status`.

A subcommand must not import anything heavy, nor the optional rich, before it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import posenc

from . import bench, compare, encodings, info

COMMANDS = {"compare": compare, "bench": bench, "encodings": encodings, "info": info}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments. Default: those of the process.

    Returns
    -------
    int
        0 for success, 1 for a failed check, a missing backend or too little memory, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="posenc", description=posenc.__doc__)
    parser.add_argument("--version", action="version", version=f"posenc {posenc.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.__doc__)
        command.arguments(subparser)
        subparser.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, head(1) or a pager, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (posenc.BackendError, MemoryError) as error:
        print(f"posenc: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("posenc: interrupted", file=sys.stderr)
        return 130
