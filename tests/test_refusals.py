"""Every refusal of an array names its way out, and the way out, followed literally, works."""

from __future__ import annotations

import datetime
import decimal
import fractions
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest
from numpy.lib.stride_tricks import as_strided

from .arrays import assert_same_bits, needs_writeable_dlpack
from .ways import follow_all

ROWS, DIM = 4, 6
ROWS_OF_PE = posenc.encode(ROWS, DIM)


def ones(dtype: Any = np.float32) -> np.ndarray:
    return np.ones((ROWS, DIM), dtype)


def read_only() -> np.ndarray:
    x = ones()
    x.flags.writeable = False
    return x


class Stored:
    """As an array of h5py or zarr: a slice is a copy, and is written back."""

    def __init__(self, own: np.ndarray | None = None) -> None:
        self.own = ones() if own is None else own
        self.shape, self.dtype = self.own.shape, self.own.dtype

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return self.own.copy()

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.own[index].copy()

    def __setitem__(self, index: Any, values: Any) -> None:
        self.own[index] = values


class Immutable(Stored):
    """As an array of JAX or dask."""

    __setitem__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> np.ndarray:
        return self.own + other


def of(module: str, kind: type = Stored) -> Callable[[], Any]:
    return type("Array", (kind,), {"__module__": module})


class Lender:
    """Lends a read-only array by DLPack alone."""

    def __dlpack__(self, **options: Any) -> Any:
        return read_only().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


READ_ONLY: dict[str, Callable[[], Any]] = {
    "read-only": read_only,
    "buffer": lambda: memoryview(ones().tobytes()).cast("f", (ROWS, DIM)),
    "broadcast": lambda: np.broadcast_to(np.float32(1), (ROWS, DIM)),
    "overlapping": lambda: as_strided(ones(), (ROWS, DIM), (0, 4)),
    "big-endian": lambda: ones().astype(">f4"),
    "little-endian": lambda: ones().astype("<f4").astype(np.dtype(np.float32).newbyteorder()),
    "h5py": of("h5py._hl.dataset"),
    "zarr": of("zarr.core.array"),
    "pandas": of("pandas"),
    "xarray": of("xarray.core.dataarray"),
    "dask": of("dask.array.core", Immutable),
    "jax": of("jaxlib._jax", Immutable),
    "bool": lambda: ones(bool),
    "int8": lambda: ones(np.int8),
    "int64": lambda: ones(np.int64),
    "complex": lambda: ones(np.complex64),
    "object": lambda: ones(object),
    "longdouble": lambda: ones(np.longdouble),
    "texts": lambda: ones("U3"),
    "structured": lambda: np.ones((ROWS, DIM), [("a", np.float32), ("b", np.int8)]),
    "list": lambda: ones().tolist(),
    "masked": lambda: np.ma.array(ones()),
}


@pytest.mark.parametrize("kind", READ_ONLY)
def test_add_(kind: str, backend: str) -> None:
    results = follow_all("x", READ_ONLY[kind], lambda x: posenc.add_(x, backend=backend))
    for code, result in results.items():
        got = np.asarray(result)
        if ".imag" not in code:
            np.testing.assert_array_equal(got, posenc.add(ones(got.dtype)), code)


@pytest.mark.parametrize("kind", READ_ONLY)
def test_fill_(kind: str, backend: str) -> None:
    results = follow_all("out", READ_ONLY[kind], lambda out: posenc.fill_(out, backend=backend))
    for code, result in results.items():
        got = np.asarray(result)
        np.testing.assert_array_equal(got, posenc.encode(ROWS, DIM, dtype=got.dtype), code)


def test_one_row_in_a_list(backend: str) -> None:
    row = [1.0, 2.0, 3.0, 4.0]
    for code, result in follow_all("x", lambda: row, lambda x: posenc.add_(x, backend=backend)).items():
        assert_same_bits(result, posenc.add(np.array([row])), code)


@pytest.mark.parametrize("shape", [(3, 4), [3, 4], (2, 3, 4), (0, 4)])
def test_a_shape_is_no_array(shape: Any, backend: str) -> None:
    for result in follow_all("out", lambda: shape, lambda out: posenc.fill_(out, backend=backend)).values():
        assert_same_bits(result, posenc.fill_(np.empty(shape, np.float32), backend=backend))


@pytest.mark.parametrize("out", [(3,), (1.5, 2.5), [True, False], [[3, 4], [5, 6]]])
def test_other_sequences_are_numbers(out: Any) -> None:
    for result in follow_all("out", lambda: out, posenc.fill_).values():
        assert_same_bits(result, posenc.encode(*np.atleast_2d(out).shape[-2:], dtype=np.float64), out)


@pytest.mark.parametrize("x", [(), [[]], [[1.0], [1.0, 2.0]], ["a", "b"], [1j], [None, [2]], [10**400]], ids=repr)
def test_sequences_that_are_no_rows(x: Any) -> None:
    for call in (posenc.add_, posenc.add, posenc.fill_):
        with pytest.raises(
            TypeError, match=r"^(x|out): expected .*; make an array of it, rows of as many numbers each$"
        ):
            call(x)


def test_modules_of_torch(backend: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layer = torch.nn.Embedding(ROWS, DIM)
    table = layer.weight.detach().numpy().copy()
    call = lambda table: posenc.embed([3, 1], table, backend=backend)  # noqa: E731
    for code, result in follow_all("table", lambda: layer, call).items():
        assert code == "table.weight"
        assert_same_bits(result.detach().numpy(), posenc.embed([3, 1], table))
    for result in follow_all("table", lambda: layer, lambda table: posenc.torch.embed([3, 1], table)).values():
        assert_same_bits(result.detach().numpy(), posenc.embed([3, 1], table))
    for result in follow_all("x", lambda: layer, lambda x: posenc.add(x, backend=backend)).values():
        assert_same_bits(result.detach().numpy(), posenc.add(table))
    for result in follow_all("x", lambda: layer, lambda x: posenc.add_(x, backend=backend)).values():
        assert_same_bits(layer.weight.detach().numpy(), posenc.add(table))
        assert result.data_ptr() == layer.weight.data_ptr()
    follow_all("out", lambda: layer, lambda out: posenc.fill_(out, backend=backend))
    assert_same_bits(layer.weight.detach().numpy(), ROWS_OF_PE)


@needs_writeable_dlpack
def test_dlpack() -> None:
    for code, result in follow_all("x", Lender, posenc.add_).items():
        assert_same_bits(result, ones() + ROWS_OF_PE, code)


def test_out() -> None:
    for make in (read_only, lambda: ones().astype(">f4")):
        for result in follow_all("out", make, lambda out: posenc.add(ones(), out=out)).values():
            assert_same_bits(result, ones() + ROWS_OF_PE)


@pytest.mark.parametrize("module", ["h5py", "pandas", "xarray.core", "netCDF4"])
def test_what_numpy_can_read_is_added_to(module: str, backend: str) -> None:
    x = of(module)()
    assert_same_bits(posenc.add(x, backend=backend), ones() + ROWS_OF_PE)
    assert_same_bits(x.own, ones())


def test_what_has_no_items_to_set() -> None:
    for code, result in follow_all("x", of("pyarrow.lib", Immutable), posenc.add_).items():
        assert_same_bits(result, ones() + ROWS_OF_PE, code)


def test_a_lazy_array_stays_lazy() -> None:
    for result in follow_all("x", of("dask.array.core", Immutable), posenc.add).values():
        assert_same_bits(result, ones() + ROWS_OF_PE)


def test_a_memory_map(tmp_path: Path) -> None:
    ones().tofile(tmp_path / "x")
    with (tmp_path / "x").open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        for make in (
            lambda: np.memmap(tmp_path / "x", np.float32, "r", shape=(ROWS, DIM)),
            lambda: np.frombuffer(memory, np.float32).reshape(ROWS, DIM),
        ):
            for result in follow_all("x", make, posenc.add_).values():
                assert_same_bits(np.asarray(result), ones() + ROWS_OF_PE)


# ---- positions, starts, masks ---------------------------------------------------------------------------------------

FIRST = datetime.datetime(2024, 2, 28, 23, 59, 58)
SECONDS = [0.0, 1.5, 4.0]  # after FIRST
TIMES = [FIRST + datetime.timedelta(seconds=seconds) for seconds in SECONDS]
# What refusals lead to: positions, as what is refused stands for them.
POSITIONS: dict[str, tuple[Callable[[], Any], list[float]]] = {
    "datetime64": (lambda: np.array(TIMES, "M8[ns]"), SECONDS),
    "datetime64 in a list": (lambda: list(np.array(TIMES, "M8[ms]")), SECONDS),
    "datetimes": (lambda: TIMES, SECONDS),
    "datetimes with a time zone": (lambda: [t.astimezone(datetime.UTC) for t in TIMES], SECONDS),
    "dates": (lambda: [datetime.date(2024, 2, 28), datetime.date(2024, 2, 29)], [0.0, 86400.0]),
    "timedelta64": (lambda: np.array(TIMES, "M8[ms]") - np.datetime64(FIRST), SECONDS),
    "timedeltas": (lambda: [t - FIRST for t in TIMES], SECONDS),
    "nanoseconds": (lambda: np.array(TIMES, "M8[ns]").astype(np.int64), SECONDS),
    "nanoseconds in a list": (lambda: np.array(TIMES, "M8[ns]").astype(np.int64).tolist(), SECONDS),
    "float16": (lambda: np.array([0, 1, 3], np.float16), [0, 1, 3]),
    "float16 in a list": (lambda: [np.float16(0), np.float16(3)], [0, 3]),
    "longdouble": (lambda: np.array([0.5, 1, 3], np.longdouble), [0.5, 1, 3]),
    "fractions": (lambda: [fractions.Fraction(1, 2), fractions.Fraction(3)], [0.5, 3]),
    "decimals": (lambda: [decimal.Decimal("0.5"), decimal.Decimal(3)], [0.5, 3]),
    "mixed": (lambda: [1, fractions.Fraction(1, 2), 2.5], [1, 0.5, 2.5]),
    "texts": (lambda: ["0.5", "3"], [0.5, 3]),
    "complex": (lambda: np.array([1 + 0j, 2]), [1, 2]),
    "structured": (lambda: np.array([(1, 2.0), (3, 4.0)], [("t", float), ("x", np.float32)]), [1, 3]),
    "masked": (lambda: np.ma.array([1.0, 2.0]), [1, 2]),
    "bool": (lambda: np.array([True, False, True]), [0, 0, 1]),
    "packed": (lambda: [[0, 1], [0, 1, 2]], [0, 1, 0, 1, 2]),
}


@pytest.mark.parametrize("kind", POSITIONS)
def test_positions(kind: str) -> None:
    make, meant = POSITIONS[kind]
    for code, result in follow_all("positions", make, lambda p: posenc.encode(p, DIM)).items():
        assert_same_bits(result, posenc.encode(meant, DIM), code)
    if kind != "packed":
        x = np.ones((len(meant), DIM), np.float32)
        for code, result in follow_all("positions", make, lambda p: posenc.add(x, positions=p)).items():
            assert_same_bits(result, x + posenc.encode(meant, DIM), code)


STARTS: dict[str, tuple[Any, float]] = {
    "datetime64": (np.datetime64("1970-01-02"), 86400.0),
    "datetime": (datetime.datetime(1970, 1, 2), 86400.0),
    "timedelta64": (np.timedelta64(1500, "ms"), 1.5),
    "timedelta": (datetime.timedelta(seconds=1.5), 1.5),
    "fraction": (fractions.Fraction(3, 2), 1.5),
    "decimal": (decimal.Decimal("1.5"), 1.5),
    "text": ("1.5", 1.5),
    "float16": (np.float16(1.5), 1.5),
}


@pytest.mark.parametrize("kind", STARTS)
def test_starts(kind: str) -> None:
    start, meant = STARTS[kind]
    for code, result in follow_all("start", lambda: start, lambda s: posenc.encode(ROWS, DIM, start=s)).items():
        assert_same_bits(result, posenc.encode(ROWS, DIM, start=meant), code)


MASKS = {
    "0.0 and 1.0": [1.0, 1.0, 0.0, 1.0],
    "probabilities": [0.9, 0.6, 0.1, 1.0],
    "added to scores": [0.0, -0.0, -np.inf, 0.0],
    "added to scores, finite": [0.0, 0.0, -1e9, 0.0],
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks(kind: str) -> None:
    want = posenc.add(ones(), mask=[1, 1, 0, 1])
    for make in (lambda: MASKS[kind], lambda: np.array(MASKS[kind], np.float32)):
        for code, result in follow_all("mask", make, lambda mask: posenc.add(ones(), mask=mask)).items():
            assert_same_bits(result, want, code)


FACTORS = {"fraction": fractions.Fraction(1, 2), "text": "0.5", "one number": [0.5], "array": np.array([[0.5]])}


@pytest.mark.parametrize("kind", FACTORS)
def test_factors(kind: str) -> None:
    want = posenc.add(ones(), x_scale=0.5)
    for code, result in follow_all(
        "x_scale", lambda: FACTORS[kind], lambda scale: posenc.add(ones(), x_scale=scale)
    ).items():
        assert_same_bits(result, want, code)


def test_a_factor_for_each_channel() -> None:
    factors = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    for make in (lambda: factors, lambda: np.array(factors)):
        call = lambda scale: posenc.add_(ones(), x_scale=scale)  # noqa: E731
        for result in follow_all("x_scale", make, call, x=ones()).values():
            assert_same_bits(result, ones() * np.array(factors, np.float32) + ROWS_OF_PE)


# ---- what is taken --------------------------------------------------------------------------------------------------


def test_factors_of_no_dimension(backend: str) -> None:
    want = posenc.add(ones(), x_scale=0.5, backend=backend)
    for scale in (np.array(0.5), np.array(0.5, np.float16), of("jax")(np.array(0.5))):
        assert_same_bits(posenc.add(ones(), x_scale=scale, backend=backend), want)
        assert_same_bits(posenc.add_(ones(), x_scale=scale, backend=backend), want)
    for scale in (np.array(True), np.array(1j), np.array("0.5"), np.array(np.nan)):
        with pytest.raises((TypeError, ValueError), match=r"^x_scale: expected "):
            posenc.add_(ones(), x_scale=scale)


class Number(int):
    pass


OBJECTS = {
    "ints": [1, 2, 5],
    "floats": [1.0, 2.0, 5.0],
    "both": [1, 2.0, 5],
    "of NumPy": [np.int8(1), np.uint64(2), np.float32(5)],
    "subclasses": [Number(1), np.float64(2), Number(5)],
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_that_are_numbers(kind: str, backend: str) -> None:
    objects = np.array([*OBJECTS[kind], None], object)[:-1]  # type: ignore[type-var]
    assert objects.dtype == object
    want = posenc.encode([1, 2, 5], DIM, backend=backend)
    assert_same_bits(posenc.encode(objects, DIM, backend=backend), want)
    x = np.zeros((3, DIM), np.float32)
    assert_same_bits(posenc.fill_(x, positions=objects, backend=backend), want)
    stack = posenc.fill_(np.zeros((3, 1, DIM), np.float32), start=objects, backend=backend)
    assert_same_bits(stack[:, 0], want)


def test_objects_that_are_truths_and_bounds() -> None:
    mask = np.array([True, False, None], object)
    mask[2] = np.True_
    assert_same_bits(posenc.add(ones()[:3], mask=mask), posenc.add(ones()[:3], mask=[1, 0, 1]))
    bounds = np.array([0, np.int32(2), 4], object)
    assert_same_bits(posenc.add(ones(), cu_seqlens=bounds), posenc.add(ones(), cu_seqlens=[0, 2, 4]))


@pytest.mark.parametrize("beyond", [2**53 + 1, -(2**53) - 1, 2**63, 2**70])
@pytest.mark.parametrize("beside", [0, 0.5], ids=str)
def test_objects_beyond(beyond: int, beside: float) -> None:
    objects = np.array([beside, beyond], object)
    with pytest.raises(ValueError, match=rf"^positions: expected at most 2\*\*53 in magnitude, got {beyond}"):
        posenc.encode(objects, DIM)


# ---- the libraries themselves, where they are installed -------------------------------------------------------------


def _h5py(path: Path) -> Any:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    return h5py.File(path / f"{len(list(path.iterdir()))}.h5", "w").create_dataset("x", data=ones())


def _zarr(path: Path) -> Any:
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    return zarr.array(ones(), store=str(path / f"{len(list(path.iterdir()))}.zarr"))


def _pandas(_: Path) -> Any:
    return pytest.importorskip("pandas", reason="pandas is not installed").DataFrame(ones())


def _pandas_values(path: Path) -> Any:
    return _pandas(path).to_numpy()


def _xarray(_: Path) -> Any:
    return pytest.importorskip("xarray", reason="xarray is not installed").DataArray(ones(), dims=("t", "c"))


def _dask(_: Path) -> Any:
    return pytest.importorskip("dask.array", reason="dask is not installed").from_array(ones())


def _pyarrow(_: Path) -> Any:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    return pyarrow.array(ones().ravel()).to_numpy().reshape(ROWS, DIM)


@pytest.mark.parametrize("make", [_h5py, _zarr, _pandas, _pandas_values, _xarray, _dask, _pyarrow])
@pytest.mark.filterwarnings("ignore")  # theirs
def test_libraries(make: Callable[[Path], Any], tmp_path: Path) -> None:
    want = ones() + ROWS_OF_PE
    if make is _pandas_values and make(tmp_path).flags.writeable:  # before pandas 3
        assert_same_bits(posenc.add_(make(tmp_path)), want)
        return
    for code, result in follow_all("x", lambda: make(tmp_path), posenc.add_).items():
        assert_same_bits(np.asarray(result), want, code)
    for code, result in follow_all("out", lambda: make(tmp_path), posenc.fill_).items():
        assert_same_bits(np.asarray(result), ROWS_OF_PE, code)
    if make is not _dask:
        assert_same_bits(posenc.add(make(tmp_path)), want)


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_of_pandas(zone: str | None) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    times = pandas.date_range("2024-02-28", periods=3, freq="h", tz=zone)
    for make in (lambda: times, lambda: pandas.Series(times)):
        for result in follow_all("positions", make, lambda p: posenc.encode(p, DIM)).values():
            assert_same_bits(result, posenc.encode([0, 3600, 7200], DIM))


# ---- attacks --------------------------------------------------------------------------------------------------------


class Garbage:
    """Whose protocols raise, or return nonsense."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __array__(self, *_: Any, **__: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Raiser:
    def __dlpack_device__(self) -> tuple[int, int]:
        raise ZeroDivisionError("no device")

    def __dlpack__(self, **_: Any) -> Any:
        raise ZeroDivisionError("no capsule")


class Finalizer(np.ndarray):
    def __array_finalize__(self, other: Any) -> None:
        if other is not None:
            raise ZeroDivisionError("never finalized")


@pytest.mark.parametrize("answer", [3, None, "text", [1.0], RuntimeError("no"), AssertionError("no")], ids=repr)
def test_garbage(answer: Any) -> None:
    with pytest.raises(TypeError, match=r"^x: expected an array that NumPy can read, got .*Garbage"):
        posenc.add(Garbage(answer))
    with pytest.raises(TypeError, match=r"^x: expected a numpy.ndarray, .*got .*Garbage"):
        posenc.add_(Garbage(answer))
    for name in ("start", "positions", "mask", "cu_seqlens", "x_scale"):
        with pytest.raises(TypeError, match=f"^{name}: expected "):
            posenc.add_(ones(), **{name: Garbage(answer)})


def test_raisers() -> None:
    for call in (posenc.add, posenc.add_):
        with pytest.raises(TypeError, match=r"^x: expected an array that NumPy takes through DLPack.*no device"):
            call(Raiser())
    with pytest.raises(TypeError, match=r"^positions: expected an array that NumPy takes through DLPack.*no device"):
        posenc.add_(ones(), positions=Raiser())


def test_memory_errors_stay_what_they_are() -> None:
    for call in (posenc.add, lambda x: posenc.encode(x, DIM)):
        with pytest.raises(MemoryError):
            call(Garbage(MemoryError()))


def test_subclasses_of_ndarray(backend: str) -> None:
    want = ones() + ROWS_OF_PE
    matrix = np.ones((ROWS, DIM), np.float32).view(np.matrix)
    assert posenc.add_(matrix, backend=backend) is matrix
    assert_same_bits(np.asarray(matrix), want)
    unfinished = Finalizer((ROWS, DIM), np.float32)
    np.ndarray.fill(unfinished, 1.0)
    assert_same_bits(posenc.add(unfinished, backend=backend), want)
    assert posenc.add_(unfinished, backend=backend) is unfinished
    records = np.zeros(ROWS, [("row", np.float32, (DIM,))]).view(np.recarray)
    posenc.fill_(records.row, backend=backend)
    assert_same_bits(np.asarray(records.row), ROWS_OF_PE)


@pytest.mark.parametrize("form", ["c", "?", "b", "B", "h", "q"])
def test_buffers_of_other_formats(form: str) -> None:
    size = memoryview(bytearray(8)).cast(form).itemsize
    view = memoryview(bytearray(ROWS * DIM * size)).cast(form, (ROWS, DIM))
    with pytest.raises(TypeError, match=r"^x\.dtype: expected "):
        posenc.add_(view)
    assert bytes(view) == bytes(ROWS * DIM * size)
