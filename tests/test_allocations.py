"""Memory that C++ can't have: MemoryError and nothing written, or the work done without it; never an abort.

Builds with the CMake option POSENC_FAULTS (`nox -s faults`) fail every allocation of the module once. Any build is
tried under limits of address space, at which large blocks and threads fail.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import Encoding, _backend, _cache

from . import backends
from .arrays import assert_same_bits, noise

pytestmark = pytest.mark.skipif("cpp" in backends.MISSING, reason=backends.MISSING.get("cpp", ""))
can_fail = pytest.mark.skipif(
    not hasattr(backends.core, "fail_allocation"), reason="built without POSENC_FAULTS; see nox -s faults"
)
IMAGE = Encoding(axes=2)
CALLS: dict[str, tuple[tuple[int, ...], type, dict[str, Any]]] = {
    "small": ((3, 40), np.float32, {}),
    "small, many": ((40, 3, 40), np.float32, {}),
    "start": ((2, 5, 40), np.float32, {"start": 0.25}),
    "starts": ((2, 50, 40), np.float32, {"start": np.array([0, 7])}),
    "positions": ((50, 40), np.float32, {"positions": noise((50,), np.float64)}),
    "mask": ((50, 40), np.float32, {"mask": np.arange(50) % 3 > 0}),
    "float16": ((50, 40), np.float16, {"start": 3}),
    "float64": ((50, 40), np.float64, {}),
    "channels": ((40, 50), np.float32, {"seq_axis": 1, "channel_axis": 0}),
    "many starts": ((40, 3, 40), np.float32, {"start": np.arange(40.0)}),
    "packed": ((50, 40), np.float32, {"cu_seqlens": [0, 20, 50], "mask": np.arange(50) % 3 > 0}),
    "tokens": ((3, 31, 40), np.float32, {"encoding": IMAGE, "grid": (5, 6), "prefix": 1}),
    "image": ((3, 5, 6, 40), np.float32, {"encoding": IMAGE}),
    "threads": ((4000, 300), np.float32, {"start": 0.5, "threads": 3}),
    "threads, image": ((3, 50, 60, 200), np.float32, {"encoding": IMAGE, "threads": 3}),
}


def embed(out: Any, **keywords: Any) -> Any:
    """As `fill_`, for what `embed` takes."""
    if {"channel_axis"} & {*keywords} or getattr(keywords.get("encoding"), "axes", 1) > 1:
        pytest.skip("no keyword of embed, or no encoding for it")
    table = noise((3, out.shape[-1]), out.dtype)
    ids = np.arange(math.prod(out.shape[:-1])).reshape(out.shape[:-1]) % 3
    return posenc.embed(ids, table, out=out, **keywords)


def turn(verb: Callable[..., Any], x: Any, **keywords: Any) -> Any:
    """As `add_`, for what rotations take."""
    if "grid" in keywords:
        pytest.skip("no keyword of rotate_")
    return verb(x, keywords.pop("encoding", "rope_meta"), **keywords)


def rotate_(x: Any, **keywords: Any) -> Any:
    return turn(posenc.rotate_, x, **keywords)


def rotate(x: Any, **keywords: Any) -> Any:
    return turn(posenc.rotate, x, **keywords)


@can_fail
@pytest.mark.parametrize("warm", [False, True], ids=["new tables", "tables are there"])
@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("named", ["cpp", None], ids=["cpp", "small calls"])
@pytest.mark.parametrize("function", [posenc.fill_, posenc.add_, posenc.add, embed, rotate_, rotate])
def test_every_allocation_fails_once(function: Callable[..., Any], named: str | None, kind: str, warm: bool) -> None:
    core: Any = backends.core
    shape, dtype, keywords = CALLS[kind]
    keywords = keywords | {"backend": named}
    if named is None and _backend.default_name() != "cpp":
        pytest.skip("the compiled backend is not the default one")
    x = noise(shape, dtype)
    before = x.copy()
    want = function(x.copy(), **keywords)
    errors = 0
    for number in range(1, 3000):
        if not warm:
            for cache in list(_cache._all):
                cache.clear()
            backends.forget()
        got = x.copy()
        core.fail_allocation(number)
        try:
            result = function(got, **keywords)
        except MemoryError as error:
            core.fail_allocation(0)
            errors += 1
            notes = " ".join(getattr(error, "__notes__", []))
            if function is not rotate_ or "before it have been written" not in notes:  # a large one is done in parts
                assert_same_bits(got, x, f"allocation {number}")
        else:
            left = core.allocations_left()
            core.fail_allocation(0)
            assert_same_bits(result, want, f"allocation {number}")
            if left > 0:
                break
        assert_same_bits(x, before)
        assert_same_bits(function(x.copy(), **keywords), want, f"after allocation {number}")
    else:
        pytest.fail("no call without a fault")
    assert number > 1 or warm
    assert errors > 0 or warm


LIMITED = """
import resource, sys, numpy as np, posenc
from posenc import _cache
dim, threads, axes = map(int, sys.argv[1:])
def size():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
shape = (1, 60, 50, dim) if axes == 2 else (3000 if threads > 1 else 300, dim)
keywords = {"threads": threads, "encoding": posenc.Encoding(axes=axes), "backend": "cpp"}
if axes == 1:
    keywords["start"] = 0.5
want = posenc.fill_(np.empty(shape, np.float32), **keywords)
x = np.full(shape, 7.5, np.float32)
before = x.copy()
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
failed = 0
for more in [*range(0, 2**20, 2**18), *range(2**20, 2**24, 2**21)]:
    for cache in list(_cache._all):
        cache.clear()
    x[...] = before
    limit = size() + more
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        posenc.fill_(x, **keywords)
    except MemoryError:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        failed += 1
        assert (x == before).all(), more
    else:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        assert (x == want).all(), more
print(failed)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space as Linux does")
@pytest.mark.skipif("san" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers take terabytes of address space")
@pytest.mark.parametrize(("dim", "threads", "axes"), [(512, 1, 1), (512, 3, 1), (32768, 1, 1), (512, 3, 2)])
def test_limits_of_address_space(dim: int, threads: int, axes: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(dim), str(threads), str(axes)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert int(done.stdout) > 0 or dim < 32768
