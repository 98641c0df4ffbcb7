"""torch's tensors as NumPy views of the same memory, and which of them are refused.

torch is not imported here: somebody who has a tensor has imported it. A tensor may have no memory of its own (fake,
functional, batched, wrapped by a transform, a storage that was freed), or be more than its memory says (it requires
grad, carries a tangent, is a lazy negation): none of these may be written behind torch's back.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _ways
from ._dtypes import BFLOAT16, EXPECTED, FLOATS, type_name

# Bytes of a new tensor from which on huge pages are asked for; NumPy has the same. On Zen 4 under Linux a sum of 48 MiB
# takes 30 ms into new pages of 4 KiB, 11 ms into those of 2 MiB, and 8 ms into memory that has been touched before.
HUGE = 4 * 2**20


def is_tensor(x: Any) -> bool:
    return type(x) is not np.ndarray and is_of("Tensor", x)


def is_of(kind: str, x: Any) -> bool:
    """Whether `x` is of torch's class `kind`."""
    return isinstance(x, getattr(sys.modules.get("torch"), kind, ()))


def _torch() -> Any:
    return sys.modules["torch"]


def differentiable(x: Any) -> bool:
    """Whether autograd has to follow what becomes of `x`, backwards or forwards."""
    return is_tensor(x) and (_requires_grad(x) or _has_tangent(x))


def _requires_grad(x: Any) -> bool:
    return bool(x.requires_grad and _torch().is_grad_enabled())


def _has_tangent(x: Any) -> bool:
    forward = _torch().autograd.forward_ad
    return bool(forward._current_level >= 0 and forward.unpack_dual(x).tangent is not None)


@functools.cache
def dtype(kind: Any) -> np.dtype[Any] | None:
    """The dtype of views of tensors of dtype `kind`, if there are any."""
    name = str(kind).removeprefix("torch.")
    return BFLOAT16 if name == "bfloat16" else next((own for own in FLOATS if own.name == name), None)


def tensor(array: NDArray[Any]) -> Any:
    """`array` as a torch tensor of the same memory."""
    torch = _torch()
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def empty_like(x: Any, shape: tuple[int, ...] | None = None) -> Any:
    """A new tensor of the dtype of `x`, of this shape or with strides as torch gives them to one like `x`."""
    torch = _torch()
    with torch._C.DisableTorchFunctionSubclass():
        try:
            if shape is not None:
                made = torch.empty(shape, dtype=x.dtype, device="cpu")
            else:
                made = torch.empty_like(x.detach(), device="cpu")
        except RuntimeError as error:
            if "alloc" in str(error):
                raise MemoryError(str(error)) from None
            raise
        size = made.numel() * made.element_size()
        if size >= HUGE:
            _advise(made.data_ptr(), size)
        return made


@functools.cache
def _madvise() -> Any:
    """The system's `madvise`, where there is one that knows of huge pages, and nobody told NumPy not to use it."""
    if not hasattr(mmap, "MADV_HUGEPAGE") or os.environ.get("NUMPY_MADVISE_HUGEPAGE", "1") == "0":
        return None
    try:
        call = ctypes.CDLL(None).madvise
    except (AttributeError, OSError):
        return None
    call.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    return call


def _advise(address: int, size: int) -> None:
    """Ask for huge pages, as NumPy does for its arrays and torch for none; a system that has none says no."""
    madvise = _madvise()
    if madvise is not None:
        first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        madvise(first, address + size - first, mmap.MADV_HUGEPAGE)


def view(x: Any, name: str, write: bool) -> NDArray[Any]:
    """The memory of `x`."""
    torch = _torch()
    with torch._C.DisableTorchFunctionSubclass():  # a subclass may do anything else
        _refuse_strange(x, name)
        kind = dtype(x.dtype)
        if kind is None:
            raise TypeError(f"{name}.dtype: expected {EXPECTED}, got {x.dtype}; {_to_floats(x, name)}")
        if _requires_grad(x):
            raise ValueError(
                f"{name}: expected a tensor without gradient, got one that requires grad; {_ways.training(name, write)}"
            )
        if x.is_neg():
            raise ValueError(
                f"{name}: expected a tensor as it lies in memory, got a negated view; "
                f"use `{name} = {name}.resolve_neg()`"
            )
        if write and x.is_inference() and not torch.is_inference_mode_enabled():
            raise ValueError(
                f"{name}: expected a normal tensor, got one of inference mode; use `{name} = {name}.clone()`"
            )
        return _numpy(x.detach(), name).view(kind)


def read(x: Any, name: str) -> NDArray[Any]:
    """Positions, masks ..., which are only read."""
    torch = _torch()
    with torch._C.DisableTorchFunctionSubclass():
        _refuse_strange(x, name)
        if x.dtype == torch.bfloat16 and name == "mask":
            raise TypeError(
                f"mask: expected True or False, or 1 or 0, got {x.dtype}; choose where to cut, as `mask = mask > 0.5`"
            )
        if x.dtype == torch.bfloat16:
            raise TypeError(
                f"{name}: expected integers or float32 or float64 numbers, got {x.dtype}{_ways.TOO_COARSE}: make them "
                f"in float32 or as integers from the start, or, if they are exact, use `{name} = {name}.float()`"
            )
        if x.is_quantized:
            raise TypeError(f"{name}: expected plain numbers, got {x.dtype}; use `{name} = {name}.dequantize()`")
        return _numpy(x.detach().resolve_conj().resolve_neg(), name)


def written(x: Any) -> None:
    """Let torch know that `x` will have been written, as autograd may have kept it for a backward pass."""
    _torch().autograd.graph.increment_version(x)


def _numpy(plain: Any, name: str) -> NDArray[Any]:
    torch = _torch()
    bits = plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain
    if bits.numel() and bits.dtype != torch.bool:
        # FSDP frees and fills again what it gathered; a storage that `numpy()` has seen may not be resized any more.
        with contextlib.suppress(BufferError, RuntimeError, TypeError, ValueError):
            lent: NDArray[Any] = np.from_dlpack(bits)
            if lent.flags.writeable:  # older NumPy says that nothing is
                return lent
    try:
        array: NDArray[Any] = bits.numpy()
    except (RuntimeError, TypeError, ValueError) as error:
        raise TypeError(
            f"{name}: expected a tensor that NumPy can view, got {type_name(plain)} of {plain.dtype}: {error}; "
            f"{_ways.instead(name)}"
        ) from error
    return array


def _to_floats(x: Any, name: str) -> str:
    if x.is_complex():
        imaginary = f"{name}.imag.resolve_neg()" if x.is_conj() else f"{name}.imag"
        return f"pass its parts one by one, `{name}.real` and `{imaginary}`"
    if x.is_quantized:
        return f"use `{name} = {name}.dequantize()`"
    wide = x.element_size() > 2
    return f"convert it, `{name} = {name}.to(torch.{'float64' if wide else 'float32'})`"


def refuse_trace() -> None:
    """Refuse to be recorded by torch.jit.trace, which takes what posenc writes for a constant."""
    if _torch()._C._get_tracing_state() is not None:
        raise RuntimeError(
            "posenc: expected eager execution, torch.compile or torch.export, got torch.jit.trace, which would keep "
            "what it sees computed for every input; use `torch.export.export(model, arguments)`, and posenc.torch in "
            "the model"
        )


def _refuse_strange(x: Any, name: str) -> None:
    """Refuse a tensor that is not, as it stands, one block of this machine's memory."""
    torch = _torch()
    refuse_trace()
    if torch.nn.parameter.is_lazy(x):
        raise ValueError(
            f"{name}: expected a tensor with memory of its own, got {type_name(x)}; run its module once, or give it a "
            f"shape by {name}.materialize(shape)"
        )
    own = f"{name}: expected a tensor with memory of its own, got"
    modes = getattr(torch._C, "_TorchDispatchModeKey", None)  # torch 2.2
    for mode in ("FAKE", "PROXY", "FUNCTIONAL") if modes is not None and torch._C._len_torch_dispatch_stack() else ():
        if torch._C._get_dispatch_mode(getattr(modes, mode)) is not None:
            raise TypeError(f"{own} one that torch traces (mode {mode}); {_ways.instead(name)}")
    functorch = torch._C._functorch
    if (
        torch._is_functional_tensor(x)
        or functorch.is_functionaltensor(x)
        or functorch.is_batchedtensor(x)
        or functorch.is_gradtrackingtensor(x)
    ):
        raise TypeError(f"{own} one within a transform of torch (functionalize, vmap, grad ...); {_ways.instead(name)}")
    if x.device.type == "meta":
        raise TypeError(
            f"{name}: expected a tensor on the CPU, got one on device meta; give it memory, "
            f'`{name} = torch.zeros_like({name}, device="cpu")`'
        )
    if x.device.type != "cpu":
        raise TypeError(f"{name}: expected a tensor on the CPU, got one on device {x.device}; {_ways.elsewhere(name)}")
    if x.is_nested:
        each = f"{ {'x': 'posenc.add_', 'out': 'posenc.fill_'}.get(name) }(part)"
        if isinstance(name, _ways.Turned):
            each = "posenc.rotate_(part, encoding)"
        way = f"take its parts, `for part in {name}.unbind(): {each}`" if name in ("x", "out") else "pad it"
        raise TypeError(f"{name}: expected a dense tensor, got a nested one; {way}")
    if x.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense tensor, got {x.layout}; use `{name} = {name}.to_dense()`")
    if type(x).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        raise TypeError(f"{own} {type_name(x)}; {_ways.instead(name)}")
    if x._is_zerotensor():
        raise TypeError(f"{own} zeros that torch keeps without any; use `{name} = {name}.clone()`")
    if _has_tangent(x):
        if name == "x":
            way = f"`x = {_ways.new(name)}` has one"
        elif name == "out":
            way = _ways.instead(name)
        else:
            way = f"use `{name} = torch.autograd.forward_ad.unpack_dual({name}).primal`"
        raise TypeError(f"{name}: expected a tensor without tangent, got one of forward-mode differentiation; {way}")
    if x.numel():
        last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
        needed = (x.storage_offset() + last + 1) * x.element_size()
        storage = x.untyped_storage()
        if storage.nbytes() < needed or not storage.data_ptr():
            raise ValueError(
                f"{name}: expected a tensor whose storage holds it, got {storage.nbytes()} bytes for shape "
                f"{tuple(x.shape)} (FSDP frees parameters so): gather it first, or give it memory, "
                f"`{name}.untyped_storage().resize_({needed})`"
            )
