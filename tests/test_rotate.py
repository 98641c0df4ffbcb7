"""rotate_ and rotate: their bits from mpmath's cosines and sines, on every backend; layouts, positions, refusals."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import posenc
import pytest
from mpmath import mp, mpf
from posenc import _half
from posenc._dtypes import BFLOAT16

from .arrays import FLOATS, assert_same_bits, guarded

HALVES, PAIRS = posenc.get_encoding("rope_hf"), posenc.get_encoding("rope_meta")
NESTINGS = ("akt", "atk", "tak", "kat", "kta", "tka")


def queries(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def rounded(value: mpf, dtype: Any) -> Any:
    """Of a value of 60 digits: rounding its double is rounding it, unless that is a tie, which none here is."""
    return dtype(float(value))


def turned(x: np.ndarray, positions: list[float], adjacent: bool, inverse: bool = False) -> np.ndarray:
    """What the formula says of `x` (..., L, D), base 10000, in unfused arithmetic on rounded cosines and sines."""
    kind = np.float64 if x.dtype == np.float64 else np.float32
    k = x.shape[-1] // 2
    with mp.workdps(60):
        angles = [[mpf(p) * mpf(10000) ** (-mpf(j) / k) for j in range(k)] for p in positions]
        c = np.array([[rounded(mp.cos(a), kind) for a in row] for row in angles], kind)
        s = np.array([[rounded(mp.sin(a), kind) for a in row] for row in angles], kind)
    s = -s if inverse else s
    wide = x.astype(kind)
    u, v = (wide[..., 0::2], wide[..., 1::2]) if adjacent else (wide[..., :k], wide[..., k:])
    result = np.empty_like(wide)
    first, second = u * c - v * s, v * c + u * s
    if adjacent:
        result[..., 0::2], result[..., 1::2] = first, second
    else:
        result[..., :k], result[..., k:] = first, second
    return result.astype(x.dtype)


@pytest.mark.parametrize("adjacent", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("dim", [2, 6, 34, 64])
def test_bits(adjacent: bool, inverse: bool, dim: int, backend: str) -> None:
    positions = [0, 1, 2, 3, 1000, 131071.0, -7.5, 2.0**40]
    encoding = "rope_meta" if adjacent else "rope_hf"
    for dtype in (np.float32, np.float16):
        x = queries((2, 3, len(positions), dim), dtype)
        got = posenc.rotate(x, encoding, positions=positions, inverse=inverse, backend=backend)
        assert_same_bits(got, turned(x, positions, adjacent, inverse))
    x = queries((3, len(positions), dim), np.float64)
    got = posenc.rotate(x, encoding, positions=positions, inverse=inverse, backend=backend)
    np.testing.assert_allclose(got, turned(x, positions, adjacent, inverse), rtol=0, atol=1e-14)


def test_bits_of_bfloat16(backend: str) -> None:
    bits = (queries((4, 9, 40), np.float32).view(np.uint32) >> 16).astype(np.uint16)
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = bits.view(ml_dtypes.bfloat16)
    for encoding, adjacent in (("rope_hf", False), ("rope_meta", True)):
        got = posenc.rotate(x, encoding, backend=backend)
        want = turned(_half.widen(bits), list(range(9)), adjacent)
        np.testing.assert_array_equal(got.view(np.uint16), _half.narrow(want, BFLOAT16))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("start", [0, 5, -3.25, 2**40])
def test_theorem(dtype: type, start: float, backend: str) -> None:
    """rotate_(encode(p), start=q) = encode(p + q), up to the rounding of each: 3 units, and what it rounds itself."""
    bound = 4 * np.finfo(dtype).eps
    encodings = [
        posenc.Encoding(layout=layout, cos_first=first, **more)
        for layout, first in itertools.product(("interleaved", "concatenated"), (False, True))
        for more in ({}, {"tile": 2}, {"position_scale": -0.5}, {"full_turns": True, "base": 64})
    ]
    for encoding in encodings:
        x = posenc.encode([3.0, 4.5, -2.0], 24, encoding=encoding, dtype=dtype)
        got = posenc.rotate(x, encoding, start=start, backend=backend)
        want = posenc.encode(np.array([3.0, 4.5, -2.0]) + start + np.arange(3), 24, encoding=encoding, dtype=np.float64)
        assert np.abs(got - want).max() <= bound + (1e-15 if dtype == np.float64 else 0)


@pytest.mark.parametrize("nesting", NESTINGS)
def test_theorem_over_axes(nesting: str, backend: str) -> None:
    encoding = posenc.Encoding(axes=3, nesting=nesting, axis_widths=(1, 2, 2), axis_order=(2, 0, 1))
    grid, shift = posenc.grid(2, 3, 4), np.array([5, 0.5, -6])
    x = posenc.encode(grid, 40, encoding=encoding, dtype=np.float64)
    want = posenc.encode(2 * grid + shift, 40, encoding=encoding, dtype=np.float64)
    got = posenc.rotate(x, encoding, start=(5, 0.5, -6), seq_axis=(0, 1, 2), backend=backend)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-15)
    tokens = np.broadcast_to(x.reshape(24, 40), (2, 5, 24, 40))
    got = posenc.rotate(tokens, encoding, positions=(grid + shift).reshape(24, 3), backend=backend)
    np.testing.assert_allclose(got, np.broadcast_to(want.reshape(24, 40), got.shape), rtol=0, atol=1e-15)
    own = np.stack([grid.reshape(24, 3)] * 2)[:, None] + shift  # (B, 1, L, 3)
    assert_same_bits(posenc.rotate(tokens, encoding, positions=own, backend=backend), got)


def test_columns_of_tka() -> None:
    """Frequency by frequency, axes in turn; halves are pairs."""
    encoding = posenc.Encoding(axes=2, nesting="tka", cos_first=True, frequencies=[[1.0, 0.5, 0.25], [3.0, 2.0]])
    encoding = encoding.replace(axis_widths=(3, 2))
    got = posenc.encode([[0.1, 10.0]], 10, encoding=encoding, dtype=np.float64)[0]
    angles = np.array([0.1, 30.0, 0.05, 20.0, 0.025])
    np.testing.assert_allclose(got, np.concatenate([np.cos(angles), np.sin(angles)]), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("encoding", ["rope_hf", "rope_meta", posenc.Encoding(tile=2)])
def test_any_strides(dtype: Any, encoding: Any, backend: str) -> None:
    """Layouts of attention, cache views, channels first, Fortran order, negative strides, odd addresses."""
    x = queries((2, 3, 5, 12), np.float32).astype(dtype)
    want = posenc.rotate(x, encoding, start=7, backend="numpy")
    views: list[tuple[np.ndarray, np.ndarray]] = []
    base = np.zeros((2, 5, 3, 12), dtype)
    views.append((base, base.swapaxes(1, 2)))  # (B, L, H, D)
    cache = np.zeros((2, 3, 9, 12), dtype)
    views.append((cache, cache[:, :, 2:7]))
    base = np.zeros((2, 3, 5, 40), dtype)
    views.append((base, base[..., 3:15]))
    views.append((base, base[..., 1:25:2]))
    base = np.zeros((2, 3, 12, 5), dtype)
    views.append((base, base.swapaxes(2, 3)))
    base = np.zeros((2, 3, 5, 12), dtype, order="F")
    views.append((base, base))
    views.append((base, base[::-1, :, ::-1, ::-1]))
    odd = np.zeros(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(x.shape)
    views.append((odd, odd))
    for whole, view in views:
        view[...] = x
        before = whole.copy()
        assert posenc.rotate_(view, encoding, start=7, backend=backend) is view
        assert_same_bits(np.ascontiguousarray(view), want)
        view[...] = x
        assert_same_bits(whole, before)  # nothing else was written


def test_channels_and_sequences_of_any_axis(backend: str) -> None:
    x = queries((2, 3, 5, 12), np.float32)
    want = posenc.rotate(x, "rope_hf", backend="numpy")
    for order in itertools.permutations(range(4)):
        view = np.ascontiguousarray(x.transpose(order))
        options = {"seq_axis": order.index(2), "channel_axis": order.index(3)}
        got = posenc.rotate(view, "rope_hf", backend=backend, **options)
        assert_same_bits(np.ascontiguousarray(got.transpose(np.argsort(order))), want)


@pytest.mark.parametrize("encoding", [HALVES, PAIRS])
def test_positions(encoding: posenc.Encoding, backend: str) -> None:
    x = queries((3, 4, 6, 8), np.float32)

    def alone(b: int, positions: Any) -> np.ndarray:
        return np.stack([posenc.rotate(x[b, h], encoding, positions=positions, backend="numpy") for h in range(4)])

    ids = np.array([[0, 1, 2, 3, 4, 5], [9, 8, 7, 7, 7, 1], [100, 0.5, -3, 2, 1, 0]])
    want = np.stack([alone(b, ids[b]) for b in range(3)])
    assert_same_bits(posenc.rotate(x, encoding, positions=ids[:, None], backend=backend), want)
    whole = np.repeat(ids[:, None], 4, 1)
    assert_same_bits(posenc.rotate(x, encoding, positions=whole, backend=backend), want)
    mask = np.array([[1, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0]])
    hidden = np.where(mask, ids, np.nan)
    got = posenc.rotate(x, encoding, positions=hidden[:, None], mask=mask[:, None], backend=backend)
    assert_same_bits(got, np.where(mask[:, None, :, None], want, x))
    starts = [[2], [0], [77]]
    want = np.stack([alone(b, np.arange(6) + starts[b][0]) for b in range(3)])
    assert_same_bits(posenc.rotate(x, encoding, start=starts, backend=backend), want)
    packed = np.ascontiguousarray(x[0].swapaxes(0, 1))  # (T, H, D)
    got = posenc.rotate(packed, encoding, cu_seqlens=[0, 2, 2, 6], start=[3, 0, 1], seq_axis=0, backend=backend)
    want = alone(0, [3, 4, 1, 2, 3, 4])
    assert_same_bits(np.ascontiguousarray(got.swapaxes(0, 1)), want)


@pytest.mark.parametrize("dtype", FLOATS)
def test_same_bits_of_any_part(dtype: Any, backend: str) -> None:
    """Prefill and decoding, slices, heads, batches, threads: an element depends on its position alone."""
    x = queries((2, 3, 700, 128), np.float32).astype(dtype)  # more rows than are made at a time
    for encoding in (HALVES, PAIRS):
        whole = posenc.rotate(x, encoding, start=5, backend=backend)
        for i in (0, 1, 511, 512, 699):
            assert_same_bits(
                posenc.rotate(x[:, :, i : i + 1], encoding, start=5 + i, backend=backend)[:, :, 0], whole[:, :, i]
            )
        assert_same_bits(posenc.rotate(x[1, 2, 100:], encoding, start=105, backend=backend), whole[1, 2, 100:])
        assert_same_bits(posenc.rotate(x, encoding, start=5, threads=3, backend=backend), whole)
        assert_same_bits(posenc.rotate(x, encoding, start=5, backend="numpy"), whole)


def test_partial_rotations_are_views(backend: str) -> None:
    x = queries((2, 5, 96), np.float32)
    got = x.copy()
    posenc.rotate_(got[..., 32:], "rope_hf", backend=backend)
    assert_same_bits(got[..., :32], x[..., :32])
    assert_same_bits(got[..., 32:], posenc.rotate(x[..., 32:], "rope_hf", backend="numpy"))


def test_zero_columns_stay(backend: str) -> None:
    encoding = posenc.Encoding(axes=3, axis_widths="floor")
    x = queries((4, 10), np.float32)
    positions = np.ones((4, 3))
    got = posenc.rotate(x, encoding, positions=positions, backend=backend)
    assert_same_bits(got[:, 6:], x[:, 6:])
    assert (got[:, :6] != x[:, :6]).all()


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, -0.0])
def test_masked_rows_keep_their_bits(special: float, backend: str) -> None:
    x = np.full((2, 40), special, np.float32)
    got = posenc.rotate_(x.copy(), "rope_meta", mask=[[0, 0]][0], backend=backend)
    assert_same_bits(got, x)


def test_out_and_aliases(backend: str) -> None:
    x = queries((3, 9, 12), np.float32)
    want = posenc.rotate(x, "rope_hf", backend="numpy")
    out = np.empty_like(x)
    assert posenc.rotate(x, "rope_hf", out=out, backend=backend) is out
    assert_same_bits(out, want)
    mine = x.copy()
    assert posenc.rotate(mine, "rope_hf", out=mine, backend=backend) is mine
    assert_same_bits(mine, want)
    buffer = np.zeros((4, 9, 12), np.float32)
    buffer[:3] = x
    posenc.rotate(buffer[:3], "rope_hf", out=buffer[1:], backend=backend)
    assert_same_bits(buffer[1:], want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverse(dtype: type, backend: str) -> None:
    x = queries((2, 50, 64), dtype)
    for name in ("rope_hf", "rope_meta", "rope_nanochat"):
        y = posenc.rotate(x, name, start=1e5, backend=backend)
        back = posenc.rotate(y, name, start=1e5, inverse=True, backend=backend)
        assert np.abs(back - x).max() <= 6 * np.finfo(dtype).eps * np.abs(x).max()


def test_amplitude(backend: str) -> None:
    encoding = HALVES.replace(amplitude=1.25)
    x = queries((5, 8), np.float64)
    got = posenc.rotate(x, encoding, backend=backend)
    np.testing.assert_allclose(got, 1.25 * posenc.rotate(x, HALVES, backend=backend), rtol=0, atol=1e-14)


def test_cache_shift() -> None:
    """Keys turned by -d at once stand where they would have been put d earlier, with one more rounding."""
    k = queries((2, 3, 20, 64), np.float32)
    late = posenc.rotate(k, "rope_hf", start=100)
    shifted = posenc.rotate_(late, "rope_hf", positions=np.broadcast_to(-60, 20))
    np.testing.assert_allclose(shifted, posenc.rotate(k, "rope_hf", start=40), rtol=0, atol=2e-6)


def test_large_calls_need_little_memory() -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    x = np.zeros((4, 20000, 64), np.float32)
    posenc.rotate_(x[:, :9], "rope_hf")
    tracemalloc.start()
    posenc.rotate_(x, "rope_hf", start=[1, 2, 3, 4])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20  # x has 20 MiB


# ---- refusals ----

X = np.ones((2, 4, 8), np.float32)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"encoding": None}, TypeError, r"^encoding: expected an Encoding.*`encoding='rope_hf'`"),
        ({"encoding": "rope_ht"}, ValueError, r"^encoding: expected a name"),
        ({"encoding": HALVES, "inverse": None}, TypeError, r"^inverse: expected True or False, got None"),
        ({"encoding": HALVES.replace(amplitude=2.0), "inverse": True}, ValueError, r"^inverse: expected False with"),
        ({"encoding": posenc.Encoding(amplitude="rsqrt_dim"), "inverse": True}, ValueError, r"^inverse: expected"),
        ({"encoding": HALVES, "positions": [1, 2]}, ValueError, r"^positions: expected shape"),
        ({"encoding": HALVES, "positions": [1, 2, 3, np.nan]}, ValueError, r"^positions: expected finite"),
        ({"encoding": HALVES, "start": 2.0**54}, ValueError, r"^start: expected at most 2\*\*53"),
        ({"encoding": HALVES, "start": [1, 2, 3]}, ValueError, r"^start: "),
        ({"encoding": HALVES, "mask": [1, 2, 1, 0]}, ValueError, r"^mask: "),
        ({"encoding": HALVES, "cu_seqlens": [0, 3]}, ValueError, r"^cu_seqlens: "),
        ({"encoding": HALVES, "seq_axis": 2}, ValueError, r"^seq_axis: "),
        ({"encoding": HALVES, "threads": 0}, ValueError, r"^threads: "),
        (
            {"encoding": posenc.get_encoding("rope_llama3", dim=64)},
            ValueError,
            r"^encoding: expected a width",
        ),
    ],
)
def test_refused(options: dict[str, Any], error: type[Exception], text: str, backend: str) -> None:
    x, buffer = guarded((2, 4, 8), np.float32)
    x[...] = 1.0
    before = buffer.copy()
    with pytest.raises(error, match=text):
        posenc.rotate_(x, backend=backend, **options)
    np.testing.assert_array_equal(buffer, before)


@pytest.mark.parametrize(
    ("encoding", "dim", "way"),
    [
        (posenc.Encoding(), 7, "x[..., :6]"),
        (posenc.Encoding(odd="truncate"), 5, "x[..., :4]"),
        (posenc.Encoding(odd="extra", layout="concatenated"), 9, "x[..., :8]"),
        (posenc.Encoding(axes=2, axis_widths="ceil", layout="concatenated"), 10, "x[..., :8]"),
        (posenc.Encoding(), 1, "2 channels would do"),
    ],
)
def test_broken_pairs_are_refused(encoding: posenc.Encoding, dim: int, way: str) -> None:
    x = np.ones((3, dim), np.float32)
    positions = np.ones((3, encoding.axes)) if encoding.axes > 1 else np.ones(3)
    with pytest.raises(ValueError, match=r"^encoding: expected pairs of columns") as caught:
        posenc.rotate_(x, encoding, positions=positions)
    assert way in str(caught.value)
    assert (x == 1).all()
    if way.startswith("x["):  # it works
        posenc.rotate_(eval(way), encoding, positions=positions)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.complex64, object])
def test_other_dtypes_are_refused(dtype: Any) -> None:
    x = np.ones((3, 8), dtype)
    with pytest.raises(TypeError, match=r"^x\.dtype: expected float32"):
        posenc.rotate_(x, "rope_hf")


def test_arrays_that_can_not_be_written() -> None:
    x = np.ones((3, 8), np.float32)
    x.flags.writeable = False
    with pytest.raises(ValueError, match=r"make a new one, `x = posenc\.rotate\(x, encoding\)`"):
        posenc.rotate_(x, "rope_hf")
    with pytest.raises(ValueError, match=r"do not overlap in memory"):
        posenc.rotate_(np.lib.stride_tricks.as_strided(np.ones(16, np.float32), (3, 8), (4, 4)), "rope_hf")
    assert posenc.rotate(x, "rope_hf").flags.writeable


# ---- weights, and dictionaries ----


def test_weights_from_adjacent_pairs_to_halves() -> None:
    """As transformers' converters permute them; and scores stay what they are."""
    heads, dim, width = 3, 8, 5
    w = queries((heads * dim, width), np.float64)
    want = w.reshape(heads, dim // 2, 2, width).swapaxes(1, 2).reshape(heads * dim, width)
    got = w.copy()
    posenc.convert_layout_(got.reshape(heads, dim, width), "rope_meta", "rope_hf", axis=1)
    assert_same_bits(got, want)
    x = queries((4, width), np.float64)
    q, p = (np.moveaxis((x @ part.T).reshape(4, heads, dim), 1, 0) for part in (w, got))
    score = posenc.rotate(q, "rope_meta") @ posenc.rotate(q, "rope_meta").swapaxes(1, 2)
    same = posenc.rotate(p, "rope_hf") @ posenc.rotate(p, "rope_hf").swapaxes(1, 2)
    np.testing.assert_allclose(score, same, rtol=0, atol=1e-12)
    posenc.convert_layout_(got.reshape(heads, dim, width), "rope_hf", "rope_meta", axis=1)
    assert_same_bits(got, w)
    with pytest.raises(ValueError, match="their frequencies differ"):
        posenc.convert_layout_(got.reshape(heads, dim, width), "rope_meta", "rope_nanochat", axis=1)


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def test_rope_parameters() -> None:
    read = posenc.from_rope_parameters
    assert read(LLAMA3, 128) == posenc.get_encoding("rope_llama3", dim=128)
    assert read({"rope_theta": 1e4}, 8) == HALVES
    assert read({"type": "linear", "factor": 4}, 8) == posenc.get_encoding("rope_linear", factor=4.0)
    longrope = {"type": "su", "short_factor": [1, 2], "long_factor": [3, 4], "original_max_position_embeddings": 16}
    short, long = (read(longrope, 4, max_position_embeddings=64, seq_len=n) for n in (16, 17))
    assert short.frequencies == (1.0, 0.005)
    assert long.frequencies == (1 / 3, 0.0025)
    assert short.amplitude == pytest.approx((1 + np.log(4) / np.log(16)) ** 0.5)
    mrope = {"rope_type": "default", "mrope_section": [24, 20, 20], "mrope_interleaved": True, "rope_theta": 5e6}
    assert read(mrope, 128).nesting == "tka"


@pytest.mark.parametrize(
    ("parameters", "dim", "error", "text"),
    [
        (None, 8, TypeError, r"^parameters: expected a dictionary"),
        ({"rope_type": "xpos"}, 8, ValueError, r"^parameters: expected a rope_type of default"),
        ({"rope_type": "linear"}, 8, ValueError, r"^parameters: expected factor with rope_type 'linear'"),
        ({"rope_type": "dynamic", "factor": 2.0}, 8, ValueError, r"max_position_embeddings as an argument"),
        ({"full_attention": LLAMA3}, 8, ValueError, r"`parameters=parameters\['full_attention'\]`$"),
        (LLAMA3, 7, ValueError, r"expected an even width, got 7"),
        (LLAMA3, "8", TypeError, r"^dim: expected an integer"),
        (LLAMA3 | {"factor": -1.0}, 8, ValueError, r"factor: expected a finite number above 0"),
        (LLAMA3 | {"mrope_section": [1, 1, 2]}, 8, ValueError, r"expected rope_type 'default' with mrope_section"),
    ],
)
def test_rope_parameters_that_are_refused(parameters: Any, dim: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        posenc.from_rope_parameters(parameters, dim)
