"""A progress bar on stderr while a command runs, if stderr is a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

REDRAW_SECONDS = 0.1


class Progress:
    """Shows nothing."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    _drawn = -REDRAW_SECONDS

    def show(self, done: float, text: str) -> None:
        """Show that a fraction of the work is done, and what is being done."""
        now = time.monotonic()
        if now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            self._draw(done, text)

    def _draw(self, done: float, text: str) -> None: ...

    def _clear(self) -> None: ...


class _Line(Progress):
    """One line that is written over."""

    def _draw(self, done: float, text: str) -> None:
        print(f"\r{done:4.0%}  {text:<70.70}", end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        print(f"\r{'':76}\r", end="", file=sys.stderr, flush=True)


class _Bar(Progress):
    """A bar by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        # Without auto_refresh there is no thread that draws while something is timed.
        self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
        self._task = self._bar.add_task("", total=1.0)
        self._bar.start()

    def _draw(self, done: float, text: str) -> None:
        self._bar.update(self._task, completed=done, description=text, refresh=True)

    def _clear(self) -> None:
        self._bar.stop()


def progress() -> Progress:
    """What fits stderr."""
    if not sys.stderr.isatty():
        return Progress()
    try:
        return _Bar()
    except ImportError:
        return _Line()
