"""Notes on exceptions, as tracebacks show them: how far a call came that was interrupted."""

from __future__ import annotations

from types import TracebackType


def of(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", []))


def wrote(error: BaseException, elements: int, total: int, one_thread: bool) -> None:
    """Of a call of the compiled backend."""
    if one_thread:
        error.add_note(f"posenc: the first {elements} of {total} elements have been written, and no others")
    else:
        error.add_note(f"posenc: some of {total} elements have been written, in pieces all over the array")


class Walk:
    """Counts the elements that have been written, and notes it if an exception ends that.

    Parameters
    ----------
    total : int
        Elements in all.
    order : str
        Which ones are written first.
    """

    def __init__(self, total: int, order: str) -> None:
        self.total, self.order, self.done = total, order, 0

    def __enter__(self) -> Walk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(
                f"posenc: {self.done} of {self.total} elements have been written, {self.order}, and perhaps some of "
                "the next ones, which may be half done",
            )
