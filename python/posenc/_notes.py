"""Notes on exceptions, as tracebacks show them from Python 3.11 on."""

from __future__ import annotations


def add(error: BaseException, note: str) -> None:
    """`error.add_note(note)`, on Python 3.10, too, where nobody shows it."""
    error.__notes__ = [*getattr(error, "__notes__", []), note]


def of(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", []))
