"""Refusals of what users say about positions and axes name a way out, and its code, as it stands, works.

In backquotes stand keywords to pass instead, in which the arguments are called by their own names, or the array to pass
instead.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import posenc
import pytest

from .arrays import assert_same_bits, noise

CODE = re.compile(r"`([^`]+)`")
IMAGE = posenc.Encoding(axes=2)


def follow(function: Any, arguments: dict[str, Any], keywords: dict[str, Any], code: str) -> Any:
    """The call that `code` stands for."""
    scope = {"np": np, "posenc": posenc, **arguments, **keywords}
    if re.match(r"\w+ ?=[^=]", code):
        changed = eval(f"dict({code})", scope)
        for name in set(changed) & set(arguments):
            arguments = {**arguments, name: changed.pop(name)}
        return function(**arguments, **{**keywords, **changed})
    (name,) = (name for name in arguments if name in ("x", "out"))
    return function(**{**arguments, name: eval(code, scope)}, **keywords)


def refusal(function: Any, arguments: dict[str, Any], keywords: dict[str, Any]) -> str:
    with pytest.raises((TypeError, ValueError)) as caught:
        function(**arguments, **keywords)
    return str(caught.value)


# The shape of the array, keywords, and how many ways out have code.
CASES: list[tuple[tuple[int, ...], dict[str, Any], int]] = [
    ((6,), {}, 1),
    ((8, 4), {"cu_seqlens": [0, 3, 6]}, 2),
    ((8, 4), {"cu_seqlens": np.array([0, 3, 6]), "start": [5, 7]}, 2),
    ((8, 4), {"cu_seqlens": [3, 8]}, 1),
    ((8, 4), {"cu_seqlens": [3, 8], "start": [5]}, 1),
    ((8, 4), {"cu_seqlens": [3, 3, 2]}, 1),
    ((8, 4), {"cu_seqlens": [[0, 3, 8]]}, 1),
    ((8, 4), {"cu_seqlens": [0.0, 3.0, 8.0]}, 1),
    ((3, 5, 4), {"mask": np.ones((5, 3), bool)}, 1),
    ((3, 5, 4), {"mask": [[True]] * 3 + [[False]] * 2}, 1),
    ((3, 5, 4), {"mask": np.ones((3, 5, 1), bool)}, 1),
    ((3, 5, 4), {"mask": np.ones((3, 5, 4), bool)}, 1),
    ((3, 5, 4), {"mask": [1, 1, 0]}, 1),
    ((3, 5, 4), {"mask": [0, 2, 1, 1, 1]}, 1),
    ((3, 5, 4), {"mask": np.array([0.0, 1.0, 1.0, 0.0, 0.0])}, 1),
    ((3, 5, 4), {"positions": np.zeros((5, 3))}, 1),
    ((3, 5, 4), {"positions": [4, 5, 6]}, 2),
    ((3, 5, 4), {"positions": np.zeros((3, 5, 1))}, 1),
    ((3, 5, 4), {"start": np.zeros((1, 1, 3))}, 1),
    ((3, 5, 4), {"start": np.zeros((1, 3))}, 1),
    ((3, 5, 4), {"channel_axis": 3}, 1),
    ((4, 12, 8), {"encoding": IMAGE}, 2),
    ((4, 13, 8), {"encoding": IMAGE, "channel_axis": 2}, 2),
    ((8, 4, 12), {"encoding": IMAGE, "channel_axis": 0}, 2),
    ((12, 8), {"encoding": IMAGE}, 1),
    ((2, 13, 8), {"encoding": IMAGE, "grid": (3, 4)}, 1),
    ((2, 12, 8), {"encoding": IMAGE, "grid": (3, 5)}, 1),
    ((2, 12, 8), {"encoding": IMAGE, "grid": (3, 4), "prefix": 2}, 1),
    ((2, 9, 8), {"encoding": IMAGE, "mask": [1] * 9, "positions": np.zeros((2, 9, 2))}, 1),
    ((2, 12, 8), {"prefix": 2}, 1),
    ((2, 12, 8), {"grid": (3, 4)}, 1),
    ((3, 5, 4), {"start": True}, 1),
    ((3, 5, 4), {"seq_axis": [0]}, 1),
    ((3, 5, 4), {"seq_axis": [0, 1], "encoding": IMAGE}, 1),
    ((3, 5, 4), {"start": "2.5"}, 1),
    ((2, 12, 8), {"encoding": IMAGE, "grid": (12,)}, 1),
    ((2, 12, 8), {"encoding": IMAGE, "prefix": 2, "seq_axis": 1, "positions": np.zeros((12, 2))}, 1),
]


@pytest.mark.parametrize(("shape", "keywords", "count"), CASES, ids=lambda value: repr(value)[:50])
@pytest.mark.parametrize("function", ["fill_", "add_", "add"])
def test_the_code_works(function: str, shape: tuple[int, ...], keywords: dict[str, Any], count: int) -> None:
    call, name = getattr(posenc, function), "out" if function == "fill_" else "x"
    x = noise(shape, np.float32)
    before = x.copy()
    text = refusal(call, {name: x}, keywords)
    assert_same_bits(x, before)
    ways = CODE.findall(text)
    assert len(ways) == count, text
    for code in ways:
        if "positions" in keywords and "grid=" in code:
            continue  # which says where cells are instead
        assert follow(call, {name: x.copy()}, keywords, code).size == x.size, code


def test_what_the_code_does(backend: str | None) -> None:
    x = noise((8, 4), np.float32)
    keywords = {"cu_seqlens": [0, 3, 6], "backend": backend}
    sequence, padding = CODE.findall(refusal(posenc.add, {"x": x}, keywords))
    got = follow(posenc.add, {"x": x}, keywords, sequence)
    assert_same_bits(got, posenc.add(x, positions=[0, 1, 2, 0, 1, 2, 0, 1], backend=backend))
    assert_same_bits(follow(posenc.add, {"x": x}, keywords, padding)[:6], got[:6])
    assert_same_bits(follow(posenc.add, {"x": x}, keywords, padding)[6:], x[6:])

    x = noise((4, 12, 8), np.float32)
    keywords = {"encoding": IMAGE, "backend": backend}
    grid, batch = CODE.findall(refusal(posenc.add, {"x": x}, keywords))
    want = posenc.add(x, positions=posenc.grid(4, 12), **keywords)
    assert_same_bits(follow(posenc.add, {"x": x}, keywords, grid), want)
    want = posenc.add(x, positions=posenc.grid(3, 4).reshape(12, 2), **keywords)
    assert_same_bits(follow(posenc.add, {"x": x}, keywords, batch), want)


ENCODE: list[tuple[dict[str, Any], int]] = [
    ({"positions": np.array(999), "dim": 8}, 1),
    ({"positions": np.array(9.5), "dim": 8}, 1),
    ({"positions": 9.5, "dim": 8}, 1),
    ({"positions": np.float64(9.5), "dim": 8}, 1),
    ({"positions": [1.0, 2.0], "dim": 8, "encoding": IMAGE}, 1),
    ({"positions": 8, "dim": 8, "encoding": IMAGE}, 1),
]


@pytest.mark.parametrize(("arguments", "count"), ENCODE, ids=lambda value: repr(value)[:50])
def test_the_code_works_for_encode(arguments: dict[str, Any], count: int) -> None:
    text = refusal(posenc.encode, arguments, {})
    ways = CODE.findall(text)
    assert len(ways) == count, text
    for code in ways:
        got = follow(posenc.encode, arguments, {}, code)
        assert got.shape[-1] == 8


def test_a_position_is_no_length(backend: str | None) -> None:
    for position in (np.array(999), np.array(9.5), np.array(3, np.uint8)):
        with pytest.raises(TypeError, match=r"^positions: expected an integer.*encode\(\[t\], dim\)"):
            posenc.encode(position, 8, backend=backend)
        want = posenc.encode([position.item()], 8, backend=backend)
        assert_same_bits(posenc.encode([position], 8, backend=backend), want)
    for length in (3, np.int8(3), np.uint64(3)):
        assert_same_bits(posenc.encode(length, 8, backend=backend), posenc.encode([0, 1, 2], 8, backend=backend))


def test_a_tensor_is_no_length() -> None:
    torch = pytest.importorskip("torch")
    for position in (torch.tensor(999), torch.tensor(0.5)):
        with pytest.raises(TypeError, match=r"^positions: expected an integer.*encode\(\[t\], dim\)"):
            posenc.encode(position, 8)
        assert_same_bits(posenc.encode([position], 8), posenc.encode([position.item()], 8))


# Every one of them names a way out, behind a semicolon.
WORDS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((8, 4), {"cu_seqlens": [0, 9]}),
    ((8, 4), {"cu_seqlens": [0, 5, 3, 8]}),
    ((8, 4), {"cu_seqlens": []}),
    ((8, 4), {"cu_seqlens": 8}),
    ((8, 4), {"cu_seqlens": [0, 8], "positions": np.arange(8)}),
    ((8, 4), {"start": 1, "positions": np.arange(8)}),
    ((8, 4), {"start": np.nan}),
    ((8, 4), {"start": 2**53}),
    ((8, 4), {"start": 2.0**60}),
    ((8, 4), {"positions": [0] * 7 + [np.inf]}),
    ((8, 4), {"positions": [0] * 7 + [2**60]}),
    ((8, 4), {"positions": np.arange(7)}),
    ((8, 4), {"start": np.zeros(3)}),
    ((8, 4), {"mask": [0, 1]}),
    ((8, 4), {"seq_axis": 1}),
    ((8, 4), {"seq_axis": (0, 1)}),
    ((8, 4), {"channel_axis": 2}),
    ((8, 0), {}),
    ((8, 4), {"prefix": 9}),
    ((8, 4), {"grid": (8,), "positions": np.arange(8)}),
    ((8, 4), {"grid": (8,), "cu_seqlens": [0, 8]}),
    ((2, 8, 4), {"grid": (8,), "seq_axis": (0, 1)}),
    ((2, 8, 4), {"encoding": IMAGE, "grid": (2, 2), "prefix": 9}),
    ((2, 4, 2, 4), {"encoding": IMAGE, "cu_seqlens": [0, 4]}),
    ((2, 4, 2, 4), {"encoding": IMAGE, "start": [1, 2, 3]}),
    ((2, 4, 2, 4), {"encoding": IMAGE, "seq_axis": 1}),
    ((2, 4, 2, 4), {"encoding": IMAGE, "seq_axis": (2, 1)}),
]


@pytest.mark.parametrize("x_scale", [np.nan, -np.inf, 1e39, 10**400, "x", "nan", "2.5", True])
def test_factors(x_scale: Any) -> None:
    x = noise((3, 4), np.float32)
    (code,) = CODE.findall(refusal(posenc.add, {"x": x}, {"x_scale": x_scale}))
    assert np.isfinite(follow(posenc.add, {"x": x}, {"x_scale": x_scale}, code)).all()


@pytest.mark.parametrize(("shape", "keywords"), WORDS, ids=lambda value: repr(value)[:50])
def test_there_is_a_way_out(shape: tuple[int, ...], keywords: dict[str, Any]) -> None:
    text = refusal(posenc.fill_, {"out": noise(shape, np.float32)}, keywords)
    assert re.match(r"\w+: expected .*got .*; .", text), text


@pytest.mark.parametrize(
    ("encoding", "dim", "text"),
    [
        ("nerf", 63, "got 21.* of 63 channels, shared by 3 axes; 60 channels would do"),
        ("nerf", 512, "got 512; 60 channels would do"),
        ("mae", 62, "got 31 .*; 60 or 64 channels would do"),
        (posenc.Encoding(odd="error"), 7, "got 7 .*; 6 or 8 channels would do"),
        (posenc.Encoding(odd="error"), 1, "got 1 .*; 2 channels would do"),
        (posenc.Encoding(odd="error", tile=3), 7, "got 7; 6 or 12 channels would do"),
        (posenc.Encoding(axes=3, axis_widths=(2, 1, 1)), 30, "got 30; 28 or 32 channels would do"),
        (posenc.Encoding(axes=2, axis_widths="floor"), 3, "got 3; 4 channels would do"),
        (posenc.Encoding(frequencies=[1.0, 0.1]), 8, "got 8; 4 channels would do"),
        (posenc.Encoding(), 2**20 + 1, "got 1048577; 1048576 channels would do"),
    ],
)
def test_widths_that_would_do(encoding: Any, dim: int, text: str) -> None:
    axes = (posenc.get_encoding(encoding) if isinstance(encoding, str) else encoding).axes
    positions = np.zeros((1, axes)) if axes > 1 else [0]
    with pytest.raises(ValueError, match=rf"^encoding: expected .*{text}$") as caught:
        posenc.encode(positions, dim, encoding=encoding)
    widths = re.findall(r"\d+", str(caught.value).rpartition(";")[2])
    for width in widths:
        assert posenc.encode(positions, int(width), encoding=encoding).shape == (1, int(width))


def test_other_errors_of_an_encoding_say_nothing_of_widths() -> None:
    with pytest.raises(ValueError, match=r"^encoding: expected freq_shift below K = 2.0, got 3.0[^;]*$"):
        posenc.encode(1, 4, encoding=posenc.Encoding(freq_shift=3.0))
