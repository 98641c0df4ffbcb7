"""What the texts say of the encoding, as theorems with numbers, for every public convention. Truth is mpmath's formula.

posenc.properties against tests/golden.py: rows that know nothing of posenc.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import posenc
import posenc.properties as properties
import pytest
from mpmath import mp, mpf

from .golden import CASES, Case, Row
from .test_conventions import IDS, rounding_bound, truth

DTYPES = ("float32", "float64", "float16", "bfloat16")
PAPER_WIDTHS = (2, 4, 64, 512)


def pairwise(row: Row, other: Row) -> mpf:
    return mp.fsum(a * b for a, b in zip(row, other, strict=True))


def shifted(position: Any, offset: Any) -> Any:
    return tuple(map(sum, zip(position, offset, strict=True))) if isinstance(position, tuple) else position + offset


def places(case: Case) -> list[tuple[Any, Any]]:
    """Positions, and offsets from them."""
    if case.axes == 1:
        return [(0, 3), (5, -2.5), (70.25, 1000)]
    return [((*range(case.axes),), (*range(1, case.axes + 1),)), ((2.5,) * case.axes, (*range(-case.axes, 0),))]


def unpaired(encoding: posenc.Encoding, dim: int) -> bool:
    """Whether a moving column has no partner, by its values: PE(p) . PE(p + d) then depends on p."""
    axes = encoding.axes
    positions = np.array([[0.3] * axes, [7.9] * axes, [41.7] * axes, [1234.5] * axes])
    there = posenc.encode(positions if axes > 1 else positions[:, 0], dim, encoding=encoding, dtype="float64")
    return float(np.ptp((there**2).sum(-1))) > 1e-12 * float((there**2).sum(-1).max())


WIDTHS = [
    pytest.param(case, dim, id=f"{name}-{dim}")
    for case, name in zip(CASES, IDS, strict=True)
    for dim in [case.dim] + [case.odd] * (case.odd is not None)
]


@pytest.mark.parametrize(("case", "dim"), WIDTHS)
def test_similarity_and_relative_positions(case: Case, dim: int) -> None:
    encoding = posenc.get_encoding(case.names.split()[0], **case.options)
    if unpaired(encoding, dim):
        for function in (properties.similarity, properties.shift_matrix):
            with pytest.raises(ValueError, match=r"^dim: expected .*, got \d+, where .*(`dim=\d+`|use )"):
                function(1 if case.axes == 1 else (1,) * case.axes, dim, encoding=encoding)
        return
    with mp.workdps(30):
        for position, offset in places(case):
            here, there = truth(case, position, dim), truth(case, shifted(position, offset), dim)
            norm = float(pairwise(here, here))
            bound = rounding_bound(case, encoding, dim, shifted(position, offset)) * 4
            bound += rounding_bound(case, encoding, dim, offset) * 4
            want = float(pairwise(here, there))
            got = properties.similarity(offset, dim, encoding=encoding)
            assert abs(got - want) <= norm * (4e-15 + bound), (position, offset)
            matrix = properties.shift_matrix(offset, dim, encoding=encoding)
            assert matrix.shape == (dim, dim)
            assert matrix.dtype == np.float64
            turned = matrix @ np.array([float(value) for value in here])
            assert np.abs(turned - np.array([float(value) for value in there])).max() <= math.sqrt(norm) * (
                1e-14 + bound
            )


def test_every_kind_of_width_is_among_these() -> None:
    kinds = [
        unpaired(posenc.get_encoding(p.values[0].names.split()[0], **p.values[0].options), p.values[1]) for p in WIDTHS
    ]
    assert kinds.count(True) >= 10
    assert kinds.count(False) >= 80


def test_shift_matrices_turn() -> None:
    for dim, encoding in [(64, None), (64, "whisper"), (32, "mae")]:
        axes = posenc.get_encoding(encoding).axes if encoding else 1
        a, b = (3.5, -40.0) if axes == 1 else ((3.5, 1.0), (-40.0, 2.0))
        first, second = (properties.shift_matrix(d, dim, encoding=encoding) for d in (a, b))
        both = properties.shift_matrix(np.add(a, b), dim, encoding=encoding)
        np.testing.assert_allclose(first @ second, both, rtol=0, atol=4e-16)
        np.testing.assert_allclose(first @ first.T, np.eye(dim), rtol=0, atol=4e-16)
        np.testing.assert_array_equal(properties.shift_matrix(0, dim, encoding=encoding), np.eye(dim))


@pytest.mark.parametrize("encoding", [None, "whisper", posenc.Encoding(position_offset=2.0**40, amplitude="rsqrt_dim")])
def test_the_sentence_of_the_paper(encoding: Any) -> None:
    # "for any fixed offset k, PE(pos + k) can be represented as a linear function of PE(pos)"
    for offset in (1, -7, 0.5, 123456):
        matrix = properties.shift_matrix(offset, 64, encoding=encoding)
        positions = np.array([0, 1, 999, 2**20, -3.5])
        here = posenc.encode(positions, 64, encoding=encoding, dtype="float64")
        there = posenc.encode(positions + offset, 64, encoding=encoding, dtype="float64")
        assert np.abs(there - here @ matrix.T).max() <= 2e-15


def test_neighbours_are_alike() -> None:
    for dim in PAPER_WIDTHS:
        frequencies = posenc.Encoding().frequencies_for(dim)
        offsets = np.linspace(0, 3, 61)
        similarity = properties.similarity(offsets, dim)
        assert similarity[0] == dim / 2
        assert (np.diff(similarity) < 0).all()  # it falls as positions part, up to half the shortest wave
        np.testing.assert_array_equal(similarity, properties.similarity(-offsets, dim))
        distance = np.sqrt(np.maximum(0.0, 2 * (similarity[0] - similarity)))
        # Smooth: no faster than a straight line, whose slope is the norm of the frequencies.
        assert (distance <= np.sqrt((frequencies**2).sum()) * offsets + 1e-7).all()


def test_wavelengths_are_geometric() -> None:
    # "The wavelengths form a geometric progression from 2 pi to 10000 * 2 pi": to one step short of that.
    for dim in PAPER_WIDTHS:
        waves = posenc.Encoding().wavelengths(dim)
        assert waves[0] == 2 * math.pi
        np.testing.assert_allclose(waves[1:] / waves[:-1], 10000 ** (2 / dim), rtol=1e-15)
        np.testing.assert_allclose(waves[-1] * 10000 ** (2 / dim), 20000 * math.pi, rtol=1e-14)


def test_columns_are_waves_and_rows_alternate() -> None:
    x = posenc.encode(200, 8, dtype="float64")
    for k, w in enumerate(posenc.Encoding().frequencies_for(8)):
        for column in x[:, 2 * k], x[:, 2 * k + 1]:  # a sampled wave of frequency w, and of no other
            np.testing.assert_allclose(column[2:] + column[:-2], 2 * math.cos(w) * column[1:-1], rtol=0, atol=1e-14)
    np.testing.assert_allclose(x[:, 0::2] ** 2 + x[:, 1::2] ** 2, 1.0, rtol=1e-15)  # a sine, then its cosine
    np.testing.assert_array_equal(x[0], [0, 1] * 4)


def test_any_length() -> None:
    here = posenc.encode([2.0**53 - 8], 64, dtype="float64")[0]
    there = posenc.encode([2.0**53], 64, dtype="float64")[0]
    assert here @ there == pytest.approx(properties.similarity(8, 64), abs=1e-13)


def by_hand(length: Any, dim: int, dtype: str, encoding: Any) -> tuple[float, int]:
    which = (
        posenc.Encoding()
        if encoding is None
        else posenc.get_encoding(encoding)
        if isinstance(encoding, str)
        else encoding
    )
    sizes = length if isinstance(length, tuple) else (length,) * which.axes
    grid = np.array(list(itertools.product(*map(range, sizes))), np.float64)
    rows = posenc.encode(grid if which.axes > 1 else grid[:, 0], dim, encoding=which, dtype=dtype).astype(np.float64)
    least = min(float(np.linalg.norm(rows[d:] - rows[:-d], axis=-1).min()) for d in range(1, len(rows)))
    return least, len(np.unique(rows, axis=0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("length", "dim", "encoding"),
    [
        (700, 2, None),
        (50, 1, None),
        (400, 3, None),
        (400, 8, None),
        (200, 64, "whisper"),
        (90, 6, posenc.Encoding(frequencies=[0.0, 1e-3, 0.25])),
        (60, 3, posenc.Encoding(frequencies=[0.0, 1.0])),
        (40, 2, posenc.Encoding(frequencies=[0.0])),
        (100, 8, posenc.Encoding(position_offset=2.0**45 + 0.1, amplitude=1e-3)),
        ((5, 9), 16, "mae"),
        (6, 12, posenc.Encoding(axes=2, axis_widths=(1, 2))),
        ((4, 1, 3), 26, posenc.Encoding(axes=3, axis_widths="floor")),
        (300, 15, posenc.Encoding(tile=3)),
        (120, 7, posenc.Encoding(odd="truncate", full_turns=True, position_scale=1 / 7)),
    ],
)
def test_least_distance(length: Any, dim: int, encoding: Any, dtype: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    want, different = by_hand(length, dim, dtype, encoding)
    assert properties.min_distance(length, dim, encoding=encoding, dtype=dtype) == pytest.approx(want, rel=1e-12)
    assert properties.distinct(length, dim, encoding=encoding, dtype=dtype) == different


def test_positions_are_told_apart() -> None:
    assert properties.min_distance(4096, 128) > 1.5
    for dtype in ("float16", "float32", "float64"):
        assert properties.distinct(4096, 128, dtype=dtype) == 4096
    # One frequency in few bits tells few positions apart, which is what many frequencies are for.
    assert properties.distinct(4096, 2, dtype="float16") < 2500
    assert properties.min_distance(4096, 2, dtype="float16") == 0.0


def test_torch_dtypes() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    got = properties.min_distance(100, 64, dtype=torch.bfloat16)
    assert 0 < got == pytest.approx(properties.min_distance(100, 64), rel=0.01)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: properties.similarity([0, np.nan], 8),
            ValueError,
            "offsets: expected finite numbers, .* got nan; leave",
        ),
        (lambda: properties.similarity("1", 8), TypeError, "offsets: expected"),
        (lambda: properties.similarity(2**60, 8), ValueError, "offsets: expected finite numbers, at most"),
        (lambda: properties.similarity(np.float16(1), 8), TypeError, "offsets: expected"),
        (lambda: properties.similarity([1, 2, 3], 16, encoding="mae"), ValueError, "offsets: expected a number, or 2"),
        (lambda: properties.similarity(1, 0), ValueError, "dim: expected at least 1"),
        (lambda: properties.distinct(10**400, 8), ValueError, r"length: expected positions of at most 2\*\*53"),
        (lambda: properties.similarity(1, 8.0), TypeError, "dim: expected an integer"),
        (lambda: properties.similarity(1, 8, encoding=3), TypeError, "encoding: expected"),
        (lambda: properties.similarity(1, 7), ValueError, r"dim: .* got 7, where column 6 has none; `dim=8`"),
        (lambda: properties.shift_matrix([1, 2], 8), ValueError, "offset: expected a number"),
        (lambda: properties.shift_matrix([], 8), ValueError, "offset: expected a number"),
        (
            lambda: properties.shift_matrix([[1, 2], [3, 4]], 16, encoding="mae"),
            ValueError,
            "offset: expected a number or",
        ),
        (lambda: properties.min_distance(1, 8), ValueError, "length: expected at least 2"),
        (lambda: properties.min_distance(0, 8), ValueError, "length: expected at least 1"),
        (lambda: properties.min_distance(2.5, 8), TypeError, "length: expected an integer"),
        (lambda: properties.min_distance((3, 4), 8), ValueError, "length: expected an integer, got .* over 2 axes$"),
        (lambda: properties.min_distance((3,), 8, encoding="mae"), ValueError, "length: expected .*; `length=3`$"),
        (
            lambda: properties.min_distance((3,), 16, encoding="mae"),
            ValueError,
            "length: expected an integer or the sizes",
        ),
        (lambda: properties.min_distance(9, 8, dtype="int8"), TypeError, "dtype: expected"),
        (
            lambda: properties.min_distance(2**53 + 5, 8),
            ValueError,
            "length: expected positions of at most 2",
        ),
        (
            lambda: properties.min_distance(9, 8, encoding=posenc.Encoding(amplitude=1e5), dtype="float16"),
            ValueError,
            "dtype: expected one that holds the amplitude",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        call()


def test_shapes() -> None:
    assert isinstance(properties.similarity(3, 8), float)
    assert isinstance(properties.similarity([3, 4], 8, encoding="mae"), float)
    assert properties.similarity(np.zeros((2, 0, 3)), 8).shape == (2, 0, 3)
    assert properties.similarity(np.zeros((5, 4, 2), np.float32), 16, encoding="mae").shape == (5, 4)
    assert properties.similarity(2, 16, encoding="mae") == properties.similarity([2, 2], 16, encoding="mae")
    assert posenc.properties is properties
