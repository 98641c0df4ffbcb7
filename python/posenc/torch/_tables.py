"""Rows on other devices: made on the CPU, exactly, moved once, and kept there under a bound.

A device's own sines would be others, and not those of the next device.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .. import _api
from .._cache import Cache, Store
from .._encoding import Encoding

LIMIT = 64 * 2**20  # bytes, of all devices together
BLOCK = 2**20  # bytes: ranges are rounded out to blocks, so that decoding step by step moves one in many steps
ROWS = 256  # at most, of a block
NEAR = 2**52  # beyond, positions may come to an end within a block


class _Key(NamedTuple):
    device: torch.device
    dtype: torch.dtype
    start: int
    length: int
    dim: int
    encoding: Encoding


def _make(key: _Key) -> Any:
    with torch.inference_mode(False), torch.no_grad():
        rows = _api.encode(key.length, key.dim, start=key.start, encoding=key.encoding, dtype=key.dtype)
        return rows.to(key.device, copy=True)


STORE = Store(LIMIT)
_tables: Cache[_Key, Any] = Cache(_make, STORE)


def rows(
    device: torch.device, dtype: torch.dtype, start: int, length: int, dim: int, encoding: Encoding
) -> torch.Tensor:
    """A new tensor on `device` of rows start ... start + length - 1."""
    step = max(1, min(ROWS, BLOCK // (dim * dtype.itemsize)))
    if abs(start) + length > NEAR:
        step = 1
    first = start // step * step
    last = -(-(start + length) // step) * step
    if device.index is None:  # the current one
        device = torch.empty(0, device=device).device
    table = _tables[_Key(device, dtype, first, last - first, dim, encoding)]
    if device.type == "cuda":  # it may be forgotten before another stream has read it
        table.record_stream(torch.cuda.current_stream(device))
    return table[start - first : start - first + length].clone()  # whoever gets it may write to it
