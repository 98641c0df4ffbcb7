"""The op `posenc::encode`, which stands for posenc in graphs: of torch.compile, torch.export, vmap, other devices.

It is functional: what is added to is no argument of it, torch adds. So autograd, vmap, dynamic shapes, fusion with what
comes before and after, and arithmetic on other devices are torch's own, and there is no backward formula to register.
An op that writes into its argument would save writing and reading the L rows once in a batch of B * L, but Inductor has
to prove that it may write in place, and copies where it can't.
"""

from __future__ import annotations

import ast
import functools
from typing import Any

import torch

from .. import _api, _conventions, _refusals, _turns
from .._encoding import Encoding, spectra
from . import _tables

SCHEMA = (
    "encode(SymInt length, SymInt dim, Tensor? positions, SymInt start, str encoding, ScalarType dtype, Device device)"
    " -> Tensor"
)

_library = torch.library.Library("posenc", "FRAGMENT")
_tags = [torch.Tag.pt2_compliant_tag]
if hasattr(torch.Tag, "cudagraph_unsafe"):  # torch 2.9: rows come from the CPU
    _tags.append(torch.Tag.cudagraph_unsafe)
_library.define(SCHEMA, tags=_tags)


def described(encoding: Any) -> tuple[str, int]:
    """What the op takes for an encoding, and over how many axes that is."""
    rule = _conventions.resolve(encoding)
    return repr(rule), rule.axes


def paired(encoding: Any, dim: int, inverse: Any) -> tuple[tuple[tuple[int, int, int, int], ...], tuple[int, ...]]:
    """The runs of pairs of columns (see `_turns`), and all columns: cosines and sines of each run, then the others."""
    if encoding is None:
        raise _refusals.no_rotation()
    if not isinstance(inverse, bool):
        raise _refusals.rotation_flag(inverse)
    rule = _conventions.resolve(encoding)
    if inverse and rule.amplitude != 1.0:
        raise _refusals.scaled_rotation(rule.amplitude)
    runs = _turns.runs(rule, dim)
    columns = [column for run in runs for part in run.columns for column in range(dim)[part]]
    others = sorted(set(range(dim)) - set(columns))
    return tuple(tuple(run) for run in runs), (*columns, *others)  # type: ignore[misc]


paired._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as described


# Dynamo calls it and takes the result for a constant. This is all that torch.compiler.assume_constant_result does, but
# for importing Dynamo, which takes longer than importing torch.
described._dynamo_marked_constant = True  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=512)
def rule(text: str) -> Encoding:
    """The encoding that `described` described, or whose name `text` is."""
    if not text.startswith("Encoding("):
        return _conventions.resolve(text)
    call: Any = ast.parse(text, mode="eval").body  # of literals, so it may come from a file
    return Encoding(**{keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords})


def _encode(
    length: int, dim: int, positions: Any, start: int, encoding: str, dtype: torch.dtype, device: torch.device
) -> Any:
    """Rows start, start + 1, ..., (length, dim); or those of `positions`, (*positions.shape, dim)."""
    if device.type == "meta" or (positions is not None and positions.device.type == "meta"):
        return _fake(length, dim, positions, start, encoding, dtype, device)
    kind = rule(encoding)
    if positions is not None:
        plain = positions.detach().cpu().numpy()  # below autograd, where tensors may not be asked for their tangents
        return _api.encode(plain, dim, encoding=kind, dtype=dtype).to(device)
    if device.type == "cpu":
        return _api.encode(length, dim, start=start, encoding=kind, dtype=dtype)
    return _tables.rows(device, dtype, start, length, dim, kind)


def _fake(
    length: Any, dim: Any, positions: Any, start: Any, encoding: str, dtype: torch.dtype, device: torch.device
) -> Any:
    if type(length) is int and length < 0:
        raise ValueError(f"positions: expected at least 0, got {length}; a length is not negative")
    if type(dim) is int:
        spectra(rule(encoding), dim)  # refuses a width that the encoding has not
    shape = (length,)
    if positions is not None:
        shape = positions.shape[:-1] if rule(encoding).axes > 1 else positions.shape
    return torch.empty((*shape, dim), dtype=dtype, device=device)


def _vmap(info: Any, in_dims: tuple[Any, ...], length: Any, dim: Any, positions: Any, *others: Any) -> tuple[Any, int]:
    return encode(length, dim, positions.movedim(in_dims[2], 0), *others), 0


_library.impl("encode", _encode, "CompositeExplicitAutograd")
encode = torch.ops.posenc.encode.default
torch.library.register_fake("posenc::encode", _fake, lib=_library)
torch.library.register_vmap("posenc::encode", _vmap, lib=_library)
