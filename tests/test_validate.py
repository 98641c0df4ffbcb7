"""Every refusal: its exception, its wording, and that not one byte was written. And what must not be refused."""

from __future__ import annotations

import decimal
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import posenc
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from posenc import _validate

from .arrays import assert_same_bits

BATCH, ROWS, DIM = 3, 4, 6
NAN, INF = float("nan"), float("inf")
LAST = 2**53


def floats(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape).astype(dtype)


def refused(call: Callable[[], Any], error: type[Exception], name: str, expected: str, got: str, *arrays: Any) -> None:
    """`call` raises exactly `error`, its text tells the three things, and `arrays` stay as they are."""
    before = [x.tobytes() if isinstance(x, np.ndarray) else repr(x) for x in arrays]
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error, caught.value
    text = str(caught.value)
    assert re.match(rf"{name}(\.dtype)?: expected .*{expected}.*got .*{got}", text), text
    assert before == [x.tobytes() if isinstance(x, np.ndarray) else repr(x) for x in arrays]


# ---- the array ------------------------------------------------------------------------------------------------------

WRITERS = {"fill_": (posenc.fill_, "out"), "add_": (posenc.add_, "x")}
READERS = {**WRITERS, "add": (posenc.add, "x")}


def read_only() -> np.ndarray:
    x = floats(ROWS, DIM)
    x.flags.writeable = False
    return x


def broadcast_writeable() -> np.ndarray:
    row = floats(1, DIM)
    return as_strided(row, (ROWS, DIM), (0, row.itemsize))


# Overlapping views of sane arrays: numpy calls them writeable.
UNWRITABLE = {
    "read-only": (read_only, "a writeable array", "a read-only one"),
    "broadcast_to": (lambda: np.broadcast_to(floats(1, DIM), (ROWS, DIM)), "a writeable array", "a read-only one"),
    "stride 0": (broadcast_writeable, "elements that do not overlap", r"strides \(0, 4\); .*write to a copy"),
    "sliding window": (
        lambda: sliding_window_view(floats(20), DIM, writeable=True),
        "elements that do not overlap",
        r"shape \(15, 6\) with strides \(4, 4\)",
    ),
    "overlapping rows": (
        lambda: as_strided(floats(40), (ROWS, DIM), (20, 4)),
        "elements that do not overlap",
        r"strides \(20, 4\)",
    ),
    "overlapping backwards": (
        lambda: as_strided(floats(40)[30:], (ROWS, DIM), (-20, 4)),
        "elements that do not overlap",
        r"strides \(-20, 4\)",
    ),
    "overlapping bytes": (
        lambda: as_strided(floats(40), (ROWS, DIM), (24, 3)),
        "elements that do not overlap",
        r"strides \(24, 3\)",
    ),
    "shared sequences": (
        lambda: as_strided(floats(60), (2, ROWS, DIM), (4 * DIM, 4 * DIM, 4)),
        "elements that do not overlap",
        r"shape \(2, 4, 6\)",
    ),
}

DTYPES = {
    "int32": np.int32,
    "uint8": np.uint8,
    "int64": np.int64,
    "bool": np.bool_,
    "uint16": np.uint16,  # not bfloat16, although that is how backends see one
    "complex64": np.complex64,
    "complex128": np.complex128,
    "object": object,
    "longdouble": np.longdouble,
    "datetime64": "M8[s]",
    "U8": "U8",
    "swapped float32": np.dtype(np.float32).newbyteorder(),
    "swapped float64": np.dtype(np.float64).newbyteorder(),
    "swapped float16": np.dtype(np.float16).newbyteorder(),
    "structured": [("a", np.float32)],
    "structured, of the size of bfloat16": [("a", np.float16)],
}


class Lookalike:
    __array_interface__ = floats(ROWS, DIM).__array_interface__
    shape, dtype, ndim = (ROWS, DIM), np.dtype(np.float32), 2

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return floats(ROWS, DIM)


NO_ARRAYS = {
    "list": ([[0.0, 1.0]], "builtins.list"),
    "None": (None, "builtins.NoneType"),
    "float": (1.0, "builtins.float"),
    "object": (object(), "builtins.object"),
    "masked array": (np.ma.array(floats(ROWS, DIM), mask=True), "numpy.ma.*MaskedArray"),
}


@pytest.mark.parametrize("function", WRITERS)
def test_what_numpy_can_only_copy(function: str) -> None:
    call, name = WRITERS[function]
    refused(lambda: call(Lookalike()), TypeError, name, "numpy.ndarray", "Lookalike, which NumPy can only copy")


@pytest.mark.parametrize("kind", UNWRITABLE)
@pytest.mark.parametrize("function", WRITERS)
def test_unwritable(function: str, kind: str) -> None:
    call, name = WRITERS[function]
    make, expected, got = UNWRITABLE[kind]
    x = make()
    refused(lambda: call(x), ValueError, name, expected, got, x)


@pytest.mark.parametrize("kind", UNWRITABLE)
def test_unwritable_out(kind: str) -> None:
    make, expected, got = UNWRITABLE[kind]
    out = make()
    x = floats(*out.shape)
    refused(lambda: posenc.add(x, out=out), ValueError, "out", expected, got, x, out)


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("function", READERS)
def test_wrong_dtype(function: str, kind: str) -> None:
    call, name = READERS[function]
    x = np.zeros((ROWS, DIM), DTYPES[kind])
    refused(lambda: call(x), TypeError, name, "float32, float64, float16 or bfloat16", "", x)


@pytest.mark.parametrize("kind", NO_ARRAYS)
@pytest.mark.parametrize("function", READERS)
def test_no_array(function: str, kind: str) -> None:
    call, name = READERS[function]
    x, got = NO_ARRAYS[kind]
    refused(lambda: call(x), TypeError, name, "numpy.ndarray", got, x)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), "at least 2"), ((DIM,), "at least 2"), ((ROWS, 0), "at least 1"), ((0, 0), "at least 1")],
)
@pytest.mark.parametrize("function", READERS)
def test_wrong_shape(function: str, shape: tuple[int, ...], expected: str) -> None:
    call, name = READERS[function]
    x = floats(*shape)
    refused(lambda: call(x), ValueError, name, expected, f"shape {re.escape(str(shape))}", x)


OUTS = {
    "dtype": (floats(BATCH, ROWS, DIM, dtype=np.float64), TypeError, "dtype of x, float32", "float64"),
    "swapped": (np.zeros((BATCH, ROWS, DIM), DTYPES["swapped float32"]), TypeError, "native", "foreign byte order"),
    "fewer rows": (floats(BATCH, ROWS - 1, DIM), ValueError, r"shape of x, \(3, 4, 6\)", r"\(3, 3, 6\)"),
    "broadcast": (floats(1, BATCH, ROWS, DIM), ValueError, r"shape of x, \(3, 4, 6\)", r"\(1, 3, 4, 6\)"),
    "list": ([0.0], TypeError, "numpy.ndarray", "builtins.list"),
    "tuple": ((floats(BATCH, ROWS, DIM),), TypeError, "numpy.ndarray", "builtins.tuple"),
    "masked": (np.ma.array(floats(BATCH, ROWS, DIM)), TypeError, "numpy.ndarray", "MaskedArray"),
}


@pytest.mark.parametrize("kind", OUTS)
def test_wrong_out(kind: str) -> None:
    out, error, expected, got = OUTS[kind]
    x = floats(BATCH, ROWS, DIM)
    refused(lambda: posenc.add(x, out=out), error, "out", expected, got, x, out)


# ---- the other arguments --------------------------------------------------------------------------------------------

# (keywords, exception, what was expected, what came), for an array of shape (3, 4, 6)
ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str, str]] = [
    ({"start": NAN}, ValueError, "finite", "nan"),
    ({"start": INF}, ValueError, "finite", "inf"),
    ({"start": [0.0, -INF, 1.0]}, ValueError, "finite", "-inf"),
    ({"start": LAST + 1}, ValueError, r"2\*\*53", "9007199254740993"),
    ({"start": -LAST - 1}, ValueError, r"2\*\*53", "-9007199254740993"),
    ({"start": 2.0**54}, ValueError, r"2\*\*53", r"1\.8014398509481984e\+16"),
    ({"start": -1e300}, ValueError, r"2\*\*53", "-1e\\+300"),
    ({"start": 2**63}, ValueError, r"2\*\*53", "9223372036854775808"),
    ({"start": 2**64}, ValueError, r"2\*\*53", "18446744073709551616"),
    ({"start": LAST}, ValueError, r"2\*\*53", "9007199254740992 and 4 rows"),
    ({"start": LAST - 1}, ValueError, r"2\*\*53", "9007199254740991 and 4 rows"),
    ({"start": LAST - 2}, ValueError, r"2\*\*53", "9007199254740990 and 4 rows"),  # the last row at 2**53 + 1
    ({"start": [0, LAST - 2, 0]}, ValueError, r"2\*\*53", "9007199254740990 and 4 rows"),
    ({"start": np.float16(1)}, TypeError, "float32 or float64", "float16.*half precision"),
    ({"start": np.ones(3, np.float16)}, TypeError, "float32 or float64", "array of float16.*half precision"),
    ({"start": np.longdouble(1)}, TypeError, "float32 or float64", "1"),
    ({"start": True}, TypeError, "integers", "True"),
    ({"start": np.True_}, TypeError, "integers", "True"),
    ({"start": [True, False, True]}, TypeError, "integers", "array of bool"),
    ({"start": "3"}, TypeError, "integers", "'3'"),
    ({"start": 1j}, TypeError, "integers", "1j"),
    ({"start": None}, TypeError, "integers", "None"),
    ({"start": [0, None, 1]}, TypeError, "integers", "None"),
    ({"start": decimal.Decimal(1)}, TypeError, "integers", "Decimal"),
    ({"start": np.datetime64("2017-06-12")}, TypeError, "integers", "2017"),
    ({"start": [[0, 1], [2]]}, ValueError, "numbers", "sequences of different lengths"),
    *(
        ({"start": np.zeros(shape)}, ValueError, r"one per sequence, shape \(3,\)", re.escape(str(shape)))
        for shape in [(0,), (2,), (4,), (1, 3), (3, 4), (3, 4, 1)]
    ),
    ({"positions": [0, 1, 2, NAN]}, ValueError, "finite", "nan"),
    ({"positions": [0, 1, 2, INF]}, ValueError, "finite", "inf"),
    ({"positions": [-LAST - 1, 0, 1, 2]}, ValueError, r"2\*\*53", "-9007199254740993"),
    ({"positions": [0, 1, LAST + 1, 2]}, ValueError, r"2\*\*53", "9007199254740993"),
    ({"positions": np.full((3, 4), 2**63, np.uint64)}, ValueError, r"2\*\*53", "9223372036854775808"),
    ({"positions": [0, 1, 2**64, 2]}, ValueError, r"2\*\*53", "18446744073709551616"),
    ({"positions": [0.0, 2.0**54, 0.0, 0.0]}, ValueError, r"2\*\*53", r"1\.8014398509481984e\+16"),
    ({"positions": np.ones(4, np.float16)}, TypeError, "float32 or float64", "float16.*half precision"),
    ({"positions": np.ones(4, np.longdouble)}, TypeError, "float32 or float64", "array of"),
    ({"positions": np.ones(4, bool)}, TypeError, "integers", "bool"),
    ({"positions": np.ones(4, complex)}, TypeError, "integers", "complex128"),
    ({"positions": ["0", "1", "2", "3"]}, TypeError, "integers", ""),
    ({"positions": [0, 1, 2, None]}, TypeError, "integers", "None"),
    ({"positions": {0, 1, 2, 3}}, TypeError, "integers", "set"),
    ({"positions": [[0, 1], [2]]}, ValueError, "numbers", "sequences of different lengths"),
    *(
        ({"positions": np.zeros(shape)}, ValueError, r"shape \(4,\) or \(3, 4\)", re.escape(str(shape)))
        for shape in [(), (0,), (1,), (3,), (5,), (4, 3), (2, 4), (3, 2), (1, 3, 4), (3, 4, 1), (3, 4, 6)]
    ),
    ({"positions": np.arange(4), "start": 1}, ValueError, "either start or positions", "both"),
    ({"positions": np.arange(4), "start": [0, 0, 0]}, ValueError, "either start or positions", "both"),
    ({"seq_axis": -1}, ValueError, "other than 2, which holds the channels;", r"-1 for shape \(3, 4, 6\)"),
    ({"seq_axis": 2}, ValueError, "other than 2, which", r"2 for shape \(3, 4, 6\)"),
    ({"seq_axis": 3}, ValueError, "an axis of", "3 for shape"),
    ({"seq_axis": -4}, ValueError, "an axis of", "-4 for shape"),
    ({"seq_axis": 1.0}, TypeError, "an integer", "1.0"),
    ({"seq_axis": "0"}, TypeError, "an integer", "'0'"),
    ({"seq_axis": [0]}, TypeError, "an integer", r"\[0\]"),
    ({"seq_axis": ()}, TypeError, "an integer", r"\(\)"),
    ({"seq_axis": (2,)}, ValueError, "other than 2", "2 for shape"),
    ({"channel_axis": 3}, ValueError, "an axis of", r"3 for shape \(3, 4, 6\)"),
    ({"channel_axis": -4}, ValueError, "an axis of", r"-4 for shape \(3, 4, 6\)"),
    ({"channel_axis": 1.0}, TypeError, "an integer", "1.0"),
    ({"channel_axis": -1.0}, TypeError, "an integer", "-1.0"),
    ({"channel_axis": None}, TypeError, "an integer", "None"),
    ({"channel_axis": True}, TypeError, "an integer", "True"),
    ({"channel_axis": (2,)}, TypeError, "an integer", r"\(2,\)"),
    ({"seq_axis": True}, TypeError, "an integer", "True"),
    ({"seq_axis": (0, 1)}, TypeError, "an integer", r"\(0, 1\)"),
    ({"threads": 0}, ValueError, "at least 1", "0"),
    ({"threads": -2}, ValueError, "at least 1", "-2"),
    ({"threads": "many"}, ValueError, "'auto'", "'many'"),
    ({"threads": 1.5}, TypeError, "an integer", "1.5"),
    ({"threads": True}, TypeError, "an integer", "True"),
    ({"backend": "cuda"}, ValueError, "one of cpp, numba, numpy", "'cuda'"),
    ({"backend": "CPP"}, ValueError, "one of cpp, numba, numpy", "'CPP'"),
    ({"backend": ""}, ValueError, "one of cpp, numba, numpy", "''"),
    ({"backend": 1}, TypeError, "one of cpp, numba, numpy", "1"),
    ({"backend": b"cpp"}, TypeError, "one of cpp, numba, numpy", "b'cpp'"),
    ({"backend": np}, TypeError, "one of cpp, numba, numpy", "module"),
]
SCALES: list[tuple[dict[str, Any], type[Exception], str, str]] = [
    ({"x_scale": "sqrt"}, ValueError, "a number or 'sqrt_dim'", "'sqrt'"),
    ({"x_scale": "2"}, ValueError, "a number or 'sqrt_dim'", "'2'"),
    ({"x_scale": True}, TypeError, "a number or 'sqrt_dim'", "True"),
    ({"x_scale": np.True_}, TypeError, "a number or 'sqrt_dim'", "True"),
    ({"x_scale": None}, TypeError, "a number or 'sqrt_dim'", "None"),
    ({"x_scale": 1j}, TypeError, "a number or 'sqrt_dim'", "1j"),
    ({"x_scale": [2.0]}, TypeError, "a number or 'sqrt_dim'", "array of float64"),
    ({"x_scale": np.ones(6)}, TypeError, "a number or 'sqrt_dim'", "array of float64"),
    ({"x_scale": decimal.Decimal(2)}, TypeError, "a number or 'sqrt_dim'", "Decimal"),
    ({"x_scale": NAN}, ValueError, "finite", "nan"),
    ({"x_scale": INF}, ValueError, "finite", "inf"),
    ({"x_scale": np.float32("-inf")}, ValueError, "finite", "-inf"),
    ({"x_scale": 10**400}, ValueError, "finite", ""),  # an integer that no double can hold
    ({"x_scale": 1e300}, ValueError, "finite", "1e\\+300"),  # infinite in the dtype of x, float32
]


def case_name(value: Any) -> str | None:
    if isinstance(value, dict):
        return ", ".join(f"{key}={getattr(v, 'shape', '') and 'array'} {v!r}"[:60] for key, v in value.items())
    return None


@pytest.mark.parametrize(("keywords", "error", "expected", "got"), ARGUMENTS, ids=case_name)
@pytest.mark.parametrize("function", READERS)
def test_wrong_argument(
    function: str, keywords: dict[str, Any], error: type[Exception], expected: str, got: str
) -> None:
    call, _ = READERS[function]
    x = floats(BATCH, ROWS, DIM)
    refused(lambda: call(x, **keywords), error, next(iter(keywords)), expected, got, x)
    if function == "add":
        out = floats(BATCH, ROWS, DIM)
        refused(lambda: call(x, out=out, **keywords), error, next(iter(keywords)), expected, got, x, out)


@pytest.mark.parametrize(("keywords", "error", "expected", "got"), SCALES, ids=case_name)
@pytest.mark.parametrize("function", ["add_", "add"])
def test_wrong_scale(function: str, keywords: dict[str, Any], error: type[Exception], expected: str, got: str) -> None:
    x = floats(BATCH, ROWS, DIM)
    refused(lambda: getattr(posenc, function)(x, **keywords), error, "x_scale", expected, got, x)


def test_other_axes_are_named_in_the_users_order() -> None:
    x = floats(ROWS, BATCH, DIM)  # (L, B, D)
    for where, name, expected, got in [
        ({"positions": np.zeros((BATCH, ROWS))}, "positions", r"\(4,\) or \(4, 3\)", r"\(3, 4\)"),
        ({"start": [0] * ROWS}, "start", r"shape \(3,\)", r"shape \(4,\)"),
    ]:
        refused(lambda where=where: posenc.add_(x, **where, seq_axis=0), ValueError, name, expected, got, x)


@pytest.mark.parametrize("function", READERS)
def test_only_the_array_is_positional(function: str) -> None:
    x = floats(ROWS, DIM)
    with pytest.raises(TypeError, match="positional"):
        READERS[function][0](x, 3)
    with pytest.raises(TypeError, match="positional"):
        posenc.encode(3, 4, 5)
    with pytest.raises(TypeError, match="x_scale"):
        posenc.fill_(x, x_scale=2)
    assert_same_bits(x, floats(ROWS, DIM))


@pytest.mark.parametrize(
    ("arguments", "error", "name", "expected", "got"),
    [
        ({"positions": -1}, ValueError, "positions", "at least 0", "-1"),
        ({"positions": 2.0}, TypeError, "positions", "an integer", "2.0"),
        ({"positions": True}, TypeError, "positions", "an integer", "True"),
        ({"positions": None}, TypeError, "positions", "an integer", "None"),
        ({"positions": "4"}, TypeError, "positions", "an integer", "'4'"),
        ({"positions": np.float64(4)}, TypeError, "positions", "an integer", "4.0"),
        ({"positions": np.array(4.0)}, TypeError, "positions", "an integer", "array of float64"),
        ({"positions": LAST + 2}, ValueError, "start", r"2\*\*53", f"0 and {LAST + 2} rows"),
        ({"positions": 4, "start": LAST - 2}, ValueError, "start", r"2\*\*53", "4 rows"),
        ({"positions": 4, "start": [0, 1]}, ValueError, "start", "a number", r"shape \(2,\)"),
        ({"positions": [1, 2], "start": 1}, ValueError, "positions", "either start or positions", "both"),
        ({"positions": [1, NAN]}, ValueError, "positions", "finite", "nan"),
        ({"positions": [1, LAST + 1]}, ValueError, "positions", r"2\*\*53", "9007199254740993"),
        ({"positions": ["a"]}, TypeError, "positions", "integers", ""),
        ({"positions": [[1, 2], [3]]}, ValueError, "positions", "", ""),
        ({"positions": np.ones(3, np.float16)}, TypeError, "positions", "float32 or float64", "float16"),
        ({"dim": 0}, ValueError, "dim", "at least 1", "0"),
        ({"dim": -4}, ValueError, "dim", "at least 1", "-4"),
        ({"dim": 4.0}, TypeError, "dim", "an integer", "4.0"),
        ({"dim": True}, TypeError, "dim", "an integer", "True"),
        ({"dim": None}, TypeError, "dim", "an integer", "None"),
        ({"dim": [4]}, TypeError, "dim", "an integer", "4"),
        ({"dtype": int}, TypeError, "dtype", "float16 or bfloat16", "int64"),
        ({"dtype": np.uint16}, TypeError, "dtype", "float16 or bfloat16", "uint16"),
        ({"dtype": "complex64"}, TypeError, "dtype", "float16 or bfloat16", "complex64"),
        ({"dtype": None}, TypeError, "dtype", "float16 or bfloat16", "None"),
        ({"dtype": np.dtype("f4").newbyteorder()}, TypeError, "dtype", "native byte order", "foreign byte order"),
        ({"dtype": "nonsense"}, TypeError, "dtype", "float16 or bfloat16", "'nonsense'"),
        ({"dtype": 4}, TypeError, "dtype", "float16 or bfloat16", "4"),
        ({"backend": "cuda"}, ValueError, "backend", "one of cpp, numba, numpy", "'cuda'"),
        ({"backend": 0}, TypeError, "backend", "one of cpp, numba, numpy", "0"),
    ],
    ids=lambda value: repr(value)[:50] if isinstance(value, dict) else "",
)
def test_encode_refuses(arguments: dict[str, Any], error: type[Exception], name: str, expected: str, got: str) -> None:
    refused(lambda: posenc.encode(**{"positions": 3, "dim": 4} | arguments), error, name, expected, got)


# ---- what is allowed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 4), (3, 0, 4), (0, 3, 4), (0, 0, 4), (2, 0, 3, 4), (2, 3, 0, 4)], ids=str)
def test_nothing_to_do(shape: tuple[int, ...], dtype: type, backend: str) -> None:
    x = np.empty(shape, dtype)
    for where in ({}, {"start": 5}, {"start": np.zeros(shape[:-2])}, {"positions": np.zeros(shape[:-1])}):
        assert posenc.fill_(x, **where, backend=backend) is x
        assert posenc.add_(x, **where, backend=backend) is x
        assert posenc.add(x, **where, backend=backend).shape == shape


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 3)], ids=str)
def test_encode_nothing(shape: tuple[int, ...], backend: str) -> None:
    assert posenc.encode(np.zeros(shape), 5, backend=backend).shape == (*shape, 5)
    assert posenc.encode(0, 5, start=2**53, backend=backend).shape == (0, 5)
    assert posenc.encode([], 5, backend=backend).dtype == np.float32


def test_one_row_and_one_column(backend: str) -> None:
    for shape in ((1, 1), (1, 7), (7, 1), (1, 1, 1), (5, 1, 1)):
        got = posenc.fill_(np.empty(shape, np.float32), start=3, backend=backend)
        want = posenc.encode(np.arange(3, 3 + shape[-2]), shape[-1], backend=backend)
        assert_same_bits(got, np.broadcast_to(want, shape), shape)


def test_the_last_positions(backend: str) -> None:
    top = posenc.encode(4, 6, start=LAST - 3, backend=backend)
    assert_same_bits(top, posenc.encode(np.arange(LAST - 3, LAST + 1), 6, backend=backend))
    assert_same_bits(posenc.encode(1, 6, start=LAST, backend=backend), top[-1:])
    assert posenc.encode(4, 6, start=-LAST, backend=backend).shape == (4, 6)


def test_kinds_of_numbers(backend: str) -> None:
    x = floats(BATCH, ROWS, DIM)
    want = posenc.add_(x.copy(), start=2, x_scale=3.0, seq_axis=1, backend=backend)
    for start in (np.int8(2), np.uint64(2), np.float32(2), 2.0, np.array(2), [2, 2, 2], (2.0, 2.0, 2.0)):
        for scale in (3, np.float64(3), np.float16(3), np.int8(3)):
            got = posenc.add_(x.copy(), start=start, x_scale=scale, seq_axis=np.int64(1), backend=backend)
            assert_same_bits(got, want, f"start {start!r}, x_scale {scale!r}")
    assert_same_bits(
        posenc.encode(np.int16(4), np.uint8(6), dtype="float64", backend=backend),
        posenc.encode(np.uint64(4), 6, dtype=np.dtype(float), backend=backend),
    )


# float32 and float64 under another name: unpickled arrays and some loaders bring their own dtype objects.
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_that_are_equal_but_not_identical(dtype: type, backend: str) -> None:
    want = posenc.encode(ROWS, DIM, dtype=dtype, backend=backend)
    twins = [np.dtype(dtype).newbyteorder("<" if np.little_endian else ">"), np.dtype(dtype, metadata={"unit": "m"})]
    unpickled = pickle.loads(pickle.dumps(np.zeros((ROWS, DIM), dtype)))
    for x in [*(np.zeros((ROWS, DIM), twin) for twin in twins), unpickled]:
        got = posenc.add_(x, backend=backend)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((4, 6))[::-1, ::-2],
        np.zeros((2, 3, 4, 6)).transpose(2, 0, 1, 3),
        np.zeros((4, 6), order="F"),
        np.zeros((4, 12))[:, 1::2],
        as_strided(np.zeros(24), (1, 4, 6), (0, 48, 8)),  # stride 0 along a single element
        as_strided(np.zeros(24), (4, 6), (16, 32))[:2],
        np.zeros((3, 3, 6))[:, 1],
        np.zeros(5, [("a", "u1"), ("row", np.float32, (6,))])["row"],
    ],
    ids=lambda x: f"{x.shape} {x.strides}",
)
def test_views_that_do_not_overlap(x: np.ndarray) -> None:
    assert not _validate._may_overlap(x)
    assert posenc.add_(x) is x
