"""posenc.torch's functions: the bits of posenc.add, in eager calls and in operations of torch, as in graphs."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import posenc
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import posenc.torch  # noqa: E402
from posenc import _threads  # noqa: E402
from posenc.torch import _functions, _ops  # noqa: E402

from .ways import ways  # noqa: E402

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
LENGTH = 5
REAL = [[1, 0, 1, 1, 0], [0, 1, 1, 1, 1]]
NAN = float("nan")


def noise(*shape: int, dtype: Any = torch.float32) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.fixture(params=["eager", "graph"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of computing: posenc itself, and operations of torch."""
    if request.param == "graph":
        monkeypatch.setattr(_functions, "direct", lambda *tensors: False)
    return request.param


def same(got: Any, want: Any) -> None:
    """Bits, of zeros too."""
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert torch.equal(got, want)
    assert torch.equal(torch.signbit(got), torch.signbit(want))


# (shape, keywords)
CALLS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, LENGTH, 8), {}),
    "one sequence": ((LENGTH, 8), {}),
    "many axes": ((2, 1, 3, LENGTH, 6), {"start": 4}),
    "odd width": ((2, LENGTH, 7), {}),
    "empty": ((2, 0, 8), {}),
    "far": ((2, LENGTH, 8), {"start": 2**53 - LENGTH + 1}),
    "negative": ((2, LENGTH, 8), {"start": -(10**9)}),
    "fraction": ((2, LENGTH, 8), {"start": 0.1}),
    "starts": ((2, LENGTH, 8), {"start": torch.tensor([4, -7])}),
    "real starts": ((2, LENGTH, 8), {"start": torch.tensor([0.1, 1e9])}),
    "a start for all": ((2, 3, LENGTH, 8), {"start": torch.tensor([[1, 2, 3]])}),
    "starts in a list": ((2, LENGTH, 8), {"start": [0.1, 3]}),
    "start without axes": ((2, LENGTH, 8), {"start": torch.tensor(7)}),
    "positions": ((2, LENGTH, 8), {"positions": torch.tensor([3, 1, 4, 1, 5])}),
    "positions of each": ((2, LENGTH, 8), {"positions": noise(2, LENGTH, dtype=torch.float64) * 1e6}),
    "positions for all": ((2, 3, LENGTH, 8), {"positions": noise(2, 1, LENGTH)}),
    "positions in a list": ((2, LENGTH, 8), {"positions": [0.1, 0.2, 1e9, 3, -4]}),
    "mask": ((2, LENGTH, 8), {"mask": torch.tensor(REAL)}),
    "mask of rows, scaled": ((2, LENGTH, 8), {"mask": torch.tensor(REAL[0]).bool(), "x_scale": -3.7}),
    "mask in a list": ((2, LENGTH, 8), {"mask": REAL, "x_scale": "sqrt_dim"}),
    "masked positions": (
        (2, LENGTH, 8),
        {"mask": torch.tensor(REAL), "positions": torch.tensor([[1, NAN, 2, 3, NAN], [NAN, 1, 2, 3, 4]])},
    ),
    "positions masked in all": (
        (2, LENGTH, 8),
        {"mask": torch.tensor([REAL[0]] * 2), "positions": torch.tensor([1, NAN, 2, 3, NAN])},
    ),
    "positions masked in all, each": (
        (2, LENGTH, 8),
        {"mask": torch.tensor([REAL[0]] * 2), "positions": torch.tensor([[1, NAN, 2, 3, NAN]])},
    ),
    "factor": ((2, LENGTH, 8), {"x_scale": 0.1}),
    "sqrt_dim": ((2, LENGTH, 10), {"x_scale": "sqrt_dim"}),
    "zero": ((2, LENGTH, 8), {"x_scale": 0}),
    "name": ((2, LENGTH, 8), {"encoding": "whisper"}),
    "encoding": ((2, LENGTH, 8), {"encoding": posenc.Encoding(base=50.0, amplitude="rsqrt_dim", cos_first=True)}),
    "frequencies": ((2, LENGTH, 4), {"encoding": posenc.Encoding(frequencies=[1.0, 0.1], position_offset=2)}),
    "image": ((2, 3, LENGTH, 8), {"encoding": "mae"}),
    "image from": ((2, 3, LENGTH, 8), {"encoding": "mae", "start": (1, 0.5)}),
    "image, one start": ((2, 3, LENGTH, 8), {"encoding": "detr", "start": 2}),
    "image, masked": ((2, 3, LENGTH, 8), {"encoding": "detr", "mask": torch.tensor([[1, 0, 1, 1, 0]] * 3)}),
    "coordinates": ((2, LENGTH, 8), {"encoding": "mae", "positions": noise(LENGTH, 2)}),
    "coordinates of each": ((2, LENGTH, 8), {"encoding": "mae", "positions": noise(2, LENGTH, 2)}),
    "coordinates of a grid": ((2, 6, 8), {"encoding": "mae", "positions": posenc.grid(2, 3)}),
    "coordinates of cells": ((2, 3, LENGTH, 8), {"encoding": "mae", "positions": torch.tensor(posenc.grid(3, LENGTH))}),
    "masked coordinates": (
        (2, LENGTH, 8),
        {
            "encoding": "mae",
            "mask": torch.tensor(REAL),
            "positions": torch.tensor([[[1.0, 2.0]] * LENGTH] * 2).where(torch.tensor(REAL).bool()[..., None], NAN),
        },
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_bits(call: str, route: str) -> None:
    shape, keywords = CALLS[call]
    for dtype in DTYPES:
        x = noise(*shape, dtype=dtype)
        before = x.clone()
        same(posenc.torch.add(x, **keywords), posenc.add(x, **keywords))
        same(x, before)
        for transposed in (x.flip(-1), x.transpose(0, -1).contiguous().transpose(0, -1)):
            same(posenc.torch.add(transposed, **keywords), posenc.add(transposed, **keywords))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bits_of_encode(dtype: Any, route: str) -> None:
    for keywords in ({}, {"start": 3}, {"start": 0.25}, {"encoding": "whisper", "start": -4}):
        same(posenc.torch.encode(7, 10, dtype=dtype, **keywords), posenc.encode(7, 10, dtype=dtype, **keywords))
    same(posenc.torch.encode(np.int64(7), 10, dtype=dtype), posenc.encode(7, 10, dtype=dtype))
    for positions in (torch.tensor([3, 1]), noise(2, 3, dtype=torch.float64), [0.1, 1e9], np.arange(3.0)):
        same(posenc.torch.encode(positions, 10, dtype=dtype), posenc.encode(positions, 10, dtype=dtype))
    cells = torch.tensor(posenc.grid(2, 3))
    same(
        posenc.torch.encode(cells, 8, encoding="mae", dtype=dtype),
        posenc.encode(cells, 8, encoding="mae", dtype=dtype),
    )


def test_defaults_are_those_of_torch() -> None:
    assert posenc.torch.encode(2, 4).dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert posenc.torch.encode(2, 4).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.device("meta"):
        assert posenc.torch.encode(2, 4).is_meta
    assert posenc.torch.encode(torch.zeros(3, device="meta"), 4).is_meta


@pytest.mark.parametrize("call", ["plain", "starts", "positions of each", "mask in a list", "sqrt_dim"])
@pytest.mark.parametrize("idtype", [torch.int64, torch.int32, torch.uint8])
def test_bits_of_embed(call: str, idtype: Any, route: str) -> None:
    shape, keywords = CALLS[call]
    ids = torch.tensor([[3, 1, 4, 1, 5], [8, 2, 6, 5, 3]], dtype=idtype)
    for dtype in DTYPES:
        table = noise(9, shape[-1], dtype=dtype)
        want = posenc.add(table[ids.long()], **keywords)
        if "mask" in keywords:
            want[~torch.tensor(keywords["mask"]).bool()] = 0
        same(posenc.torch.embed(ids, table, **keywords), want)
        same(posenc.torch.embed(ids, table.clone().requires_grad_(), **keywords).detach(), want)


def test_gradient_of_the_table(route: str) -> None:
    table = noise(9, 8).requires_grad_()
    ids = torch.tensor([[3, 1, 3, 1, 5]])
    posenc.torch.embed(ids, table, x_scale=2.0, mask=[1, 1, 1, 0, 1]).sum().backward()
    want = torch.zeros(9)
    want[torch.tensor([3, 1, 5])] = torch.tensor([4.0, 2.0, 2.0])
    assert torch.equal(table.grad, want[:, None].expand(9, 8))


def test_ids_of_masked_rows_may_be_anything(route: str) -> None:
    table, mask = noise(9, 8), torch.tensor([[1, 0, 1], [0, 1, 1]])
    ids = torch.tensor([[3, -100, 4], [99, 1, 5]])
    want = posenc.add(table[ids.where(mask.bool(), 0)])
    want[~mask.bool()] = 0
    same(posenc.torch.embed(ids, table, mask=mask), want)
    table.requires_grad_()
    got = posenc.torch.embed(ids, table, mask=mask)
    same(got.detach(), want)
    got.sum().backward()
    assert table.grad[:, 0].tolist() == [0, 1, 0, 1, 1, 1, 0, 0, 0]
    for wrong in (torch.ones(3, 3), torch.ones(2), torch.ones(4, 2, 3)):
        with pytest.raises(ValueError, match=r"^mask: expected shape"):
            posenc.torch.embed(ids, table, mask=wrong.int())


def test_ids_are_checked() -> None:
    table = noise(9, 8).requires_grad_()
    for wrong in ([[0, 9]], [[0, -1]]):
        with pytest.raises(IndexError):
            posenc.torch.embed(torch.tensor(wrong), table)
        with pytest.raises(IndexError):
            posenc.torch.embed(torch.tensor(wrong), table.detach())
    with pytest.raises(IndexError, match=r"^ids: expected ids of the 9 rows of table, .* ids\[0, 1\] = 9"):
        posenc.torch.embed(torch.tensor([[0, 9]]), table)
    for ids in (None, "abc", [[0], [1, 2]]):
        with pytest.raises(TypeError, match=r"^ids: expected a tensor, or what torch makes one of"):
            posenc.torch.embed(ids, table)
    for ids in (torch.tensor([0.0]), torch.tensor([True])):
        with pytest.raises(TypeError, match=r"^ids: expected integers, got torch"):
            posenc.torch.embed(ids, table)
    with pytest.raises(ValueError, match=r"^table: expected .*\(V, D\), got shape \(8,\)"):
        posenc.torch.embed(torch.tensor([0]), table[0])
    with pytest.raises(TypeError, match=r"^table: expected .*\(V, D\), got ndarray"):
        posenc.torch.embed(torch.tensor([0]), table.detach().numpy())


# (keywords, the kind of error, what its text begins with)
REFUSED: dict[str, tuple[dict[str, Any], Any, str]] = {
    "half positions": ({"positions": torch.zeros(LENGTH, dtype=torch.float16)}, TypeError, "positions"),
    "bool positions": ({"positions": torch.zeros(LENGTH).bool()}, TypeError, "positions"),
    "positions of another length": ({"positions": torch.zeros(LENGTH - 1)}, ValueError, "positions"),
    "positions of another batch": ({"positions": torch.zeros(3, LENGTH)}, ValueError, "positions"),
    "not finite": ({"positions": torch.full((LENGTH,), NAN)}, ValueError, "positions"),
    "too far": ({"positions": torch.full((LENGTH,), 2**53 + 2)}, ValueError, "positions"),
    "trained positions": ({"positions": torch.zeros(LENGTH, requires_grad=True)}, ValueError, "positions"),
    "both": ({"positions": torch.zeros(LENGTH), "start": 1}, ValueError, "positions"),
    "start of another batch": ({"start": torch.zeros(3)}, ValueError, "start"),
    "true start": ({"start": True}, TypeError, "start"),
    "half start": ({"start": torch.tensor(1.0).half()}, TypeError, "start"),
    "far start": ({"start": 2**53}, ValueError, "start"),
    "mask of floats": ({"mask": torch.zeros(LENGTH)}, TypeError, "mask"),
    "mask of bfloat16": ({"mask": torch.zeros(LENGTH).bfloat16()}, TypeError, "mask"),
    "mask of another length": ({"mask": torch.zeros(LENGTH - 1, dtype=torch.int)}, ValueError, "mask"),
    "word": ({"x_scale": "2"}, ValueError, "x_scale"),
    "true scale": ({"x_scale": True}, TypeError, "x_scale"),
    "list scale": ({"x_scale": [1.0, 2.0]}, TypeError, "x_scale"),
    "scale not finite": ({"x_scale": NAN}, ValueError, "x_scale"),
    "scale too large": ({"x_scale": 1e39}, ValueError, "x_scale"),
    "unknown": ({"encoding": "no such name"}, ValueError, "encoding"),
    "no encoding": ({"encoding": 3}, TypeError, "encoding"),
    "no such width": ({"encoding": posenc.Encoding(frequencies=[1.0])}, ValueError, "encoding"),
    "text for positions": ({"positions": "abc"}, TypeError, "positions"),
    "ragged positions": ({"positions": [[1], [2, 3]]}, (TypeError, ValueError), "positions"),
    "times": ({"positions": np.arange(LENGTH).astype("M8[s]")}, TypeError, "positions"),
    "text for a mask": ({"mask": "abc"}, TypeError, "mask"),
    "a start for each cell": ({"encoding": "mae", "start": torch.zeros(2, 2)}, ValueError, "(start|x)"),
    "one grid": ({"encoding": "mae"}, ValueError, "x"),
    "no coordinates": ({"encoding": "mae", "positions": torch.zeros(LENGTH)}, ValueError, "positions"),
    "three coordinates": ({"encoding": "mae", "positions": torch.zeros(LENGTH, 3)}, ValueError, "positions"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, route: str) -> None:
    keywords, error, name = REFUSED[case]
    with pytest.raises(error, match=f"^{name}: expected .*got ") as caught:
        posenc.torch.add(noise(2, LENGTH, 8), **keywords)
    assert case in ("no encoding", "text for a mask") or ";" in str(caught.value)


def test_refused_arrays(route: str) -> None:
    with pytest.raises(TypeError, match=r"^x\.dtype: expected float32, .* got torch\.int64; convert it"):
        posenc.torch.add(torch.ones(2, 3, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"^x: expected a torch\.Tensor, got ndarray; posenc\.add takes"):
        posenc.torch.add(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^x: expected at least 2 dim.*`x\[None\]`"):
        posenc.torch.add(torch.ones(3))
    for dtype, text in (
        (torch.int32, r"torch\.int32"),
        (np.float32, "<class 'numpy"),
        ("float32", "'float32'"),
    ):
        with pytest.raises(TypeError, match=rf"^dtype: expected float32, .* got {text}.*; use `dtype=torch\.float32`"):
            posenc.torch.encode(3, 4, dtype=dtype)
    with pytest.raises(TypeError, match=r"^positions: expected an integer, or .*at least 1 dim"):
        posenc.torch.encode(torch.tensor(3), 4)
    with pytest.raises(ValueError, match=r"^positions: expected at least 0"):
        posenc.torch.encode(-1, 4)
    with pytest.raises(ValueError, match=r"^positions: expected coordinates"):
        posenc.torch.encode(3, 8, encoding="mae")
    with pytest.raises(ValueError, match=r"^(dim|encoding): expected at least 1\b.*got 0"):
        posenc.torch.encode(3, 0)
    with pytest.raises(TypeError, match=r"^dim: expected an integer, got 8\.0"):
        posenc.torch.encode(3, 8.0)
    with pytest.raises(ValueError, match=r"^x: expected at least 1 channel .*\(3, 0\)"):
        posenc.torch.add(torch.empty(3, 0))
    with pytest.raises(ValueError, match=r"^x: expected at least 2 dim"):
        posenc.torch.add(torch.empty(()))


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
def test_nested_tensors() -> None:
    parts = [noise(3, 8), noise(5, 8).requires_grad_()]
    ids = torch.nested.nested_tensor([torch.tensor([0, 1]), torch.tensor([2])], layout=torch.jagged)
    with pytest.raises(TypeError, match=r"^ids: expected a dense tensor, got a nested one"):
        posenc.torch.embed(ids, noise(3, 8))
    with pytest.raises(TypeError, match=r"^positions: expected a dense tensor, got a nested one"):
        posenc.torch.encode(ids, 8)
    module = posenc.torch.PositionalEncoding(8, 0.0, batch_first=True)
    for layout in (torch.strided, torch.jagged):
        for function, plain in {
            posenc.torch.add: posenc.add,
            module: posenc.add,
            lambda x: posenc.torch.rotate(x, "rope_hf"): lambda x: posenc.rotate(x, "rope_hf"),
        }.items():
            nested = torch.nested.as_nested_tensor(parts, layout=layout)
            with pytest.raises(TypeError, match=r"^x: expected a dense tensor, got a nested one") as error:
                function(nested)
            (code,) = ways(str(error.value))
            parts[1].grad = None
            scope = {"x": nested, "torch": torch, "posenc": posenc, "encoding": "rope_hf"}
            exec(code, scope)
            for got, part in zip(scope["x"].unbind(), parts, strict=True):
                same(got.detach(), plain(part).detach())
            scope["x"].unbind()[1].sum().backward()
            assert parts[1].grad.any()


# ---- autograd, transforms, modes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["mask in a list", "positions of each"])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_gradients_by_differences(call: str, route: str) -> None:
    shape, keywords = CALLS[call]
    x = noise(*shape, dtype=torch.float64)[..., :4].contiguous().requires_grad_()

    def function(x: Any) -> Any:
        return posenc.torch.add(x, **keywords)

    every = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(function, x, **every)
    assert torch.autograd.gradgradcheck(function, x)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_transforms() -> None:
    x = noise(2, LENGTH, 8)
    add = posenc.torch.add
    same(torch.vmap(add)(x), posenc.add(x))
    same(torch.vmap(add, in_dims=1, out_dims=1)(x.transpose(0, 1)).transpose(0, 1), posenc.add(x))
    same(torch.vmap(torch.vmap(add))(noise(2, 3, LENGTH, 8)), posenc.add(noise(2, 3, LENGTH, 8)))
    for name, values in {
        "positions": noise(2, LENGTH) * 100,
        "start": torch.tensor([3, -9]),
        "mask": torch.tensor(REAL),
    }.items():
        got = torch.vmap(lambda x, value, name=name: add(x, **{name: value}, x_scale=3.0))(x, values)
        same(got, posenc.add(x, **{name: values}, x_scale=3.0))
    same(
        torch.vmap(lambda t: posenc.torch.encode(t, 8))(torch.tensor([[1, 2], [3, 4]])),
        posenc.encode([[1, 2], [3, 4]], 8, dtype=torch.float32),
    )
    same(torch.func.functionalize(add)(x), posenc.add(x))
    assert torch.equal(torch.func.grad(lambda x: add(x, x_scale=3.0).sum())(x), torch.full_like(x, 3.0))
    value, tangent = torch.func.jvp(lambda x: add(x, x_scale=3.0), (x,), (x,))
    same(value, posenc.add(x, x_scale=3.0))
    same(tangent, 3.0 * x)
    assert torch.func.jacrev(add)(x[0, :2, :3]).shape == (2, 3, 2, 3)


@pytest.mark.thread_unsafe(reason="one forward mode of autograd for all threads")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:Attempted to insert:UserWarning")
@pytest.mark.parametrize("keywords", [{}, {"positions": noise(LENGTH), "mask": torch.tensor(REAL[0])}])
def test_linearize(keywords: dict[str, Any]) -> None:
    """Which computes rows of known positions beforehand, below autograd and within its forward mode."""
    x = noise(2, LENGTH, 8)
    value, change = torch.func.linearize(lambda x: posenc.torch.add(x, **keywords), x)
    same(value, posenc.add(x, **keywords))
    same(change(x), x)


@pytest.mark.thread_unsafe(reason="torch traces in one thread at a time")
def test_modes() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.utils.flop_counter import FlopCounterMode

    with FakeTensorMode():
        x, ids, table = torch.empty(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64), torch.empty(5, 4)
        module = posenc.torch.PositionalEncoding(4, batch_first=True)
        for made in (posenc.torch.add(x), posenc.torch.embed(ids, table), module(x)):
            assert type(made).__name__ == "FakeTensor"
            assert made.shape == (2, 3, 4)
        assert posenc.torch.encode(7, 4).shape == (7, 4)
        assert posenc.torch.encode(torch.empty(2, 7), 4).shape == (2, 7, 4)
    x = noise(2, LENGTH, 8)
    graph = make_fx(lambda x: posenc.torch.add(x))(x)
    assert "posenc.encode" in graph.code
    y = noise(2, LENGTH, 8) + 1
    same(graph(y), posenc.add(y))
    with FlopCounterMode(display=False):
        same(posenc.torch.add(x), posenc.add(x))
    for arguments, keywords in (((5, 7), {"encoding": "whisper"}), ((-1, 8), {})):
        with pytest.raises(ValueError, match=r"^(encoding|positions): expected .*got "):
            posenc.torch.encode(*arguments, device="meta", **keywords)
    meta = posenc.torch.add(torch.empty(2, 3, 4, device="meta", dtype=torch.bfloat16), mask=torch.ones(3).bool())
    assert meta.is_meta
    assert (meta.shape, meta.dtype) == ((2, 3, 4), torch.bfloat16)


def test_eager_calls_do_not_go_through_the_op(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(_ops, "encode", fail)
    x = noise(2, LENGTH, 8).requires_grad_()
    posenc.torch.add(x).sum().backward()
    posenc.torch.encode(3, 4)
    posenc.torch.PositionalEncoding(8, batch_first=True)(x)
    with pytest.raises(AssertionError):
        torch.vmap(posenc.torch.add)(x)


def test_threads_are_as_many_as_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    add = posenc.add
    monkeypatch.setattr(posenc, "add", lambda x, **keywords: asked.append(keywords["threads"]) or add(x, **keywords))
    monkeypatch.delenv("POSENC_NUM_THREADS", raising=False)
    monkeypatch.setattr(_threads, "_chosen", None)
    small, large = noise(2, LENGTH, 8), noise(1024, 256)
    before = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            same(posenc.torch.add(small), add(small))
            same(posenc.torch.add(large), add(large))
    finally:
        torch.set_num_threads(before)
    assert asked == [None, 1, None, 3]
    posenc.set_num_threads(2)
    posenc.torch.add(large)
    monkeypatch.setattr(_threads, "_chosen", None)
    monkeypatch.setenv("POSENC_NUM_THREADS", "2")
    posenc.torch.add(large)
    assert asked[4:] == [None, None]


# ---- the op ---------------------------------------------------------------------------------------------------------

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "arguments",
    [
        (5, 8, None, 0, "paper", torch.float32, CPU),
        (5, 8, None, -3, "Encoding(base=50.0, amplitude='rsqrt_dim')", torch.bfloat16, CPU),
        (0, 8, torch.tensor([[0.5, 2.0]]), 0, "whisper", torch.float64, CPU),
        (0, 8, torch.tensor([[1, 2], [3, 4], [5, 6]]), 0, "mae", torch.float16, CPU),
        (5, 8, None, 0, "paper", torch.float32, torch.device("meta")),
    ],
)
@pytest.mark.thread_unsafe(reason="torch traces in one thread at a time")
def test_opcheck(arguments: tuple[Any, ...]) -> None:
    results = torch.library.opcheck(torch.ops.posenc.encode.default, arguments)
    assert set(results.values()) == {"SUCCESS"}


def test_encodings_survive_as_text() -> None:
    names = {row.name for row in posenc.list_encodings()} - {"lingvo_linear", "sam2_1d"}  # which need options
    encodings = set()
    for name in names:
        with contextlib.suppress(TypeError):  # those that need options
            encodings.add(posenc.get_encoding(name))
    assert len(encodings) > 60
    encodings.add(posenc.Encoding(frequencies=[[1.0, 0.1], [3.0, 1e-100]], axes=2, axis_order=(1, 0)))
    for encoding in encodings:
        text, axes = _ops.described(encoding)
        assert _ops.rule(text) == encoding
        assert axes == encoding.axes
    with pytest.raises((TypeError, ValueError)):
        _ops.rule("Encoding(base=__import__('os').getpid())")
