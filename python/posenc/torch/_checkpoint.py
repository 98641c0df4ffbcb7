"""What checkpoints of other modules keep of their positional encodings: taken out, and compared with this one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from .. import _identify
from .._encoding import Encoding

# Names that such modules give to what they keep. What is learned, such as ESPnet's `alpha`, is not among them.
TABLES = ("pe", "P", "weights", "weight", "pos_table", "pos_embed", "positional_encoding")
FREQUENCIES = ("inv_freq", "div_term")
DUMMIES = ("_float_tensor",)  # fairseq's, which only knew its device

ROUNDED = 1e-5  # of frequencies that a float32 recipe makes, relative


def take(state_dict: dict[str, Any], prefix: str, dim: int, encoding: Encoding, errors: list[str]) -> None:
    """Remove what a module under `prefix` kept, and warn if that is not of `encoding`."""
    for name in (*TABLES, *FREQUENCIES, *DUMMIES):
        value = state_dict.pop(f"{prefix}{name}", None)
        if not isinstance(value, torch.Tensor) or value.is_meta or name in DUMMIES:
            continue
        plain = value.detach().cpu().to_dense()
        if name in FREQUENCIES:
            text = _other_frequencies(plain, dim, encoding)
        elif dim in plain.shape:
            channel = plain.ndim - 1 if plain.shape[-1] == dim else plain.shape.index(dim)
            text = _other_table(plain.movedim(channel, -1), encoding)
        else:
            errors.append(
                f"size mismatch for {prefix}{name}: expected a table of {dim} channels, as many as d_model says, got "
                f"shape {tuple(plain.shape)}; `d_model={plain.shape[-1] if plain.ndim else 1}` fits it"
            )
            continue
        if text:
            warnings.warn(f"{prefix}{name}: expected what this module computes, {encoding!r}, got {text}", stacklevel=2)


def _other_table(table: torch.Tensor, encoding: Encoding) -> str:
    """What a table is, if `encoding` did not make it from position 0 on."""
    rows = table.squeeze() if table.shape[-1] > 1 else table
    if rows.ndim == 2:
        padding = torch.nonzero((rows == 0).all(-1)).flatten().tolist()
        if len(padding) == 1 and padding[0] + 1 < len(rows):  # fairseq's, or a class token's: the first row is the next
            rows = rows[padding[0] + 1 :]
    try:
        own = _identify.read(rows if rows.ndim > 1 else rows[None]).match(encoding)
    except (TypeError, ValueError) as error:
        return f"no such table: {error}"
    if own is not None and not any(own[0]):
        return ""
    if own is not None:
        return f"its rows from position {own[0][0]} on; `start={own[0][0]}` in each call goes on as it was trained"
    return _named(_identify.identify(rows))


def _other_frequencies(frequencies: torch.Tensor, dim: int, encoding: Encoding) -> str:
    """What encodings have these frequencies, if `encoding` has not."""
    given = frequencies.double().flatten().numpy()
    rounded = ROUNDED if frequencies.dtype in (torch.float32, torch.float64) else 2.0**-7

    def same(other: Encoding) -> bool:
        try:
            wanted = [other.frequencies_for(dim, axis) for axis in range(other.axes)]
        except ValueError:
            return False
        return any(len(w) == len(given) and np.allclose(np.abs(w), given, rtol=rounded, atol=0.0) for w in wanted)

    if same(encoding):
        return ""
    found = [
        _identify.Match(name, other, 0, 0.0)
        for other, names in _identify.candidates(1, dim)
        for name in names
        if same(other)
    ]
    return _named(found)


def _named(matches: list[_identify.Match]) -> str:
    if not matches:
        return "what no encoding with a name makes: it was learned, or computed in another way, and is not used"
    best = [match for match in matches if match.start == matches[0].start]
    names = ", ".join(repr(match.name) for match in best)
    begin = f", `start={best[0].start}` in each call" if best[0].start else ""
    return f"that of {names}; `encoding={best[0].name!r}`{begin} goes on as it was trained"
