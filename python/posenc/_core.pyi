# The compiled module, csrc/bindings.cpp. The aliases have the same names there.
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FrequencyArray: TypeAlias = NDArray[np.float64]  # (2, K)
NumberArray: TypeAlias = NDArray[np.uint64]  # (K, 10)
SourceArray: TypeAlias = NDArray[np.int32]  # (D,)
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
        numbers: NumberArray,
        special: tuple[float, ...],
        full_turns: bool,
    ) -> None: ...
    @property
    def nbytes(self) -> int: ...

def write(
    table: Table,
    x: NDArray[Any] | None,
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
def remember(table: Table, encoding: object, offset: float) -> None: ...
def fill_small(out: object, start: object, encoding: object, /) -> bool: ...
def add_small(x: object, start: object, encoding: object, /) -> bool: ...
def tuning() -> dict[str, int]: ...
def levels() -> list[str]: ...
def level() -> str: ...
def use_level(name: str) -> None: ...
