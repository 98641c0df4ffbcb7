"""Tensors that are not, as they stand, memory of their own: refused with a way out that works, or right."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _tensors

from .ways import follow, follow_all, ways

torch = pytest.importorskip("torch", reason="torch is not installed")

# Forward mode makes torch use what it has deprecated itself.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

SHAPE = (4, 6)
PE = torch.from_numpy(posenc.encode(*SHAPE))
WRITERS = {"fill_": (posenc.fill_, "out", PE), "add_": (posenc.add_, "x", 1 + PE)}
NAMES = ("start", "positions", "mask", "cu_seqlens", "x_scale")


def ones(**options: Any) -> Any:
    return torch.ones(SHAPE, **options)


class Wrapper(torch.Tensor):
    """Holds another tensor and no memory of its own, as DTensor does."""

    @staticmethod
    def __new__(cls, own: Any) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, own.shape, dtype=own.dtype)

    def __init__(self, own: Any) -> None:
        self.own = own

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        plain = [a.own if isinstance(a, Wrapper) else a for a in arguments]
        return function(*plain, **(keywords or {}))


class Named(torch.Tensor):
    """Memory as usual, functions with a will of their own."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        raise AssertionError(f"posenc called {function}")


def freed(bytes_left: int = 0) -> Any:
    x = ones()
    x.untyped_storage().resize_(bytes_left)
    return x


def nested() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a prototype, says torch
        return torch.nested.nested_tensor([ones(), ones()])


def quantised() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, says torch
        return torch.quantize_per_tensor(ones(), 0.5, 0, torch.qint8)


def of_inference() -> Any:
    with torch.inference_mode():
        return ones()


STRANGE: dict[str, Callable[[], Any]] = {
    "meta": lambda: ones(device="meta"),
    "freed": freed,
    "too small": lambda: freed(SHAPE[0] * SHAPE[1] * 4 - 1),
    "wrapper": lambda: Wrapper(ones()),
    "functional": lambda: torch._to_functional_tensor(ones()),
    "functional view": lambda: torch._to_functional_tensor(torch.ones(8, 6))[2:6],
    "zeros without memory": lambda: torch._efficientzerotensor(SHAPE),
    "sparse": lambda: ones().to_sparse(),
    "mkldnn": lambda: ones().to_mkldnn(),
    "nested": nested,
    "quantised": quantised,
    "complex": lambda: ones(dtype=torch.complex64),
    "conjugate": lambda: ones(dtype=torch.complex64).conj(),
    "integers": lambda: ones(dtype=torch.int64),
    "bool": lambda: ones(dtype=torch.bool),
    "float8": lambda: ones().to(torch.float8_e4m3fn),
    "negated": lambda: ones()._neg_view(),
    "of inference": of_inference,
    "expanded": lambda: torch.ones(1, 6).expand(4, 6),
    "leaf": lambda: ones(requires_grad=True),
    "parameter": lambda: torch.nn.Parameter(ones()),
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("function", WRITERS)
@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
def test_refused_with_a_way_out(function: str, kind: str, backend: str) -> None:
    call, name, want = WRITERS[function]
    results = follow_all(name, STRANGE[kind], lambda x: call(x, backend=backend))
    for code, result in results.items():
        if ".imag" in code or "for part" in code:
            continue
        if kind in ("meta", "freed", "too small", "zeros without memory", "negated", "functional"):
            assert tuple(result.shape) == SHAPE, code  # whatever was in it
            continue
        plain = result.to_dense() if result.layout != torch.strided else result
        if kind != "functional view":
            torch.testing.assert_close(plain.detach().to(torch.float32), want, rtol=0, atol=2e-7, msg=code)


def test_lazy_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^x: expected a tensor with memory .*x\.materialize\(shape\)"):
        posenc.add_(torch.nn.parameter.UninitializedParameter(requires_grad=False))


@pytest.mark.parametrize("kind", ["meta", "freed", "wrapper", "functional", "zeros without memory", "sparse", "mkldnn"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_only_read(name: str, kind: str) -> None:
    x = torch.ones(4, 6)
    with pytest.raises((TypeError, ValueError), match=f"^{name}: expected a "):
        posenc.add_(x, **{name: STRANGE[kind]()})
    assert (x == 1).all()


@pytest.mark.parametrize("name", ["x", "mask"])
def test_modes_that_trace_are_not_passed_by(name: str, backend: str) -> None:
    x, seen = ones(), []
    given = {} if name == "x" else {name: torch.ones(4, dtype=torch.bool)}
    target = x if name == "x" else np.ones(SHAPE, np.float32)

    def call(z: Any) -> Any:
        with pytest.raises(TypeError, match=f"^{name}: expected a tensor with memory .*traces") as error:
            posenc.add_(z if name == "x" else target, **given, backend=backend)
        seen.append(ways(str(error.value)))
        return z

    with torch._subclasses.FakeTensorMode():
        call(x)
    torch.fx.experimental.proxy_tensor.make_fx(call)(x)
    assert len(seen) == 2
    assert (x == 1).all()
    assert (np.asarray(target) == 1).all()


def test_new_tensors_have_the_strides_that_torch_gives(backend: str) -> None:
    for x in (torch.ones(1, 5, 6).expand(3, 5, 6), ones().T.contiguous().T, torch.ones(5, 3, 6)[::2, 1:]):
        got = posenc.add(x, backend=backend)
        assert got.stride() == torch.empty_like(x).stride()
        assert torch.equal(got, x + torch.from_numpy(posenc.encode(*x.shape[-2:])))


@pytest.mark.skipif(
    not np.from_dlpack(torch.zeros(1)).flags.writeable, reason="this torch does not tell NumPy what may be written"
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_storages_may_still_be_resized(dtype: Any, backend: str) -> None:
    """As FSDP frees those of parameters, and fills them again."""
    x = ones(dtype=dtype)
    table = torch.nn.Parameter(ones(dtype=dtype))
    made = [
        posenc.add_(x, backend=backend),
        posenc.add(x, backend=backend),
        posenc.rotate(x, "rope_hf", backend=backend),
        posenc.embed(torch.tensor([1, 0]), table, backend=backend),
        table,
    ]
    for tensor in made:
        tensor.untyped_storage().resize_(0)


def mapping_flags(address: int) -> list[str]:
    """What Linux notes of the mapping of an address: "hg" is that huge pages were asked for."""
    within = False
    for line in Path("/proc/self/smaps").read_text("ascii", errors="replace").splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first and not first.endswith(":"):
            low, high = (int(part, 16) for part in first.split("-"))
            within = low <= address < high
        elif within and first == "VmFlags:":
            return rest.split()
    return []


@pytest.mark.skipif(
    not Path("/proc/self/smaps").exists() or not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="there are no huge pages to ask for, or nothing tells",
)
def test_large_new_tensors_ask_for_huge_pages() -> None:
    x = torch.zeros(64, 2**17, requires_grad=True)  # 32 MiB, the most that the allocator ever takes from its heap
    made = {
        "add": posenc.add(x),
        "add, without gradient": posenc.add(x.detach()),
        "rotate": posenc.rotate(x, "rope_hf"),
        "embed": posenc.embed(torch.arange(64), x),
        "encode": posenc.encode(64, 2**17, dtype=torch.float32),
    }
    for name, tensor in made.items():
        middle = tensor.data_ptr() + tensor.nbytes // 2
        assert "hg" in mapping_flags(middle), name


def test_nobody_is_asked_for_huge_pages_that_numpy_must_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMPY_MADVISE_HUGEPAGE", "0")
    _tensors._madvise.cache_clear()
    try:
        assert _tensors._madvise() is None
        large = torch.zeros(16, 2**17)
        assert torch.equal(posenc.add(large), posenc.add_(large))
    finally:
        _tensors._madvise.cache_clear()


def test_subclasses_that_have_memory_are_written(backend: str) -> None:
    x = ones().as_subclass(Named)
    assert posenc.add_(x, backend=backend) is x
    with torch._C.DisableTorchFunctionSubclass():
        assert torch.equal(x.as_subclass(torch.Tensor), 1 + PE)
    buffer = torch.nn.Buffer(ones()) if hasattr(torch.nn, "Buffer") else ones()
    assert torch.equal(posenc.add_(buffer, backend=backend), 1 + PE)


# ---- within transforms ----------------------------------------------------------------------------------------------

TRANSFORMS: dict[str, Callable[[Callable[[Any], Any], Any], Any]] = {
    "functionalize": lambda f, x: torch.func.functionalize(f)(x),
    "vmap": lambda f, x: torch.vmap(f)(torch.stack([x, x]))[1],
}


@pytest.mark.parametrize("transform", ["functionalize", "vmap"])
@pytest.mark.parametrize("function", [*WRITERS, "add"])
@pytest.mark.parametrize("part", [False, True])
def test_within_a_transform(transform: str, function: str, part: bool, backend: str) -> None:
    call, name, want = WRITERS.get(function, (posenc.add, "x", 1 + PE))
    codes = []

    def within(z: Any) -> Any:
        x = z[1:5] if part else z
        with pytest.raises(TypeError, match=rf"^{name}: expected a tensor with memory of its own, got one within") as e:
            call(x, backend=backend)
        assert torch.equal(z, torch.ones_like(z)) if transform == "functionalize" else True
        (code,) = ways(str(e.value))
        codes.append(code)
        return follow(code, name, x, call, {})

    given = torch.ones(7 if part else 4, 6)
    assert torch.equal(TRANSFORMS[transform](within, given), want)
    assert codes


@pytest.mark.parametrize("name", NAMES)
def test_arguments_within_a_transform(name: str) -> None:
    x = torch.ones(4, 6)

    def within(z: Any) -> Any:
        with pytest.raises(TypeError, match=f"^{name}: expected a tensor with memory of its own"):
            posenc.add_(x, **{name: z})
        return z

    torch.vmap(within)(torch.zeros(2, 4))
    torch.func.functionalize(within)(torch.zeros(4))
    assert (x == 1).all()


def test_gradients_of_torch_func(backend: str) -> None:
    def in_place(z: Any) -> Any:
        with pytest.raises(TypeError, match=r"^x: expected a tensor with memory of its own") as error:
            posenc.add_(z, backend=backend)
        (code,) = ways(str(error.value))
        return (follow(code, "x", z, posenc.add_, {}) ** 2).sum()

    def new(z: Any) -> Any:
        return (posenc.add(z, backend=backend) ** 2).sum()

    x = ones()
    for function in (in_place, new):
        assert torch.equal(torch.func.grad(function)(x), 2 * (x + PE))
    value, tangent = torch.func.jvp(new, (x,), (2 * x,))
    assert torch.equal(value, ((x + PE) ** 2).sum())
    torch.testing.assert_close(tangent, (4 * (x + PE)).sum())


@pytest.mark.thread_unsafe(reason="torch has one forward mode for all threads")
def test_forward_mode(backend: str) -> None:
    forward = torch.autograd.forward_ad
    with forward.dual_level():
        for grad in (False, True):
            make = lambda grad=grad: forward.make_dual(ones(requires_grad=grad), 3 * ones())  # noqa: E731
            for function, (call, name, want) in WRITERS.items():
                if grad and function == "fill_":  # torch itself writes to no leaf
                    continue
                for result in follow_all(name, make, lambda x, call=call: call(x, backend=backend)).values():
                    value, tangent = forward.unpack_dual(result)
                    assert torch.equal(value, want)
                    if function == "add_":
                        assert torch.equal(tangent, 3 * ones())
            scaled = forward.unpack_dual(posenc.add(make(), x_scale=0.5, mask=[1, 1, 0, 1], backend=backend))
            assert torch.equal(scaled.tangent, torch.tensor([1.5, 1.5, 3, 1.5])[:, None].expand(4, 6))
        dual = forward.make_dual(torch.arange(4.0), torch.ones(4))
        for name in ("positions", "start", "mask"):
            with pytest.raises(TypeError, match=f"^{name}: expected a tensor without tangent"):
                posenc.add_(ones(), **{name: dual})
        results = follow_all("positions", lambda: dual, lambda positions: posenc.encode(positions, 6))
        assert [np.array_equal(result, PE.numpy()) for result in results.values()] == [True]


def test_fake_tensors() -> None:
    mode = torch._subclasses.fake_tensor.FakeTensorMode()
    with mode:
        fake = torch.ones(4, 6)
    for call, name, _ in WRITERS.values():
        with pytest.raises(TypeError, match=f"^{name}: expected a tensor with memory of its own, got .*FakeTensor"):
            call(fake)
    for name in NAMES:
        with pytest.raises(TypeError, match=f"^{name}: expected a tensor with memory of its own, got .*FakeTensor"):
            posenc.add_(torch.ones(4, 6), **{name: fake})
