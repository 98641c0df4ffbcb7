"""Small calls on tensors: which are plain, and what torch learns of them."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _backend

from . import backends
from .test_small import add, add_, fill, rotate, rotate_
from .test_tensors import STRANGE

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

pytestmark = [
    pytest.mark.skipif("cpp" in backends.MISSING, reason=backends.MISSING.get("cpp", "")),
    pytest.mark.skipif(
        not hasattr(torch.Tensor, "__dlpack_c_exchange_api__"), reason="this torch has no DLPack C exchange API"
    ),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
SHAPE = (3, 5, 6)
SAID: dict[str, dict[str, Any]] = {
    "default": {},
    "start": {"start": torch.tensor(7)},
    "starts": {"start": torch.tensor([1, 2, 3], dtype=torch.int32)},
    "NumPy's starts": {"start": np.array([[1.5], [2], [3]])},
    "positions": {"positions": torch.arange(5)},
    "positions of all": {"positions": torch.arange(15.0).reshape(5, 3).T},
    "mask": {"mask": torch.tensor([True, False, True, True, False])},
    "packed": {"cu_seqlens": torch.tensor([0, 2, 5], dtype=torch.int32)},
    "grid": {"encoding": "mae", "x_scale": 0.5},
    "axis": {"seq_axis": 0, "positions": torch.arange(3)},
}


@pytest.fixture(scope="module")
def small() -> Any:
    from posenc import _cpp

    return _cpp.small_calls()


def same(a: Any, b: Any) -> bool:
    return bool(torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8)))


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_results(small: Any, kind: str, dtype: Any) -> None:
    said = SAID[kind]
    shape = (2, 3, 4, 8) if kind == "grid" else SHAPE
    x = torch.randn(shape).to(dtype)
    want = posenc.add(x, backend="numpy", **said)
    for make in (
        lambda: x.clone(),
        lambda: x.transpose(0, -1).contiguous().transpose(0, -1),
        lambda: torch.zeros(shape[0], *shape).to(dtype)[1].copy_(x),
        lambda: torch.nn.Parameter(x.clone(), requires_grad=False),
    ):
        one = make()
        version = one._version
        assert add_(small, one, **said)
        assert one._version > version
        assert same(one, want)
        one = make()
        version = one._version
        assert same(add(small, one, **said), want)
        assert (one._version, same(one, x)) == (version, True)
        out = torch.empty_like(x)
        assert add(small, make(), out, **said) is out
        assert same(out, want)


@pytest.mark.parametrize("kind", [*SAID])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_turns(small: Any, kind: str, dtype: Any) -> None:
    said = SAID[kind] | {"encoding": "rope_meta", "inverse": True}
    if kind == "grid":
        pytest.skip("several axes")
    x = torch.randn(SHAPE).to(dtype)
    want = posenc.rotate(x, backend="numpy", **said)
    for make in (
        lambda: x.clone(),
        lambda: x.transpose(0, -1).contiguous().transpose(0, -1),
        lambda: torch.zeros(SHAPE[0], *SHAPE).to(dtype)[1].copy_(x),
        lambda: torch.nn.Parameter(x.clone(), requires_grad=False),
    ):
        one = make()
        version = one._version
        assert rotate_(small, one, **said)
        assert one._version > version
        assert same(one, want)
        one = make()
        version = one._version
        assert same(rotate(small, one, **said), want)
        assert (one._version, same(one, x)) == (version, True)
        out = torch.empty_like(x)
        assert rotate(small, make(), out, **said) is out
        assert out._version > 0
        assert same(out, want)


@pytest.mark.parametrize("kind", [*STRANGE, "lazy"])
def test_what_is_not_plain(small: Any, kind: str) -> None:
    make = STRANGE.get(kind, lambda: torch.nn.parameter.UninitializedParameter(requires_grad=False))
    plain = torch.ones(4, 6)
    assert not fill(small, make())
    assert not add_(small, make())
    assert not rotate_(small, make())
    if kind not in ("expanded", "of inference"):  # which may be read
        assert add(small, make()) is None
        assert rotate(small, make()) is None
    assert add(small, plain, make()) is None
    assert rotate(small, plain, make()) is None
    if kind not in ("integers", "leaf", "parameter", "expanded", "of inference"):
        for name in ("start", "positions", "mask", "cu_seqlens"):
            assert not add_(small, plain, **{name: make()})
            assert not rotate_(small, plain, **{name: make()})
    assert (plain == 1).all()


def outcome(make: Callable[[], Any], call: Callable[[Any], Any]) -> Any:
    """What a call makes of a tensor, or says of it, and what it leaves of it."""
    x = make()
    try:
        result = call(x)
    except Exception as error:
        return type(error), str(error)
    result = result if isinstance(result, torch.Tensor) else torch.from_numpy(np.asarray(result))
    versions = [None if one.is_inference() or one is not x else one._version for one in (x, result)]
    return result is x, result.dtype, result.requires_grad, versions, result.detach().tolist()


EVERYTHING: dict[str, Callable[[Any], Any]] = {
    "fill_": posenc.fill_,
    "add_": posenc.add_,
    "add": posenc.add,
    "add to itself": lambda x: posenc.add(x, out=x),
    "into": lambda x: posenc.add(torch.ones(4, 6), out=x),
    "rotate_": lambda x: posenc.rotate_(x, "rope_hf"),
    "rotate": lambda x: posenc.rotate(x, "rope_hf"),
    "embed": lambda x: posenc.embed([[0, 1]], x),
    "ids": lambda x: posenc.embed(x, torch.ones(4, 6)),
    "encode": lambda x: posenc.encode(x, 6),
    "positions_from_mask": posenc.positions_from_mask,
    **{name: lambda x, name=name: posenc.add(torch.ones(4, 6), **{name: x}) for name in ("start", "positions", "mask")},
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("verb", EVERYTHING)
@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
def test_as_the_long_way_has_it(small: Any, verb: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _backend.default()
    monkeypatch.setattr(_backend.chosen, "small", None)
    long = outcome(STRANGE[kind], EVERYTHING[verb])
    monkeypatch.setattr(_backend.chosen, "small", small)
    assert outcome(STRANGE[kind], EVERYTHING[verb]) == long


def test_gradients(small: Any) -> None:
    x = torch.zeros(4, 6, requires_grad=True)
    with torch.no_grad():
        assert add_(small, x)
        version = x._version
        assert version > 0
        assert rotate_(small, x)
        assert rotate(small, x) is not None
    assert x._version > version
    assert not add_(small, x)
    assert not rotate_(small, x)
    assert rotate(small, x) is None
    y = (torch.ones(4, 6, requires_grad=True) * 2).exp()  # keeps its result for the backward pass
    with torch.no_grad():
        assert fill(small, y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_inference_mode(small: Any) -> None:
    with torch.inference_mode():
        x = torch.zeros(4, 6)
        assert fill(small, x)
        assert rotate_(small, x)
    assert not fill(small, x)
    assert not rotate_(small, x)
    assert add(small, x) is not None
    assert rotate(small, x) is not None


@pytest.mark.thread_unsafe(reason="torch has one forward mode for all threads")
def test_within_transforms(small: Any) -> None:
    seen = []

    def call(x: Any) -> Any:
        seen.append(fill(small, x) or rotate_(small, x) or rotate(small, x) is not None)
        return x

    torch.func.vmap(call)(torch.zeros(2, 4, 6))
    torch.func.jvp(call, (torch.zeros(4, 6),), (torch.ones(4, 6),))
    with torch.autograd.forward_ad.dual_level():
        call(torch.autograd.forward_ad.make_dual(torch.zeros(4, 6), torch.ones(4, 6)))
    torch.func.functionalize(call)(torch.zeros(4, 6))
    torch.func.grad(lambda x: call(x).sum())(torch.zeros(4, 6))
    with torch._subclasses.FakeTensorMode():
        call(torch.zeros(4, 6))
    assert seen == [False] * 6


def embed(small: Any, ids: Any, table: Any) -> Any:
    return small.embed(ids, table, None, 0, None, None, None, 1.0, None, None, None)


class Resizing(torch.overrides.TorchFunctionMode):
    """Frees the memory of a tensor whenever torch is asked for anything."""

    def __init__(self, tensor: Any) -> None:
        super().__init__()
        self.storage = tensor.untyped_storage()

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        self.storage.resize_(4)
        return function(*arguments, **(keywords or {}))


class Seeing(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        return function(*arguments, **(keywords or {}))


def test_modes_see_every_call(small: Any) -> None:
    x, start, ids = torch.ones(4, 6), torch.tensor(1.0), torch.arange(4)
    assert fill(small, torch.ones(4, 6), start=start)
    assert embed(small, ids, x) is not None
    for mode in (Seeing(), torch.device("cpu"), torch._subclasses.FakeTensorMode(), Resizing(torch.ones(1))):
        with mode:
            assert not fill(small, x)
            assert add(small, x) is None
            assert not rotate_(small, x, start=start)
            assert rotate(small, x) is None
            assert embed(small, ids, x) is None
            assert not fill(small, np.ones((4, 6), np.float32), start=start)
    assert (x == 1).all()
    with Resizing(x):
        assert not add_(small, x, positions=torch.arange(4))


def test_collections_wait(small: Any) -> None:
    """Callbacks of the garbage collector, which free memory, do not come between a look at it and the writing."""
    x, out = torch.ones(4, 6), torch.ones(4, 6)
    assert fill(small, out)
    stops = []

    def free(phase: str, _: Any) -> None:
        stops.append(phase)
        x.untyped_storage().resize_(4)

    thresholds = gc.get_threshold()
    gc.callbacks.append(free)
    try:
        for threshold in range(1, 40):
            x.untyped_storage().resize_(4 * 6 * 4)
            gc.set_threshold(threshold)
            for call in (add_, rotate_):
                call(small, x, positions=torch.arange(4), mask=torch.ones(4, dtype=torch.bool))
            embed(small, torch.arange(4), x)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(free)
    assert gc.isenabled()


@pytest.mark.thread_unsafe(reason="others may turn the collector off")
@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="all threads run at any time")
def test_other_threads_find_the_collector_as_it_was(small: Any) -> None:
    """They may run while torch is asked about a tensor, but not once arguments have been looked at."""
    x, start, done, found = torch.ones(4, 1, 6), torch.ones(4, 1), threading.Event(), set()

    def look() -> None:
        while not done.is_set():
            found.add(gc.isenabled())

    thread = threading.Thread(target=look)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        for _ in range(20_000):
            assert fill(small, x, start=start)
    finally:
        sys.setswitchinterval(interval)
        done.set()
        thread.join()
    assert found == {True}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_new_tensors(small: Any, dtype: Any) -> None:
    got = small.encode(5, 6, 3, None, None, None, dtype, None, None)
    assert same(got, posenc.encode(5, 6, start=3, dtype=dtype, backend="numpy"))
    got = small.encode(torch.arange(6.0).reshape(2, 3), 6, 0, None, None, None, dtype, None, None)
    assert same(got, posenc.encode(np.arange(6.0).reshape(2, 3), 6, dtype=dtype, backend="numpy"))
    assert small.encode(torch.tensor(5), 6, 0, None, None, None, dtype, None, None) is None
    assert small.encode(5, 6, 0, None, None, None, torch.int64, None, None) is None


def test_positions_from_mask(small: Any) -> None:
    got = small.count(torch.tensor([[0, 1, 1], [1, 0, 1]]).T, 4, 0)
    assert got.dtype == torch.int64
    assert got.tolist() == [[0, 4], [4, 0], [4, 5]]
