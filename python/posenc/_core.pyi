# The compiled module, csrc/bindings.cpp. The aliases have the same names there.
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

FrequencyArray: TypeAlias = NDArray[np.float64]  # (2, K)
IndexArray: TypeAlias = NDArray[np.int64]  # (E,)
NumberArray: TypeAlias = NDArray[np.uint64]  # (E, 10)
FactorArray: TypeAlias = NDArray[np.float64]  # (1,) or (1 + K,)
SourceArray: TypeAlias = NDArray[np.int32]  # (D,)
IdArray: TypeAlias = NDArray[np.int64]  # (..., L)
PositionArray: TypeAlias = NDArray[np.float64]  # starts: (1,) or (N,); positions: (1, L) or (N, L)

__version__: str
compiler: str
flags: str

class Table:
    def __init__(
        self,
        frequencies: FrequencyArray,
        source: SourceArray,
        amplitude: float,
        factor: NumberArray,
        numbers: tuple[IndexArray, NumberArray, NumberArray, FactorArray],
        special: tuple[float, ...],
        full_turns: bool,
    ) -> None: ...
    @property
    def nbytes(self) -> int: ...

@final
class Verb:
    def __new__(cls, function: Callable[..., Any], name: str, /) -> Verb: ...
    def __call__(self, *args: object, **kwargs: object) -> Any: ...
    calls: SmallCalls | None

def write(
    table: Table,
    x: NDArray[Any] | None,
    out: NDArray[Any],
    positions: PositionArray,
    scale: float,
    stream: bool,
    threads: int,
) -> None: ...
def embed(
    table: Table,
    ids: IdArray,
    embeddings: NDArray[Any],
    out: NDArray[Any],
    positions: PositionArray,
    scale: float,
    stream: bool,
    threads: int,
) -> None: ...
def merge(
    x: NDArray[Any] | None,
    out: NDArray[Any],
    parts: list[NDArray[Any]],
    scale: float,
    stream: bool,
    threads: int,
) -> None: ...
def rotate(
    x: NDArray[Any] | None,
    out: NDArray[Any],
    rows: NDArray[Any],
    pairs: list[tuple[int, int, int, int]],
    inverse: bool,
    threads: int,
) -> None: ...
def tuning() -> dict[str, int]: ...

@final
class SmallCalls:
    def __new__(
        cls,
        resolve: Callable[
            [object, int, bool],
            tuple[list[tuple[Table, int, float]], int, tuple[Sequence[tuple[int, int, int, int]], bool] | None],
        ],
        /,
    ) -> SmallCalls: ...
    # What the verbs are told, in the order of their signatures.
    def fill(self, *said: object) -> bool: ...
    def add_(self, *said: object) -> bool: ...
    def add(self, *said: object) -> Any: ...
    def rotate_(self, *said: object) -> bool: ...
    def rotate(self, *said: object) -> Any: ...
    def embed(self, *said: object) -> Any: ...
    def encode(self, *said: object) -> Any: ...
    def count(self, *said: object) -> Any: ...
    def forget(self) -> None: ...
    @property
    def nbytes(self) -> int: ...

def levels() -> list[str]: ...
def level() -> str: ...
def use_level(name: str) -> None: ...
