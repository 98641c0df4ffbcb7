"""Encodings over several axes: grids of coordinates, images and videos, points in no order. Every cell is what it is
alone; what that is, the conventions' own tests know."""

from __future__ import annotations

from typing import Any

import numpy as np
import posenc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posenc import Encoding, _axes, get_encoding, grid

from . import arrays
from .arrays import FLOATS, assert_same_bits, noise
from .ways import follow_all

HALVES = Encoding(layout="concatenated")  # of what an axis of `IMAGE` has for itself
IMAGE = Encoding(axes=2, layout="concatenated")
VIDEO = Encoding(axes=3, position_offset=[0.0, 1.0, 0.25], amplitude=-0.5)


@pytest.fixture(params=FLOATS)
def dtype(request: pytest.FixtureRequest) -> Any:
    return request.param


def alone(coordinates: Any, dim: int, encoding: Encoding, dtype: Any, backend: str | None) -> np.ndarray:
    """Every cell of (..., k) coordinates by a call of its own, out of order."""
    points = np.asarray(coordinates, np.float64).reshape(-1, encoding.axes)
    rows = [posenc.encode(point[None], dim, encoding=encoding, dtype=dtype, backend=backend)[0] for point in points]
    return np.array(rows, dtype).reshape(*np.shape(coordinates)[:-1], dim)


# ---- grid -----------------------------------------------------------------------------------------------------------


def test_grid() -> None:
    assert grid(2, 3).dtype == np.float64
    assert grid(2, 3).tolist() == [[[0, 0], [0, 1], [0, 2]], [[1, 0], [1, 1], [1, 2]]]
    assert grid(4).tolist() == [[0], [1], [2], [3]]
    assert grid(2, 3, 4).shape == (2, 3, 4, 3)
    assert grid(2, 3, 4)[1, 2, 3].tolist() == [1, 2, 3]
    assert grid(0, 3).shape == (0, 3, 2)
    assert grid(2, 3, start=1, step=0.5)[1, 2].tolist() == [1.5, 2]
    assert grid(2, 3, start=(10, -1), step=[2, -3])[1, 2].tolist() == [12, -7]
    assert grid(2, 3, order=(1, 0))[1, 2].tolist() == [2, 1]
    assert grid(2, 3, 4, start=(1, 2, 3), order=[2, 0, 1])[0, 0, 0].tolist() == [3, 1, 2]


def test_normalized_as_detr_does() -> None:
    # facebookresearch/detr models/position_encoding.py, for an image of 3 x 5 without padding
    y, x = np.cumsum(np.ones((3, 5)), 0), np.cumsum(np.ones((3, 5)), 1)
    want = np.stack([y / (y[-1:] + 1e-6), x / (x[:, -1:] + 1e-6)], -1)
    np.testing.assert_array_equal(grid(3, 5, start=1, normalize=True), want)
    want = np.stack([(y - 0.5) / (y[-1:] + 1e-6), (x - 0.5) / (x[:, -1:] + 1e-6)], -1)  # Deformable DETR
    np.testing.assert_array_equal(grid(3, 5, start=1, normalize=True, offset=-0.5), want)
    given = posenc.encode(grid(3, 5, start=1, normalize=True), 16, encoding=get_encoding("detr", normalize=True))
    made = posenc.fill_(np.empty((1, 3, 5, 16)), encoding=get_encoding("detr", normalize=True, shape=(3, 5)))[0]
    np.testing.assert_allclose(given, made, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "keywords", "error", "text"),
    [
        ((), {}, ValueError, "shape: expected the size of at least 1 axis, got none"),
        ((2.0,), {}, TypeError, "shape: expected an integer, got 2.0"),
        ((2, -1), {}, ValueError, "shape: expected at least 0, got -1"),
        (((2, 3),), {}, TypeError, r"shape: expected an integer, got \(2, 3\)"),
        (
            (2, 3),
            {"start": [1, 2, 3]},
            ValueError,
            r"start: expected a number or one for each of 2 axes, got shape \(3,\)",
        ),
        ((2, 3), {"step": np.inf}, ValueError, "step: expected finite"),
        ((2, 3), {"step": "1"}, TypeError, "step: expected integers or float32"),
        ((2, 3), {"normalize": 1}, TypeError, "normalize: expected True or False, got 1"),
        ((2, 1), {"normalize": True, "eps": 0}, ValueError, r"eps: expected last coordinates \+ eps other than 0"),
        ((2, 3), {"order": (1, 2)}, ValueError, r"order: expected the axes 0 ... 1 in some order, got \(1, 2\)"),
        ((2, 3), {"order": 1}, TypeError, r"order: expected a tuple of axes, got 1 \(int\)"),
        ((2, 3), {"order": (0.0, 1)}, TypeError, "order: expected an integer, got 0.0"),
    ],
)
def test_grid_refuses(shape: Any, keywords: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        grid(*shape, **keywords)


# ---- images and videos ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 2), [3, 2], (np.int64(3), 2), (5,)])
def test_a_shape_is_unpacked(shape: Any) -> None:
    for code, result in follow_all("shape", lambda: shape, lambda one: grid(one)).items():
        assert code == "posenc.grid(*shape)"
        assert_same_bits(result, grid(*shape))


@pytest.mark.parametrize("shape", [(), (2.0, 3), ((2, 3),), np.array([2, 3]), "23"])
def test_what_can_not_be_unpacked(shape: Any) -> None:
    with pytest.raises(TypeError, match=r"^shape: expected an integer, got [^`]*$"):
        grid(shape)


def test_an_image_is_its_axes(dtype: Any, backend: str | None) -> None:
    out = np.empty((2, 5, 9, 16), dtype)
    assert posenc.fill_(out, encoding=IMAGE, backend=backend) is out
    y, x = (posenc.encode(n, 8, encoding=HALVES, dtype=dtype, backend=backend) for n in (5, 9))
    want = np.concatenate([np.broadcast_to(y[:, None], (5, 9, 8)), np.broadcast_to(x, (5, 9, 8))], axis=-1)
    for image in out:
        assert_same_bits(image, want)
    assert_same_bits(posenc.encode(grid(5, 9), 16, encoding=IMAGE, dtype=dtype, backend=backend), want)
    mae = posenc.encode(grid(5, 9), 16, encoding="mae", dtype=dtype, backend=backend)  # x before y
    assert_same_bits(mae, np.concatenate([want[..., 8:], want[..., :8]], axis=-1))


@pytest.mark.parametrize("encoding", [IMAGE, "detr", "loftr", Encoding(axes=2, axis_widths="ceil", odd="truncate")])
def test_cells_are_what_they_are_alone(encoding: Any, dtype: Any, backend: str | None) -> None:
    rule = get_encoding(encoding) if isinstance(encoding, str) else encoding
    points = noise((5, 7, 2), np.float64)
    for coordinates in (grid(5, 7), grid(5, 7, start=(-2, 0.5), step=(1, 3)), points, grid(5, 7) @ [[1, 2], [0, 1]]):
        want = alone(coordinates, 20, rule, dtype, backend)
        got = posenc.encode(coordinates, 20, encoding=encoding, dtype=dtype, backend=backend)
        assert_same_bits(got, want)
        got = posenc.encode(coordinates.reshape(-1, 2), 20, encoding=encoding, dtype=dtype, backend=backend)
        assert_same_bits(got, want.reshape(-1, 20))


def test_add_is_x_plus_encode(dtype: Any, backend: str | None) -> None:
    wide = np.float64 if dtype == np.float64 else np.float32
    for shape, encoding in [((2, 5, 7, 12), IMAGE), ((2, 3, 4, 5, 18), VIDEO)]:
        x = noise(shape, dtype)
        cells = grid(*shape[1:-1])
        table = posenc.encode(cells, shape[-1], encoding=encoding, dtype=wide, backend=backend)
        scattered = noise(cells.shape, np.float64, 3)
        apart = posenc.encode(scattered, shape[-1], encoding=encoding, dtype=wide, backend=backend)
        for scale in (1, 0.3):
            for where, values in [({}, table), ({"positions": cells}, table), ({"positions": scattered}, apart)]:
                with np.errstate(over="ignore"):
                    want = (x.astype(wide) * wide(scale) + values).astype(dtype)
                options = {"encoding": encoding, "x_scale": scale, "backend": backend, **where}
                assert_same_bits(posenc.add(x, **options), want, list(where))
                assert_same_bits(posenc.add_(x.copy(), **options), want, list(where))


def test_every_arrangement(dtype: Any, backend: str | None) -> None:
    shape = (2, 3, 5, 8)
    x, mask = noise(shape, dtype), np.random.default_rng(1).integers(0, 2, (3, 5)).astype(bool)
    for where in (
        {},
        {"positions": noise((3, 5, 2), np.float64)},
        {"mask": mask},
        {"positions": noise((2, 3, 5, 2), np.float64)},
    ):
        options = {"encoding": IMAGE, "backend": backend, **where}
        table = posenc.fill_(np.empty(shape, dtype), **options)
        sums = posenc.add(x, x_scale=0.5, **options)
        for case in arrays.awkward(shape, dtype):
            posenc.fill_(case.array, **options)
            case.assert_canaries_alive()
            assert_same_bits(case.array, table, case.label)
            case.put(x)
            posenc.add_(case.array, x_scale=0.5, **options)
            case.assert_canaries_alive()
            assert_same_bits(case.array, sums, case.label)


def test_start(dtype: Any, backend: str | None) -> None:
    for start in (3, -0.25, (5, -2), [10**9 + 0.5, 0]):
        want = posenc.encode(grid(4, 6, start=start), 12, encoding=IMAGE, dtype=dtype, backend=backend)
        got = posenc.fill_(np.empty((1, 4, 6, 12), dtype), start=start, encoding=IMAGE, backend=backend)
        assert_same_bits(got[0], want, start)


def test_axes(dtype: Any, backend: str | None) -> None:
    table = posenc.encode(grid(4, 6), 12, encoding=IMAGE, dtype=dtype, backend=backend)
    mask = np.random.default_rng(1).integers(0, 2, (4, 6)).astype(bool)
    for shape, keywords, order in [
        ((3, 12, 4, 6), {"channel_axis": 1}, (0, 2, 3, 1)),
        ((12, 4, 6), {"channel_axis": 0, "seq_axis": (1, 2)}, (1, 2, 0)),
        ((4, 12, 6, 3), {"channel_axis": 1, "seq_axis": (0, 2)}, (3, 0, 2, 1)),
        ((4, 3, 6, 12), {"seq_axis": (0, -2)}, (1, 0, 2, 3)),
    ]:
        for where in ({}, {"positions": grid(4, 6)}, {"mask": mask}, {"positions": grid(4, 6), "mask": mask}):
            real = mask if "mask" in where else np.ones_like(mask)
            want = np.where(real[..., None], table, np.zeros((), table.dtype))
            out = posenc.fill_(np.empty(shape, dtype), encoding=IMAGE, **keywords, **where, backend=backend)
            for image in out.transpose(order).reshape(-1, 4, 6, 12):
                assert_same_bits(image, want, (shape, list(where)))
    x = np.empty((2, 12, 9), dtype)  # points in a list, channels first
    points = noise((9, 2), np.float64)
    want = posenc.encode(points, 12, encoding=IMAGE, dtype=dtype, backend=backend)
    for image in posenc.fill_(x, positions=points, encoding=IMAGE, channel_axis=1, backend=backend):
        assert_same_bits(image.T, want)
    x = np.empty((9, 2, 12), dtype)
    posenc.fill_(x, positions=points, encoding=IMAGE, seq_axis=0, backend=backend)
    assert_same_bits(x[:, 0], want)


def test_a_batch_is_its_images(dtype: Any, backend: str | None) -> None:
    x = noise((3, 4, 5, 12), dtype)
    cells = np.stack([grid(4, 5), grid(4, 5, step=0.5), noise((4, 5, 2), np.float64)])  # two grids, and none
    mask = np.random.default_rng(2).integers(0, 2, (3, 4, 5)).astype(bool)
    for keywords in ({}, {"mask": mask}, {"mask": mask[0]}):
        got = posenc.add(x, positions=cells, encoding=IMAGE, **keywords, backend=backend)
        for i, image in enumerate(x):
            own = {"mask": mask[i]} if keywords.get("mask") is mask else keywords
            want = posenc.add(image, positions=cells[i], encoding=IMAGE, **own, backend=backend)
            assert_same_bits(got[i], want, (i, list(keywords)))
            if own:
                assert_same_bits(want[~own["mask"]], image[~own["mask"]])


def test_pieces(backend: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    x, points = noise((2, 7, 9, 12), np.float32), noise((7, 9, 2), np.float64)
    options = {"encoding": IMAGE, "start": (0.1, 3), "x_scale": 2.0, "backend": backend}
    want = posenc.add(x, **options), posenc.add(x, positions=points, encoding=IMAGE, backend=backend)
    monkeypatch.setattr(_axes, "AXIS_ELEMENTS", 3 * 12)
    monkeypatch.setattr(_axes, "TILE_ELEMENTS", 2 * 5 * 12)
    got = posenc.add(x, **options), posenc.add(x, positions=points, encoding=IMAGE, backend=backend)
    for a, b in zip(got, want, strict=True):
        assert_same_bits(a, b)


def test_nothing_to_do(backend: str | None) -> None:
    for shape in [(2, 0, 4, 8), (1, 3, 0, 8), (0, 3, 4, 8)]:
        for where in ({}, {"positions": np.zeros((*shape[:-1], 2))}, {"mask": np.zeros(shape[:-1], bool)}):
            assert posenc.fill_(np.empty(shape), encoding=IMAGE, **where, backend=backend).shape == shape
            assert posenc.add(np.empty(shape), encoding=IMAGE, **where, backend=backend).shape == shape


# ---- rows of tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_of_a_grid(prefix: int, dtype: Any, backend: str | None) -> None:
    table = alone(grid(3, 4, start=(2, -1)), 12, IMAGE, dtype, backend)
    shape = (2, prefix + 12, 12)
    keywords = {"encoding": IMAGE, "grid": (3, 4), "prefix": prefix, "start": (2, -1), "backend": backend}
    x = noise(shape, dtype)
    sums = x.copy()
    sums[:, prefix:] = posenc.add(
        x[:, prefix:].copy(),
        positions=grid(3, 4, start=(2, -1)).reshape(-1, 2),
        **{key: value for key, value in keywords.items() if key in ("encoding", "backend")},
    )
    want = np.zeros(shape, dtype)
    want[:, prefix:] = table.reshape(-1, 12)
    for case in arrays.awkward(shape, dtype):
        posenc.fill_(case.array, **keywords)
        case.assert_canaries_alive()
        assert_same_bits(case.array, want, case.label)
        case.put(x)
        assert_same_bits(posenc.add(case.array, **keywords), sums, case.label)
        case.assert_untouched()
        posenc.add_(case.array, **keywords)
        case.assert_canaries_alive()
        assert_same_bits(case.array, sums, case.label)


@pytest.mark.parametrize("form", [(14,), (3, 14), (1, 14), (3, 1)])
def test_tokens_with_a_mask(form: tuple[int, ...], dtype: Any, backend: str | None) -> None:
    x, mask = noise((3, 14, 12), dtype), np.random.default_rng(4).integers(0, 2, form)
    keywords = {"encoding": IMAGE, "grid": (3, 4), "prefix": 2, "backend": backend}
    real = np.broadcast_to(mask != 0, (3, 14))[..., None]
    filled, added = posenc.fill_(np.empty_like(x), **keywords), posenc.add(x, x_scale=0.5, **keywords)
    assert_same_bits(added[:, :2], x[:, :2])  # which x_scale leaves alone, too
    got = posenc.fill_(np.empty_like(x), mask=mask, **keywords)
    assert_same_bits(got, np.where(real, filled, np.zeros((), x.dtype)))
    assert_same_bits(posenc.add_(x.copy(), mask=mask, x_scale=0.5, **keywords), np.where(real, added, x))


def test_tokens_along_any_axis(dtype: Any, backend: str | None) -> None:
    x = noise((2, 13, 12), dtype)
    keywords = {"encoding": IMAGE, "grid": (3, 4), "prefix": 1, "backend": backend}
    want = posenc.add(x, **keywords)
    for order, options in [
        ((1, 0, 2), {"seq_axis": 0}),
        ((0, 2, 1), {"channel_axis": 1}),
        ((2, 1, 0), {"channel_axis": 0, "seq_axis": 1}),
    ]:
        moved = np.ascontiguousarray(x.transpose(order))
        got = posenc.add_(moved, **keywords, **options)
        assert_same_bits(got.transpose(np.argsort(order)), want, order)
    assert_same_bits(posenc.add(x[0], **keywords), want[0])  # (N, D)
    video = {"encoding": VIDEO, "backend": backend}
    frames = noise((2, 2 * 3 * 4, 12), dtype)
    want = posenc.add(frames.reshape(2, 2, 3, 4, 12), **video).reshape(frames.shape)
    assert_same_bits(posenc.add(frames, grid=(2, 3, 4), **video), want)
    assert_same_bits(posenc.add(frames, grid=(2, 3, 4), prefix=np.int64(0), **video), want)


def test_tokens_along_one_axis(dtype: Any, backend: str | None) -> None:
    x = noise((2, 9, 8), dtype)
    want = np.concatenate([x[:, :2], posenc.add(x[:, 2:], start=[3, 0.5], backend=backend)], axis=1)
    for size in (7, (7,), [7], np.int64(7)):
        assert_same_bits(posenc.add(x, grid=size, prefix=2, start=[3, 0.5], backend=backend), want)


def test_nothing_but_a_prefix(backend: str | None) -> None:
    x = noise((2, 3, 8), np.float32)
    keywords = {"encoding": IMAGE, "grid": (0, 4), "prefix": 3, "backend": backend}
    assert_same_bits(posenc.add(x, **keywords), x)
    assert not posenc.fill_(x, **keywords).any()


def test_a_grid_or_a_batch_of_sequences() -> None:
    x = noise((2, 24, 8), np.float32)
    before = x.copy()
    for options in ({}, {"start": 1}, {"channel_axis": 1}, {"mask": np.ones((2, 24), bool)}):
        for function in (posenc.fill_, posenc.add_, posenc.add):
            with pytest.raises(ValueError, match=r"^(x|out): expected .*`seq_axis=\(0, [12]\)`.*`grid=\("):
                function(x, encoding="mae", **options)
    assert_same_bits(x, before)
    whole = posenc.add(x[None], encoding="mae")[0]
    assert_same_bits(posenc.add(x, encoding="mae", seq_axis=(0, 1)), whole)
    assert_same_bits(posenc.add(x, encoding="mae", positions=grid(2, 24)), whole)


def test_coordinates_of_a_grid_for_a_list_of_rows(dtype: Any, backend: str | None) -> None:
    options = {"encoding": IMAGE, "backend": backend}
    for shape in [(2, 12, 8), (12, 8), (3, 12, 8), (1, 12, 8)]:
        x = noise(shape, dtype)
        for cells in (grid(3, 4), grid(4, 3), noise((3, 4, 2), np.float64), grid(4, 3).transpose(1, 0, 2)):
            want = posenc.add(x, positions=cells.reshape(-1, 2), **options)
            assert_same_bits(posenc.add(x, positions=cells, **options), want, shape)
    x = noise((12, 2, 8), dtype)
    want = posenc.add(x, positions=grid(3, 4).reshape(-1, 2), seq_axis=0, **options)
    assert_same_bits(posenc.add(x, positions=grid(3, 4), seq_axis=0, **options), want)
    # where the shape is also that of the batch and its rows, it means these
    x = noise((3, 3, 8), dtype)
    assert_same_bits(posenc.add(x, positions=grid(3, 3), **options), posenc.add(x, seq_axis=(0, 1), **options))


@pytest.mark.parametrize("form", [(1, 3, 4), (2, 1, 4), (2, 3, 1), (1, 1, 1), (2, 1, 1)])
def test_an_axis_of_length_1_stands_for_all(form: tuple[int, ...], dtype: Any, backend: str | None) -> None:
    x, options = noise((2, 3, 4, 8), dtype), {"encoding": IMAGE, "backend": backend}
    cells, mask = noise((*form, 2), np.float64), np.random.default_rng(5).integers(0, 2, form)
    whole = np.broadcast_to(cells, (2, 3, 4, 2)).copy()
    want = posenc.add(x, positions=whole, **options)
    assert_same_bits(posenc.add(x, positions=cells, **options), want)
    real = np.broadcast_to(mask != 0, (2, 3, 4))[..., None]
    assert_same_bits(posenc.add(x, positions=cells, mask=mask, **options), np.where(real, want, x))
    assert_same_bits(posenc.add(x, mask=mask, **options), np.where(real, posenc.add(x, **options), x))


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e300])
def test_a_masked_cell_may_be_anywhere(garbage: float, dtype: Any, backend: str | None) -> None:
    x, mask = noise((2, 3, 4, 8), dtype), np.random.default_rng(6).integers(0, 2, (2, 3, 4)).astype(bool)
    for cells in (grid(3, 4), noise((2, 3, 4, 2), np.float64)):
        good = np.broadcast_to(cells, (2, 3, 4, 2))
        bad = np.where(mask[..., None], good, garbage)
        for encoding in (IMAGE, Encoding(axes=2, position_offset=0.5)):
            options = {"encoding": encoding, "mask": mask, "backend": backend}
            want = posenc.add(x, positions=good, **options)
            assert_same_bits(posenc.add(x, positions=bad, **options), want)
            want = posenc.fill_(x.copy(), positions=good, **options)
            assert_same_bits(posenc.fill_(x.copy(), positions=bad, **options), want)
    with pytest.raises(ValueError, match=r"^positions: expected finite numbers, got nan"):
        posenc.add(x, positions=np.full((2, 3, 4, 2), np.nan), encoding=IMAGE, mask=mask)


# ---- refusals -------------------------------------------------------------------------------------------------------

# For an array of shape (3, 4, 6, 8) and an encoding over two axes.
REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"start": [1, 2, 3]}, ValueError, "start: expected a number or one for each of 2 axes"),
    ({"start": 2**53}, ValueError, r"start: expected .*2\*\*53 in magnitude"),
    (
        {"positions": [0, 1, 2, 3, 4, 5]},
        ValueError,
        r"positions: expected shape \(6, 2\) or \(3, 4, 6, 2\), got \(6,\)",
    ),
    ({"positions": grid(4, 6)[..., :1]}, ValueError, r"positions: expected shape \(4, 6, 2\) or \(3, 4, 6, 2\)"),
    ({"positions": grid(6, 4)}, ValueError, r"positions: expected shape \(4, 6, 2\) .*got \(6, 4, 2\)"),
    ({"positions": grid(1, 4, 6)}, ValueError, r"positions: expected shape \(4, 6, 2\) .*got \(1, 4, 6, 3\)"),
    ({"positions": 3}, ValueError, r"positions: expected shape \(6, 2\)"),
    ({"positions": grid(4, 6), "start": 1}, ValueError, "positions: expected either start or positions"),
    ({"positions": grid(4, 6).astype(np.float16)}, TypeError, "positions: .*half precision"),
    ({"positions": np.full((4, 6, 2), np.nan)}, ValueError, "positions: expected finite"),
    ({"mask": np.ones(6, bool)}, ValueError, r"mask: expected shape \(4, 6\) or \(3, 4, 6\), got \(6,\)"),
    ({"cu_seqlens": [0, 6]}, ValueError, "cu_seqlens: expected None for an encoding over 2 axes"),
    ({"seq_axis": 1}, ValueError, "seq_axis: expected a tuple of 2 integers for the encoding, got 1"),
    ({"seq_axis": (0, 1, 2)}, ValueError, "seq_axis: expected a tuple of 2 integers"),
    ({"seq_axis": (2, 1)}, ValueError, r"seq_axis: expected axes in increasing order, got \(2, 1\)"),
    ({"seq_axis": (1, 1)}, ValueError, "seq_axis: expected axes in increasing order"),
    (
        {"seq_axis": (1, 3)},
        ValueError,
        "seq_axis: expected an axis of .* other than 3, which holds the channels; got 3",
    ),
    ({"encoding": Encoding(axes=4)}, ValueError, r"\w+: expected 4 axes for the encoding, and channels, got shape"),
    ({"encoding": Encoding(axes=3), "seq_axis": (0, 1, 2)}, ValueError, "encoding: expected a multiple of 3 channels"),
    ({"grid": (3, 2, 2)}, ValueError, r"grid: expected a tuple of 2 .*`grid=\(3, 4\)` has as many cells"),
    ({"grid": (2**61 - 1, 2**89 - 1, 2)}, ValueError, r"grid: expected a tuple of 2 .*`grid=\(2, \d+\)` has as many"),
    ({"grid": (2**1100, 1, 1)}, ValueError, r"grid: expected a tuple of 2 .*`grid=\(1048576, \d+\)` has as many"),
]


@pytest.mark.parametrize(("keywords", "error", "text"), REFUSED, ids=lambda value: repr(value)[:60])
@pytest.mark.parametrize("function", ["fill_", "add_", "add"])
def test_refused(function: str, keywords: dict[str, Any], error: type[Exception], text: str) -> None:
    x = noise((3, 4, 6, 8), np.float32)
    before = x.copy()
    with pytest.raises(error, match=f"^{text}"):
        getattr(posenc, function)(x, **{"encoding": IMAGE} | keywords)
    assert_same_bits(x, before)


def test_encode_refuses() -> None:
    for positions in (4, [1, 2]):
        with pytest.raises(ValueError, match=r"^positions: expected coordinates, shape \(..., 2\), for this encoding"):
            posenc.encode(positions, 8, encoding=IMAGE)
    with pytest.raises(ValueError, match=r"^positions: expected shape \(5, 2\), got \(5, 3\)"):
        posenc.encode(np.zeros((5, 3)), 8, encoding=IMAGE)


# ---- Hypothesis -----------------------------------------------------------------------------------------------------


@given(
    leading=st.lists(st.integers(1, 3), max_size=1),
    inner=st.lists(st.integers(1, 6), min_size=2, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    whole=st.booleans(),
    masked=st.booleans(),
    full=st.booleans(),
)
def test_any_cells(
    leading: list[int], inner: list[int], seed: int, whole: bool, masked: bool, full: bool, backend: str | None
) -> None:
    generator = np.random.default_rng(seed)
    axes, dim = len(inner), 12
    form = (*leading, *inner) if full else tuple(inner)
    lines = [generator.standard_normal(n) * 100 for n in inner]
    cells = np.broadcast_to(np.stack(np.meshgrid(*lines, indexing="ij"), -1), (*form, axes)).copy()
    if generator.integers(0, 2):  # one cell is out of line
        cells.reshape(-1, axes)[generator.integers(0, cells.size // axes)] += 0.5
    if whole:
        cells = np.round(cells)
    encoding = Encoding(axes=axes)
    x = noise((*leading, *inner, dim), np.float32)
    mask = generator.integers(0, 2, form).astype(bool) if masked else np.ones(form, bool)
    rows = posenc.encode(cells.reshape(-1, axes), dim, encoding=encoding, backend=backend).reshape(*form, dim)
    got = posenc.add(x, positions=cells, mask=mask, encoding=encoding, backend=backend)
    assert_same_bits(got, np.where(mask[..., None], x + rows, x))
    got = posenc.fill_(x, positions=cells, mask=mask, encoding=encoding, backend=backend)
    assert_same_bits(got, np.broadcast_to(np.where(mask[..., None], rows, np.float32(0)), x.shape))


@pytest.mark.parametrize("order", ["broadcast", "F"])
def test_grids_of_their_own_in_any_order(order: str, backend: str | None) -> None:
    cells = np.broadcast_to(posenc.grid(3, 5), (2, 3, 5, 2))
    given = cells if order == "broadcast" else np.asfortranarray(cells)
    options = {"encoding": "mae", "backend": backend}
    got = posenc.fill_(np.empty((2, 3, 5, 8), np.float32), positions=given, **options)
    np.testing.assert_array_equal(got, posenc.fill_(np.empty_like(got), positions=cells.copy(), **options))
