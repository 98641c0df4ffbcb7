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

    def small_calls(self) -> SmallCalls:
        """What does the calls that need no explanation, if it is the default backend."""


class SmallCalls(Protocol):
    """Does a call if it is plain: the verbs hand over all that a user said, in the order of their signatures.

    What is not plain, or wrong, is not touched: `_apply` does it, or explains. _core.SmallCalls says what is plain.
    """

    def fill(self, *said: Any) -> bool:
        """`fill_`; returns whether it was done."""

    def add_(self, *said: Any) -> bool:
        """`add_`; returns whether it was done."""

    def add(self, *said: Any) -> Any:
        """`add`; returns the result, or None if it was not done."""

    def rotate_(self, *said: Any) -> bool:
        """`rotate_`; returns whether it was done."""

    def rotate(self, *said: Any) -> Any:
        """`rotate`; returns the result, or None if it was not done."""

    def embed(self, *said: Any) -> Any:
        """`embed`; returns the result, or None if it was not done."""

    def encode(self, *said: Any) -> Any:
        """`encode`; returns the result, or None if it was not done."""

    def count(self, *said: Any) -> Any:
        """`positions_from_mask`; returns the result, or None if it was not done."""

    def forget(self) -> None:
        """Let go of all tables."""


class NoSmallCalls:
    """Of backends that do nothing at once."""

    def fill(self, *said: Any) -> bool:
        return False

    def add_(self, *said: Any) -> bool:
        return False

    def add(self, *said: Any) -> Any:
        return None

    def rotate_(self, *said: Any) -> bool:
        return False

    def rotate(self, *said: Any) -> Any:
        return None

    def embed(self, *said: Any) -> Any:
        return None

    def encode(self, *said: Any) -> Any:
        return None

    def count(self, *said: Any) -> Any:
        return None

    def forget(self) -> None:
        pass


if TYPE_CHECKING:
    from . import _cpp, _numba, _reference

    _of_cpp: Backend = _cpp
    _of_numba: Backend = _numba
    _of_numpy: Backend = _reference
