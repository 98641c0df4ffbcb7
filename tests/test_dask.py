"""posenc.dask: the bits of one call whatever the chunks are, nothing changed, the same keys in every process."""

from __future__ import annotations

import contextlib
import doctest
import io
import pickle
import re
import subprocess
import sys
from typing import Any

import numpy as np
import posenc
import pytest

from .arrays import FLOATS, assert_same_bits, noise

da = pytest.importorskip("dask.array", reason="dask is not installed")
dask = pytest.importorskip("dask")
lazily = pytest.importorskip("posenc.dask")

IMAGE = posenc.Encoding(axes=2)


@pytest.fixture(autouse=True)
def threaded() -> Any:
    with dask.config.set(scheduler="threads", num_workers=3):
        yield


def frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def chunked(array: np.ndarray, *chunks: int) -> Any:
    """An array of dask's whose chunks are views of a read-only one."""
    return da.from_array(frozen(array), chunks=chunks, name=False)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("start", [0, 5, -3.0, 0.1, 2**40])
def test_a_sum_has_the_bits_of_one_call(dtype: Any, start: float) -> None:
    x = noise((3, 23, 6), dtype)
    before = x.copy()
    got = lazily.add(chunked(x, 2, 5, 6), start=start, x_scale="sqrt_dim")
    assert (got.dtype, got.shape, got.chunks) == (x.dtype, x.shape, ((2, 1), (5, 5, 5, 5, 3), (6,)))
    assert_same_bits(got.compute(), posenc.add(x, start=start, x_scale="sqrt_dim"))
    assert_same_bits(x, before)


@pytest.mark.parametrize("start", [0, 7, 0.1])
@pytest.mark.parametrize("chunks", [7, (7, -1), ((20, 3), (6,)), "auto", -1, {0: 4}, (23,)])
def test_a_table_has_the_bits_of_one_call(chunks: Any, start: float) -> None:
    table = lazily.encode(23, 6, chunks=chunks, start=start, encoding="fairseq", dtype="float16")
    assert (table.dtype, table.shape, table.numblocks[1]) == (np.float16, (23, 6), 1)
    assert_same_bits(table.compute(), posenc.encode(23, 6, start=start, encoding="fairseq", dtype="float16"))


@pytest.mark.parametrize("seq_axis", [0, 1, -3])
def test_other_axes(seq_axis: int) -> None:
    x = noise((5, 7, 4), np.float32)
    got = lazily.add(chunked(x, 2, 3, 4), seq_axis=seq_axis, start=1.5)
    assert_same_bits(got.compute(), posenc.add(x, seq_axis=seq_axis, start=1.5))


@pytest.mark.parametrize("start", [0, (3, -2), (0.1, 5)])
def test_encodings_over_several_axes(start: Any) -> None:
    x = noise((2, 5, 7, 8), np.float32)
    got = lazily.add(chunked(x, 1, 2, 3, 8), encoding=IMAGE, start=start)
    assert_same_bits(got.compute(), posenc.add(x, encoding=IMAGE, start=start))
    got = lazily.add(chunked(x[0], 2, 3, 8), encoding=IMAGE, start=start, seq_axis=(0, 1))
    assert_same_bits(got.compute(), posenc.add(x[0], encoding=IMAGE, start=start, seq_axis=(0, 1)))


@pytest.mark.parametrize("form", [(23,), (1, 23), (3, 23), (3, 1)])
@pytest.mark.parametrize("kind", ["numpy", "dask", "dask in other chunks"])
def test_positions_and_masks(form: tuple[int, ...], kind: str) -> None:
    x = noise((3, 23, 4), np.float32)
    positions = np.random.default_rng(1).uniform(-99, 99, form)
    mask = np.random.default_rng(2).random(form) < 0.7
    keywords: dict[str, Any] = {"positions": positions, "mask": mask}
    lazy = dict(keywords)
    if kind != "numpy":
        size = 5 if kind == "dask" else 4
        lazy = {name: da.from_array(frozen(value), chunks=size, name=False) for name, value in keywords.items()}
    for names in (["positions"], ["mask"], ["positions", "mask"]):
        want = posenc.add(x, **{name: keywords[name] for name in names})
        got = lazily.add(chunked(x, 2, 5, 4), **{name: lazy[name] for name in names})
        assert got.chunks == ((2, 1), (5, 5, 5, 5, 3), (4,))
        assert_same_bits(got.compute(), want)


def test_coordinates() -> None:
    x = noise((2, 5, 7, 8), np.float32)
    for form in ((5, 7, 2), (2, 5, 7, 2)):
        positions = np.random.default_rng(1).uniform(-99, 99, form)
        for given in (positions, da.from_array(positions, chunks=(*(2,) * (len(form) - 1), 2))):
            got = lazily.add(chunked(x, 1, 2, 3, 8), encoding=IMAGE, positions=given)
            assert_same_bits(got.compute(), posenc.add(x, encoding=IMAGE, positions=positions))
    got = lazily.encode(da.from_array(positions, chunks=(1, 2, 3, 2)), 8, chunks=None, encoding=IMAGE)
    assert_same_bits(got.compute(), posenc.encode(positions, 8, encoding=IMAGE))


def test_a_table_at_positions() -> None:
    positions = np.random.default_rng(1).uniform(-99, 99, (3, 23))
    got = lazily.encode(da.from_array(positions, chunks=(2, 5)), 8, chunks=None)
    assert got.chunks == ((2, 1), (5, 5, 5, 5, 3), (8,))
    assert_same_bits(got.compute(), posenc.encode(positions, 8))


@pytest.mark.parametrize("shape", [(0, 5, 4), (3, 0, 4)])
def test_nothing(shape: tuple[int, ...]) -> None:
    assert lazily.add(da.zeros(shape, dtype=np.float32, chunks=2).rechunk({-1: -1})).compute().shape == shape
    assert lazily.encode(0, 4, chunks=3).compute().shape == (0, 4)


def test_slices_of_the_result_compute_what_they_need() -> None:
    table = lazily.encode(10**6, 64, chunks=1000)
    assert_same_bits(table[123_456:123_458].compute(), posenc.encode(2, 64, start=123_456))


def test_what_runs_is_made_of_public_parts() -> None:
    x = da.zeros((4, 20, 8), dtype=np.float32, chunks=(2, 5, 8))
    meta = lazily.add(x)._meta
    assert (type(meta), meta.dtype, meta.ndim) == (np.ndarray, np.float32, 3)


def test_docstrings() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as report:
        failed, tried = doctest.testmod(lazily, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed, report.getvalue()
    assert tried


# ---- keys -----------------------------------------------------------------------------------------------------------

NAMES = """
import dask, dask.array as da, numpy as np, posenc, posenc.dask
dask.config.set({"tokenize.ensure-deterministic": True})
x = da.zeros((4, 20, 8), dtype="float32", chunks=(2, 5, 8))
print(posenc.dask.encode(20, 8, chunks=5, encoding="whisper").name)
print(posenc.dask.add(x, encoding=posenc.Encoding(frequencies=[1.0, 0.5, 0.25, 0.1]), start=3, x_scale=2).name)
print(posenc.dask.add(x, positions=np.arange(20)).name)
"""


def test_keys_are_the_same_in_two_processes() -> None:
    printed = [
        subprocess.run(
            [sys.executable, "-c", NAMES], env={"PYTHONHASHSEED": seed, "PATH": ""}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert len(set(printed[0].split())) == 3


def test_keys_tell_calls_apart() -> None:
    x = da.zeros((4, 20, 8), dtype=np.float32, chunks=(2, 5, 8))
    calls: list[dict[str, Any]] = [
        {},
        {"start": 1},
        {"x_scale": 2.0},
        {"encoding": "whisper"},
        {"seq_axis": 0},
        {"mask": np.ones(20, bool)},
        {"positions": np.arange(20)},
    ]
    assert len({lazily.add(x, **keywords).name for keywords in calls}) == len(calls)
    assert lazily.add(x, encoding="paper").name == lazily.add(x).name == lazily.add(x, encoding=posenc.Encoding()).name


def test_the_token_of_an_encoding() -> None:
    tokenize = dask.base.tokenize
    one = posenc.Encoding(frequencies=[1.0, 0.1])
    assert tokenize(one) == tokenize(pickle.loads(pickle.dumps(one))) == tokenize(posenc.Encoding(frequencies=(1, 0.1)))
    assert tokenize(one) != tokenize(posenc.Encoding())


# ---- refusals and their ways out ------------------------------------------------------------------------------------


def test_ways_out() -> None:
    x = noise((3, 8, 4), np.float32)
    cases: list[tuple[Any, dict[str, Any]]] = [
        (da.from_array(x, chunks=(3, 4, 2)), {}),
        (da.from_array(x.astype(np.int32), chunks=3), {}),
        (x, {}),
        (da.from_array(x, chunks=(3, 4, 4))[:, da.arange(8, chunks=4) % 2 == 0], {}),
        (da.ma.masked_less(da.from_array(x, chunks=(3, 4, 4)), 0.0), {}),
    ]
    for given, keywords in cases:
        with pytest.raises((TypeError, ValueError)) as caught:
            lazily.add(given, **keywords)
        code = re.findall(r"`([^`]+)`", str(caught.value))
        statement = next(line for line in code if line.startswith("x = "))
        scope: dict[str, Any] = {"x": given, "da": da, "np": np, "posenc": posenc}
        exec(statement, scope)
        if scope["x"].numblocks[-1] != 1:  # chosen by dask
            scope["x"] = scope["x"].rechunk({-1: -1})
        want = posenc.add(np.asarray(scope["x"].compute()))
        assert_same_bits(lazily.add(scope["x"]).compute(), want)


def test_the_way_out_of_functions_for_arrays_in_memory() -> None:
    x = da.from_array(noise((3, 8, 4), np.float32), chunks=(3, 4, 4))
    with pytest.raises(TypeError, match=r"posenc\.dask") as caught:
        posenc.add(x)
    want = posenc.add(x.compute())
    for code in re.findall(r"`([^`]+)`", str(caught.value)):
        scope: dict[str, Any] = {"x": x, "posenc": posenc}
        exec(code, scope)
        assert_same_bits(scope["x"].compute(), want)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: lazily.encode(8, 4, chunks=(4, 2)),
            r"^chunks: expected all 4 channels in one chunk.*`chunks=\(4, -1\)`",
        ),
        (lambda: lazily.encode(8, 4, chunks=None), r"^chunks: expected an integer"),
        *(
            (lambda chunks=chunks: lazily.encode(8, 4, chunks=chunks), r"^chunks: expected sizes.*\"auto\"")
            for chunks in (0, -2, 2.5, {"a": 2}, {2: 4}, ((4, 3), 4), (2, 2, 2))
        ),
        (lambda: lazily.encode(da.arange(8, chunks=4), 4, chunks=None, start=3), r"^positions: .*both"),
        (lambda: lazily.encode([1.0, 2.0], 4, chunks=2), r"^length: expected an integer.*from_array"),
        (lambda: lazily.encode(8, 4, chunks=2, start=[1, 2]), r"^start: expected a number"),
        (lambda: lazily.encode(8, 4, chunks=2, start=2**53), r"^start: expected"),
        (lambda: lazily.encode(8, 5, chunks=2, encoding="whisper"), r"^encoding: expected an even width"),
        (lambda: lazily.add(da.zeros((2, 8, 4), dtype="f4"), x_scale=np.nan), r"^x_scale: expected"),
        (lambda: lazily.add(da.zeros((2, 8, 4), dtype="f4"), start=[1, 2]), r"^start: expected a number.*positions="),
        (
            lambda: lazily.add(da.zeros((2, 8, 4), dtype="f4"), positions=np.zeros(7)),
            r"^positions: expected shape \(8,\)",
        ),
        (lambda: lazily.add(da.zeros((2, 8, 4), dtype="f4"), mask=np.zeros((8, 2), bool)), r"^mask: expected shape"),
        (lambda: lazily.add(da.zeros((2, 8, 4), dtype="f4"), positions=np.zeros(8, "f2")), r"^positions: expected"),
        (lambda: lazily.add(da.zeros((2, 8, 4), dtype="f4"), positions=np.zeros(8), start=1), r"^positions: .*both"),
        (lambda: lazily.add(da.zeros((2, 8, 4), dtype="f4"), encoding=IMAGE), r"seq_axis"),
        (lambda: lazily.add(da.zeros(8, dtype="f4")), r"^x: expected at least 2 dimensions"),
    ],
)
def test_refusals(call: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        call()


def test_sizes_that_are_not_known_yet() -> None:
    x, mask = noise((6, 8, 4), np.float32), np.random.default_rng(0).random((6, 8)) < 0.7
    every = da.from_array(np.arange(6) % 2 == 0, chunks=3)
    lazy = da.from_array(x, chunks=(2, 3, 4))
    some, some_masks = lazy[every], da.from_array(mask, chunks=(2, 3))[every]
    want = posenc.add(x[::2], mask=mask[::2])
    for scope in ({"x": some, "mask": mask[::2]}, {"x": lazy[::2], "mask": some_masks}):
        with pytest.raises(ValueError, match=r"^mask: expected chunks of known sizes") as caught:
            lazily.add(scope["x"], mask=scope["mask"])
        (statement,) = re.findall(r"`([^`]+)`", str(caught.value))
        exec(statement, scope)
        assert_same_bits(lazily.add(scope["x"], mask=scope["mask"]).compute(), want)
    for of_all in (mask[0], mask[:1]):
        assert np.array_equal(lazily.add(some, mask=of_all).compute(), posenc.add(x[::2], mask=of_all))


def test_starts_of_sequences_are_positions() -> None:
    x = noise((3, 8, 4), np.float32)
    start = [1, 50, -3]
    with pytest.raises(TypeError) as caught:
        lazily.add(da.from_array(x, chunks=(2, 3, 4)), start=start)
    (code,) = re.findall(r"`positions=([^`]+)`", str(caught.value))
    positions = eval(code, {"np": np, "start": start, "x": x})
    got = lazily.add(da.from_array(x, chunks=(2, 3, 4)), positions=positions)
    assert_same_bits(got.compute(), posenc.add(x, start=start))
