"""A few of the calls that tests/fuzz.py makes by the million, and those that once failed there."""

from __future__ import annotations

import numpy as np
import posenc
from hypothesis import given

from . import fuzz
from .arrays import assert_same_bits


@given(call=fuzz.calls())
def test_right_calls(call: fuzz.Call) -> None:
    fuzz.check(call)


@given(call=fuzz.grid_calls())
def test_right_calls_over_several_axes(call: fuzz.Call) -> None:
    fuzz.check(call)


@given(call=fuzz.calls())
def test_turns(call: fuzz.Call) -> None:
    fuzz.check_turn(call)


@given(call=fuzz.wrong_calls())
def test_wrong_calls(call: fuzz.Wrong) -> None:
    fuzz.check_wrong(call)


@given(call=fuzz.embed_calls())
def test_embeddings(call: fuzz.Embedding) -> None:
    fuzz.check_embedding(call)


@given(call=fuzz.wrong_embed_calls())
def test_wrong_embeddings(call: fuzz.Wrong) -> None:
    fuzz.check_wrong(call)


# ---- found ----------------------------------------------------------------------------------------------------------


def test_offsets_of_a_masked_grid(backend: str) -> None:
    # The positions of cells, not those along the axes of the grid that they are, went without the encoding's offset.
    encoding = posenc.Encoding(axes=2, position_offset=2.0)
    cells = posenc.grid(2, 3, start=-3)
    mask = np.array([[True, False, True], [True, True, False]])
    got = posenc.encode(cells, 4, encoding=encoding, mask=mask, backend=backend)
    want = posenc.encode(cells + 2.0, 4, encoding=posenc.Encoding(axes=2), backend=backend)
    assert_same_bits(got, np.where(mask[..., None], want, np.float32(0)))
