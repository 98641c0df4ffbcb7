"""The generator of awkward arrays: they are awkward, canaries notice a single byte, bits are compared as bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from . import arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", arrays.SHAPES, ids=str)
def test_as_asked(shape: tuple[int, ...], dtype: type, tmp_path: Path) -> None:
    cases = list(arrays.awkward(shape, dtype, tmp_path))
    assert len({case.label for case in cases}) == len(cases) >= 16
    for case in cases:
        assert case.array.shape == shape
        assert case.array.dtype == dtype
        assert case.array.flags.writeable
        case.put(1.5)
        assert (case.array == 1.5).all()
        case.assert_untouched()
        case.array[...] = 0
        case.assert_canaries_alive()


def test_awkward_indeed(tmp_path: Path) -> None:
    made = [case.array for case in arrays.awkward((2, 3, 7), np.float32, tmp_path)]
    assert any(not x.flags.aligned for x in made)
    assert any(not x.flags.aligned and x.strides[-1] == 4 for x in made)
    assert any(x.strides[-1] < 0 for x in made)
    assert any(x.strides[-1] > 4 for x in made)
    assert any(x.strides[-2] < 0 for x in made)
    assert any(x.strides[-2] > x.strides[0] > x.strides[-1] for x in made)
    assert any(x.strides[-1] == 4 and x.strides[-2] % 4 for x in made)
    assert any(isinstance(x, np.memmap) for x in made)


def test_canaries_notice_one_byte(tmp_path: Path) -> None:
    for case in arrays.awkward((2, 3, 7), np.float32, tmp_path):
        outside = np.flatnonzero(~case._owned)
        for byte in (outside[0], outside[len(outside) // 2], outside[-1]):
            case.buffer[byte] ^= 1
            with pytest.raises(AssertionError, match="outside the array"):
                case.assert_canaries_alive()
            with pytest.raises(AssertionError, match="were written"):
                case.assert_untouched()
            case.buffer[byte] ^= 1
        case.put(0)
        case.array[-1, 0, 3] = 1
        case.assert_canaries_alive()
        with pytest.raises(AssertionError, match="were written"):
            case.assert_untouched()


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (np.zeros(3), -np.zeros(3)),
        (np.ones(3), np.array([1, 1, 1 + 2e-16])),
        (np.ones(3), np.ones(3, np.float32)),
        (np.ones(3), np.ones((1, 3))),
        (np.ones((2, 3)), np.ones(3)),
    ],
)
def test_same_bits_tells_apart(got: np.ndarray, want: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        arrays.assert_same_bits(got, want)
    arrays.assert_same_bits(got, got.copy())
