"""Hypothesis looks for a shape, layout, dtype, start, positions or scale that changes a bit. Examples are elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import posenc
from hypothesis import given
from hypothesis import strategies as st

from . import arrays
from .arrays import assert_same_bits, noise

dtypes = st.sampled_from([np.float32, np.float64])
shapes = st.lists(st.integers(0, 3), max_size=2).flatmap(
    lambda leading: st.tuples(st.just(leading), st.integers(0, 80), st.integers(1, 70)).map(
        lambda parts: (*parts[0], parts[1], parts[2])
    )
)
starts = st.one_of(
    st.integers(-(2**53), 2**53 - 100),
    st.integers(-100, 10_000),
    st.floats(-1e6, 1e6),
    st.floats(-(2.0**53), 2.0**53 - 100),
)
scales = st.one_of(st.just(1), st.just("sqrt_dim"), st.floats(-1e3, 1e3), st.integers(-5, 5))


@st.composite
def places(draw: st.DrawFn, shape: tuple[int, ...]) -> dict[str, Any]:
    """start= or positions= in one of the shapes that go with an array of `shape`."""
    leading, length = shape[:-2], shape[-2]
    kind = draw(st.sampled_from(["start", "starts", "positions", "all positions"]))
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    exponents = generator.uniform(-30, 52)
    if kind == "start":
        return {"start": draw(starts)}
    if kind == "starts":
        return {"start": np.round(generator.standard_normal(leading) * 2**exponents * 0.1)}
    values = generator.standard_normal((length,) if kind == "positions" else shape[:-1]) * 2**exponents * 0.1
    return {"positions": np.round(values) if draw(st.booleans()) else values}


@st.composite
def calls(draw: st.DrawFn) -> tuple[arrays.Case, dict[str, Any], Any]:
    """An awkward array, where its rows stand, and a scale."""
    shape = draw(shapes)
    layouts = list(arrays.awkward(shape, draw(dtypes)))
    return layouts[draw(st.integers(0, len(layouts) - 1))], draw(places(shape)), draw(scales)


@given(call=calls())
def test_every_backend_is_the_reference(call: tuple[arrays.Case, dict[str, Any], Any], other_backend: str) -> None:
    case, where, scale = call
    shape, dtype = case.array.shape, case.array.dtype
    table = posenc.fill_(np.empty(shape, dtype), **where, backend="numpy")
    x = noise(shape, dtype)

    posenc.fill_(case.array, **where, backend=other_backend)
    case.assert_canaries_alive()
    assert_same_bits(case.array, table, case.label)

    case.put(x)
    posenc.add_(case.array, **where, x_scale=scale, backend=other_backend)
    case.assert_canaries_alive()
    assert_same_bits(case.array, posenc.add(x, **where, x_scale=scale, backend="numpy"), case.label)


@given(call=calls())
def test_every_layout_is_the_contiguous_one(call: tuple[arrays.Case, dict[str, Any], Any], backend: str) -> None:
    case, where, scale = call
    x = noise(case.array.shape, case.array.dtype)
    want = posenc.add_(x.copy(), **where, x_scale=scale, backend=backend)
    case.put(x)
    assert posenc.add_(case.array, **where, x_scale=scale, backend=backend) is case.array
    case.assert_canaries_alive()
    assert_same_bits(case.array, want, case.label)


@given(
    start=st.integers(-(2**53), 2**53 - 1000),
    length=st.integers(1, 600),
    cut=st.integers(0, 600),
    dim=st.integers(1, 150),
    dtype=dtypes,
)
def test_prefill_and_decode(start: int, length: int, cut: int, dim: int, dtype: type, backend: str) -> None:
    cut = min(cut, length)
    whole = posenc.encode(length, dim, start=start, dtype=dtype, backend=backend)
    parts = [(start, cut), (start + cut, length - cut)]
    pieces = [posenc.encode(n, dim, start=s, dtype=dtype, backend=backend) for s, n in parts]
    assert_same_bits(np.concatenate(pieces), whole)


@given(positions=st.lists(st.floats(-(2.0**53), 2.0**53), max_size=5), dim=st.integers(1, 8))
def test_a_row_knows_only_its_position(positions: list[float], dim: int, backend: str) -> None:
    together = posenc.encode(np.array(positions), dim, backend=backend)
    backwards = posenc.encode(np.array(positions[::-1]), dim, backend=backend)[::-1]
    assert_same_bits(backwards, together)
    for position, row in zip(positions, together, strict=True):
        assert_same_bits(posenc.encode(1, dim, start=position, backend=backend)[0], row)


@given(position=st.floats(-(2.0**53), 2.0**53), dim=st.integers(1, 40))
def test_symmetry(position: float, dim: int, backend: str) -> None:
    # Sines are odd and cosines even; correct rounding keeps that to the bit.
    there = posenc.encode([position], dim, backend=backend)
    back = posenc.encode([-position], dim, backend=backend)
    np.testing.assert_array_equal(back[:, 0::2], -there[:, 0::2])
    np.testing.assert_array_equal(back[:, 1::2], there[:, 1::2])
