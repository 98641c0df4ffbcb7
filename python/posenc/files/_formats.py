"""Where the numbers of a tensor lie in a file: .npy, whose header is NumPy's business, and .safetensors.

A .safetensors file is the length of its header (8 bytes, little endian), the header in JSON, and the tensors in C
order, which need not be aligned.
"""

from __future__ import annotations

import io
import json
import math
import struct
import tokenize
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _arrays
from .._dtypes import BFLOAT16, EXPECTED
from ._disk import File

METADATA = "__metadata__"  # an entry of a .safetensors file that is no tensor
NPY, SAFETENSORS = ".npy", ".safetensors"
LARGEST_HEADER = 100_000_000  # as in the safetensors package
SAFE_DTYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "BF16": "<u2"}
OTHER_DTYPES = {"I8": "i1", "U8": "u1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "BOOL": "?"}
VERSIONS = (1, 0), (2, 0), (3, 0)  # of .npy
KINDS = ("float32", "float64", "float16", "bfloat16")  # that can be added to
SHOWN = 8  # names of tensors in a text


class Tensor(NamedTuple):
    """An array in a file.

    Attributes
    ----------
    name : str, or None
        In the file, if it has several.
    dtype : dtype
        In memory, where uint16 stands for bfloat16.
    kind : str
        The dtype as people call it.
    offset : int
        The first byte in the file, whose size is `file_size`.
    """

    path: Path
    name: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    kind: str
    offset: int
    file_size: int
    fortran_order: bool = False

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def load(self) -> NDArray[Any]:
        """The array, mapped read-only; bfloat16 as that of ml_dtypes, or else as float32."""
        if not self.nbytes:
            array: NDArray[Any] = np.empty(self.shape, self.dtype)
        else:
            order: Any = "F" if self.fortran_order else "C"
            array = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, order)
        if self.kind != "bfloat16":
            return array
        try:
            return array.view(_arrays.dtype("bfloat16")[1])
        except TypeError:
            from .._half import widen

            return widen(array)


def find(file: File, path: Path, name: str | None) -> Tensor:
    """The tensor called `name`, or the only one, of an open file."""
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(0)
    start = file.read(8) or b""
    if start.startswith(b"\x93NUMPY"):
        tensor = _npy(file, path, name, size)
    elif path.suffix == SAFETENSORS:
        tensor = _safetensors(file, path, name, size)
    else:
        way_out = "np.save() writes one"
        if start.startswith(b"PK"):
            way_out = "np.save() writes each array of an .npz to a file of its own"
        raise ValueError(f"path: expected a file in the format {NPY} or {SAFETENSORS}, got {path}; {way_out}")
    if tensor.dtype.hasobject:  # addresses in the memory of the process that wrote it
        raise TypeError(
            f"path: expected {EXPECTED}, got Python objects in {path}; if you trust who wrote it, "
            "np.save(path, np.load(path, allow_pickle=True).astype(np.float32))"
        )
    if tensor.offset + tensor.nbytes > size:
        raise ValueError(
            f"path: expected {tensor.nbytes} bytes of numbers for the shape {tensor.shape} in {tensor.kind}, got "
            f"{path}, which has {size - tensor.offset}; it was cut, write it anew"
        )
    return tensor


def check(tensor: Tensor) -> Tensor:
    """Refuse what can't be added to, block by block."""
    if tensor.kind not in KINDS:
        raise TypeError(
            f"path: expected {EXPECTED} in native byte order, got {tensor.kind} in {tensor.path}; {_conversion(tensor)}"
        )
    if len(tensor.shape) < 2 or not tensor.shape[-1]:
        way_out = "write it anew with its channels last"
        if len(tensor.shape) == 1:
            way_out = "np.save(path, np.load(path)[None]) makes it a sequence of one row"
        raise ValueError(
            f"path: expected at least 2 dimensions (a sequence axis and channels) and 1 channel, got shape "
            f"{tensor.shape} in {tensor.path}; {way_out if tensor.name is None else 'write it anew so'}"
        )
    if tensor.fortran_order and sum(n > 1 for n in tensor.shape) > 1:
        raise ValueError(
            f"path: expected an array in C order, got one in Fortran order in {tensor.path}; write it anew, "
            "np.save(path, np.ascontiguousarray(np.load(path)))"
        )
    return tensor


def _conversion(tensor: Tensor) -> str:
    """How to make of a tensor one that can be added to."""
    dtype = tensor.dtype
    if tensor.name is not None:
        return "write it anew as one of these"
    if dtype.kind in "biuf":
        return "convert it, np.save(path, np.load(path).astype(np.float32))"
    if dtype.names is not None:
        return f"write a field of its own, np.save(path, np.load(path)[{dtype.names[0]!r}])"
    if dtype.kind == "V" and dtype.itemsize == 2:
        return f"{NPY} has no bfloat16, write {SAFETENSORS} instead"
    return "write an array of numbers"


def _npy(file: File, path: Path, name: str | None, size: int) -> Tensor:
    if name is not None:
        raise ValueError(f"tensor: expected None for a {NPY} file, which has one array, got {name!r}; leave it out")
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        if version not in VERSIONS:
            raise ValueError(f"its version is {version[0]}.{version[1]}")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(file)
    except (ValueError, SyntaxError, RecursionError, tokenize.TokenError) as error:
        raise ValueError(f"path: expected the header of a {NPY} file, got {path}: {error}; write it anew") from None
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"path: expected a shape of sizes from 0 on, got {shape} in {path}; write it anew")
    kind = _arrays.dtype_name(dtype) if dtype != BFLOAT16 else "uint16"
    return Tensor(path, None, shape, dtype, kind, file.tell(), size, fortran_order)


def _safetensors(file: File, path: Path, name: str | None, size: int) -> Tensor:
    tensors, begin = _entries(file, path, size)
    if name is None:
        if len(tensors) != 1:
            raise ValueError(
                f"tensor: expected the name of one of the {len(tensors)} tensors in {path}, got None; there are "
                f"{_names(tensors)}"
            )
        (name,) = tensors
    if name not in tensors:
        raise ValueError(f"tensor: expected the name of a tensor in {path}, got {name!r}; there are {_names(tensors)}")
    code, shape, first, last = tensors[name]
    if any(other != name and first < ends and begins < last for other, (_, _, begins, ends) in tensors.items()):
        raise ValueError(f"path: expected tensors that share no bytes, got {path}, where {name!r} does; write it anew")
    known = SAFE_DTYPES | OTHER_DTYPES
    if code not in known:
        raise TypeError(f"path: expected {EXPECTED}, got {code} in {path}; convert it first")
    dtype = np.dtype(known[code])
    kind = "bfloat16" if code == "BF16" else dtype.name
    tensor = Tensor(path, name, shape, dtype, kind, begin + first, size)
    if last - first != tensor.nbytes:
        raise ValueError(
            f"path: expected {tensor.nbytes} bytes of {name!r} for the shape {shape} in {kind}, got {last - first} in "
            f"{path}; it is damaged, write it anew"
        )
    return tensor


def _names(tensors: Collection[str]) -> str:
    return (", ".join(sorted(tensors)[:SHOWN]) or "none") + (", ..." if len(tensors) > SHOWN else "")


Entry = tuple[str, tuple[int, ...], int, int]


def _entries(file: File, path: Path, size: int) -> tuple[dict[str, Entry], int]:
    """The dtype, shape and bytes of every tensor, and where these are counted from."""
    file.seek(0)
    head = file.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
    try:
        if length > min(size - 8, LARGEST_HEADER):
            raise ValueError(f"its header would be {length} bytes long")
        text = file.read(length)
        header = json.loads(text.decode())
        tensors = {}
        for key, entry in header.items():
            if key != METADATA:
                shape, (first, last) = tuple(entry["shape"]), entry["data_offsets"]
                if not all(type(n) is int and n >= 0 for n in (*shape, first, last - first)):
                    raise ValueError(f"the entry of {key!r} makes no sense")
                tensors[key] = str(entry["dtype"]), shape, first, last
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"path: expected the header of a {SAFETENSORS} file, got {path}: {str(error) or 'it is none'}; write it "
            "anew"
        ) from None
    return tensors, 8 + length


def _is_text(name: str) -> bool:
    """Whether it can be written in UTF-8: the arguments of a command may hold bytes that can't."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def header(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """What stands before the numbers in a new file of one tensor."""
    if not isinstance(name, str):
        raise TypeError(f"name: expected a text, got {name!r}; 'pe' would do")
    if name in ("", METADATA) or not _is_text(name):
        raise ValueError(f"name: expected one that {SAFETENSORS} has for a tensor, got {name!r}; 'pe' would do")
    if path.suffix == NPY:
        if dtype == BFLOAT16:
            raise TypeError(
                f"dtype: expected float32, float64 or float16 for {NPY}, got bfloat16, which that format has not; name "
                f"a file that ends in {SAFETENSORS}"
            )
        text = io.BytesIO()
        described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(text, described)
        return text.getvalue()
    if path.suffix != SAFETENSORS:
        raise ValueError(f"path: expected a name that ends in {NPY} or {SAFETENSORS}, got {str(path)!r}; name it so")
    code = next(code for code, known in SAFE_DTYPES.items() if np.dtype(known) == dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    entry = {name: {"dtype": code, "shape": list(shape), "data_offsets": [0, nbytes]}}
    encoded = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % 8)  # so that the numbers are aligned
    return struct.pack("<Q", len(encoded)) + encoded
