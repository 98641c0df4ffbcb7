"""Small calls, which the compiled core checks itself: the results and refusals of the long way, both ways forced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import Encoding, _backend, _conventions

from . import arrays, backends
from .arrays import FLOATS, assert_same_bits, noise

pytestmark = pytest.mark.skipif("cpp" in backends.MISSING, reason=backends.MISSING.get("cpp", ""))
if "cpp" not in backends.MISSING:
    from posenc import _cpp

SMALL = 2**18  # elements
REST = {"seq_axis": None, "channel_axis": -1, "grid": None, "prefix": 0, "threads": None, "backend": None}
TURNING = ("seq_axis", "channel_axis", "threads", "backend")
SAID = {"start": 0, "positions": None, "mask": None, "cu_seqlens": None}
OFFSET = Encoding(position_offset=-0.25)
IMAGE = Encoding(axes=2)
OTHER_IMAGE = Encoding(axes=2, axis_widths="floor")  # of 9 columns, too


@pytest.fixture(scope="module")
def small() -> Any:
    return _cpp.small_calls()


def fill(small: Any, out: Any, **said: Any) -> bool:
    encoding = said.pop("encoding", None)
    rest = {key: said.pop(key, value) for key, value in REST.items()}
    return small.fill(out, *(SAID | said).values(), encoding, *rest.values())


def add_(small: Any, x: Any, x_scale: Any = 1.0, **said: Any) -> bool:
    encoding = said.pop("encoding", None)
    rest = {key: said.pop(key, value) for key, value in REST.items()}
    return small.add_(x, *(SAID | said).values(), x_scale, encoding, *rest.values())


def add(small: Any, x: Any, out: Any = None, x_scale: Any = 1.0, **said: Any) -> Any:
    encoding = said.pop("encoding", None)
    rest = {key: said.pop(key, value) for key, value in REST.items()}
    return small.add(x, out, *(SAID | said).values(), x_scale, encoding, *rest.values())


def rotate_(small: Any, x: Any, encoding: Any = "rope_hf", inverse: Any = False, **said: Any) -> bool:
    rest = {key: said.pop(key, REST[key]) for key in TURNING}
    return small.rotate_(x, encoding, *(SAID | said).values(), inverse, *rest.values())


def rotate(small: Any, x: Any, out: Any = None, encoding: Any = "rope_hf", inverse: Any = False, **said: Any) -> Any:
    rest = {key: said.pop(key, REST[key]) for key in TURNING}
    return small.rotate(x, encoding, out, *(SAID | said).values(), inverse, *rest.values())


@pytest.fixture(params=["small", "long"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, small: Any) -> str:
    """Both ways that a call of the default backend may take, by force."""
    _backend.default()
    monkeypatch.setattr(_backend.chosen, "small", small if request.param == "small" else None)
    return request.param


# ---- results --------------------------------------------------------------------------------------------------------

L, B = 5, 3  # of arrays (B, 2, L, D)
NUMBERS = noise((L,), np.float64)
PLAIN: dict[str, dict[str, Any]] = {
    "default": {},
    "start": {"start": 7},
    "negative start": {"start": -(2**52) + 40},
    "float": {"start": 0.3},
    "NumPy's int64": {"start": np.int64(3)},
    "NumPy's int32": {"start": np.int32(3)},
    "NumPy's float64": {"start": np.float64(3.5)},
    "NumPy's float32": {"start": np.float32(3.5)},
    "no dimension": {"start": np.array(3, np.uint16)},
    "starts": {"start": np.arange(2 * B, dtype=np.int32).reshape(B, 2)},
    "starts of some axes": {"start": np.array([[0.5], [7.0], [1e9]])},
    "starts beside rows": {"start": np.arange(2 * B, dtype=np.uint8).reshape(B, 2, 1)},
    "offset": {"encoding": OFFSET, "start": 0.1},
    "whole offset": {"encoding": Encoding(position_offset=2.0), "start": 3},
    "own": {"encoding": Encoding(base=77.0)},
    "positions": {"positions": NUMBERS},
    "positions backwards": {"positions": np.arange(2 * L)[::-2]},
    "positions in float32": {"positions": NUMBERS.astype(np.float32)},
    "positions in a list": {"positions": [4, 1, 2, 3, 0]},
    "positions in floats": {"positions": [4.5, 1, 2, 3, 0]},
    "positions of all": {"positions": noise((B, 2, L), np.float64)},
    "positions for all": {"positions": np.arange(L, dtype=np.int16)[None, None]},
    "positions of some axes": {"positions": np.arange(B * L).reshape(B, 1, L), "encoding": OFFSET},
    "mask": {"mask": np.arange(L) % 3 > 0},
    "mask of all": {"mask": np.arange(2 * B * L).reshape(B, 2, L) % 3 > 0, "start": 0.5},
    "mask of integers": {"mask": [0, 1, 1, 0, 1], "positions": [np.nan, 1.0, 2.0, np.inf, 4.0]},
    "true mask": {"mask": [True] * L, "start": 4},
    "packed": {"cu_seqlens": [0, 2, 2, L]},
    "packed, starts": {"cu_seqlens": np.array([0, 2, L], np.int32), "start": [3, 0.5], "mask": np.arange(L) < 4},
    "threads": {"threads": 2},
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("dim", [1, 6, 33])
def test_results(small: Any, kind: str, dtype: Any, dim: int) -> None:
    said = PLAIN[kind]
    long = {"backend": "numpy", **said}
    shape = (B, 2, L, dim)
    x = noise(shape, dtype)
    want = posenc.fill_(np.empty(shape, dtype), **long)
    scaled = posenc.add(x, x_scale=0.3, **long)
    for case in arrays.awkward(shape, dtype):
        assert fill(small, case.array, **said), case.label
        assert_same_bits(case.array, want, case.label)
        case.put(x)
        assert add_(small, case.array, 0.3, **said), case.label
        assert_same_bits(case.array, scaled, case.label)
        case.assert_canaries_alive()
        case.put(x)
        assert_same_bits(add(small, case.array, x_scale=0.3, **said), scaled, case.label)
        out = np.empty(shape, dtype)
        assert add(small, case.array, out, 0.3, **said) is out
        assert_same_bits(out, scaled, case.label)
        case.assert_untouched()


TILES = Encoding(tile=2, cos_first=True)  # whose pairs are two runs, apart


def finite(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Noise without infinities of float16, which turn to NaNs of any sign."""
    return np.clip(noise(shape, np.float32), -1e4, 1e4).astype(dtype)


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("dtype", FLOATS)
def test_embeddings(small: Any, kind: str, dtype: Any) -> None:
    said = dict(PLAIN[kind])
    table, ids = noise((7, 12), dtype), np.arange(2 * B * L).reshape(B, 2, L) % 7
    want = posenc.embed(ids, table, backend="numpy", **said)
    encoding, threads = said.pop("encoding", None), said.pop("threads", None)
    got = small.embed(ids, table, None, *(SAID | said).values(), 1.0, encoding, threads, None)
    assert_same_bits(got, want)


def turns(said: dict[str, Any]) -> list[tuple[Any, bool]]:
    """Encodings of all layouts that kernels know, as users say them, and whether to turn back."""
    named = said.get("encoding")
    if named is None:
        return [("rope_hf", False), ("rope_meta", True), (Encoding(), False), (TILES, True)]
    return [(named.replace(layout="concatenated"), True), (named.replace(cos_first=True), False)]


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("dim", [4, 36])
def test_turns(small: Any, kind: str, dtype: Any, dim: int, compiled_backend: str) -> None:
    shape = (B, 2, L, dim)
    x = finite(shape, dtype)
    for encoding, inverse in turns(PLAIN[kind]):
        said = PLAIN[kind] | {"encoding": encoding, "inverse": inverse}
        want = posenc.rotate(x, **{"backend": "numpy", **said})
        for case in arrays.awkward(shape, dtype):
            case.put(x)
            assert rotate_(small, case.array, **said), case.label
            assert_same_bits(case.array, want, case.label)
            case.assert_canaries_alive()
            case.put(x)
            assert_same_bits(rotate(small, case.array, **said), want, case.label)
            out = np.empty(shape, dtype)
            assert rotate(small, case.array, out, **said) is out
            assert_same_bits(out, want, case.label)
            case.assert_untouched()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("dim", [4, 16, 64, 100, 128, 512, 772])
def test_widths_of_turns(small: Any, dim: int, dtype: Any, compiled_backend: str) -> None:
    for shape in [(1, dim), (2, 32, 1, dim), (2**14 // dim, dim), (3, 2, 2, dim)]:
        x = finite(shape, dtype)
        for start in (0, 3, -40.5, 10**7, 2**52 - shape[-2]):
            for encoding, inverse in turns({}):
                said = {"start": start, "encoding": encoding, "inverse": inverse}
                got = x.copy()
                assert rotate_(small, got, **said)
                assert_same_bits(got, posenc.rotate(x, backend="numpy", **said), f"{shape}, {said}")


@pytest.mark.parametrize("dim", [1, 2, 7, 16, 64, 100, 512, 770])
def test_widths(small: Any, dim: int, compiled_backend: str) -> None:
    for shape in [(1, dim), (3, dim), (2**14 // dim, dim), (3, 2, 2, dim), (20, 1, dim)]:
        x = noise(shape, np.float32)
        for start in (0, 3, -40, 10**7, -(2**52), 2**52 - shape[-2]):
            table = posenc.fill_(np.empty(shape, np.float32), start=start, backend="numpy")
            case = arrays.contiguous(shape, np.float32, 4)
            assert fill(small, case.array, start=start)
            assert_same_bits(case.array, table, f"fill, {shape}, start {start}")
            case.put(x)
            assert add_(small, case.array, start=start)
            assert_same_bits(case.array, x + table, f"add, {shape}, start {start}")
            case.assert_canaries_alive()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("encoding", ["mae", IMAGE, Encoding(axes=3, position_offset=0.5)], ids=str)
@pytest.mark.parametrize("start", [0, 0.1, "each"])
def test_grids(small: Any, dtype: Any, encoding: Any, start: Any, compiled_backend: str) -> None:
    axes = _conventions.resolve(encoding).axes
    shape = (2, *(3, 4, 5)[:axes], 24)
    said = {"encoding": encoding, "start": [7, 0.5, 2][:axes] if start == "each" else start}
    x = noise(shape, dtype)
    want = posenc.fill_(np.empty(shape, dtype), backend="numpy", **said)
    scaled = posenc.add(x, x_scale=-1.5, backend="numpy", **said)
    for case in arrays.awkward(shape, dtype):
        assert fill(small, case.array, **said), case.label
        assert_same_bits(case.array, want, case.label)
        case.put(x)
        assert add_(small, case.array, -1.5, **said), case.label
        assert_same_bits(case.array, scaled, case.label)
        case.assert_canaries_alive()


AXES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "first": ((5, 3, 2, 12), {"seq_axis": 0, "start": 3}),
    "middle": ((3, 5, 2, 12), {"seq_axis": -3, "start": 0.5}),
    "tuple": ((3, 5, 12), {"seq_axis": (1,)}),
    "channels first": ((3, 12, 5), {"channel_axis": 1}),
    "channels and rows": ((5, 12, 2, 3), {"seq_axis": 0, "channel_axis": 1, "x_scale": "sqrt_dim"}),
    "starts": ((3, 5, 2, 12), {"seq_axis": 1, "start": np.array([[0.5, 3], [7, 1e9], [2, 4]])}),
    "starts beside rows": ((5, 3, 12), {"seq_axis": 0, "start": np.array([[1, 2.5, 3]])}),
    "positions": ((3, 12, 5), {"channel_axis": -2, "positions": noise((3, 5), np.float64)}),
    "positions of rows": ((5, 3, 12), {"seq_axis": 0, "positions": [4, 1, 2, 3, 0]}),
    "positions across": ((5, 12, 3), {"seq_axis": 0, "channel_axis": 1, "positions": noise((5, 3), np.float64)}),
    "positions for some": ((5, 3, 2, 12), {"seq_axis": 0, "positions": noise((5, 1, 2), np.float64)}),
    "mask": ((5, 3, 12), {"seq_axis": 0, "mask": np.arange(15).reshape(5, 3) % 4 > 0}),
    "packed": ((5, 3, 12), {"seq_axis": 0, "cu_seqlens": [0, 2, 5]}),
    "image, channels first": ((2, 12, 3, 4), {"encoding": IMAGE, "channel_axis": 1}),
    "image alone": ((3, 4, 12), {"encoding": IMAGE, "seq_axis": (0, 1), "start": [2, 0.5]}),
    "image inside out": ((3, 4, 2, 12), {"encoding": IMAGE, "seq_axis": (0, 1)}),
    "image, channels in the midst": ((3, 12, 4), {"encoding": IMAGE, "seq_axis": (0, 2), "channel_axis": 1}),
    "tokens": ((2, 12, 12), {"encoding": IMAGE, "grid": (3, 4)}),
    "tokens after others": ((2, 15, 12), {"encoding": IMAGE, "grid": (3, 4), "prefix": 3, "start": [1, 2]}),
    "tokens alone": ((13, 12), {"encoding": IMAGE, "grid": (3, 4), "prefix": 1}),
    "tokens, channels first": ((2, 12, 7), {"encoding": IMAGE, "grid": (2, 3), "prefix": 1, "channel_axis": 1}),
    "tokens first": ((7, 2, 12), {"encoding": IMAGE, "grid": (2, 3), "prefix": 1, "seq_axis": 0}),
    "tokens in a row": ((2, 7, 12), {"grid": 5, "prefix": 2, "start": np.array([3, 4])}),
}


@pytest.mark.parametrize("kind", AXES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_axes(small: Any, kind: str, dtype: Any) -> None:
    shape, said = AXES[kind]
    said = dict(said)
    x_scale = said.pop("x_scale", 0.3)
    x = noise(shape, dtype)
    want = posenc.fill_(np.empty(shape, dtype), backend="numpy", **said)
    scaled = posenc.add(x, x_scale=x_scale, backend="numpy", **said)
    for case in arrays.awkward(shape, dtype):
        assert fill(small, case.array, **said), case.label
        assert_same_bits(case.array, want, case.label)
        case.put(x)
        assert add_(small, case.array, x_scale, **said), case.label
        assert_same_bits(case.array, scaled, case.label)
        case.assert_canaries_alive()
        case.put(x)
        assert_same_bits(add(small, case.array, x_scale=x_scale, **said), scaled, case.label)
        case.assert_untouched()


@pytest.mark.parametrize("kind", AXES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_axes_of_turns(small: Any, kind: str, dtype: Any) -> None:
    shape, said = AXES[kind]
    if {"grid", "encoding"} & {*said}:
        pytest.skip("no keyword of rotate_, or several axes")
    x = finite(shape, dtype)
    said = {key: value for key, value in said.items() if key != "x_scale"}
    want = posenc.rotate(x, "rope_meta", backend="numpy", **said)
    for case in arrays.awkward(shape, dtype):
        case.put(x)
        assert rotate_(small, case.array, "rope_meta", **said), case.label
        assert_same_bits(case.array, want, case.label)
        case.assert_canaries_alive()
        case.put(x)
        assert_same_bits(rotate(small, case.array, encoding="rope_meta", **said), want, case.label)
        case.assert_untouched()


def test_columns_without_a_partner(small: Any) -> None:
    """They stay: in place at once, and for Python to copy."""
    encoding = Encoding(odd="zero")
    x = noise((4, 9), np.float32)
    want = posenc.rotate(x, encoding, backend="numpy")
    assert rotate(small, x, encoding=encoding) is None
    assert rotate(small, x, np.empty_like(x), encoding=encoding) is None
    assert rotate_(small, x, encoding)
    assert_same_bits(x, want)


@pytest.mark.parametrize("x_scale", ["sqrt_dim", 2, 0.1, -0.0])
@pytest.mark.parametrize("dtype", FLOATS)
def test_factors(small: Any, x_scale: Any, dtype: Any) -> None:
    x = noise((3, 6), dtype)
    want = posenc.add(x, x_scale=x_scale, backend="numpy")
    assert add_(small, x, x_scale)
    assert_same_bits(x, want)


ENCODED: dict[str, tuple[Any, dict[str, Any]]] = {
    "length": (4, {"start": 3}),
    "NumPy's length": (np.int64(4), {}),
    "list": ([0.5], {}),
    "positions": (noise((2, 3), np.float64), {}),
    "mask": (4, {"mask": [True, False, True, True]}),
    "packed": (4, {"cu_seqlens": [0, 1, 4], "start": [2, 0]}),
    "named": (4, {"encoding": "whisper"}),
}


@pytest.mark.parametrize("kind", ENCODED)
@pytest.mark.parametrize("dtype", [np.float32, np.dtype(np.float64), np.float16])
def test_encode(small: Any, kind: str, dtype: Any) -> None:
    positions, said = ENCODED[kind]
    encoding = said.get("encoding")
    given = SAID | {key: value for key, value in said.items() if key != "encoding"}
    start, _, mask, bounds = given.values()
    got = small.encode(positions, 6, start, mask, bounds, encoding, dtype, None, None)
    assert_same_bits(got, posenc.encode(positions, 6, dtype=dtype, backend="numpy", **said))


@pytest.mark.parametrize("mask", [[0, 1, 1, 0, 1], np.arange(24).reshape(2, 3, 4) % 3 > 0, np.arange(6)[::-2] % 2])
def test_positions_from_mask(small: Any, mask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    got = small.count(mask, -3, 9)
    monkeypatch.setattr(_backend.chosen, "small", None)
    assert_same_bits(got, posenc.positions_from_mask(mask, start=-3, padding=9))


# ---- what is left to Python -----------------------------------------------------------------------------------------


class Subclass(np.ndarray):
    pass


def _read_only() -> np.ndarray:
    x = np.ones((4, 6), np.float32)
    x.flags.writeable = False
    return x


NOT_PLAIN: dict[str, Any] = {
    "list": [[1.0]],
    "None": None,
    "swapped": np.ones((4, 6), np.dtype(np.float32).newbyteorder()),
    "integers": np.ones((4, 6), np.int32),
    "uint16": np.ones((4, 6), np.uint16),
    "longdouble": np.ones((4, 6), np.longdouble),
    "void": np.zeros((4, 6), "V2"),
    "objects": np.ones((4, 6), object),
    "1-d": np.ones(6, np.float32),
    "0-d": np.ones((), np.float32),
    "9-d": np.ones((1,) * 8 + (6,), np.float32),
    "read-only": _read_only(),
    "subclass": np.ones((4, 6), np.float32).view(Subclass),
    "masked": np.ma.ones((4, 6), np.float32),
    "empty": np.ones((0, 6), np.float32),
    "no channels": np.ones((4, 0), np.float32),
    "large": np.ones((SMALL // 6 + 1, 6), np.float32),
    "broadcast": np.broadcast_to(np.ones(6, np.float32), (4, 6)),
    "overlapping": np.lib.stride_tricks.as_strided(np.ones(60, np.float32), (4, 6), (8, 4)),
}


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_arrays_that_are_left_to_python(small: Any, kind: str) -> None:
    x = NOT_PLAIN[kind]
    before = x.tobytes() if isinstance(x, np.ndarray) else x
    assert not fill(small, x)
    assert not add_(small, x)
    assert not rotate_(small, x)
    if kind not in ("read-only", "broadcast", "overlapping"):
        assert add(small, x) is None
        assert rotate(small, x) is None
    if x is not None:
        assert add(small, np.ones((4, 6), np.float32), x) is None
        assert rotate(small, np.ones((4, 6), np.float32), x) is None
    assert (x.tobytes() if isinstance(x, np.ndarray) else x) == before


LEFT: dict[str, dict[str, Any]] = {
    "True": {"start": True},
    "no start": {"start": None},
    "text": {"start": "0"},
    "NaN": {"start": np.nan},
    "starts of other shapes": {"start": [0, 1, 2, 3, 4]},
    "a start for each row": {"start": np.zeros((B, 2, L))},
    "far": {"start": 2**52 + 1},
    "a row that is far": {"start": 2**52 - 1},
    "farther": {"start": -(2**80)},
    "far in float64": {"start": 1e300},
    "far with an offset": {"start": 2**52 - L, "encoding": Encoding(position_offset=1.0)},
    "half": {"start": np.float16(1)},
    "half positions": {"positions": np.arange(L, dtype=np.float16)},
    "a NaN": {"positions": [0.0, 1.0, np.nan, 2.0, 3.0]},
    "an infinity": {"positions": np.array([0, 1, 2, np.inf, 3], np.float32)},
    "large integers": {"positions": np.array([0, 1, 2, 2**63, 3], np.uint64)},
    "truths": {"positions": np.ones(L, bool)},
    "truths among numbers": {"positions": [True, 1, 2, 3, 4]},
    "complex": {"positions": np.zeros(L, complex)},
    "positions of other shapes": {"positions": np.zeros(L + 1)},
    "positions of fewer axes": {"positions": np.zeros((2, L))},
    "nested": {"positions": [[0, 1, 2, 3, 4]]},
    "positions and start": {"positions": NUMBERS, "start": 1},
    "positions and start of float": {"positions": NUMBERS, "start": 0.0},
    "positions and bounds": {"positions": NUMBERS, "cu_seqlens": [0, L]},
    "floats as a mask": {"mask": np.ones(L)},
    "other numbers as a mask": {"mask": [0, 1, 2, 0, 1]},
    "mask of another shape": {"mask": [True] * (L - 1)},
    "real row at a NaN": {"mask": [1, 1, 1, 0, 1], "positions": [0.0, 1.0, np.nan, np.nan, 2.0]},
    "bounds that fall": {"cu_seqlens": [0, 3, 2, L]},
    "bounds that end early": {"cu_seqlens": [0, L - 1]},
    "bounds that begin late": {"cu_seqlens": [1, L]},
    "bounds below 0": {"cu_seqlens": [0, -1, L]},
    "bounds of floats": {"cu_seqlens": [0.0, L]},
    "bounds of two dimensions": {"cu_seqlens": np.array([[0, L]])},
    "too many starts": {"cu_seqlens": [0, 2, L], "start": [0, 1, 2]},
    "packed far away": {"cu_seqlens": [0, 2, L], "start": [0, 2**52 - 2]},
    "unknown": {"encoding": "nothing of that name"},
    "no encoding": {"encoding": 5},
    "odd width": {"encoding": Encoding(odd="error")},
    "two axes": {"encoding": IMAGE, "positions": NUMBERS},
    "axis that is a float": {"seq_axis": 1.0},
    "axis that is not there": {"seq_axis": 4},
    "axis of channels": {"seq_axis": -1},
    "axis of NumPy": {"seq_axis": np.int64(2), "channel_axis": 7},
    "two axes of one": {"seq_axis": (1, 2)},
    "axes in disorder": {"encoding": IMAGE, "seq_axis": (2, 1)},
    "one axis of two": {"encoding": IMAGE, "seq_axis": 2},
    "list of axes": {"seq_axis": [2]},
    "no axes": {"seq_axis": ()},
    "channels elsewhere": {"channel_axis": 4},
    "channels before all": {"channel_axis": -5},
    "positions of other axes": {"seq_axis": 0, "positions": NUMBERS},
    "starts of other axes": {"seq_axis": 0, "start": np.zeros((B, 2))},
    "channel of float": {"channel_axis": -1.0},
    "grid": {"grid": (1, L)},
    "grid that is too large": {"grid": (2, L), "encoding": OTHER_IMAGE},
    "grid that is too small": {"grid": (1, L - 1), "encoding": OTHER_IMAGE},
    "grid of nothing": {"grid": (0, L), "encoding": OTHER_IMAGE, "prefix": L},
    "grid below nothing": {"grid": (-1, -L), "encoding": OTHER_IMAGE},
    "grid beyond all": {"grid": (2**40, 2**40), "encoding": OTHER_IMAGE},
    "grid of two axes": {"grid": (1, L), "encoding": OTHER_IMAGE, "seq_axis": (1, 2)},
    "list of sizes": {"grid": [1, L - 1], "encoding": OTHER_IMAGE},
    "grid and positions": {"grid": (1, L), "encoding": OTHER_IMAGE, "positions": np.zeros((L, 2))},
    "prefix": {"prefix": 1},
    "prefix below nothing": {"grid": (1, L + 1), "prefix": -1, "encoding": OTHER_IMAGE},
    "prefix that is a truth": {"prefix": False},
    "no threads": {"threads": 0},
    "many threads": {"threads": 2**16 + 1},
    "threads of text": {"threads": "auto"},
    "backend": {"backend": "cpp"},
    "not a factor": {"x_scale": True},
    "text as a factor": {"x_scale": "0.5"},
    "infinite factor": {"x_scale": 1e300},
}


@pytest.mark.parametrize("kind", LEFT)
def test_what_is_left_to_python(small: Any, kind: str) -> None:
    x = noise((B, 2, L, 9), np.float32)
    before = x.copy()
    assert not add_(small, x, **LEFT[kind])
    if "x_scale" not in LEFT[kind]:
        assert not fill(small, x, **LEFT[kind])
    assert_same_bits(x, before)


# Of rotations, besides: in arrays of 10 columns.
TURNS_LEFT: dict[str, dict[str, Any]] = {
    **{kind: said for kind, said in LEFT.items() if not {"x_scale", "grid", "prefix"} & {*said}},
    "odd width": {"encoding": Encoding(odd="extra"), "channel_axis": 2},
    "none": {"encoding": None},
    "inverse of a number": {"inverse": 1},
    "inverse of None": {"inverse": None},
    "inverse of an array": {"inverse": np.zeros((), bool)},
    "amplitude": {"encoding": Encoding(amplitude=2.0), "inverse": True},
    "amplitude of the width": {"encoding": Encoding(amplitude="rsqrt_dim"), "inverse": True},
    "image": {"encoding": IMAGE},
    "image alone": {"encoding": IMAGE, "seq_axis": (0, 1)},
    "points": {"encoding": IMAGE, "positions": np.ones((L, 2))},
}


@pytest.mark.parametrize("kind", TURNS_LEFT)
def test_turns_that_are_left_to_python(small: Any, kind: str) -> None:
    x = noise((B, 2, L, 10), np.float32)
    before = x.copy()
    assert not rotate_(small, x, **TURNS_LEFT[kind])
    assert rotate(small, x, **TURNS_LEFT[kind]) is None
    assert_same_bits(x, before)


def test_ambiguous_grids_are_left_to_python(small: Any) -> None:
    assert not fill(small, np.empty((3, 4, 8), np.float32), encoding=IMAGE)
    for said in ({"mask": np.ones((3, 4), bool)}, {"start": [1, 2, 3]}, {"start": np.zeros((1, 2))}):
        assert not fill(small, np.empty((2, 3, 4, 8), np.float32), encoding=IMAGE, **said)


def test_sums_into_overlapping_arrays_are_left_to_python(small: Any) -> None:
    memory = noise((6, 8), np.float32)
    assert add(small, memory[:5], memory[1:]) is None
    assert add(small, memory, memory[::-1]) is None
    assert rotate(small, memory[:5], memory[1:]) is None
    want = posenc.add(memory, backend="numpy")
    assert add(small, memory, memory) is memory
    assert_same_bits(memory, want)
    want = posenc.rotate(memory, "rope_hf", backend="numpy")
    assert rotate(small, memory, memory) is memory
    assert_same_bits(memory, want)


# ---- refusals, either way -------------------------------------------------------------------------------------------


def outcome(call: Callable[[], Any]) -> Any:
    try:
        result = call()
    except Exception as error:
        return type(error), str(error)
    return np.asarray(result).tobytes()


@pytest.mark.parametrize("kind", sorted(LEFT))
@pytest.mark.parametrize("verb", [posenc.fill_, posenc.add_, posenc.add])
def test_refusals(verb: Callable[..., Any], kind: str, way: str) -> None:
    said = LEFT[kind]
    if verb is posenc.fill_ and "x_scale" in said:
        pytest.skip("fill_ has no x_scale")
    x = noise((B, 2, L, 9), np.float32)
    before = x.copy()
    got = outcome(lambda: verb(x, **said))
    assert got == outcome(lambda: verb(before.copy(), **{"backend": "numpy", **said}))
    if isinstance(got, tuple) or verb is posenc.add:
        assert_same_bits(x, before)


@pytest.mark.parametrize("kind", sorted(TURNS_LEFT))
@pytest.mark.parametrize("verb", [posenc.rotate_, posenc.rotate])
def test_refusals_of_turns(verb: Callable[..., Any], kind: str, way: str) -> None:
    said = {"encoding": "rope_hf"} | TURNS_LEFT[kind]
    x = noise((B, 2, L, 10), np.float32)
    before = x.copy()
    got = outcome(lambda: verb(x, **said))
    assert got == outcome(lambda: verb(before.copy(), **{"backend": "numpy", **said}))
    if isinstance(got, tuple) or verb is posenc.rotate:
        assert_same_bits(x, before)


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_refusals_of_arrays(kind: str, way: str) -> None:
    x = NOT_PLAIN[kind]
    for call in (posenc.fill_, lambda out: posenc.add(np.ones((4, 6), np.float32), out=out)):
        if kind in ("None", "large", "subclass", "9-d", "empty"):
            continue
        with pytest.raises((TypeError, ValueError)) as error:
            call(x)
        assert str(error.value).startswith("out")


# ---- memory of encodings --------------------------------------------------------------------------------------------


@pytest.mark.thread_unsafe(reason="counts bytes")
def test_the_memo_has_a_budget(small: Any) -> None:
    x = np.zeros((1, 512), np.float32)
    for base in range(300):
        assert fill(small, x, encoding=Encoding(base=base + 2.0), start=1)
        assert rotate_(small, x, encoding=Encoding(base=base + 2.5), start=1)
        assert small.nbytes <= 4 * 2**20
    assert small.nbytes > 2**19
    small.forget()
    assert small.nbytes == 0


def test_encodings_in_turn_stay(small: Any) -> None:
    """Ensembles, whose encodings lie side by side in memory, and bucketed batches."""
    asked = []

    def resolve(named: Any, dim: int, turns: bool) -> Any:
        asked.append(named)
        return _cpp._resolve(named, dim, turns)

    calls = _cpp._core.SmallCalls(resolve)  # type: ignore[attr-defined]
    encodings = [Encoding(base=base + 2.0) for base in range(40)]
    widths = range(64, 64 * 25, 64)
    for _ in range(3):
        for encoding in encodings:
            assert fill(calls, np.zeros((1, 64), np.float32), encoding=encoding)
        for dim in widths:
            assert fill(calls, np.zeros((1, dim), np.float32))
    assert len(asked) <= 1.2 * (len(encodings) + len(widths))


def test_pairs_are_asked_for_once(small: Any) -> None:
    """By whoever turns first; then everybody knows the encoding. One without pairs stays good for other calls."""
    asked = []

    def resolve(named: Any, dim: int, turns: bool) -> Any:
        asked.append((named, turns))
        return _cpp._resolve(named, dim, turns)

    calls = _cpp._core.SmallCalls(resolve)  # type: ignore[attr-defined]
    x = np.zeros((1, 9, 8), np.float32)
    for _ in range(3):
        for turn in (False, True, True, False):
            assert rotate_(calls, x, "rope_hf") if turn else add_(calls, x, encoding="rope_hf")
        assert rotate_(calls, x, "rope_meta")
        assert fill(calls, x, encoding="rope_meta")
    assert asked == [("rope_hf", False), ("rope_hf", True), ("rope_meta", True)]
    kept = calls.nbytes
    assert not rotate_(calls, x.swapaxes(1, 2), Encoding(odd="extra"))
    assert calls.nbytes == kept
    assert fill(calls, x.swapaxes(1, 2), encoding=Encoding(odd="extra"))


def test_pairs_that_are_no_columns() -> None:
    """Memory beyond an array stays what it is, whatever the core is told."""
    x, before = np.ones((3, 8), np.float32), np.ones((3, 8), np.float32)
    for run in [(0, 4, 5, 1), (8, 0, 1, 1), (0, 4, 0, 1), (0, 1, 5, 2), (0, 1, 2, 0)]:
        calls = _cpp._core.SmallCalls(  # type: ignore[attr-defined]
            lambda named, dim, turns, run=run: (*_cpp._resolve(named, dim, False)[:2], ([run], True))
        )
        assert not rotate_(calls, x)
        assert_same_bits(x, before)


def test_texts_are_compared(small: Any) -> None:
    small.forget()
    x = np.zeros((1, 32), np.float32)
    for _ in range(20):
        assert fill(small, x, encoding="".join(["whispe", "r"]), start=1)
    assert 0 < small.nbytes < 20_000


def test_what_python_is_asked_for_an_encoding() -> None:
    """Errors that are no refusals are the caller's; memory is viewed again, as Python code may do anything to it."""
    asked = []

    def resolve(named: Any, dim: int, turns: bool) -> Any:
        asked.append((named, dim))
        if named is not None:
            raise named
        x.resize((1, 8), refcheck=False)
        return _cpp._resolve(named, dim, turns)

    x = np.zeros((2**12, 6), np.float32)
    calls = _cpp._core.SmallCalls(resolve)  # type: ignore[attr-defined]
    assert not fill(calls, x)  # (1, 8) by now, whose table is not there after the second time either, or is
    assert asked[0] == (None, 6)
    with pytest.raises(KeyError):
        fill(calls, x, encoding=KeyError())
    with pytest.raises(MemoryError):
        fill(calls, x, encoding=MemoryError())
    assert not fill(calls, x, encoding=ValueError())


def test_arguments_are_counted(small: Any) -> None:
    for name in ("fill", "add_", "add", "rotate_", "rotate", "embed", "encode", "count"):
        with pytest.raises(TypeError, match="arguments"):
            getattr(small, name)(1)
