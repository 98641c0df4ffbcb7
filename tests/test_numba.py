"""What only the Numba backend can get wrong: its file cache. Its results are tested with the other backends'."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from posenc import _formula


def test_the_file_cache_notices_a_new_formula() -> None:
    numba = pytest.importorskip("posenc._numba", reason="numba is not installed", exc_type=ImportError)
    assert hex(numba.FORMULA) == hex(zlib.crc32(Path(_formula.__file__).read_bytes()))
