"""What the Python backends' walk of an array decides by itself. What comes of it: test_backend_modules.py."""

from __future__ import annotations

import numpy as np
import pytest
from posenc._tiles import runs


@pytest.mark.parametrize(
    ("positions", "starts"),
    [
        ([5], [0]),
        ([5, 6, 7], [0]),
        ([5, 6, 8, 9], [0, 2]),
        ([-1, 0, 1, 1, 0], [0, 3, 4]),
        ([0.5, 1.5, 2, 3], [0, 1, 2]),
        ([1 - 2**-53, 2], [0, 1]),
        ([-1, 2**-60], [0, 1]),
        ([2**53 - 1, 2**53, 2**53], [0, 2]),
        ([-(2**53), -(2**53) + 1], [0]),
    ],
)
def test_runs(positions: list[float], starts: list[int]) -> None:
    assert runs(np.array(positions, np.float64)).tolist() == starts
