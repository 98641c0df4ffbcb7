"""posenc.torch.rotate: the bits of posenc.rotate, in eager calls and in operations of torch; gradients, graphs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import posenc
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import posenc.torch  # noqa: E402
from posenc.torch import _functions  # noqa: E402

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
POSITIONS = np.arange(10).reshape(2, 1, 5) * 7
CALLS: dict[str, dict[str, Any]] = {
    "halves": {"encoding": "rope_hf"},
    "pairs": {"encoding": "rope_meta", "start": 9},
    "inverse": {"encoding": "rope_meta", "inverse": True, "start": [[1], [5]]},
    "positions": {"encoding": "rope_hf", "positions": POSITIONS, "mask": POSITIONS % 3 > 0},
    "amplitude": {"encoding": posenc.Encoding(amplitude=1.5)},
    "tiles": {"encoding": posenc.Encoding(tile=2, cos_first=True)},
    "axes": {"encoding": posenc.Encoding(axes=3, axis_widths="floor", nesting="kta"), "positions": np.ones((5, 3))},
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture(params=["eager", "graph"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "graph":
        monkeypatch.setattr(_functions, "direct", lambda *tensors: False)
    return request.param


def noise(dtype: Any = torch.float32) -> Any:
    return torch.randn(2, 3, 5, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits(call: str, dtype: Any, route: str) -> None:
    x = noise(dtype)
    got = posenc.torch.rotate(x, **CALLS[call])
    assert got.dtype == dtype
    assert torch.equal(got, posenc.rotate(x, **CALLS[call]))


@pytest.mark.parametrize("call", CALLS)
def test_gradients(call: str, route: str) -> None:
    x = noise(torch.float64)
    upstream = torch.ones_like(x).requires_grad_()
    function = lambda x: posenc.torch.rotate(x, **CALLS[call])  # noqa: E731
    y, gradient = torch.autograd.functional.vjp(function, x, upstream, create_graph=True)
    # Linear: the product of what it makes of x with anything is that of x with the gradient.
    torch.testing.assert_close((y * upstream).sum(), (x * gradient).sum())
    again = torch.autograd.grad(gradient, upstream, x)[0]
    torch.testing.assert_close(again, function(x))


def test_the_gradient_is_the_inverse() -> None:
    x, upstream = noise().requires_grad_(), noise()
    posenc.rotate(x, "rope_hf", start=3).backward(upstream)
    assert torch.equal(x.grad, posenc.rotate(upstream, "rope_hf", start=3, inverse=True))


def test_a_tensor_that_requires_grad_is_not_turned_in_place() -> None:
    x = noise().requires_grad_()
    with pytest.raises(ValueError, match=r"`x = posenc\.rotate\(x, encoding\)`, which is differentiable"):
        posenc.rotate_(x, "rope_hf")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.thread_unsafe(reason="one forward mode of autograd for all threads")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_gradients_by_differences(call: str, route: str) -> None:
    x = noise(torch.float64)[:, :, :, :8].contiguous().requires_grad_()
    options = CALLS[call] | ({"encoding": posenc.Encoding(axes=2)} if call == "axes" else {})
    if call == "axes":
        options["positions"] = np.ones((5, 2))
    function = lambda x: posenc.torch.rotate(x, **options)  # noqa: E731
    every = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(function, x, **every)
    assert torch.autograd.gradgradcheck(function, x, check_batched_grad=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_transforms(dtype: Any) -> None:
    """Of both functions: posenc.rotate is differentiable within them, and refuses to be batched."""
    x, tangent = noise(dtype), noise(dtype).flip(0)
    for keywords in (
        {"encoding": "rope_meta", "start": 3},
        {"encoding": "rope_hf", "mask": POSITIONS % 3 > 0, "positions": POSITIONS},
    ):
        want = posenc.rotate(tangent, **keywords)
        for rotate in (posenc.rotate, posenc.torch.rotate):
            function = lambda x, rotate=rotate, keywords=keywords: rotate(x, **keywords)  # noqa: E731
            assert torch.equal(torch.func.jvp(function, (x,), (tangent,))[1], want)
            above = torch.stack([tangent, x])
            leaf = x.clone().requires_grad_()
            one_by_one = [torch.autograd.grad(function(leaf), leaf, each)[0] for each in above]
            (batched,) = torch.autograd.grad(function(leaf), leaf, above, is_grads_batched=True)
            assert torch.equal(batched, torch.stack(one_by_one))
            assert torch.equal(torch.vmap(lambda t, f=function: torch.func.vjp(f, x)[1](t)[0])(above), batched)
    batch = torch.stack([x, tangent])
    got = torch.vmap(lambda x: posenc.torch.rotate(x, "rope_hf", start=2))(batch)
    assert torch.equal(got, posenc.rotate(batch, "rope_hf", start=2))


@pytest.mark.parametrize("axes", [{"channel_axis": 1}, {"channel_axis": -2, "seq_axis": 0}, {"seq_axis": 1}])
def test_batched_gradients_along_other_axes(axes: dict[str, int]) -> None:
    x = torch.arange(3.0 * 4 * 6).reshape(3, 4, 6).requires_grad_()
    above = torch.stack([x.detach() + 1.0, 2.0 - x.detach()])
    function = lambda x: posenc.rotate(x, "rope_hf", start=5, **axes)  # noqa: E731
    (batched,) = torch.autograd.grad(function(x), x, above, is_grads_batched=True)
    assert torch.equal(batched, torch.stack([torch.autograd.grad(function(x), x, each)[0] for each in above]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("call", "dtype"),
    [
        *(("halves", dtype) for dtype in DTYPES),
        *((call, torch.bfloat16) for call in ("pairs", "amplitude", "positions")),
        *((call, torch.float32) for call in ("inverse", "tiles", "axes")),
    ],
    ids=str,
)
def test_bits_of_inductor(call: str, dtype: Any) -> None:
    """Of results and gradients, at lengths that one graph serves: products and sums are not contracted."""
    lengths = (5,) if "positions" in CALLS[call] else (5, 30, 7)
    compiled = torch.compile(lambda x: posenc.torch.rotate(x, **CALLS[call]), fullgraph=True)
    for length in lengths:
        x = torch.randn(2, 3, length, 16, generator=torch.Generator().manual_seed(length)).to(dtype)
        above = x.flip(0)
        got, want = x.clone().requires_grad_(), x.clone().requires_grad_()
        results = compiled(got), posenc.torch.rotate(want, **CALLS[call])
        assert torch.equal(*results)
        for result in results:
            result.backward(above)
        assert torch.equal(got.grad, want.grad)


@pytest.mark.parametrize("call", CALLS)
def test_compiled(call: str) -> None:
    compiled = torch.compile(lambda x: posenc.torch.rotate(x, **CALLS[call]), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(noise()), posenc.rotate(noise(), **CALLS[call]))


def test_one_graph_for_all_lengths() -> None:
    counter = pytest.importorskip("torch._dynamo.testing").CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(lambda x: posenc.torch.rotate(x, "rope_hf", start=2), fullgraph=True, backend=counter)
    for length in (5, 7, 9, 30):
        x = torch.ones(2, 3, length, 16)
        assert torch.equal(compiled(x), posenc.rotate(x, "rope_hf", start=2))
    assert counter.frame_count <= 2


def test_exported() -> None:
    class Model(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return posenc.torch.rotate(x, "rope_meta")

    length = torch.export.Dim("length", min=2, max=99)
    program = torch.export.export(Model(), (noise(),), dynamic_shapes={"x": {2: length}})
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    x = torch.ones(2, 3, 31, 16)
    assert torch.equal(torch.export.load(buffer).module()(x), posenc.rotate(x, "rope_meta"))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"encoding": None}, TypeError, "encoding: expected an Encoding, or the name of one, got None"),
        ({"encoding": "rope_hf", "inverse": 1}, TypeError, "inverse: expected True or False, got 1"),
        ({"encoding": posenc.Encoding(amplitude=2.0), "inverse": True}, ValueError, "inverse: expected False with"),
        ({"encoding": "rope_hf", "positions": np.ones(4)}, ValueError, "positions: expected shape"),
    ],
)
def test_refused(options: dict[str, Any], error: type[Exception], text: str, route: str) -> None:
    with pytest.raises(error, match=text):
        posenc.torch.rotate(noise(), **options)
