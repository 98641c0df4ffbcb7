"""Large arrays in parts: every element once, in order; and what comes of it is what one part would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import posenc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posenc import Encoding, _axes, _positions, _rows
from posenc._blocks import blocks

from .arrays import assert_same_bits, noise


@given(shape=st.lists(st.integers(0, 6), max_size=4), most=st.integers(1, 40))
def test_every_element_once(shape: list[int], most: int) -> None:
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    seen: list[int] = []
    for index in blocks(tuple(shape), most):
        part = numbers[index]
        assert 1 <= part.size <= most or not numbers.size
        seen += part.reshape(-1).tolist()
    assert seen == list(range(numbers.size))


def test_what_fits_is_one_block() -> None:
    assert list(blocks((), 1)) == list(blocks((3, 4), 12)) == [()]
    assert list(blocks((3, 4), 11)) == [(slice(0, 2),), (slice(2, 3),)]


generator = np.random.default_rng(3)
MASK = generator.integers(0, 2, (3, 4, 23))
WHERE: dict[str, dict[str, Any]] = {
    "start": {"start": 3},
    "a start for each": {"start": generator.integers(-99, 99, (3, 4))},
    "for some": {"start": generator.standard_normal((3, 1))},
    "positions": {"positions": np.arange(23) * 1.5},
    "all positions": {"positions": noise((3, 4, 23), np.float64)},
    "positions along some axes": {"positions": generator.standard_normal((1, 4, 23))},
    "mask": {"mask": MASK[0, 0]},
    "all masks": {"mask": MASK, "start": 2.5},
    "starts and masks": {"mask": MASK[:, :1], "start": np.arange(12).reshape(3, 4)},
    "packed": {"cu_seqlens": [0, 0, 0, 5, 5, 6, 20, 20, 20, 23, 23], "start": np.arange(10.0)},
    "packed, masks": {"cu_seqlens": [0, 1, 9, 23], "mask": MASK, "start": 0.5},
    "an offset": {"start": generator.standard_normal((3, 4)), "encoding": Encoding(position_offset=0.3)},
    "whole offset": {"start": generator.integers(-9, 9, (3, 4)), "encoding": Encoding(position_offset=2)},
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that every array has many."""
    for module, name, size in [
        (_rows, "SEQUENCES", 2),
        (_rows, "POSITIONS", 7),
        (_positions, "CHECKED", 3),
        (_axes, "SEQUENCES", 2),
        (_axes, "CHECKED", 3),
        (_axes, "TILE_ELEMENTS", 5 * 12),
        (_axes, "AXIS_ELEMENTS", 3 * 12),
        (_axes, "BLOCK_ELEMENTS", 2 * 5 * 12),
    ]:
        monkeypatch.setattr(module, name, size)


@pytest.mark.parametrize("where", WHERE)
def test_blocks_of_rows(where: str, backend: str | None, request: pytest.FixtureRequest) -> None:
    x, options = noise((3, 4, 23, 6), np.float32), {**WHERE[where], "backend": backend}
    filled, added = posenc.fill_(np.empty_like(x), **options), posenc.add(x, **options, x_scale=0.5)
    request.getfixturevalue("tiny")
    assert_same_bits(posenc.fill_(np.empty_like(x), **options), filled)
    assert_same_bits(posenc.add(x, **options, x_scale=0.5), added)
    assert_same_bits(posenc.add_(x.copy(), **options, x_scale=0.5), added)


@pytest.mark.parametrize("where", ["lines", "grid", "own grids", "scattered", "masked", "own masks", "tokens"])
def test_blocks_of_cells(where: str, backend: str | None, request: pytest.FixtureRequest) -> None:
    x = noise((2, 3, 5, 7, 12), np.float32)
    mask = generator.integers(0, 2, (2, 3, 5, 7))
    cells = posenc.grid(5, 7, step=0.5)
    keywords: Any = {
        "lines": {"start": (3, -1)},
        "grid": {"positions": cells},
        "own grids": {"positions": cells + np.arange(6).reshape(2, 3, 1, 1, 1)},
        "scattered": {"positions": noise((5, 7, 2), np.float64)},
        "masked": {"mask": mask[0, 0]},
        "own masks": {"mask": mask, "positions": noise((2, 1, 5, 7, 2), np.float64)},
        "tokens": {"grid": (5, 5), "prefix": 10, "mask": generator.integers(0, 2, (1, 3, 35))},
    }[where]
    if where == "tokens":
        x = x.reshape(2, 3, 35, 12)
    options = {"encoding": Encoding(axes=2, position_offset=(0.0, 0.5)), "backend": backend, **keywords}
    filled, added = posenc.fill_(np.empty_like(x), **options), posenc.add(x, **options, x_scale=0.5)
    request.getfixturevalue("tiny")
    assert_same_bits(posenc.fill_(np.empty_like(x), **options), filled)
    assert_same_bits(posenc.add(x, **options, x_scale=0.5), added)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"positions": [0.0] * 8 + [np.nan]}, "positions: expected finite numbers, got nan"),
        ({"positions": [0.0] * 8 + [np.nan], "mask": [0, 1] * 4 + [1]}, "positions: expected finite numbers, got nan"),
        ({"positions": [2**53 + 1] * 9, "mask": [0] * 8 + [1]}, "positions: expected at most 2.*9007199254740993"),
        ({"start": 2**53 - 7, "mask": [1] * 9}, "start: expected positions of at most 2"),
        ({"start": 2**53 - 7, "mask": [1] + [0] * 7 + [1]}, "start: expected positions of at most 2"),
        ({"start": [2**53 - 6] * 2, "cu_seqlens": [0, 1, 9]}, "start: expected positions of at most .* and 8 rows"),
        ({"start": [0, np.inf], "cu_seqlens": [0, 8, 9], "mask": [0] * 8 + [1]}, "start: expected finite"),
        ({"cu_seqlens": [0, 1, 2, 3, 4, 5, 7, 6, 9]}, "cu_seqlens: .*got 7 before 6"),
        ({"mask": [1, 0, 1, 1, 0, 1, 0, 1, 2]}, "mask: .*got 2"),
    ],
)
def test_all_blocks_are_checked(keywords: dict[str, Any], text: str) -> None:
    x = noise((9, 4), np.float32)
    before = x.copy()
    with pytest.raises(ValueError, match=f"^{text}"):
        posenc.fill_(x, **keywords)
    assert_same_bits(x, before)
