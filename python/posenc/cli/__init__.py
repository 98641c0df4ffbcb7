"""The command `posenc`. Each subcommand is a module with HELP, `arguments(parser)` and `run(args) -> exit status`.

A subcommand must not import anything heavy, nor the optional rich, before it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

import posenc

from . import bench, compare, encodings, info, plot

COMMANDS = {"compare": compare, "bench": bench, "encodings": encodings, "plot": plot, "info": info}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments. Default: those of the process.

    Returns
    -------
    int
        0 for success, 1 for a failed check, a missing backend, too little memory or an output that can't be written,
        130 after Ctrl-C.
    """
    if sys.stderr is None:  # closed; print() would write to stdout instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # until the process ends
    if sys.stdout is None:
        print("posenc: standard output is closed", file=sys.stderr)
        return 1
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, head(1) or a pager, has seen enough
        _forget_stdout()
        return 1
    except (posenc.BackendError, MemoryError) as error:
        print(f"posenc: {str(error) or 'not enough memory'}", file=sys.stderr)
        return 1
    except OSError as error:
        _forget_stdout()
        print(f"posenc: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("posenc: interrupted", file=sys.stderr)
        return 130


def _run(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="posenc", description=posenc.__doc__)
    parser.add_argument("--version", action="version", version=f"posenc {posenc.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.__doc__)
        command.arguments(subparser)
        subparser.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    if not hasattr(args, "run"):
        print(parser.format_help(), end="")  # print_help() would say nothing of a full disk
        return 0
    status: int = args.run(args)
    return status


def _forget_stdout() -> None:
    """Let nothing that is still to be written to stdout fail once more, when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):  # it has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
