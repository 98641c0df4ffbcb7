"""What rows are made of: the parameters that conventions share, and the words of their traps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from .._encoding import Encoding


def powers_of_e(step: int, count: int) -> list[float]:
    """e^(step k), correctly rounded: NumPy's and C libraries' differ in the last bit."""
    return [float(Decimal(step * k).exp()) for k in range(count)]


def interleaved(**parameters: Any) -> Encoding:
    return Encoding(**{"odd": "error"} | parameters)


def concatenated(**parameters: Any) -> Encoding:
    return Encoding(**{"layout": "concatenated", "odd": "error"} | parameters)


def inclusive(**parameters: Any) -> Encoding:
    """tensor2tensor's: the last frequency is 1 / base."""
    return concatenated(**{"freq_shift": 1.0} | parameters)


def timescales(min_timescale: float, max_timescale: float, **parameters: Any) -> Encoding:
    """tensor2tensor multiplies the frequencies by the smallest timescale where it should divide."""
    return inclusive(position_scale=min_timescale, base=max_timescale / min_timescale, **parameters)


def relative(length: int | None, encoding: Encoding) -> Encoding:
    """Positions length - 1, length - 2, ...; with None, those of the caller."""
    if length is None:
        return encoding
    return dataclasses.replace(encoding, position_offset=1 - length, position_scale=-1.0)


def image(*order: int, **parameters: Any) -> Encoding:
    """Over two axes, y and x, whose columns come in this order; by default y before x."""
    defaults: dict[str, Any] = {"axes": 2, "odd": "error", "axis_order": order or None}
    return Encoding(**defaults | parameters)


def detr(
    temperature: float | Sequence[float],
    normalize: bool,
    scale: float | None,
    shape: Sequence[int] | None,
    offset: float = 0.0,
) -> Encoding:
    """DETR counts from 1; normalised, it divides by the last position and makes that `scale`, by default a turn."""
    if not normalize:
        if scale is not None or shape is not None:
            raise ValueError("scale and shape: expected normalize=True with them")
        return image(base=temperature, position_offset=1.0)
    turns = {"full_turns": True} if scale is None else {}
    factor = 1.0 if scale is None else scale
    if shape is None:
        return image(base=temperature, position_scale=factor, **turns)
    factors = [factor / (size + 1e-6) for size in shape]
    return image(base=temperature, position_scale=factors, position_offset=1.0 + offset, **turns)


def diffusers_2d(grid_size: int | Sequence[int], interpolation_scale: float, base_size: int) -> Encoding:
    sizes = (grid_size, grid_size) if isinstance(grid_size, (int, np.integer)) else grid_size
    scales = [base_size / size / interpolation_scale for size in sizes]
    return image(1, 0, layout="concatenated", position_scale=scales)


def diffusers_3d(spatial_interpolation_scale: float, temporal_interpolation_scale: float) -> Encoding:
    spatial = 1 / spatial_interpolation_scale
    return Encoding(
        axes=3,
        axis_order=(0, 2, 1),
        axis_widths=(2, 3, 3),
        layout="concatenated",
        odd="error",
        position_scale=[1 / temporal_interpolation_scale, spatial, spatial],
    )


def perceiver(shape: Sequence[int], num_bands: int, max_resolution: Sequence[int] | None) -> Encoding:
    """sin(pi f x), f from 1 to half the resolution in equal steps, x from -1 to 1."""
    if min(shape, default=2) < 2:
        raise ValueError(f"shape: expected at least 2 along every axis, got {tuple(shape)}; leave the others out")
    return Encoding(
        axes=len(shape),
        nesting="tak",
        frequencies=[np.linspace(1.0, size / 2, num_bands) / 2 for size in max_resolution or shape],
        full_turns=True,
        position_offset=[(1 - size) / 2 for size in shape],
        position_scale=[2 / (size - 1) for size in shape],
    )


def linear(dim: int, seq_len: int) -> Encoding:
    return concatenated(frequencies=np.arange(1, dim // 2 + 1), position_scale=1 / seq_len, full_turns=True)


def sam2(dim: int, temperature: float) -> Encoding:
    return concatenated(frequencies=[temperature ** (-2 * (k // 2) / (dim // 2)) for k in range(dim // 2)])


SQRT = "The model multiplies the embeddings by sqrt(dim) first: x_scale='sqrt_dim'."
PADDING = (
    "Padding has a row of zeros, and tokens are counted without it: give mask= and positions_from_mask(mask).",
    f"{SQRT[:-1]}; transformers' ports only if config.scale_embedding is set.",
)
TIMESTEP = "Positions are timesteps: give them as positions=."
UPSIDE_DOWN = "Frequencies are multiplied by the smallest timescale, not divided; 1, the default, hides it."
NORMALIZED = (
    "Models use normalize=True: positions are (i + 1) / (H + 1e-6), made by shape=(H, W); without it, give them.",
    "With padding, positions end at the last pixel that is not padded: give positions.",
)
RELATIVE = "Relative: the table is used in attention, not added."
LEARNED = "The factor is learned; this is its initial value."
