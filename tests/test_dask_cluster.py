"""posenc.dask on a real cluster: processes, pickled arguments, and an array larger than a worker's memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest

from .arrays import assert_same_bits, noise

distributed = pytest.importorskip("distributed", reason="distributed is not installed")
da = pytest.importorskip("dask.array", reason="dask is not installed")
zarr = pytest.importorskip("zarr", reason="zarr is not installed")
lazily = pytest.importorskip("posenc.dask")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

LIMIT = "400MiB"  # of a worker, of which its Python takes a third
SHAPE = 4, 65_536, 512  # 512 MiB


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    options: dict[str, Any] = {"n_workers": 2, "processes": True, "dashboard_address": None, "memory_limit": LIMIT}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def test_the_bits_of_one_call(client: Any) -> None:
    x = noise((3, 230, 8), np.float32)
    mask = np.random.default_rng(0).random((3, 230)) < 0.7
    before = x.copy()
    x.flags.writeable = False
    lazy = da.from_array(x, chunks=(2, 50, 8))
    for keywords in (
        {"start": 0.1},
        {"encoding": posenc.Encoding(frequencies=[1.0, 0.5, 0.25, 0.1]), "x_scale": "sqrt_dim"},
        {"mask": mask},
        {"positions": np.linspace(0, 5, 230), "mask": mask},
    ):
        assert_same_bits(lazily.add(lazy, **keywords).compute(), posenc.add(x, **keywords))
    assert_same_bits(x, before)
    assert_same_bits(lazily.encode(230, 8, chunks=50, start=7).compute(), posenc.encode(230, 8, start=7))


def test_chunks_that_others_hold_stay_as_they_are(client: Any) -> None:
    x = da.from_array(noise((3, 230, 8), np.float32), chunks=(2, 50, 8)).persist()
    distributed.wait(x)
    before = x.compute()
    assert_same_bits(lazily.add(x).compute(), posenc.add(before))
    assert_same_bits(x.compute(), before)


def test_larger_than_a_worker(client: Any, tmp_path: Path) -> None:
    chunks = 1, 8192, 512
    source = zarr.create_array(str(tmp_path / "x.zarr"), shape=SHAPE, chunks=chunks, dtype="float32")
    da.random.default_rng(0).standard_normal(SHAPE, chunks=chunks, dtype="float32").store(source, lock=False)
    target = zarr.create_array(str(tmp_path / "y.zarr"), shape=SHAPE, chunks=chunks, dtype="float32")
    lazily.add(da.from_zarr(str(tmp_path / "x.zarr")), x_scale="sqrt_dim", encoding="whisper").store(target, lock=False)
    for sequence in range(SHAPE[0]):
        for start in range(0, SHAPE[1], 16_384):
            part = (sequence, slice(start, start + 16_384))
            want = posenc.add(source[part], start=start, x_scale="sqrt_dim", encoding="whisper")
            assert_same_bits(target[part], want)
