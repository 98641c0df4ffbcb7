"""What a backend is: the calls that `_apply` makes, and what it may do at once for calls that need no explanation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._encoding import Spectrum
    from ._turns import Run


class Backend(Protocol):
    """A module. Arrays are views (see `_arrays`), positions as `_tiles` describes them; everything is checked."""

    def fill(self, out: NDArray[Any], spectrum: Spectrum, positions: NDArray[np.float64], threads: int) -> None:
        """Write the encoding of `positions` to `out`."""

    def add(
        self,
        x: NDArray[Any],
        out: NDArray[Any],
        spectrum: Spectrum,
        positions: NDArray[np.float64],
        scale: float,
        threads: int,
    ) -> None:
        """Write x * scale + encoding to `out`, which may be `x`."""

    def embed(
        self,
        ids: NDArray[np.int64],
        table: NDArray[Any],
        out: NDArray[Any],
        spectrum: Spectrum,
        positions: NDArray[np.float64],
        scale: float,
        threads: int,
    ) -> None:
        """Write table[ids] * scale + encoding to `out`, and zeros where an id is negative. `ids` are C-contiguous."""

    def merge(
        self, x: NDArray[Any] | None, out: NDArray[Any], parts: Sequence[NDArray[Any]], scale: float, threads: int
    ) -> None:
        """Write the bitwise or of rows of `parts`, or x * scale plus that, to `out`."""

    def rotate(
        self,
        x: NDArray[Any],
        out: NDArray[Any],
        rows: NDArray[Any],
        pairs: Sequence[Run],
        inverse: bool,
        threads: int,
    ) -> None:
        """Write `x`, turned by `rows`, to `out`, which may be `x`: see `_turns`."""

    def small_calls(self) -> Any:
        """What does the calls that need no explanation, if it is the default backend: a _core.SmallCalls, or None."""


if TYPE_CHECKING:
    from . import _cpp, _numba, _reference

    _of_cpp: Backend = _cpp
    _of_numba: Backend = _numba
    _of_numpy: Backend = _reference
