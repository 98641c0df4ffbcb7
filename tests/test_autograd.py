"""`add` of a tensor that requires grad: the gradient of x * x_scale + PE, with respect to `x`."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import posenc
import pytest

from .ways import follow_all

torch = pytest.importorskip("torch", reason="torch is not installed")

SHAPE = (2, 3, 4)
MASK = [[1, 0, 1], [1, 1, 0]]
# (keywords, the factor of each element)
CALLS: dict[str, tuple[dict[str, Any], Any]] = {
    "plain": ({}, 1.0),
    "x_scale": ({"x_scale": 3.0}, 3.0),
    "sqrt_dim": ({"x_scale": "sqrt_dim"}, 2.0),
    "zero": ({"x_scale": 0}, 0.0),
    "negative": ({"x_scale": -0.5, "start": [4, -7]}, -0.5),
    "tensor": ({"x_scale": torch.tensor(0.25)}, 0.25),
    "mask": ({"mask": MASK}, 1.0),
    "mask, x_scale": ({"mask": MASK, "x_scale": 3.0}, [[[3], [1], [3]], [[3], [3], [1]]]),
    "mask of zeros, x_scale": ({"mask": [0, 0, 0], "x_scale": 3.0}, 1.0),
    "mask of rows, sqrt_dim": ({"mask": [1, 0, 1], "x_scale": "sqrt_dim"}, [[2], [1], [2]]),
    "seq_axis": ({"seq_axis": 0, "mask": [1, 0], "x_scale": 3.0}, [[[3]], [[1]]]),
    "channel_axis": ({"channel_axis": 1, "mask": [1, 0, 1, 1], "x_scale": 3.0}, [3.0, 1.0, 3.0, 3.0]),
    "packed": ({"cu_seqlens": [0, 1, 3], "x_scale": 3.0}, 3.0),
    "positions": ({"positions": [1e9, 0.5, -3.0], "x_scale": 3.0}, 3.0),
}


def leaf(dtype: Any = torch.float64) -> Any:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(SHAPE, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


@pytest.mark.parametrize("call", CALLS)
def test_gradient(call: str, backend: str) -> None:
    keywords, factor = CALLS[call]
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        x = leaf(dtype)
        result = posenc.add(x, backend=backend, **keywords)
        assert result.requires_grad
        assert torch.equal(result.detach(), posenc.add(x.detach(), backend=backend, **keywords))
        above = torch.full(SHAPE, 1.5, dtype=dtype)
        result.backward(above)
        assert torch.equal(x.grad, (above * torch.tensor(factor, dtype=dtype)).expand(SHAPE))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.thread_unsafe(reason="one forward mode of autograd for all threads")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_gradients_by_differences(call: str) -> None:
    keywords, _ = CALLS[call]

    def function(x: Any) -> Any:
        return posenc.add(x, **keywords)

    assert torch.autograd.gradcheck(function, leaf(), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, leaf())


def test_a_gradient_that_stays_as_it_is_is_not_copied() -> None:
    x, above = leaf(torch.float32), torch.ones(SHAPE)
    for mask in (None, MASK):
        (gradient,) = torch.autograd.grad(posenc.add(x, mask=mask), x, above)
        assert gradient.data_ptr() == above.data_ptr()


def test_rounding_of_the_factor_is_that_of_the_sum() -> None:
    # In bfloat16 the product is computed in float32 and rounded once: with 1.3 rounded to bfloat16 it would be another.
    x = torch.ones(2, 4, dtype=torch.bfloat16, requires_grad=True)
    above = torch.linspace(0.5, 3.0, 8).reshape(2, 4).to(torch.bfloat16)
    want = (above.float() * 1.3).bfloat16()
    assert not torch.equal(want, above * torch.tensor(1.3, dtype=torch.bfloat16))
    for mask in (None, [1, 1]):
        x.grad = None
        posenc.add(x, x_scale=1.3, mask=mask).backward(above)
        assert torch.equal(x.grad, want)


def test_in_place_refusals_lead_to_what_trains(backend: str) -> None:
    embedding = torch.nn.Embedding(5, 4)
    ids = torch.tensor([[0, 1, 2], [3, 4, 0]])
    call = lambda x: posenc.add_(x, backend=backend)  # noqa: E731
    results = follow_all("x", lambda: embedding(ids), call)
    assert len(results) == 2
    for code, result in results.items():
        embedding.weight.grad = None
        result.sum().backward()
        assert torch.equal(embedding.weight.grad[:, 0], torch.tensor([2.0, 1, 1, 1, 1])), code
        assert torch.equal(result, posenc.add(embedding(ids)))
    with pytest.raises(ValueError, match=r"requires grad; .*outside of training.*torch\.no_grad\(\)") as error:
        call(embedding(ids))
    assert "detach" not in str(error.value)


def test_a_learned_factor_is_refused() -> None:
    factor = torch.tensor(0.5, requires_grad=True)
    for x in (torch.ones(2, 4), torch.ones(2, 4, requires_grad=True)):
        for call in (posenc.add, lambda x, x_scale: posenc.add_(x.detach(), x_scale=x_scale)):
            results = follow_all("x_scale", lambda: factor, lambda scale, x=x, call=call: call(x, x_scale=scale), x=x)
            for result in results.values():
                factor.grad = None
                result.sum().backward()
                assert factor.grad == 8
    with torch.no_grad():
        assert torch.equal(posenc.add(torch.ones(2, 4), x_scale=factor), posenc.add(torch.ones(2, 4), x_scale=0.5))


def test_out_and_gradients() -> None:
    x = torch.ones(2, 4, requires_grad=True)
    out = torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"^x: expected a tensor without gradient, .*`posenc\.add\(x\)`"):
        posenc.add(x, out=out)
    assert not out.any()
    with torch.no_grad():
        assert not posenc.add(x).requires_grad
        posenc.add(x, out=out)
    assert torch.equal(out, posenc.add(torch.ones(2, 4)))


def test_refusals_are_those_of_other_arrays() -> None:
    x = torch.ones(2, 4, requires_grad=True)
    for keywords in (
        {"x_scale": "2"},
        {"x_scale": float("nan")},
        {"channel_axis": 7, "x_scale": 2.0},
        {"mask": [1, 2], "x_scale": 2.0},
        {"positions": [0.0, float("inf")]},
        {"seq_axis": 1},
    ):
        with pytest.raises(ValueError, match=f"^{next(iter(keywords))}: expected ") as of_x:
            posenc.add(x, **keywords)
        with pytest.raises(ValueError, match=f"^{next(iter(keywords))}: expected ") as of_plain:
            posenc.add(x.detach(), **keywords)
        assert str(of_x.value) == str(of_plain.value)


def test_torch_is_not_imported_for_it() -> None:
    code = "import numpy, posenc, sys; posenc.add(numpy.ones((2, 4))); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
