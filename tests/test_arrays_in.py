"""What is taken for an array besides NumPy's own, and what is not: the very object comes back, its own memory written.

torch has a file of its own, test_torch.py.
"""

from __future__ import annotations

import array
import ctypes
import importlib.util
import mmap
import re
import sys
from collections.abc import Callable
from multiprocessing import shared_memory
from types import ModuleType
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _arrays

from .arrays import assert_same_bits, needs_writeable_dlpack, noise

ROWS, DIM = 6, 10
WRITERS = {"fill_": (posenc.fill_, "out"), "add_": (posenc.add_, "x")}
needs_ml_dtypes = pytest.mark.skipif(importlib.util.find_spec("ml_dtypes") is None, reason="ml_dtypes is not installed")


class Lender:
    """Lends an array by DLPack alone, as a library does that NumPy has never heard of."""

    def __init__(self, own: np.ndarray, device: tuple[int, int] = (1, 0)) -> None:
        self.own, self.device = own, device

    def __dlpack__(self, **options: Any) -> Any:
        return self.own.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


class OldLender(Lender):
    """The same before DLPack 1.0, which can't say whether the array may be written."""

    def __dlpack__(self) -> Any:  # type: ignore[override]
        return self.own.__dlpack__()


def _bytes(values: np.ndarray) -> bytearray:
    return bytearray(values.tobytes())


def _mmap(values: np.ndarray) -> Any:
    memory = mmap.mmap(-1, values.nbytes)
    memory[:] = values.tobytes()
    return memoryview(memory).cast(values.dtype.char, values.shape)


def _ctypes(values: np.ndarray) -> Any:
    element = {"f": ctypes.c_float, "d": ctypes.c_double}[values.dtype.char]
    return (element * values.shape[1] * values.shape[0]).from_buffer_copy(values.tobytes())


LENDERS: dict[str, Callable[[np.ndarray], Any]] = {
    "memoryview": lambda values: memoryview(values.copy()),
    "strided memoryview": lambda values: memoryview(np.repeat(values, 2, axis=0))[::-2],
    "bytearray": lambda values: memoryview(_bytes(values)).cast(values.dtype.char, values.shape),
    "array.array": lambda values: (
        memoryview(array.array(values.dtype.char, values.ravel())).cast("B").cast(values.dtype.char, values.shape)
    ),
    "mmap": _mmap,
    "ctypes": _ctypes,
    "DLPack": lambda values: Lender(values.copy()),
    "strided DLPack": lambda values: Lender(np.repeat(values, 2, axis=1)[::-1, ::2]),
}


def contents(lender: Any) -> np.ndarray:
    return lender.own if isinstance(lender, Lender) else np.asarray(lender)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=needs_writeable_dlpack if "DLPack" in kind else ()) for kind in LENDERS]
)
def test_lent_memory_is_written(kind: str, dtype: type, backend: str) -> None:
    x = LENDERS[kind](noise((ROWS, DIM), dtype))
    values = contents(x).copy()
    assert posenc.add_(x, start=3, x_scale=0.5, backend=backend) is x
    assert_same_bits(contents(x), posenc.add(values, start=3, x_scale=0.5, backend=backend))
    assert posenc.fill_(x, start=7, backend=backend) is x
    assert_same_bits(contents(x), posenc.encode(ROWS, DIM, start=7, dtype=dtype, backend=backend))


@pytest.mark.parametrize("kind", LENDERS)
def test_lent_memory_is_read(kind: str) -> None:
    x = LENDERS[kind](noise((ROWS, DIM), np.float32))
    before = contents(x).copy()
    result = posenc.add(x, start=3)
    assert type(result) is np.ndarray
    assert_same_bits(result, posenc.add_(before.copy(), start=3))
    assert_same_bits(contents(x), before)
    out = LENDERS["ctypes"](before)
    assert posenc.add(x, out=out, start=3) is out
    assert_same_bits(np.asarray(out), result)


def test_lent_memory_is_given_back() -> None:
    memory = shared_memory.SharedMemory(create=True, size=ROWS * DIM * 4)
    try:
        with memory.buf.cast("f", (ROWS, DIM)) as x:
            assert posenc.fill_(x) is x
            assert_same_bits(np.asarray(x), posenc.encode(ROWS, DIM))
    finally:
        memory.close()  # a BufferError if posenc kept a view
        memory.unlink()


# ---- bfloat16 of ml_dtypes ------------------------------------------------------------------------------------------


@needs_ml_dtypes
def test_bfloat16(backend: str) -> None:
    from ml_dtypes import bfloat16

    x = noise((3, ROWS, DIM), np.float32).astype(bfloat16)
    want = posenc.add_(x.astype(np.float32), x_scale=0.5, backend=backend).astype(bfloat16)
    for view in (x.copy(), np.repeat(x, 2, axis=-1)[..., ::2], x[::-1].copy()[::-1], np.asfortranarray(x)):
        assert_same_bits(posenc.add(view, x_scale=0.5, backend=backend), want)
        assert posenc.add_(view, x_scale=0.5, backend=backend) is view
        assert_same_bits(view, want)
    for dtype in ("bfloat16", bfloat16, np.dtype(bfloat16)):
        got = posenc.encode(ROWS, DIM, dtype=dtype, backend=backend)
        assert got.dtype == bfloat16
        assert_same_bits(posenc.fill_(np.empty((ROWS, DIM), bfloat16), backend=backend), got)


@needs_ml_dtypes
def test_other_small_floats_are_not_bfloat16() -> None:
    import ml_dtypes

    for kind in (ml_dtypes.float8_e4m3fn, ml_dtypes.int4):
        x = np.zeros((ROWS, DIM), kind)
        with pytest.raises(TypeError, match=rf"x\.dtype: expected .*bfloat16.*got {np.dtype(kind).name}"):
            posenc.add_(x)
    with pytest.raises(TypeError, match=r"positions: .*got an array of bfloat16; half precision can't tell"):
        posenc.encode(np.zeros(3, ml_dtypes.bfloat16), DIM)
    with pytest.raises(TypeError, match=r"out: expected the dtype of x, bfloat16, got float16"):
        posenc.add(np.zeros((ROWS, DIM), ml_dtypes.bfloat16), out=np.zeros((ROWS, DIM), np.float16))


def test_bfloat16_by_name_needs_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)  # as if it were not installed
    with pytest.raises(TypeError, match=r"dtype: expected .*got 'bfloat16', for which NumPy needs ml_dtypes"):
        posenc.encode(ROWS, DIM, dtype="bfloat16")


# ---- refusals -------------------------------------------------------------------------------------------------------


class ImmutableArray:
    """As JAX's and TensorFlow's: some of their exports look writeable, and would change a constant."""

    def __init__(self, own: np.ndarray) -> None:
        self.own = own

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return self.own

    def __dlpack__(self, **options: Any) -> Any:
        return self.own.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def immutable(library: str) -> Any:
    kind = type("Array", (ImmutableArray,), {"__module__": f"{library}._src.array"})
    return kind(noise((ROWS, DIM), np.float32))


def _read_only(x: np.ndarray) -> np.ndarray:
    x.flags.writeable = False
    return x


floats = noise((ROWS, DIM), np.float32)
# (what is passed, whose bytes are to stay, exception, text)
REFUSED: dict[str, Callable[[], tuple[Any, Any, type[Exception] | tuple[type[Exception], ...], str]]] = {
    "bytes": lambda: ((x := floats.tobytes()), x, TypeError, "got uint8"),
    "read-only buffer": lambda: (
        (x := memoryview(floats.tobytes()).cast("f", (ROWS, DIM))),
        x,
        ValueError,
        "a writeable array, got a read-only one",
    ),
    "read-only DLPack": lambda: (
        (x := Lender(_read_only(floats.copy()))),
        x.own,
        (TypeError, ValueError),
        "read-?only",
    ),
    "old DLPack": lambda: ((x := OldLender(floats.copy())), x.own, (TypeError, ValueError), "DLPack|read-only"),
    "DLPack elsewhere": lambda: (
        (x := Lender(floats.copy(), (2, 1))),
        x.own,
        TypeError,
        r"an array on the CPU, got .*Lender on DLPack device \(2, 1\)",
    ),
    "integers by DLPack": lambda: ((x := Lender(floats.astype(int))), x.own, TypeError, "got int64"),
    "jax": lambda: (
        (x := immutable("jaxlib")),
        x.own,
        ValueError,
        r"writeable array, got jaxlib.*, which is immutable",
    ),
    "tensorflow": lambda: ((x := immutable("tensorflow")), x.own, ValueError, "got tensorflow.*which is immutable"),
    "integer buffer": lambda: ((x := memoryview(floats.view(np.int32).copy())), x, TypeError, "got int32"),
    "one dimension": lambda: (
        (x := array.array("f", [1.0, 2.0])),
        x,
        ValueError,
        r"at least 2 dimensions .*got shape \(2,\)",
    ),
    "released": lambda: (released(), b"", TypeError, "the buffer protocol or __dlpack__, got builtins.memoryview"),
    "NumPy scalar": lambda: (np.float32(1), b"", ValueError, "writeable array, got a read-only one"),
}


def released() -> memoryview:
    view = memoryview(bytearray(8))
    view.release()
    return view


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("function", WRITERS)
def test_refused(function: str, kind: str) -> None:
    call, name = WRITERS[function]
    x, memory, error, text = REFUSED[kind]()
    before = bytes(memory)
    with pytest.raises(error, match=rf"^{name}(\.dtype)?: expected .*{text}"):
        call(x)
    assert bytes(memory) == before


def test_what_may_be_read_only() -> None:
    want = posenc.add(floats)
    for x in (immutable("jax"), immutable("tensorflow"), memoryview(floats.tobytes()).cast("f", (ROWS, DIM))):
        assert_same_bits(posenc.add(x), want)


def test_positions_from_anywhere() -> None:
    want = posenc.encode([3, 1, 2], DIM)
    for dtype in (np.int8, np.uint16, np.int64, np.float32, np.float64):
        values = np.array([3, 1, 2], dtype)
        for positions in (values, memoryview(values), Lender(values), OldLender(values), array.array("q", [3, 1, 2])):
            assert_same_bits(posenc.fill_(np.empty((3, DIM), np.float32), positions=positions), want)
            assert_same_bits(posenc.encode(positions, DIM), want)
    with pytest.raises(TypeError, match=r"^positions: expected an array on the CPU, got .* device \(2, 0\)"):
        posenc.fill_(np.empty((3, DIM), np.float32), positions=Lender(np.arange(3), (2, 0)))


def test_nothing_is_imported() -> None:
    # A module that is being imported, or was blocked, is no reason to fail.
    for module in (None, ModuleType("torch")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "torch", module)
            assert not _arrays.is_tensor(floats[0, 0])
            with pytest.raises(TypeError, match=r"got builtins\.list"):
                posenc.add_([[1.0, 2.0]])


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_jax() -> None:
    import jax.numpy as jnp

    for dtype in ("float32", "float16", "bfloat16"):
        x = jnp.asarray(posenc.encode(ROWS, DIM), dtype)
        before = np.asarray(x).tobytes()
        with pytest.raises(ValueError, match="immutable"):
            posenc.add_(x)
        assert np.asarray(x).tobytes() == before
        assert_same_bits(posenc.add(x), posenc.add(np.array(x)))
        assert_same_bits(posenc.encode(jnp.arange(4), DIM), posenc.encode(4, DIM))


def test_texts_name_what_came() -> None:
    for x, text in [({1}, "builtins.set"), (range(3), "builtins.range"), ("abc", "builtins.str")]:
        with pytest.raises(TypeError, match=re.escape(f"got {text}")):
            posenc.add_(x)
