# The compiled module, csrc/bindings.cpp. The aliases have the same names there.
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FrequencyArray: TypeAlias = NDArray[np.float64]  # (3, K)
SourceArray: TypeAlias = NDArray[np.int32]  # (D,)
PositionArray: TypeAlias = NDArray[np.float64]  # starts: (1,) or (N,); positions: (1, L) or (N, L)

__version__: str
compiler: str
flags: str

class Table:
    def __init__(self, frequencies: FrequencyArray, source: SourceArray) -> None: ...
    @property
    def nbytes(self) -> int: ...

def fill(table: Table, out: NDArray[np.floating], positions: PositionArray, stream: bool, threads: int) -> None: ...
def add(
    table: Table,
    x: NDArray[np.floating],
    out: NDArray[np.floating],
    positions: PositionArray,
    scale: float,
    stream: bool,
    threads: int,
) -> None: ...
def remember(table: Table) -> None: ...
def fill_small(out: object, start: object, /) -> bool: ...
def add_small(x: object, start: object, /) -> bool: ...
def levels() -> list[str]: ...
def level() -> str: ...
def use_level(name: str) -> None: ...
