"""A few of the calls that tests/fuzz.py makes by the million, and those that once failed there."""

from __future__ import annotations

import pytest
from hypothesis import given

from . import fuzz


@given(call=fuzz.calls())
def test_right_calls(call: fuzz.Call) -> None:
    fuzz.check(call)


@pytest.mark.skipif("encoding" not in fuzz.KEYWORDS, reason="there are no encodings over several axes")
@given(call=fuzz.grid_calls())
def test_right_calls_over_several_axes(call: fuzz.Call) -> None:
    fuzz.check(call)


@given(call=fuzz.wrong_calls())
def test_wrong_calls(call: fuzz.Wrong) -> None:
    fuzz.check_wrong(call)
