"""What `_api` relies on in a backend's module: fill, add and merge, where no public argument leads there alone."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from posenc import _backend, _tiles
from posenc._encoding import Encoding, Spectrum, spectra

from . import backends, truth
from .arrays import assert_same_bits, noise
from .backends import spectrum


@pytest.fixture(scope="module", params=backends.NAMED)
def module(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    name, level = request.param
    with backends.at_level(level):
        yield importlib.import_module(_backend.MODULES[name])


# What may be written to: the array's dtype, the bits of a number, the smallest number.
FORMATS = {
    "float32": (np.float32, 24, 2.0**-149),
    "float16": (np.float16, 11, 2.0**-24),
    "bfloat16": (np.uint16, 8, 2.0**-133),
}


def numbers(x: np.ndarray) -> np.ndarray:
    """What the elements of an array stand for."""
    return (x.astype(np.uint32) << 16).view(np.float32) if x.dtype == np.uint16 else x


def elements(values: np.ndarray, dtype: type) -> np.ndarray:
    """The other way round, for numbers that need no rounding."""
    return (
        (values.astype(np.float32).view(np.uint32) >> 16).astype(dtype) if dtype == np.uint16 else values.astype(dtype)
    )


def rows(module: ModuleType, table: Spectrum, positions: list[float], dtype: type) -> np.ndarray:
    out = np.full((len(positions), table.dim), 99, dtype)
    module.fill(out, table, np.array([positions], np.float64), 1)
    return out


POSITIONS = [0.0, 1.0, 2.0, 3.0, 4.0, -2.5, 1e9, 2.0**53, -(2.0**53), *truth.near_ties(3)]


@pytest.mark.parametrize("amplitude", [0.5, -1.0, 768**-0.5, 1e-3, 31.7])
def test_amplitude(amplitude: float, module: ModuleType) -> None:
    table = dataclasses.replace(spectrum(6), amplitude=amplitude)
    true = truth.encoding(POSITIONS, 6).times(amplitude)
    assert_same_bits(rows(module, table, POSITIONS, np.float32) + 0, true.float32() + 0)
    near = np.abs(POSITIONS) < 2.0**31
    assert true.distance(rows(module, table, POSITIONS, np.float64))[near].max() <= 1e-15 * abs(amplitude)
    run = np.empty((70, 6), np.float32)
    module.fill(run, table, np.array([-40.0]), 1)
    assert_same_bits(run, truth.encoding(range(-40, 30), 6).times(amplitude).float32() + 0)
    for dtype in (np.float32, np.float64):
        assert not np.signbit(rows(module, table, [0.0], dtype)[:, ::2]).any()  # -1 * sin(0) is 0 as well


def test_zero_columns(module: ModuleType) -> None:
    table = dataclasses.replace(spectrum(4), source=np.array([-1, 2, -1, -1, 1, 0, -1], np.int32), amplitude=-2.0)
    whole = dataclasses.replace(spectrum(4), amplitude=-2.0)
    for dtype in (np.float32, np.float64):
        for positions in (POSITIONS, [float(p) for p in range(-40, 40)]):
            got, want = (rows(module, t, positions, dtype) for t in (table, whole))
            assert_same_bits(got[:, [1, 4, 5]], want[:, [2, 1, 0]])
            assert_same_bits(got[:, [0, 2, 3, 6]], np.zeros((len(positions), 4), dtype))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_rounded_once(form: str, module: ModuleType) -> None:
    dtype, digits, smallest = FORMATS[form]
    positions = [*POSITIONS, *truth.near_ties(40, digits=digits), *truth.tiny_ties(2), 1e-300, 5e-324, *range(-30, 200)]
    want = truth.encoding(positions, 4).rounded(digits, smallest)
    np.testing.assert_array_equal(numbers(rows(module, spectrum(4), positions, dtype)), want)
    run = np.empty((3, 150, 4), dtype)
    module.fill(run, spectrum(4), np.array([50.0]), 1)
    assert_same_bits(run, np.broadcast_to(elements(want[-150:], dtype)[:], run.shape))


@pytest.mark.parametrize("form", FORMATS)
def test_runs_across_quarter_turns(form: str, module: ModuleType) -> None:
    # A tiny sine is the difference of two products, and has fewer digits than others, too few even for 16 bits. Its
    # cosine, 1, is looked at twice: only where it stands far off does the sine have to draw attention by itself.
    dtype, digits, smallest = FORMATS[form]
    tables = {
        dim: spectra(Encoding(layout=layout), dim)[0] for layout, dim in (("interleaved", 2), ("concatenated", 512))
    }
    for p in [p for p in truth.near_quarter_turns(0, 2) if 100 < p < 2**53 - 99]:
        for row in (3, 20):
            want = truth.encoding(range(p - row, p - row + 41), 2).rounded(digits, smallest)
            for dim, table in tables.items():
                got = np.empty((41, dim), dtype)
                module.fill(got, table, np.array([float(p - row)]), 1)
                np.testing.assert_array_equal(numbers(got[:, [0, dim // 2]]), want)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("scale", [1.0, 0.1, 2.0**100])
def test_sums_are_rounded_to_float32_and_then_once(form: str, scale: float, module: ModuleType) -> None:
    dtype, digits, smallest = FORMATS[form]
    special = [np.inf, -np.inf, np.nan, 0.0, -0.0, smallest, -smallest, 3 * smallest, 1e30, float(np.finfo("f4").max)]
    with np.errstate(over="ignore"):
        x = elements(truth.round_to(noise((4, 90, 16), np.float32), digits, smallest), dtype)
        x[2, :10, :10] = elements(np.array(special), dtype)
    if form == "bfloat16":
        x[1, 0, 0], x[1, 0, 1] = 0x7F81, 0xFFC1  # NaN: of the signalling kind, and one with a payload
    table = np.empty((90, 16), np.float32)
    module.fill(table, spectrum(16), np.array([7.0]), 1)
    with np.errstate(all="ignore"):
        wide = numbers(x).astype(np.float32)
        want = (wide if scale == 1.0 else wide * np.float32(scale)) + table
        want = truth.round_to(want, digits, smallest).astype(np.float32 if form == "bfloat16" else dtype)
    for target in (x, np.empty_like(x), np.empty((4, 16, 90), dtype).swapaxes(1, 2)):
        before = x.copy()
        module.add(x, target, spectrum(16), np.array([7.0]), scale, 1)
        np.testing.assert_array_equal(numbers(target), want)
        x[...] = before


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint16])
@pytest.mark.parametrize("dim", [3, 64])
def test_runs_within_lists(dim: int, dtype: type, module: ModuleType) -> None:
    pieces = [
        range(3, 4),
        range(3, 90),
        range(4, 6),
        [5.5, 6.5],
        range(7, 140),
        [7.0, 7.0, 6.0],
        range(-70, 0),
        [2**53] * 3,
    ]
    positions = [float(p) for piece in pieces for p in piece]
    got = rows(module, spectrum(dim), positions, dtype)
    for row, position in zip(got, positions, strict=True):
        assert_same_bits(row[None], rows(module, spectrum(dim), [position], dtype), position)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint16])
def test_masked_rows(dtype: type, module: ModuleType) -> None:
    generator = np.random.default_rng(8)
    positions = np.add.outer([-20.0, 0.25, 9.0], np.arange(200))
    positions[0, :50] = positions[1, generator.random(200) < 0.5] = positions[2] = np.nan
    x = elements(generator.standard_normal((3, 200, 12)).astype(np.float16), dtype)
    for where in (positions, positions[:1]):
        masked = np.isnan(np.broadcast_to(where, (3, 200)))
        for out in (np.empty_like(x), np.empty((3, 200, 24), dtype)[..., ::2]):
            out[...] = 99
            module.fill(out, spectrum(12), where, 1)
            assert_same_bits(out[masked], np.zeros((masked.sum(), 12), dtype))
            assert_same_bits(out[~masked], rows(module, spectrum(12), np.broadcast_to(where, (3, 200))[~masked], dtype))
            for scale in (1.0, -0.5):
                whole, sums = x.copy(), out
                module.add(whole, whole, spectrum(12), np.where(np.isnan(where), 0.0, where), scale, 1)
                sums[...] = x
                module.add(sums, sums, spectrum(12), where, scale, 1)
                assert_same_bits(sums, np.where(masked[..., None], x, whole))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint16])
@pytest.mark.parametrize("grid", [(7,), (1, 1), (5, 4), (3, 4, 5), (2, 1, 3, 4)])
def test_merge(dtype: type, grid: tuple[int, ...], module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, axes = np.random.default_rng(3), len(grid)
    digits, smallest = {np.float16: (11, 2.0**-24), np.uint16: (8, 2.0**-133)}.get(dtype, (53, 2.0**-1074))
    parts = []
    for axis, length in enumerate(grid):  # every axis has three columns of its own, one of them is no axis's
        part = np.zeros((length, 3 * axes + 1))
        part[:, axis:-1:axes] = generator.integers(-128, 128, (length, 3)) / 16  # exact in every format
        parts.append(part)
    rows = sum(
        part.reshape(*(-1 if a == axis else 1 for a in range(axes)), 3 * axes + 1) for axis, part in enumerate(parts)
    )
    x = generator.integers(-128, 128, (2, *rows.shape)) / 16
    sums = truth.round_to(x * 0.5 + rows, digits, smallest)
    parts_to_add = [part.astype(np.float64 if dtype == np.float64 else np.float32) for part in parts]
    for tile in (1, 100, 2**16):
        monkeypatch.setattr(_tiles, "TILE_ELEMENTS", tile)
        for out in (np.empty(x.shape, dtype), np.empty(x.shape[::-1], dtype).T):
            module.merge(None, out, [elements(part, dtype) for part in parts], 1.0, 1)
            np.testing.assert_array_equal(numbers(out), np.broadcast_to(rows, x.shape))
            for source in (elements(x, dtype), out):
                out[...] = elements(x, dtype)
                module.merge(source, out, parts_to_add, 0.5, 1)
                np.testing.assert_array_equal(numbers(out), sums)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint16])
@pytest.mark.parametrize(
    ("own", "form"), [(1, (3, 1, 5)), (1, (2, 3, 4, 5)), (2, (2, 3, 4, 1)), (2, (1, 2, 4, 1, 3)), (1, (0, 2, 2))]
)
def test_merge_of_parts_of_their_own(dtype: type, own: int, form: tuple[int, ...], module: ModuleType) -> None:
    generator = np.random.default_rng(4)
    leading, grid = form[:-2], form[-2:]
    wide = dtype if dtype != np.uint16 else np.float32
    parts = [np.zeros((*leading[:own], n, 9), wide) for n in grid]
    for axis, part in enumerate(parts):
        part[..., axis::2] = generator.integers(1, 128, part[..., axis::2].shape) / 16  # exact in every format
    for out in (np.empty((*form, 9), dtype), np.empty((9, *form), dtype).transpose(*range(1, len(form) + 1), 0)):
        out[...] = elements(generator.integers(-128, 128, out.shape) / 16, dtype)
        x = out.copy()
        for operation in ("fill", "add"):
            given = [elements(p, dtype) if operation == "fill" else p for p in parts]
            if operation == "add" and dtype == np.float16:
                given = [p.astype(np.float32) for p in given]
            module.merge(None if operation == "fill" else x, out, given, 0.5, 1)
            for image in np.ndindex(leading[:own]):
                alone = np.empty_like(out[image])
                old = None if operation == "fill" else x[image]
                module.merge(old, alone, [np.ascontiguousarray(p[image]) for p in given], 0.5, 1)
                assert_same_bits(out[image], alone)
