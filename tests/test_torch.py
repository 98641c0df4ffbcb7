"""torch tensors: their own memory is written, and what can't or must not be written is refused untouched."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import posenc
import pytest

from .arrays import assert_same_bits, noise

torch = pytest.importorskip("torch", reason="torch is not installed")

SHAPE = (3, 7, 10)
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def tensor(dtype: Any, shape: tuple[int, ...] = SHAPE) -> Any:
    return torch.from_numpy(noise(shape, np.float64)).to(dtype)


def bits(x: Any) -> np.ndarray:
    """The values of a tensor as integers of their size."""
    plain = x.detach().contiguous()
    return plain.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[plain.element_size()]).numpy()


VIEWS: dict[str, Callable[[Any], Any]] = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.permute(2, 0, 1).contiguous().permute(1, 2, 0),
    "every second channel": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "slice": lambda x: torch.nn.functional.pad(x, (1, 2, 3, 1))[:, 3:-1, 1:-2],
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_tensor_is_its_array(dtype: Any, backend: str) -> None:
    options = {"start": [5, -2, 0.5], "x_scale": 0.75, "backend": backend}
    if dtype == torch.bfloat16:  # what NumPy has not, float32 has, rounded once
        want = torch.from_numpy(posenc.add(tensor(dtype).float().numpy(), **options)).to(dtype)
    else:
        want = torch.from_numpy(posenc.add(tensor(dtype).numpy(), **options))
    for label, arrange in VIEWS.items():
        x = arrange(tensor(dtype))
        new = posenc.add(x, **options)
        assert type(new) is torch.Tensor
        assert new.dtype == dtype
        assert_same_bits(bits(new), bits(want), label)
        assert_same_bits(bits(x), bits(tensor(dtype)), label)
        out = torch.empty_like(x)
        assert posenc.add(x, out=out, **options) is out
        assert_same_bits(bits(out), bits(want), label)
        assert posenc.add_(x, **options) is x
        assert_same_bits(bits(x), bits(want), label)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_encode_makes_tensors(dtype: Any, backend: str) -> None:
    got = posenc.encode(7, 10, start=3, dtype=dtype, backend=backend)
    assert type(got) is torch.Tensor
    assert got.dtype == dtype
    assert got.shape == (7, 10)
    x = torch.empty(3, 10, 7, dtype=dtype)
    assert posenc.fill_(x, start=3, channel_axis=1, backend=backend) is x
    for image in x:
        assert_same_bits(bits(image.T), bits(got))


def test_bfloat16_of_both_kinds(backend: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    ours = posenc.encode(7, 10, dtype=torch.bfloat16, backend=backend)
    assert_same_bits(bits(ours), posenc.encode(7, 10, dtype=ml_dtypes.bfloat16, backend=backend).view(np.int16))


def test_positions_and_masks_may_be_tensors() -> None:
    want = posenc.encode([4, 0, 2], 6)
    for dtype in (torch.int32, torch.int64, torch.uint8, torch.float32, torch.float64):
        assert_same_bits(posenc.encode(torch.tensor([4, 0, 2], dtype=dtype), 6), want)
    t = torch.tensor([4.0, 0.0, 2.0], requires_grad=True)  # only read
    assert_same_bits(posenc.encode(t, 6), want)
    assert_same_bits(posenc.encode(torch.tensor([-4.0, 0.0, -2.0])._neg_view(), 6), want)

    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    positions = posenc.positions_from_mask(mask)
    assert isinstance(positions, torch.Tensor)
    assert positions.dtype == torch.int64
    assert positions.tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]
    x = torch.ones(2, 4, 6)
    posenc.add_(x, positions=positions, mask=mask.bool())
    assert (x[0, :2] == 1).all()
    assert_same_bits(x[0, 2:].numpy(), posenc.add_(np.ones((2, 6), np.float32)))
    packed = torch.zeros(5, 6)
    posenc.add_(packed, cu_seqlens=torch.tensor([0, 2, 5], dtype=torch.int32))
    assert_same_bits(packed.numpy(), posenc.encode([0, 1, 0, 1, 2], 6))

    for half in (torch.float16, torch.bfloat16):
        with pytest.raises(TypeError, match=r"^positions: expected integers or .*half precision can't tell"):
            posenc.encode(torch.zeros(3, dtype=half), 6)
    with pytest.raises(TypeError, match=r"^positions: expected a tensor on the CPU, got one on device meta"):
        posenc.encode(torch.zeros(3, device="meta"), 6)


# ---- refusals -------------------------------------------------------------------------------------------------------


def nested() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a prototype, says torch
        return torch.nested.nested_tensor([torch.zeros(2, 4), torch.zeros(3, 4)])


def test_what_positions_can_not_be() -> None:
    for x, text in ((torch.ones(4).to_sparse(), "torch.sparse_coo"), (nested(), "a nested one")):
        for name in ("positions", "start", "mask", "cu_seqlens"):
            with pytest.raises(TypeError, match=f"^{name}: expected a dense tensor, got {text}"):
                posenc.add_(torch.zeros(4, 6), **{name: x})


def quantised() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, says torch
        return torch.quantize_per_tensor(torch.ones(4, 6), 0.5, 0, torch.qint8)


def fake() -> Any:
    with torch._subclasses.fake_tensor.FakeTensorMode():
        return torch.zeros(4, 6)


def of_inference() -> Any:
    with torch.inference_mode():
        return torch.ones(4, 6)


GRAD = r"without gradient, got one that requires grad; in a forward pass .*outside of training, .*torch\.no_grad\(\)"
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "meta": (lambda: torch.empty(4, 6, device="meta"), TypeError, "a tensor on the CPU, got one on device meta"),
    "leaf": (lambda: torch.ones(4, 6, requires_grad=True), ValueError, GRAD),
    "parameter": (lambda: torch.nn.Parameter(torch.ones(4, 6)), ValueError, GRAD),
    "result": (lambda: torch.ones(4, 6, requires_grad=True) * 2, ValueError, GRAD),
    "sparse": (lambda: torch.ones(4, 6).to_sparse(), TypeError, r"a dense tensor, got torch\.sparse_coo"),
    "nested": (nested, TypeError, "a dense tensor, got a nested one"),
    "quantised": (quantised, TypeError, r"float32.*got torch\.qint8"),
    "integers": (lambda: torch.ones(4, 6, dtype=torch.int32), TypeError, r"float32.*got torch\.int32"),
    "uint16": (lambda: torch.ones(4, 6, dtype=torch.uint16), TypeError, r"float32.*got torch\.uint16"),
    "complex": (lambda: torch.ones(4, 6, dtype=torch.complex64).conj(), TypeError, r"float32.*got torch\.complex64"),
    "negated": (
        lambda: torch.ones(4, 6, dtype=torch.complex64).conj().imag,
        ValueError,
        r"negated view; use `(x = x|out = out)\.resolve_neg\(\)`",
    ),
    "fake": (fake, TypeError, "memory of its own, got .*FakeTensor"),
    "of inference": (of_inference, ValueError, r"got one of inference mode; use `(x = x|out = out)\.clone\(\)`"),
    "expanded": (lambda: torch.ones(1, 6).expand(4, 6), ValueError, "do not overlap"),
    "one dimension": (lambda: torch.ones(6), ValueError, r"at least 2 dimensions .*shape \(6,\)"),
}


def memory(x: Any) -> bytes:
    """What lies behind a tensor, if anything does."""
    if x.device.type != "cpu" or x.is_sparse or "Fake" in type(x).__name__:
        return repr(x).encode()
    return bytes(x.detach().untyped_storage().tolist())


READABLE = {"expanded", "of inference", "leaf", "parameter", "result"}


@pytest.mark.parametrize(
    ("function", "kind"),
    [(f, kind) for f in ("fill_", "add_", "add") for kind in REFUSED if not (f == "add" and kind in READABLE)],
)
def test_refused(function: str, kind: str) -> None:
    make, error, text = REFUSED[kind]
    x = make()
    before = memory(x)
    name = "out" if function == "fill_" else "x"
    with pytest.raises(error, match=rf"^{name}(\.dtype)?: expected .*{text}"):
        getattr(posenc, function)(x)
    assert memory(x) == before


def test_encode_refuses_other_dtypes() -> None:
    for dtype in (torch.int32, torch.complex64, torch.float8_e4m3fn):
        with pytest.raises(TypeError, match=rf"^dtype: expected float32, .*got {dtype}"):
            posenc.encode(3, 4, dtype=dtype)


# ---- autograd -------------------------------------------------------------------------------------------------------


def test_without_gradients_parameters_may_be_written() -> None:
    leaf = torch.nn.Parameter(torch.zeros(4, 6))
    with torch.no_grad():
        assert posenc.add_(leaf) is leaf  # as torch's own add_
    assert leaf.requires_grad
    assert_same_bits(leaf.detach().numpy(), posenc.encode(4, 6))
    posenc.fill_(leaf.detach(), start=1)
    assert_same_bits(leaf.detach().numpy(), posenc.encode(4, 6, start=1))
    with torch.inference_mode():
        x = torch.zeros(4, 6)
        posenc.add_(x)
    assert_same_bits(x.numpy(), posenc.encode(4, 6))


@pytest.mark.parametrize("write", [posenc.fill_, posenc.add_, lambda x: posenc.add(torch.ones(4, 6), out=x)])
def test_autograd_notices(write: Callable[[Any], Any]) -> None:
    leaf = torch.ones(4, 6, requires_grad=True)
    x = leaf * 1.0
    y = x.exp().sum() + (x * x).sum()  # both keep x, or what they made of it
    with torch.no_grad():
        write(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_a_refusal_is_no_modification() -> None:
    x = torch.ones(4, 6)
    version = x._version
    with pytest.raises(ValueError, match="positions"):
        posenc.add_(x, positions=[0, 1])
    assert x._version == version
    posenc.add_(x)
    assert x._version > version
