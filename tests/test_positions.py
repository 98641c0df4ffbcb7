"""Positions that are not 0 ... L - 1: masks, packed sequences, offsets, channel axes. Each row is what it is alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import posenc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posenc import Encoding, positions_from_mask

from . import arrays
from .arrays import FLOATS, assert_same_bits, noise

LAST = 2**53


@pytest.fixture(params=FLOATS)
def dtype(request: pytest.FixtureRequest) -> Any:
    return request.param


def encoded(positions: Any, dim: int, dtype: Any, backend: str | None) -> np.ndarray:
    return posenc.encode(np.asarray(positions, np.float64), dim, dtype=dtype, backend=backend)


# ---- positions_from_mask --------------------------------------------------------------------------------------------


def test_positions_from_mask() -> None:
    mask = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]])
    want = [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 0, 0, 0], [0, 0, 0, 1, 2], [0, 0, 0, 0, 0]]
    for kind in (bool, np.int8, np.uint64, np.int64):
        got = positions_from_mask(mask.astype(kind))
        assert got.dtype == np.int64
        assert got.tolist() == want
    assert positions_from_mask(mask.tolist()).tolist() == want
    assert positions_from_mask(mask[0], start=2, padding=1).tolist() == [1, 1, 2, 3, 4]
    assert positions_from_mask(mask, start=[9, -2, 0, 0, 5], padding=-1).tolist() == [
        [-1, -1, 9, 10, 11],
        [-2, -1, 0, 1, 2],
        [0, 1, -1, -1, -1],
        [-1, 0, -1, 1, 2],
        [-1, -1, -1, -1, -1],
    ]
    assert positions_from_mask(np.ones((2, 0)) == 1).shape == (2, 0)
    assert positions_from_mask([1, 1], start=LAST - 1).tolist() == [LAST - 1, LAST]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"mask": [0, 2]}, ValueError, "mask: expected True or False, or 1 or 0, got 2"),
        ({"mask": [0, -1]}, ValueError, "mask: expected True or False, or 1 or 0, got -1"),
        ({"mask": [0.0, 1.0]}, TypeError, "mask: expected True or False, or 1 or 0, got an array of float64"),
        ({"mask": True}, ValueError, r"mask: expected at least 1 dimension, got shape \(\)"),
        ({"mask": None}, TypeError, r"mask: expected True or False, or 1 or 0, got None"),
        ({"start": 0.5}, ValueError, "start: expected whole numbers, got 0.5"),
        (
            {"start": [1, 2]},
            ValueError,
            r"start: expected an integer or one per sequence, shape \(\), got shape \(2,\)",
        ),
        ({"start": LAST - 1}, ValueError, r"start: expected positions of at most 2\*\*53 in magnitude"),
        ({"padding": 0.0}, TypeError, "padding: expected an integer, got 0.0"),
        ({"padding": LAST + 1}, ValueError, r"padding: expected at most 2\*\*53 in magnitude"),
    ],
)
def test_positions_from_mask_refuses(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        positions_from_mask(**{"mask": [0, 1, 1]} | arguments)


# ---- masks ----------------------------------------------------------------------------------------------------------


def test_padded_is_unpadded(dtype: Any, backend: str | None) -> None:
    lengths, width, dim = [5, 70, 0, 33], 70, 24
    tokens = [noise((n, dim), dtype, n) for n in lengths]
    alone = [posenc.add_(x.copy(), start=2, x_scale=0.5, backend=backend) for x in tokens]
    for side in ("left", "right"):
        batch = noise((len(tokens), width, dim), dtype, 9)
        mask = np.zeros(batch.shape[:-1], bool)
        for row, real, x in zip(batch, mask, tokens, strict=True):
            where = slice(width - len(x), None) if side == "left" else slice(len(x))
            row[where], real[where] = x, True
        before = batch.copy()
        positions = positions_from_mask(mask, start=2)
        options = {"positions": positions, "mask": mask, "backend": backend}
        assert_same_bits(posenc.add(batch, **options, x_scale=0.5)[mask], np.concatenate(alone), side)
        assert_same_bits(batch, before)
        posenc.add_(batch, **options, x_scale=0.5)
        assert_same_bits(batch[mask], np.concatenate(alone), side)
        assert_same_bits(batch[~mask], before[~mask], side)
        posenc.fill_(batch, **options)
        assert_same_bits(batch[mask], np.concatenate([encoded(np.arange(n) + 2, dim, dtype, backend) for n in lengths]))
        assert not batch[~mask].view(f"u{batch.itemsize}").any()


@pytest.mark.parametrize("where", [{}, {"start": 3}, {"start": [0.5, -7, 2**40]}, {"positions": np.arange(9) * 1.5}])
def test_masked_rows(where: dict[str, Any], dtype: Any, backend: str | None) -> None:
    shape = (3, 9, 7)
    for form in ((9,), (3, 9)):
        mask = np.random.default_rng(5).integers(0, 2, form).astype(bool)
        real = np.broadcast_to(mask, shape[:-1])
        for case in arrays.awkward(shape, dtype):
            case.put(noise(shape, dtype))
            whole = posenc.add(case.array, **where, x_scale=2.0, backend=backend)
            want = np.where(real[..., None], whole, case.array)
            posenc.add_(case.array, **where, x_scale=2.0, mask=mask, backend=backend)
            case.assert_canaries_alive()
            assert_same_bits(case.array, want, case.label)
            whole = posenc.fill_(case.array.copy(), **where, backend=backend)
            posenc.fill_(case.array, **where, mask=mask.astype(np.int32), backend=backend)
            case.assert_canaries_alive()
            assert_same_bits(case.array, np.where(real[..., None], whole, np.zeros((), whole.dtype)), case.label)


def test_masks_of_all_and_nothing(dtype: Any, backend: str | None) -> None:
    x = noise((2, 40, 6), dtype)
    assert_same_bits(posenc.add(x, mask=np.ones(40, bool), backend=backend), posenc.add(x, backend=backend))
    assert_same_bits(posenc.add(x, mask=np.zeros((2, 40), bool), backend=backend), x)
    assert not posenc.fill_(x, mask=np.zeros(40, int), backend=backend).any()
    assert posenc.add(np.zeros((0, 3, 4), dtype), mask=np.zeros((0, 3), bool), backend=backend).shape == (0, 3, 4)


def test_encode_with_a_mask(dtype: Any, backend: str | None) -> None:
    mask = np.array([1, 0, 1, 1, 0])
    want = posenc.encode(5, 6, dtype=dtype, backend=backend)
    want[mask == 0] = 0
    assert_same_bits(posenc.encode(5, 6, mask=mask, dtype=dtype, backend=backend), want)
    assert_same_bits(posenc.encode(np.arange(5), 6, mask=mask, dtype=dtype, backend=backend), want)


# ---- packed sequences -----------------------------------------------------------------------------------------------


def test_packed_is_alone(dtype: Any, backend: str | None) -> None:
    lengths = [1, 0, 70, 5, 0, 1, 33]
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    x = noise((2, sum(lengths), 12), dtype)
    for start in (0, 3, -0.25, np.arange(7), [0, 2, 10**9 + 0.003, -5, 0.5, 2**53, 7]):
        starts = np.broadcast_to(start, 7)
        got = posenc.add(x, cu_seqlens=bounds, start=start, x_scale=0.5, backend=backend)
        alone = [
            posenc.add(x[:, first:last], start=float(s), x_scale=0.5, backend=backend)
            for first, last, s in zip(bounds, bounds[1:], starts, strict=False)
        ]
        assert_same_bits(got, np.concatenate(alone, axis=1), start)
        filled = posenc.fill_(np.empty_like(x), cu_seqlens=bounds.tolist(), start=start, backend=backend)
        assert_same_bits(
            filled[0], posenc.encode(len(x[0]), 12, cu_seqlens=bounds, start=start, dtype=dtype, backend=backend)
        )


def test_packed_with_a_mask(backend: str | None) -> None:
    x = noise((6, 4), np.float32)
    got = posenc.add(x, cu_seqlens=[0, 2, 5, 6], mask=[1, 1, 1, 1, 1, 0], backend=backend)
    want = x.copy()
    want[:5] += posenc.encode([0, 1, 0, 1, 2], 4, backend=backend)
    assert_same_bits(got, want)


def test_nothing_packed() -> None:
    assert posenc.fill_(np.empty((0, 4), np.float32), cu_seqlens=[0]).shape == (0, 4)
    assert posenc.fill_(np.empty((0, 4), np.float32), cu_seqlens=[0, 0, 0], start=[1, 2]).shape == (0, 4)
    assert_same_bits(posenc.encode(3, 4, cu_seqlens=np.array([0, 3], np.uint8)), posenc.encode(3, 4))


# ---- axes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channel", "seq"), [(1, -1), (1, None), (0, 3), (-2, 1), (2, 0), (-1, 1), (3, -2)])
def test_channel_axis(channel: int, seq: int | None, dtype: Any, backend: str | None) -> None:
    x = noise((2, 3, 9, 8), dtype)
    outer = [axis for axis in range(4) if axis != channel % 4]
    place = outer.index(outer[-1] if seq is None else seq % 4)  # among the axes without channels
    shape = [x.shape[axis] for axis in outer]
    generator = np.random.default_rng(0)
    positions, mask = generator.standard_normal(shape) * 1000, generator.integers(0, 2, shape)

    def usual(x: np.ndarray) -> np.ndarray:
        return np.moveaxis(np.moveaxis(x, channel, -1), place, -2)

    for here, there in [
        ({"start": 3}, {"start": 3}),
        (
            {"positions": positions, "mask": mask},
            {"positions": np.moveaxis(positions, place, -1), "mask": np.moveaxis(mask, place, -1)},
        ),
    ]:
        options = {"seq_axis": seq, "channel_axis": channel, "backend": backend}
        want = posenc.add(np.ascontiguousarray(usual(x)), **there, backend=backend)
        assert_same_bits(usual(posenc.add(x, **here, **options)), want, list(here))
        assert_same_bits(usual(posenc.add_(x.copy(), **here, **options)), want, list(here))


# ---- an axis of length 1 stands for all, and a masked row may be anywhere -----------------------------------------


@pytest.mark.parametrize("form", [(1, 1, 9), (2, 1, 9), (1, 3, 9), (2, 3, 1), (2, 1, 1), (1, 1, 1), (2, 3, 9)])
def test_an_axis_of_length_1_stands_for_all(form: tuple[int, ...], dtype: Any, backend: str | None) -> None:
    shape = (2, 3, 9, 7)
    x = noise(shape, dtype)
    generator = np.random.default_rng(1)
    positions, mask = np.round(generator.standard_normal(form) * 1000, 1), generator.integers(0, 2, form)
    places = np.broadcast_to(positions, shape[:-1])
    for real in (None, mask, mask.astype(bool)):
        options = {} if real is None else {"mask": real}
        whole = np.broadcast_to(True if real is None else real != 0, shape[:-1])[..., None]
        table = encoded(places.reshape(-1), 7, dtype, backend).reshape(shape)
        got = posenc.fill_(np.empty(shape, dtype), positions=positions, **options, backend=backend)
        assert_same_bits(got, np.where(whole, table, np.zeros((), table.dtype)))
        sums = posenc.add(x, positions=places.copy(), backend=backend)
        got = posenc.add_(x.copy(), positions=positions, **options, backend=backend)
        assert_same_bits(got, np.where(whole, sums, x))


@pytest.mark.parametrize("form", [(2, 1), (1, 3), (1, 1), (2, 3), (2, 3, 1), (2, 1, 1), (1, 1, 1)])
def test_starts_along_some_axes(form: tuple[int, ...], dtype: Any, backend: str | None) -> None:
    start = np.arange(np.prod(form)).reshape(form) * 7.5 - 3
    each = np.broadcast_to(start[..., 0] if len(form) == 3 else start, (2, 3))
    want = posenc.fill_(np.empty((2, 3, 9, 7), dtype), start=each.copy(), backend=backend)
    assert_same_bits(posenc.fill_(np.empty((2, 3, 9, 7), dtype), start=start, backend=backend), want)
    if len(form) == 3:  # beside the rows, wherever they are
        out = np.empty((2, 9, 3, 7), dtype)
        got = posenc.fill_(out, start=np.moveaxis(start, -1, 1), seq_axis=1, backend=backend)
        assert_same_bits(np.moveaxis(got, 1, 2), want)


def test_a_start_of_one_row_or_sequence(backend: str | None) -> None:
    want = posenc.encode(5, 4, start=3, backend=backend)
    assert_same_bits(posenc.encode(5, 4, start=[3], backend=backend), want)
    for start in ([3], [[3]]):
        assert_same_bits(posenc.fill_(np.empty((1, 5, 4), np.float32), start=start, backend=backend)[0], want)
    packed = posenc.encode(10, 4, start=[3], cu_seqlens=[0, 5, 10], backend=backend)
    assert_same_bits(packed, np.concatenate([want, want]))


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e300, -(2.0**60)])
def test_a_masked_row_may_be_anywhere(garbage: float, dtype: Any, backend: str | None) -> None:
    x = noise((2, 6, 8), dtype)
    mask = np.array([[1, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0]], bool)
    good = np.arange(12.0).reshape(2, 6) * 1.5
    bad = np.where(mask, good, garbage)
    for encoding in (Encoding(), Encoding(position_offset=0.3)):
        options = {"mask": mask, "encoding": encoding, "backend": backend}
        assert_same_bits(posenc.add(x, positions=bad, **options), posenc.add(x, positions=good, **options))
        filled = posenc.fill_(np.empty_like(x), positions=good, **options)
        assert_same_bits(posenc.fill_(np.empty_like(x), positions=bad, **options), filled)
        # a sequence that is masked altogether may start anywhere
        want = posenc.add(x, start=[7, 0], **options)
        assert_same_bits(posenc.add(x, start=[7, garbage], **options), want)
    want = posenc.add(x, cu_seqlens=[0, 4, 5, 6], mask=[1, 1, 0, 1, 0, 1], backend=backend)
    got = posenc.add(x, cu_seqlens=[0, 4, 5, 6], start=[0, garbage, 0], mask=[1, 1, 0, 1, 0, 1], backend=backend)
    assert_same_bits(got, want)


def test_masked_integers_may_be_anything(backend: str | None) -> None:
    x, mask = noise((4, 6), np.float32), [1, 0, 0, 1]
    want = posenc.add(x, positions=[5, 0, 0, 7], mask=mask, backend=backend)
    for positions in (np.array([5, 2**62, -(2**63), 7]), np.array([5, 2**64 - 1, 2**53 + 1, 7], np.uint64)):
        assert_same_bits(posenc.add(x, positions=positions, mask=mask, backend=backend), want)
    # rows up to the last real one must be within bounds, those behind it need not be
    last = posenc.add(x, start=LAST - 1, mask=[1, 1, 0, 0], backend=backend)
    assert_same_bits(last, posenc.add(x, positions=[LAST - 1, LAST, 0, 0], mask=[1, 1, 0, 0], backend=backend))


class Counted:
    """Positions that count how often they are read."""

    def __init__(self, values: Any) -> None:
        self.values, self.reads = np.asarray(values), 0

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        self.reads += 1
        return self.values.copy()


@pytest.mark.parametrize(("axes", "form"), [(1, (9,)), (1, (2, 9)), (2, (9, 2)), (2, (2, 9, 2)), (2, (3, 3, 2))])
def test_arguments_are_read_once(axes: int, form: tuple[int, ...]) -> None:
    positions, mask = Counted(noise(form, np.float64)), Counted([[1, 0, 0, 1, 1, 1, 0, 1, 1]])
    x = noise((2, 9, 8), np.float32)
    got = posenc.add(x, positions=positions, mask=mask, encoding=Encoding(axes=axes))
    assert (positions.reads, mask.reads) == (1, 1)
    want = posenc.add(x, positions=positions.values, mask=mask.values, encoding=Encoding(axes=axes))
    assert_same_bits(got, want)


# ---- whatever is passed may be what is written ------------------------------------------------------------------


def shared(x: np.ndarray, kind: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An array of another dtype in the memory of `x`."""
    return x.reshape(-1).view(kind)[: np.prod(shape, dtype=int)].reshape(shape)


@pytest.mark.parametrize("verb", ["fill_", "add_", "add"])
@pytest.mark.parametrize(
    "name", ["start", "positions", "mask", "cu_seqlens", "image mask", "image positions", "tokens"]
)
def test_arguments_in_the_memory_of_the_array(name: str, verb: str, backend: str | None) -> None:
    generator = np.random.default_rng(0)
    image = name in ("image mask", "image positions")
    x = noise((3, 4, 5, 8) if image else (3, 20, 8), np.float32)
    options: dict[str, Any] = {"backend": backend}
    if image or name == "tokens":
        options["encoding"] = Encoding(axes=2)
    if name == "tokens":
        options |= {"grid": (3, 6), "prefix": 2}
    key, values = {
        "start": ("start", np.array([3, -1, 900], np.int64)),
        "positions": ("positions", generator.standard_normal((3, 20))),
        "mask": ("mask", generator.integers(0, 2, (3, 20)).astype(bool)),
        "cu_seqlens": ("cu_seqlens", np.array([0, 3, 9, 20], np.int32)),
        "image mask": ("mask", generator.integers(0, 2, (3, 4, 5)).astype(bool)),
        "image positions": ("positions", generator.standard_normal((4, 5, 2))),
        "tokens": ("mask", generator.integers(0, 2, (3, 20)).astype(np.int8)),
    }[name]
    own = shared(x, values.dtype, values.shape)
    own[...] = values
    call = getattr(posenc, verb)
    want = call(x.copy(), **{key: values}, **options)
    if verb == "add":
        assert_same_bits(posenc.add(x, **{key: own}, **options), want)
        assert_same_bits(posenc.add(x, out=x, **{key: own}, **options), want)
    else:
        assert_same_bits(call(x, **{key: own}, **options), want)


# ---- offsets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [1, 2, -5, 0.5, -0.5, 0.1, 1e-9])
def test_position_offset(offset: float, dtype: Any, backend: str | None) -> None:
    # (p + offset), the sum in float64, however the position p came.
    shifted = Encoding(position_offset=offset)
    x = noise((2, 50, 7), dtype)
    for start in (0, 3, -0.25, 0.1, 2**40, 10**9 + 0.003):
        want = encoded((start + np.arange(50.0)) + offset, 7, dtype, backend)
        options = {"encoding": shifted, "backend": backend}
        assert_same_bits(posenc.encode(50, 7, start=start, dtype=dtype, **options), want, start)
        assert_same_bits(posenc.encode(start + np.arange(50.0), 7, dtype=dtype, **options), want, start)
        mask = np.arange(50) > 20
        assert_same_bits(posenc.encode(50, 7, start=start, mask=mask, dtype=dtype, **options)[21:], want[21:], start)
        packed = posenc.encode(100, 7, start=start, cu_seqlens=[0, 50, 100], dtype=dtype, **options)
        assert_same_bits(packed, np.concatenate([want, want]), start)
        got = posenc.fill_(np.empty_like(x), start=[start, start], **options)
        assert_same_bits(got, np.stack([want, want]), start)


def test_offsets_stay_in_bounds() -> None:
    encoding = Encoding(position_offset=2)
    x = np.zeros((3, 4), np.float32)
    posenc.fill_(x, start=LAST - 4, encoding=encoding)
    posenc.fill_(x, positions=[LAST - 2, -LAST, 0], encoding=encoding)
    for where, text in [
        (
            {"start": LAST - 3},
            r"start: expected .*2\*\*53 in magnitude, got \d+ and 3 rows with the encoding's offset of 2",
        ),
        ({"positions": [0, LAST, 0]}, r"positions: .*got 9007199254740992 with the encoding's offset"),
    ]:
        before = x.copy()
        with pytest.raises(ValueError, match=text):
            posenc.fill_(x, **where, encoding=encoding)
        assert_same_bits(x, before)


# ---- refusals -------------------------------------------------------------------------------------------------------

# For an array of shape (3, 4, 6).
REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"mask": [True, False]}, ValueError, r"mask: expected shape \(4,\) or \(3, 4\), got \(2,\)"),
    ({"mask": np.ones((3, 4, 6), bool)}, ValueError, r"mask: expected shape \(4,\) or \(3, 4\), got \(3, 4, 6\)"),
    ({"mask": np.ones((2, 4), bool)}, ValueError, r"mask: expected shape \(4,\) or \(3, 4\), got \(2, 4\)"),
    ({"mask": True}, ValueError, r"mask: expected shape \(4,\) or \(3, 4\), got \(\)"),
    ({"mask": [0, 1, 2, 1]}, ValueError, "mask: expected True or False, or 1 or 0, got 2"),
    ({"mask": [0.0, 1.0, 1.0, 1.0]}, TypeError, "mask: expected True .*, got an array of float64"),
    ({"mask": "yes"}, TypeError, "mask: expected True .*, got 'yes'"),
    ({"mask": [0, 1, 1, 1], "positions": [0, 1, 2, np.nan]}, ValueError, "positions: expected finite numbers, got nan"),
    ({"mask": [0, 1, 1, 1], "positions": [0, 1, LAST + 1, 2]}, ValueError, r"positions: expected at most 2\*\*53"),
    ({"mask": [0, 1, 1, 1], "start": LAST - 2}, ValueError, r"start: expected .*2\*\*53 in magnitude"),
    ({"cu_seqlens": [0, 2]}, ValueError, "cu_seqlens: expected integers from 0 to 4, .*got 0 to 2"),
    ({"cu_seqlens": [1, 4]}, ValueError, "cu_seqlens: expected integers from 0 to 4, .*got 1 to 4"),
    ({"cu_seqlens": [0, 3, 2, 4]}, ValueError, "cu_seqlens: expected integers from 0 .*got 3 before 2"),
    ({"cu_seqlens": [0, 5, 4]}, ValueError, "cu_seqlens: expected integers from 0 .*got 5 before 4"),
    ({"cu_seqlens": np.array([0, 2**64 - 1, 4], np.uint64)}, ValueError, "cu_seqlens: expected integers from 0"),
    ({"cu_seqlens": [0.0, 4.0]}, TypeError, "cu_seqlens: expected integers .*got an array of float64"),
    ({"cu_seqlens": [False, True]}, TypeError, "cu_seqlens: expected integers .*got an array of bool"),
    ({"cu_seqlens": []}, ValueError, r"cu_seqlens: expected integers .*got shape \(0,\)"),
    ({"cu_seqlens": 4}, ValueError, r"cu_seqlens: expected integers .*got shape \(\)"),
    ({"cu_seqlens": [[0, 4]]}, ValueError, r"cu_seqlens: expected integers .*got shape \(1, 2\)"),
    (
        {"cu_seqlens": [0, 2, 4], "start": [1, 2, 3]},
        ValueError,
        r"start: expected .*one per sequence, shape \(2,\), got shape \(3,\)",
    ),
    ({"cu_seqlens": [0, 1, 4], "start": LAST - 1}, ValueError, r"start: expected .*2\*\*53 in magnitude"),
    ({"cu_seqlens": [0, 4], "start": np.nan}, ValueError, "start: expected finite"),
    (
        {"cu_seqlens": [0, 4], "positions": [0, 1, 2, 3]},
        ValueError,
        "positions: expected either cu_seqlens or positions",
    ),
    ({"positions": np.ma.array([0, 1, 2, 3])}, TypeError, "positions: expected plain numbers, got a masked array"),
    ({"mask": np.ma.array([True, False, True, True])}, TypeError, "mask: expected plain numbers, got a masked array"),
    ({"mask": [[1], [1, 0]]}, ValueError, "mask: expected numbers, got sequences of different lengths"),
    ({"cu_seqlens": [[0], [1, 4]]}, ValueError, "cu_seqlens: expected numbers, got sequences of different lengths"),
    ({"channel_axis": 1, "seq_axis": 1}, ValueError, "seq_axis: expected an axis of .* other than 1"),
    ({"encoding": "whipser"}, ValueError, "encoding: .*whisper"),
    ({"encoding": 7}, TypeError, "encoding: expected an Encoding, or the name of one, got 7"),
    ({"encoding": Encoding(odd="error"), "channel_axis": 0}, ValueError, "encoding: expected an even width, got 3"),
]


@pytest.mark.parametrize(("keywords", "error", "text"), REFUSED, ids=lambda value: repr(value)[:60])
@pytest.mark.parametrize("function", ["fill_", "add_", "add"])
def test_refused(function: str, keywords: dict[str, Any], error: type[Exception], text: str) -> None:
    x = noise((3, 4, 6), np.float32)
    before = x.copy()
    with pytest.raises(error, match=f"^{text}"):
        getattr(posenc, function)(x, **keywords)
    if function == "add":
        with pytest.raises(error, match=f"^{text}"):
            posenc.add(x, out=x, **keywords)
    assert_same_bits(x, before)


# ---- Hypothesis -----------------------------------------------------------------------------------------------------


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, Any]]:
    """An array, and any combination of keywords that goes with it."""
    leading = draw(st.lists(st.integers(0, 3), max_size=2))
    shape = (*leading, draw(st.integers(0, 60)), draw(st.integers(1, 40)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    keywords: dict[str, Any] = {}
    kind = draw(st.sampled_from(["start", "starts", "positions", "all positions", "packed"]))
    scale = 2.0 ** draw(st.integers(0, 45))
    whole = draw(st.booleans())

    def numbers(form: tuple[int, ...]) -> np.ndarray:
        values = generator.standard_normal(form) * scale
        return np.round(values) if whole else values

    if kind == "start":
        keywords["start"] = float(numbers(()))
    elif kind == "starts":
        keywords["start"] = numbers(shape[:-2])
    elif kind == "packed":
        inside = generator.integers(0, shape[-2] + 1, draw(st.integers(0, 6)))
        keywords["cu_seqlens"] = np.sort([0, *inside, shape[-2]])
        keywords["start"] = numbers((len(inside) + 1,))
    else:
        keywords["positions"] = numbers(shape[-2:-1] if kind == "positions" else shape[:-1])
    if draw(st.booleans()):
        form = draw(st.sampled_from([shape[-2:-1], shape[:-1]]))
        keywords["mask"] = generator.integers(0, 2, form) if draw(st.booleans()) else generator.random(form) < 0.8
    return noise(shape, np.float32), keywords


def every_position(shape: tuple[int, ...], keywords: dict[str, Any]) -> np.ndarray:
    """What the keywords mean, one row at a time."""
    result = np.empty(shape[:-1])
    if "positions" in keywords:
        result[...] = keywords["positions"]
    elif "cu_seqlens" in keywords:
        bounds = keywords["cu_seqlens"]
        for first, last, start in zip(bounds, bounds[1:], keywords["start"], strict=False):
            result[..., first:last] = start + np.arange(last - first)
    else:
        result[...] = np.asarray(keywords["start"])[..., None] + np.arange(shape[-2])
    return result


@given(
    batch=batches(), dtype=st.sampled_from([np.float32, np.float64, np.float16]), offset=st.sampled_from([0, 2, 0.3])
)
def test_every_row_is_what_it_is_alone(
    batch: tuple[np.ndarray, dict[str, Any]], dtype: Any, offset: float, backend: str | None
) -> None:
    keywords = batch[1]
    with np.errstate(over="ignore"):
        x = batch[0].astype(dtype)
    places = every_position(x.shape, keywords) + offset
    real = np.broadcast_to(np.asarray(keywords.get("mask", True), bool), x.shape[:-1])
    rows = posenc.encode(places.reshape(-1), x.shape[-1], dtype=dtype, backend=backend).reshape(x.shape)
    options = {"encoding": Encoding(position_offset=offset), "backend": backend}
    got = posenc.fill_(np.empty_like(x), **keywords, **options)
    assert_same_bits(got, np.where(real[..., None], rows, dtype(0)), keywords)
    sums = posenc.add(x, positions=places, backend=backend)
    assert_same_bits(posenc.add_(x.copy(), **keywords, **options), np.where(real[..., None], sums, x), keywords)


@given(mask=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), max_size=4), start=st.integers(-9, 9))
def test_positions_count_real_tokens(mask: list[list[bool]], start: int) -> None:
    got = positions_from_mask(np.array(mask, bool).reshape(-1, 4), start=start, padding=-77).tolist()
    for row, positions in zip(mask, got, strict=True):
        assert [p for p, real in zip(positions, row, strict=True) if real] == list(range(start, start + sum(row)))
        assert all(p == -77 for p, real in zip(positions, row, strict=True) if not real)
