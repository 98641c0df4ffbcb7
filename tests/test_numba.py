"""What only the Numba backend can get wrong: its file cache, its pieces. Its results are tested with the others'."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import posenc
import pytest
from posenc import _cache, _formula

from .arrays import assert_same_bits, noise

numba = pytest.importorskip("posenc._numba", reason="numba is not installed", exc_type=ImportError)


def test_the_file_cache_notices_a_new_formula() -> None:
    assert hex(numba.FORMULA) == hex(zlib.crc32(Path(_formula.__file__).read_bytes()))


@pytest.mark.parametrize("elements", [1, 30, 100])
def test_pieces(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Rows go straight to their places, many at a time and turned from an anchor far away: here few, as if very wide.
    x = noise((60, 7), np.float32)
    places = [{"start": -9}, {"start": 0.5}, {"positions": np.r_[5:30, 7.5, 8:42]}]
    want = [posenc.add(x, x_scale=0.3, **place, backend="numba") for place in places]
    _cache.SHARED.clear()
    monkeypatch.setattr(numba, "DIRECT_ELEMENTS", elements)
    for place, sums in zip(places, want, strict=True):
        assert_same_bits(posenc.add(x, x_scale=0.3, **place, backend="numba"), sums)
        got = posenc.fill_(np.empty_like(x), **place, backend="numba")
        assert_same_bits(got, posenc.fill_(np.empty_like(x), **place, backend="numpy"))
    _cache.SHARED.clear()
