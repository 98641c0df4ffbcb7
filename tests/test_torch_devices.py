"""posenc.torch on other devices, and as the way out that refusals name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import posenc
import pytest

from .ways import follow, ways

torch = pytest.importorskip("torch", reason="torch is not installed")
import posenc.torch  # noqa: E402
from posenc.torch import _graph, _route, _tables  # noqa: E402

from .test_torch_functions import CPU, LENGTH, REAL, noise, same  # noqa: E402


def test_tables_are_kept_under_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    make = _tables._make
    monkeypatch.setattr(_tables._tables, "_make", lambda key: made.append(key) or make(key))
    _tables.STORE.clear()

    def rows(start: int, length: int, dim: int = 64, dtype: Any = torch.float32) -> Any:
        got = _tables.rows(CPU, dtype, start, length, dim, posenc.Encoding())
        same(got, posenc.encode(length, dim, start=start, dtype=dtype))
        return got

    rows(0, 5)[:] = 9.0  # it is ours
    rows(0, 5)
    for step in range(200):  # decoding
        rows(step, 1)
    assert len(made) == 1
    rows(0, 5, dtype=torch.bfloat16)
    rows(-3, 5)
    rows(0, 300)
    rows(2**53 - 4, 5)
    rows(0, 3, dim=2**14)
    assert made[-1].length == 16
    _tables.STORE.clear()
    monkeypatch.setattr(_tables.STORE, "limit", 2**20)
    for start in range(0, 20 * 512, 512):
        rows(start, 512)
        assert _tables.STORE.held.nbytes <= 2**20
    assert 0 < len(_tables.STORE.held.entries) < 10
    with torch.inference_mode():
        rows(7, 1, dim=10)
    assert not _tables._tables[made[-1]].is_inference()
    _tables.STORE.clear()


DEVICE = """
import torch
from torch.utils import backend_registration

backend_registration._setup_privateuseone_for_python_backend("other")

class Tensor(torch.Tensor):
    @staticmethod
    def __new__(cls, array, dtype):
        made = torch._C._acc.create_empty_tensor(array.shape, dtype)
        made.__class__ = cls
        return made
    def __init__(self, array, dtype):
        self.array = array

moved = []
host = lambda x: torch.from_numpy(x.array) if isinstance(x, Tensor) else x
there = lambda x: Tensor(x.contiguous().numpy().copy(), x.dtype)

def copy(source, target, non_blocking=False):
    moved.append(isinstance(target, Tensor))
    host(target).copy_(host(source))
    return target

for name, function in {
    "empty.memory_format": lambda size, dtype=None, **options: there(torch.empty(size, dtype=dtype)),
    "empty_strided": lambda size, stride, dtype=None, **options: there(torch.empty(size, dtype=dtype)),
    "_copy_from": copy,
    "copy_": lambda target, source, non_blocking=False: copy(source, target),
    "add.Tensor": lambda a, b, alpha=1: there(host(a) + host(b)),
    "mul.Tensor": lambda a, b: there(host(a) * host(b)),
    "slice.Tensor": lambda x, *where: there(torch.ops.aten.slice(host(x), *where)),
    "clone": lambda x, memory_format=None: there(host(x)),
}.items():
    torch.library.impl(f"aten::{name}", "privateuseone")(function)

import re
import posenc
import posenc.torch

x = torch.randn(2, 5, 8)
y = x.to("other")
module = posenc.torch.PositionalEncoding(8, batch_first=True, scale=3.0).to("other").eval()
for call, want in {
    posenc.torch.add: posenc.add(x),
    module: posenc.add(x, x_scale=3.0),
    lambda y: posenc.torch.add(y, positions=torch.arange(5.0) / 3): posenc.add(x, positions=torch.arange(5.0) / 3),
}.items():
    got = call(y)
    assert got.device.type == "other", got.device
    assert torch.equal(host(got), want)
moved.clear()
for start in range(50):
    assert torch.equal(host(module(y, start=start)), posenc.add(x, x_scale=3.0, start=start))
assert not moved, moved
assert posenc.torch.encode(3, 8, device="other").device == y.device
try:
    posenc.add(y)
except TypeError as error:
    (code,) = re.findall("`([^`]+)`", str(error))
scope = {"x": y}
exec(code, scope)
assert torch.equal(host(scope["x"]), posenc.add(x))
"""


@pytest.mark.skipif(
    not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="torch takes no devices written in Python",
)
def test_another_device() -> None:
    """One written in Python, whose memory is NumPy's: the values are the CPU's, moved once."""
    subprocess.run([sys.executable, "-c", DEVICE], check=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda() -> None:
    x = noise(2, LENGTH, 8)
    for keywords in ({}, {"start": 0.5}, {"mask": torch.tensor(REAL)}, {"positions": noise(2, LENGTH).cuda()}):
        got = posenc.torch.add(x.cuda(), **keywords)
        assert got.is_cuda
        on_cpu = {name: value.cpu() if isinstance(value, torch.Tensor) else value for name, value in keywords.items()}
        same(got.cpu(), posenc.add(x, **on_cpu))


# ---- the package ----------------------------------------------------------------------------------------------------


def test_torch_is_torch() -> None:
    """The package bears torch's name, and takes it from nobody."""
    assert posenc.torch is not torch
    assert _graph.torch is _route.torch is torch  # type: ignore[attr-defined]
    code = "import posenc, sys; assert not {'torch', 'posenc.torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("function", [posenc.add, posenc.add_])
def test_ways_out_that_name_it(function: Callable[[Any], Any]) -> None:
    x = noise(2, LENGTH, 8)

    def within(z: Any) -> Any:
        with pytest.raises(TypeError, match=r"^x: expected a tensor with memory of its own") as error:
            function(z)
        (code,) = ways(str(error.value))
        assert "posenc.torch.add" in code
        return follow(code, "x", z, function, {})

    same(torch.vmap(within)(x), posenc.add(x))
    same(torch.func.functionalize(within)(x), posenc.add(x))
