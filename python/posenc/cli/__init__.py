"""The command `posenc`. Each subcommand is a module with HELP, `arguments(parser)` and `run(args) -> exit status`.

A subcommand must not import anything heavy, nor the optional rich, before it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import posenc
from posenc import _notes


class Refused(Exception):
    """A command can't do what it is asked for; the text names the argument."""


@contextlib.contextmanager
def refusing(option: str = "") -> Iterator[None]:
    """End the command with what a function says of an argument, of the option that it is here, or of what it needs."""
    try:
        yield
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        raise Refused(f"{option}{error}") from None


COMMANDS = ("encode", "add", "identify", "encodings", "plot", "info", "compare", "bench")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments, or else those of the process, and return the exit status.

    That is 0 for success, 1 for a failed check, a missing backend, too little memory, a file that can't be read or
    written or does not fit, 130 after Ctrl-C.
    """
    if sys.stderr is None:  # closed; print() would write to stdout instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # until the process ends
    if sys.stdout is None:
        print("posenc: standard output is closed", file=sys.stderr)
        return 1
    try:
        return _run(argv)
    except BrokenPipeError as error:  # the reader, head(1) or a pager, has seen enough
        return _fail(error, 1)
    except (Refused, posenc.BackendError, MemoryError, OSError) as error:
        return _fail(error, 1, str(error) or "not enough memory")
    except KeyboardInterrupt as error:
        return _fail(error, 130, "interrupted")


class _Parser(argparse.ArgumentParser):
    """Fails where help can't be written, of which argparse would say nothing."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            print(message, end="", flush=True)
        else:
            super()._print_message(message, file)


def _fail(error: BaseException, status: int, *what: str) -> int:
    """Tell what went wrong, and what notes say of how far it came; return the status."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):  # what is left is forgotten, and does not fail once more when the interpreter ends
        with contextlib.suppress(OSError, ValueError):  # it has no descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for line in [*(f"posenc: {text}" for text in what), *_notes.of(error)]:
        print(line, file=sys.stderr)
    return status


def _run(argv: Sequence[str] | None) -> int:
    parser = _Parser(prog="posenc", description=posenc.__doc__)
    words = sys.argv[1:] if argv is None else argv
    # Only the command that is to run, and no version with it: each takes longer than to write many a file.
    names = [name for name in COMMANDS if name in words[:1]]
    version = "" if names else f"posenc {posenc.__version__}"
    parser.add_argument("--version", action="version", version=version, help="show the version and exit")
    parser.set_defaults(run=lambda _: parser.print_help())
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in names or COMMANDS:
        command = importlib.import_module(f".{name}", __name__)
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.__doc__)
        command.arguments(subparser)
        subparser.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    status: int = args.run(args) or 0
    sys.stdout.flush()
    return status
