"""What is known of one public convention."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from .._encoding import Encoding
from .evidence import EVIDENCE, Evidence


class Row(NamedTuple):
    """One convention: its names, the first of which is the usual one, and what there is to know about it."""

    names: tuple[str, ...]
    summary: str
    source: str
    make: Callable[..., Encoding]
    traps: tuple[str, ...] = ()

    @property
    def evidence(self) -> dict[str, Evidence]:
        """How each of the names was established."""
        return {name: EVIDENCE[name] for name in self.names}

    @property
    def options(self) -> dict[str, Any]:
        """The options that `make` takes, with their defaults, which are `inspect.Parameter.empty` if there are none."""
        return {name: option.default for name, option in inspect.signature(self.make).parameters.items()}
