"""The ways out that refusals name: what to write instead.

What stands in backquotes is Python that works as it is, given the refused argument under its name, `np`, `torch` and
`jax` (tests/test_refusals.py and tests/test_jax.py run it): a statement mends the argument, or does what the call
should have done; an expression is what to pass instead. `name` is "x" for `add_` and `add`, "out" for `fill_`, and
otherwise the argument's.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._dtypes import FLOATS, is_bfloat16

FILES = ("h5py", "zarr", "netCDF4", "tensorstore")  # whose arrays lie in files: a slice is read, changed, written back


class Turned(str):
    """The name of an array that is turned, not added to: other verbs are its ways out."""


TURNED = Turned("x")
TOO_COARSE = "; half precision can't tell one position from the next"


def rows(name: str, dtype: str = "dtype") -> str:
    """The encoding that would have been added or written, as an array of its own."""
    return f"posenc.encode({name}.shape[-2], {name}.shape[-1], dtype={name}.{dtype})"


def new(name: str) -> str:
    """The code that makes a new array of what `x` can't be in place."""
    return "posenc.rotate(x, encoding)" if isinstance(name, Turned) else "posenc.add(x)"


def instead(name: str) -> str:
    """For tensors whose memory can't be read or written here, but which can be added and copied to."""
    if isinstance(name, Turned):
        return "use `import posenc.torch; x = posenc.torch.rotate(x, encoding)`"
    if name == "x":
        return "use `import posenc.torch; x = posenc.torch.add(x)`"
    if name == "out":
        return f"use `out.copy_({rows('out')})`"
    return "pass a plain tensor"


def elsewhere(name: str) -> str:
    """For tensors on another device."""
    return instead(name) if name in ("x", "out") else f"use `{name} = {name}.cpu()`"


def training(name: str, write: bool) -> str:
    """For tensors that require grad."""
    if not write:
        return f"leave out= away, `{'posenc.embed(ids, table)' if name == 'table' else new(name)}`"
    outside = "; outside of training, say to initialise a parameter, call it within torch.no_grad()"
    if isinstance(name, Turned):
        return f"in a forward pass use `x = {new(name)}`, which is differentiable{outside}"
    if name == "x":
        return f"in a forward pass use `x = posenc.add(x)`, or `x = x + {rows('x')}`, which are differentiable{outside}"
    if name == "out":
        return f"in a forward pass write to a new one, `out = torch.empty_like(out)`{outside}"
    return "call it outside of training, within torch.no_grad()"


def copy(name: str, made: str) -> str:
    """For arrays that can be read only, whose copy is `made` so."""
    another = f"make a new one, `x = {new(name)}`, or " if name == "x" else ""
    return f"{another}write to a copy, `{name} = {made}`"


def immutable(name: str) -> str:
    """For the arrays of JAX and TensorFlow, whose dtypes have names that `encode` takes."""
    if isinstance(name, Turned):
        return f"use `x = {new(name)}`, which is an array of NumPy"
    if name == "x":
        return f"use `x = x + {rows('x', 'dtype.name')}`"
    return f"make a new one, `{name} = {rows(name, 'dtype.name')}`"


def traced(name: str, whole: bool) -> str:
    """For what JAX traces, which has a dtype and a shape, but no values; `whole` says that it is of integers."""
    if name in ("x", "out") and not isinstance(name, Turned):
        return immutable(name)
    if name in ("ids", "table"):
        rows = "posenc.encode(np.shape(ids)[-1], table.shape[-1], dtype=table.dtype)"
        return f"look them up in JAX, `jax.numpy.asarray(table)[jax.numpy.asarray(ids)] + {rows}`"
    callback = "call posenc through jax.pure_callback"
    if name in ("positions", "start") and whole:
        rows = f"jax.numpy.asarray({name})" + ("[..., None] + np.arange(8)" if name == "start" else "")
        table = "jax.numpy.asarray(posenc.encode(4096, 512))"
        return f"take rows of a table that is long enough, as `{table}[{rows}]`, or {callback}"
    return f"{callback}, or outside of what JAX transforms"


def lazy(name: str) -> str:
    """For dask's arrays."""
    if isinstance(name, Turned):
        return "compute it, `x = np.asarray(x)`; or turn its blocks one by one"
    another = f"x = x + {rows('x')}" if name == "x" else f"{name} = {rows(name)}"
    return f"posenc.dask works lazily; or make a new one, `{another}`"


def back(name: str, library: str, takes: bool) -> str:
    """For what NumPy gets a copy of, of the class of a `library`; `takes` tells whether it has items to set."""
    if name == "x" and not takes:
        return f"make a new array, `x = {new(name)}`"
    if name == "x" and library in FILES:
        verb = "rotate_(block, encoding)" if isinstance(name, Turned) else "add_(block)"
        return f"read a part, change it and write it back, `block = x[:]; posenc.{verb}; x[:] = block`"
    if name == "x":
        return f"make a new array, `x = {new(name)}`; `x[:] = {new(name)}` writes it back"
    if library in FILES:
        return f"write the rows to it, `{name}[:] = {rows(name)}`"
    return f"write to a copy, `{name} = np.array({name})`"


def module(name: str, write: bool) -> str:
    """For torch's modules that have a weight, as `torch.nn.Embedding`."""
    return f"pass its weight, `{name}.weight{'.detach()' if write else ''}`"


def sequence(x: Sequence[Any], name: str) -> str:
    """For lists and tuples, of which a new array is made: of a shape, or of numbers, with at least 2 dimensions."""
    if name == "out" and len(x) > 1 and x[-1] and all(type(size) is int and size >= 0 for size in x):
        return f"make an array of this shape, `{name} = np.empty({name}, np.float32)`"
    try:
        values = np.asarray(x, np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if not values.shape[-1]:
        return "make an array of it, rows of as many numbers each"
    whole = name if values.ndim > 1 else f"[{name}]"
    return f"make an array of it, `{name} = np.asarray({whole}, float)`"


def _are_numbers(array: NDArray[Any]) -> bool:
    """Whether objects or texts can be converted to finite numbers."""
    try:
        return bool(np.isfinite(array.astype(np.float64)).all())
    except (TypeError, ValueError, OverflowError):
        return False


def floats(values: NDArray[Any], name: str, is_array: bool) -> str:
    """For arrays of another dtype, read as `values`; those that are no ndarray may lack its methods."""
    dtype = values.dtype
    array = name if is_array else f"np.asarray({name})"
    if dtype.newbyteorder("=") in FLOATS:
        return f'use `{name} = {array}.astype({name}.dtype.newbyteorder("="))`'
    if dtype.kind == "c":
        return f"pass its parts one by one, `{array}.real` and `{array}.imag`"
    if dtype.kind == "V" and dtype.names:
        return f"pass one of its fields, as `{array}[{dtype.names[0]!r}]`"
    if dtype.kind in "Mm":
        return f"times are positions; make an array of floats, `{name} = np.zeros({name}.shape, np.float32)`"
    if dtype.kind in "OSUTV" and not _are_numbers(values):
        return "pass an array of numbers"
    wide = dtype.itemsize > 2 or dtype.kind not in "biu"
    return f"convert it, `{name} = {array}.astype(np.{'float64' if wide else 'float32'})`"


def numbers(array: NDArray[Any], name: str) -> str:
    """For what are no positions, starts ..., whose argument NumPy read as `array`; starts with a semicolon."""
    kind = array.dtype
    if kind == np.float16 or is_bfloat16(kind):
        return (
            f"{TOO_COARSE}: make them in float32 or as integers from the start, or, if they are exact, use "
            f"`{name} = np.asarray({name}).astype(np.float32)`"
        )
    if kind.kind == "M":
        since = "t.min()" if array.ndim else 'np.datetime64(0, "s")'
        return f'; use `t = np.asarray({name}); {name} = (t - {since}) / np.timedelta64(1, "s")`: (t - t0) in seconds'
    if kind.kind == "m":
        return f'; use `{name} = np.asarray({name}) / np.timedelta64(1, "s")`'
    if kind.kind == "b" and not array.ndim:
        return f"; use `{name} = int({name})`"
    if kind.kind == "b":
        return f"; a mask is passed as mask=; positions of its rows are `{name} = posenc.positions_from_mask({name})`"
    if kind.kind == "c":
        return f"; use `{name} = np.real({name})`"
    if kind.kind == "V":
        if not kind.names:
            return "; what its bytes mean, NumPy does not know: .view() of a dtype says it"
        return f"; pass one of its fields, as `{name}[{kind.names[0]!r}]`"
    items = list(array.flat)
    if kind.kind == "O" and items and all(isinstance(item, datetime.date) for item in items):
        if not array.ndim:
            return f'; use `{name} = (np.datetime64({name}) - np.datetime64(0, "s")) / np.timedelta64(1, "s")`'
        return (
            f"; use `t = np.asarray({name}, object); {name} = "
            "((t - np.full_like(t, t.min())) / datetime.timedelta(seconds=1)).astype(float)`: (t - t0) in seconds"
        )
    if kind.kind == "O" and items and all(isinstance(item, datetime.timedelta) for item in items):
        return f'; use `{name} = np.asarray({name}, "m8[us]") / np.timedelta64(1, "s")`'
    if not _are_numbers(array):
        return "; every one must be a number"
    return f"; round them to float64, `{name} = np.asarray({name}, float)`"


def nearer(array: NDArray[Any], name: str) -> str:
    """For positions beyond 2**53: most often nanoseconds since 1970."""
    if array.ndim and array.dtype.kind in "iu":
        return f"; take nanoseconds as seconds since the first, `t = np.asarray({name}); {name} = (t - t.min()) / 1e9`"
    return "; subtract the first, and divide, before"


def truths(array: NDArray[Any], name: str) -> str:
    """For masks of floats."""
    if array.dtype.kind != "f":
        return ""
    if (array <= 0).all() and (array < 0).any():
        return f"; of one that is added to scores, 0 where a row is real, use `{name} = np.asarray({name}) == 0`"
    if ((array == 0) | (array == 1)).all():
        return f"; use `{name} = np.asarray({name}) != 0`"
    return f"; choose where to cut, as `{name} = np.asarray({name}) > 0.5`"
