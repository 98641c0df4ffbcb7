"""What public implementations compute, each formula written out as its source has it, in mpmath.

Independent of posenc's parameters: it imports nothing of posenc and must stay so. A function takes a position, or a
tuple of them in the order of the array's axes, the width and the original's own arguments, and returns a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mpmath import ceil, cos, exp, floor, log, mpf, pi, sin, sqrt

Row = list[mpf]
TEN_THOUSAND = mpf(10000)


# ---- one axis ----


def vaswani(p: mpf, d: int, base: mpf = TEN_THOUSAND) -> Row:
    angles = [p / mpf(base) ** (mpf(2 * (j // 2)) / d) for j in range(d)]
    return [cos(angle) if j % 2 else sin(angle) for j, angle in enumerate(angles)]


def even(formula: Callable[..., Row]) -> Callable[..., Row]:
    """The same, refused for an odd width."""

    def refusing(p: Any, d: int, **arguments: Any) -> Row:
        if d % 2:
            raise ValueError
        return formula(p, d, **arguments)

    return refusing


def scaled(p: mpf, d: int, alpha: float = 1.0) -> Row:
    return [alpha * value for value in vaswani(p, d)]


def nemo_fixed(p: mpf, d: int) -> Row:
    return [value / sqrt(mpf(d)) for value in vaswani(p, d)]


def rel_conformer(i: mpf, d: int, length: int) -> Row:
    return vaswani(length - 1 - i, d)


def espnet_legacy_rel(i: mpf, d: int, max_len: int = 5000) -> Row:
    return vaswani(max_len - 1 - i, d)


def tae(i: mpf, d: int, T: int = 1000, first: int = 1) -> Row:
    return vaswani(i + first, d, base=mpf(T))


def ltae(i: mpf, d: int, T: int = 1000, n_head: int = 16, first: int = 1) -> Row:
    return vaswani(i + first, d // n_head, base=mpf(T)) * n_head


def utae(day: mpf, d: int, T: int = 1000, n_head: int = 16, first: int = 0) -> Row:
    # VSainteuf/utae-paps src/backbones/positional_encoding.py: the days as they are, over T^(2 (j // 2) / d).
    width = d // n_head
    angles = [(day + first) / mpf(T) ** (mpf(2 * (j // 2)) / width) for j in range(width)]
    return [cos(angle) if j % 2 else sin(angle) for j, angle in enumerate(angles)] * n_head


def coqui(p: mpf, d: int) -> Row:
    return [(cos if j % 2 else sin)(p * TEN_THOUSAND ** (mpf(2 * (j // 2)) / d)) for j in range(d)]


def hf_marian(p: mpf, d: int) -> Row:
    angles = [p / TEN_THOUSAND ** (mpf(2 * (j // 2)) / d) for j in range(d)]
    return [sin(a) for a in angles[0::2]] + [cos(a) for a in angles[1::2]]


def transformer_xl(i: mpf, d: int, klen: int) -> Row:
    angles = [(klen - 1 - i) * (1 / TEN_THOUSAND ** (mpf(j) / d)) for j in range(0, d, 2)]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


def xlnet(i: mpf, d: int, klen: int) -> Row:
    return transformer_xl(i, d, klen + 1)


def sockeye(p: mpf, d: int, scale_down_positions: bool = False) -> Row:
    factor = mpf(d) ** mpf("-0.5") if scale_down_positions else 1
    return [factor * value for value in hf_marian(p, d)]


def x_transformers(p: mpf, d: int, theta: float = 10000) -> Row:
    half = d // 2
    angles = [p * mpf(theta) ** -(mpf(k) / half) for k in range(half)]
    return [value * mpf(d) ** mpf("-0.5") for value in [sin(a) for a in angles] + [cos(a) for a in angles]]


def tensor2tensor(p: mpf, d: int, min_timescale: float = 1, max_timescale: float = 10000) -> Row:
    count = d // 2
    increment = log(mpf(max_timescale) / mpf(min_timescale)) / max(count - 1, 1)
    angles = [p * mpf(min_timescale) * exp(-k * increment) for k in range(count)]
    return [sin(a) for a in angles] + [cos(a) for a in angles] + [mpf(0)] * (d % 2)


def maxtext(p: mpf, d: int, max_wavelength: float = 10000) -> Row:
    return tensor2tensor(p, d, 1, max_wavelength)


def flax(p: mpf, d: int, min_scale: float = 1, max_scale: float = 10000) -> Row:
    factor = -log(mpf(max_scale) / mpf(min_scale)) / (d // 2 - 1)
    angles = [p * mpf(min_scale) * exp(k * factor) for k in range(d // 2)]
    return [sin(a) for a in angles] + [cos(a) for a in angles] + [mpf(0)] * (d % 2)


def fairseq(i: mpf, d: int, padding_idx: int = 1) -> Row:
    position = padding_idx + 1 + i  # padding_idx + cumsum over tokens
    factor = log(TEN_THOUSAND) / (d // 2 - 1)
    angles = [position * exp(-k * factor) for k in range(d // 2)]
    return [sin(a) for a in angles] + [cos(a) for a in angles] + [mpf(0)] * (d % 2)


def seamless_m4t(i: mpf, d: int, padding_idx: int = 0) -> Row:
    # The decoder of transformers' SeamlessM4T gives it config.pad_token_id, which is 0.
    return fairseq(i, d, padding_idx)


def xglm(i: mpf, d: int) -> Row:
    return fairseq(i, d, padding_idx=1)


def fairseq2(i: mpf, d: int, _legacy_pad_idx: int | None = None) -> Row:
    return tensor2tensor(i if _legacy_pad_idx is None else i + 1 + _legacy_pad_idx, d)


def from_one(i: mpf, d: int) -> Row:
    factor = log(TEN_THOUSAND) / (d // 2 - 1)
    angles = [(i + 1) * exp(k * -factor) for k in range(d // 2)]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


def whisper(p: mpf, d: int, max_timescale: float = 10000) -> Row:
    increment = log(mpf(max_timescale)) / (d // 2 - 1)
    angles = [p * exp(-increment * k) for k in range(d // 2)]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


def pyg(x: mpf, d: int, base_freq: float = 1e-4, granularity: float = 1) -> Row:
    # The double 1e-4 stands for 1 / 10000.
    decay = [mpf(repr(base_freq)) ** (mpf(k) / (d // 2 - 1)) for k in range(d // 2)]
    angles = [x / mpf(granularity) * w for w in decay]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


def mlx(
    x: mpf,
    d: int,
    min_freq: float = 1e-4,
    max_freq: float = 1,
    scale: float | None = None,
    cos_first: bool = False,
    full_turns: bool = False,
) -> Row:
    least, most = log(mpf(repr(min_freq))), log(mpf(repr(max_freq)))
    sigmas = [exp((1 - mpf(k) / (d // 2 - 1)) * (most - least) + least) for k in range(d // 2)]
    angles = [x * sigma * (2 * pi if full_turns else 1) for sigma in sigmas]
    sines, cosines = [sin(a) for a in angles], [cos(a) for a in angles]
    factor = sqrt(mpf(2) / d) if scale is None else scale
    return [value * factor for value in (cosines + sines if cos_first else sines + cosines)]


def gradtts(t: mpf, d: int, scale: float = 1000) -> Row:
    return whisper(t * scale, d)


def diffwave(t: mpf, d: int) -> Row:
    angles = [t * mpf(10) ** (mpf(k) * 4 / (d // 2 - 1)) for k in range(d // 2)]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


def depthcharge(x: mpf, d: int, min_wavelength: str, max_wavelength: str) -> Row:
    base, scale = mpf(min_wavelength) / (2 * pi), mpf(max_wavelength) / mpf(min_wavelength)
    angles = [x / (base * scale ** (mpf(k) / (d // 2 - 1))) for k in range(d // 2)]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


def mz(x: mpf, d: int, min_wavelength: float = 0.001, max_wavelength: float = 10000) -> Row:
    return depthcharge(x, d, repr(min_wavelength), repr(max_wavelength))


def intensity(x: mpf, d: int, min_wavelength: float = 1e-6, max_wavelength: float = 1) -> Row:
    return depthcharge(x, d, repr(min_wavelength), repr(max_wavelength))


def residue(x: mpf, d: int, min_wavelength: float = 1, max_wavelength: float = 1e5) -> Row:
    return depthcharge(x, d, repr(min_wavelength), repr(max_wavelength))


def lingvo_linear(p: mpf, d: int, seq_len: int, dim: int) -> Row:
    angles = [p * (k + 1) * 2 * pi / seq_len for k in range(d // 2)]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


def sam2_1d(p: mpf, d: int, dim: int, temperature: float = 10000) -> Row:
    half = d // 2
    angles = [p / mpf(temperature) ** (mpf(2 * (k // 2)) / half) for k in range(half)]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


# ---- timesteps ----


def ddpm(t: mpf, d: int, max_positions: float = 10000) -> Row:
    half = d // 2
    angles = [t * exp(k * -(log(mpf(max_positions)) / (half - 1))) for k in range(half)]
    return [sin(a) for a in angles] + [cos(a) for a in angles] + [mpf(0)] * (d % 2)


def guided_diffusion(t: mpf, d: int, max_period: float = 10000) -> Row:
    half = d // 2
    angles = [t * exp(-log(mpf(max_period)) * k / half) for k in range(half)]
    return [cos(a) for a in angles] + [sin(a) for a in angles] + [mpf(0)] * (d % 2)


def flux(t: mpf, d: int, max_period: float = 10000, time_factor: float = 1000) -> Row:
    return guided_diffusion(time_factor * t, d, max_period)


def wan(t: mpf, d: int) -> Row:
    angles = [t * TEN_THOUSAND ** (-mpf(k) / (d // 2)) for k in range(d // 2)]
    return [cos(a) for a in angles] + [sin(a) for a in angles]


def diffusers(
    t: mpf,
    d: int,
    flip_sin_to_cos: bool = False,
    downscale_freq_shift: float = 1,
    scale: float = 1,
    max_period: float = 10000,
) -> Row:
    half = d // 2
    angles = [scale * t * exp(-log(mpf(max_period)) * k / (half - mpf(downscale_freq_shift))) for k in range(half)]
    sines, cosines = [sin(a) for a in angles], [cos(a) for a in angles]
    return (cosines + sines if flip_sin_to_cos else sines + cosines) + [mpf(0)] * (d % 2)


def diffusers_dit(t: mpf, d: int) -> Row:
    return diffusers(t, d, flip_sin_to_cos=True, downscale_freq_shift=1)


def edm(x: mpf, d: int, max_positions: float, endpoint: bool) -> Row:
    half = d // 2
    angles = [x * (1 / mpf(max_positions)) ** (mpf(k) / (half - endpoint)) for k in range(half)]
    return [cos(a) for a in angles] + [sin(a) for a in angles]


def edm_songunet(x: mpf, d: int, max_positions: float = 10000) -> Row:
    row = edm(x, d, max_positions, endpoint=True)
    return row[d // 2 :] + row[: d // 2]


def edm_adm(x: mpf, d: int, max_positions: float = 10000) -> Row:
    return edm(x, d, max_positions, endpoint=False)


def audiocraft(p: mpf, d: int, max_period: float = 10000, positional_scale: float = 1) -> Row:
    half = d // 2
    phases = [p / mpf(max_period) ** (mpf(k) / (half - 1)) for k in range(half)]
    return [positional_scale * value for value in [cos(a) for a in phases] + [sin(a) for a in phases]]


def musicgen(p: mpf, d: int) -> Row:
    angles = [p * exp(-k * log(TEN_THOUSAND) / (d // 2 - 1)) for k in range(d // 2)]
    return [cos(a) for a in angles] + [sin(a) for a in angles] + [mpf(0)] * (d % 2)


def demucs(p: mpf, d: int, shift: int = 0, max_period: float = 10000) -> Row:
    return audiocraft(p + shift, d, max_period)


# ---- several axes ----


def detr_sine(
    p: tuple[mpf, mpf],
    d: int,
    temperatures: tuple[float, float],
    normalize: bool,
    scale: float | None,
    shape: tuple[int, int] | None,
    offset: mpf,
) -> Row:
    features = d // 2
    embeds = [i + 1 for i in p]
    if normalize and shape:
        eps, total = mpf("1e-6"), 2 * pi if scale is None else mpf(scale)
        embeds = [(e + offset) / (size + eps) * total for e, size in zip(embeds, shape, strict=True)]
    row = []
    for embed, temperature in zip(embeds, temperatures, strict=True):  # y, then x
        for j in range(features):
            angle = embed / mpf(temperature) ** (mpf(2 * (j // 2)) / features)
            row.append(cos(angle) if j % 2 else sin(angle))
    return row


def detr(
    p: Any, d: int, temperature: float = 10000, normalize: Any = False, scale: Any = None, shape: Any = None
) -> Row:
    return detr_sine(p, d, (temperature, temperature), normalize, scale, shape, mpf(0))


def deformable_detr(
    p: Any, d: int, temperature: float = 10000, normalize: Any = False, scale: Any = None, shape: Any = None
) -> Row:
    return detr_sine(p, d, (temperature, temperature), normalize, scale, shape, mpf("-0.5"))


def dino_hw(
    p: Any,
    d: int,
    temperatureH: float = 20,
    temperatureW: float = 20,
    normalize: Any = False,
    scale: Any = None,
    shape: Any = None,
) -> Row:
    return detr_sine(p, d, (temperatureH, temperatureW), normalize, scale, shape, mpf(0))


def sincos(p: mpf, d: int, base: mpf = TEN_THOUSAND) -> Row:
    """get_1d_sincos_pos_embed_from_grid, the part that MAE and others put together."""
    angles = [p / mpf(base) ** (mpf(k) / (mpf(d) / 2)) for k in range(d // 2)]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


def mae(p: tuple[mpf, mpf], d: int) -> Row:
    y, x = p
    return sincos(x, d // 2) + sincos(y, d // 2)


def moco_v3(p: tuple[mpf, mpf], d: int, temperature: float = 10000) -> Row:
    y, x = p
    omega = [1 / mpf(temperature) ** (mpf(k) / (d // 4)) for k in range(d // 4)]
    return [f(c * w) for c in (y, x) for f in (sin, cos) for w in omega]


def simple_vit(p: tuple[mpf, mpf], d: int, temperature: float = 10000) -> Row:
    y, x = p
    omega = [1 / mpf(temperature) ** (mpf(k) / (d // 4 - 1)) for k in range(d // 4)]
    return [sin(x * w) for w in omega] + [cos(x * w) for w in omega] + [f(y * w) for f in (sin, cos) for w in omega]


def simple_vit_3d(p: tuple[mpf, mpf, mpf], d: int, temperature: float = 10000) -> Row:
    z, y, x = p
    omega = [1 / mpf(temperature) ** (mpf(k) / (d // 6 - 1)) for k in range(d // 6)]
    row = [f(c * w) for c in (x, y, z) for f in (sin, cos) for w in omega]
    return row + [mpf(0)] * (d - len(row))


def t2t_nd(p: Any, d: int, axes: int = 2, min_timescale: float = 1, max_timescale: float = 10000) -> Row:
    coordinates = p if axes > 1 else (p,)
    count = d // (2 * axes)
    increment = log(mpf(max_timescale) / mpf(min_timescale)) / (count - 1)
    inverse = [mpf(min_timescale) * exp(-k * increment) for k in range(count)]
    row = [f(c * w) for c in coordinates for f in (sin, cos) for w in inverse]
    return row + [mpf(0)] * (d - len(row))


def timm_sincos2d(p: tuple[mpf, mpf], d: int, temperature: float = 10000, interleave_sin_cos: bool = False) -> Row:
    bands = [1 / mpf(temperature) ** (mpf(k) / (d // 4)) for k in range(d // 4)]
    if interleave_sin_cos:
        return [f(c * w) for c in p for f in (sin, cos) for w in bands]
    return [f(c * w) for f in (sin, cos) for c in p for w in bands]


def vjepa3d(p: tuple[mpf, mpf, mpf], d: int, uniform_power: bool = False) -> Row:
    t, y, x = p
    if uniform_power:
        width = math.ceil(d / 6) * 2
        return (sincos(t, width) + sincos(y, width) + sincos(x, width))[:d]
    return sincos(t, d // 2) + sincos(y, d // 4) + sincos(x, d // 4)


def diffusers_2d(
    p: tuple[mpf, mpf], d: int, grid_size: Any = (16, 16), interpolation_scale: float = 1, base_size: int = 16
) -> Row:
    rows, cols = grid_size if isinstance(grid_size, tuple) else (grid_size, grid_size)
    y, x = (i / (mpf(n) / base_size) / mpf(interpolation_scale) for i, n in zip(p, (rows, cols), strict=True))
    return sincos(x, d // 2) + sincos(y, d // 2)


def diffusers_3d(
    p: tuple[mpf, mpf, mpf],
    d: int,
    spatial_interpolation_scale: float = 1,
    temporal_interpolation_scale: float = 1,
) -> Row:
    t, y, x = p
    spatial, temporal = 3 * d // 4, d // 4
    scale = mpf(spatial_interpolation_scale)
    return (
        sincos(t / mpf(temporal_interpolation_scale), temporal)
        + sincos(x / scale, spatial // 2)
        + sincos(y / scale, spatial // 2)
    )


def cogvideox(
    p: tuple[mpf, mpf, mpf],
    d: int,
    spatial_interpolation_scale: float = 1.875,
    temporal_interpolation_scale: float = 1,
) -> Row:
    return diffusers_3d(p, d, spatial_interpolation_scale, temporal_interpolation_scale)


def tatp22(p: Any, d: int, axes: int, stacked: bool) -> Row:
    coordinates = p if axes > 1 else (p,)
    channels = math.ceil(d / (2 * axes)) * 2
    inverse = [1 / TEN_THOUSAND ** (mpf(j) / channels) for j in range(0, channels, 2)]
    row = []
    for c in coordinates:
        if stacked:
            for w in inverse:
                row += [sin(c * w), cos(c * w)]
        else:
            row += [sin(c * w) for w in inverse] + [cos(c * w) for w in inverse]
    return row[:d]


def positional_encodings(p: Any, d: int, axes: int = 1) -> Row:
    return tatp22(p, d, axes, stacked=True)


def positional_encodings_legacy(p: Any, d: int, axes: int = 1) -> Row:
    return tatp22(p, d, axes, stacked=False)


def wzlxjtu(p: tuple[mpf, mpf], d: int) -> Row:
    y, x = p
    half = d // 2
    terms = [exp(mpf(j) * -(log(TEN_THOUSAND) / half)) for j in range(0, half, 2)]
    row = [mpf(0)] * d
    row[0:half:2], row[1:half:2] = [sin(x * w) for w in terms], [cos(x * w) for w in terms]
    row[half::2], row[half + 1 :: 2] = [sin(y * w) for w in terms], [cos(y * w) for w in terms]
    return row


def loftr_sine(p: tuple[mpf, mpf], d: int, terms: Row) -> Row:
    y, x = (i + 1 for i in p)  # a cumulative sum of ones
    row = [mpf(0)] * d
    row[0::4], row[1::4] = [sin(x * w) for w in terms], [cos(x * w) for w in terms]
    row[2::4], row[3::4] = [sin(y * w) for w in terms], [cos(y * w) for w in terms]
    return row


def loftr(p: tuple[mpf, mpf], d: int) -> Row:
    return loftr_sine(p, d, [exp(mpf(j) * (-log(TEN_THOUSAND) / (d // 2))) for j in range(0, d // 2, 2)])


def loftr_legacy(p: tuple[mpf, mpf], d: int, dim: int = 256) -> Row:
    return loftr_sine(p, d, [exp(mpf(j) * -1) for j in range(0, d // 2, 2)])


def nerf(p: tuple[mpf, ...], d: int, num_freqs: int = 10, input_dims: int = 3) -> Row:
    row = []
    for k in range(num_freqs):
        for f in (sin, cos):
            row += [f(2**k * x) for x in p]
    return row


def nerf_paper(p: tuple[mpf, ...], d: int, num_freqs: int = 10, input_dims: int = 3) -> Row:
    return nerf(tuple(pi * x for x in p), d, num_freqs)


def gligen(p: tuple[mpf, ...], d: int) -> Row:
    count = d // 8
    return [f(mpf(100) ** (mpf(k) / count) * x) for k in range(count) for f in (sin, cos) for x in p]


def perceiver(
    p: tuple[mpf, ...], d: int, shape: tuple[int, ...] = (224, 224), num_bands: int = 64, max_resolution: Any = None
) -> Row:
    angles = []
    for i, size, resolution in zip(p, shape, max_resolution or shape, strict=True):
        x = -1 + 2 * i / (size - 1)
        step = (mpf(resolution) / 2 - 1) / (num_bands - 1)
        angles += [pi * x * (1 + k * step) for k in range(num_bands)]
    return [sin(a) for a in angles] + [cos(a) for a in angles]


# ---- what is tested ----


# ---- rotary: what turns pairs, its cosines where u stands, its sines where v does ----


def rope_angles(p: mpf, d: int, base: float) -> Row:
    return [p / mpf(base) ** (mpf(2 * k) / d) for k in range(d // 2)]


def halves(angles: Row) -> Row:
    return [cos(a) for a in angles] + [sin(a) for a in angles]


def adjacent(angles: Row) -> Row:
    return [f(a) for a in angles for f in (cos, sin)]


LAYOUTS = {"concatenated": halves, "interleaved": adjacent}


def rope_hf(p: mpf, d: int, base: float = 10000.0) -> Row:
    return halves(rope_angles(p, d, base))


def rope_meta(p: mpf, d: int, base: float = 10000.0) -> Row:
    return adjacent(rope_angles(p, d, base))


def rope_nanochat(p: mpf, d: int, base: float = 100000.0) -> Row:
    # y1 = x1 cos + x2 sin, y2 = -x1 sin + x2 cos: x2 is the u of a turn by +angle, and x1 its v.
    angles = rope_angles(p, d, base)
    return [sin(a) for a in angles] + [cos(a) for a in angles]


def rope_linear(p: mpf, d: int, base: float = 10000.0, factor: float = 8.0, layout: str = "concatenated") -> Row:
    return LAYOUTS[layout](rope_angles(p / mpf(factor), d, base))


def rope_ntk(p: mpf, d: int, dim: int, base: float = 10000.0, factor: float = 8.0, layout: str = "concatenated") -> Row:
    return LAYOUTS[layout](rope_angles(p, d, base * mpf(factor) ** (mpf(d) / (d - 2))))


def rope_dynamic(
    p: mpf,
    d: int,
    dim: int,
    seq_len: int | None = None,
    base: float = 10000.0,
    factor: float = 8.0,
    max_position_embeddings: int = 2048,
    layout: str = "concatenated",
) -> Row:
    length = max(seq_len or 0, max_position_embeddings)
    stretched = mpf(factor) * length / max_position_embeddings - (mpf(factor) - 1)
    return rope_ntk(p, d, dim, base, stretched, layout)


def rope_llama3(
    p: mpf,
    d: int,
    dim: int,
    base: float = 500000.0,
    factor: float = 8.0,
    low: float = 1.0,
    high: float = 4.0,
    original: int = 8192,
    layout: str = "concatenated",
) -> Row:
    # meta-llama/llama-models apply_scaling, in three branches
    result = []
    for w in rope_angles(mpf(1), d, base):
        wavelength = 2 * pi / w
        if wavelength < original / mpf(high):
            new = w
        elif wavelength > original / mpf(low):
            new = w / mpf(factor)
        else:
            smooth = (original / wavelength - low) / (mpf(high) - low)
            new = (1 - smooth) * w / mpf(factor) + smooth * w
        result.append(p * new)
    return LAYOUTS[layout](result)


def rope_yarn(
    p: mpf,
    d: int,
    dim: int,
    base: float = 10000.0,
    factor: float = 4.0,
    original: int = 4096,
    beta_fast: float = 32.0,
    beta_slow: float = 1.0,
    truncate: bool = True,
    attention_factor: float | None = None,
    mscale: float | None = None,
    mscale_all_dim: float | None = None,
    layout: str = "concatenated",
) -> Row:
    def dimension(rotations: float) -> mpf:
        return d * log(original / (mpf(rotations) * 2 * pi)) / (2 * log(mpf(base)))

    def get_mscale(m: float) -> mpf:
        return mpf(m) / 10 * log(mpf(factor)) + 1 if factor > 1 else mpf(1)

    low, high = dimension(beta_fast), dimension(beta_slow)
    if truncate:
        low, high = floor(low), ceil(high)
    low, high = max(low, mpf(0)), min(high, mpf(d - 1))
    if low == high:
        high += mpf(1) / 1000
    angles = []
    for k, w in enumerate(rope_angles(mpf(1), d, base)):
        extrapolated = 1 - min(max((k - low) / (high - low), mpf(0)), mpf(1))
        angles.append(p * (w / mpf(factor) * (1 - extrapolated) + w * extrapolated))
    if attention_factor is None:
        attention_factor = get_mscale(1)
        if mscale and mscale_all_dim:
            attention_factor = get_mscale(mscale) / get_mscale(mscale_all_dim)
    return [mpf(attention_factor) * value for value in LAYOUTS[layout](angles)]


def rope_longrope(
    p: mpf,
    d: int,
    dim: int,
    factors: Sequence[float],
    base: float = 10000.0,
    factor: float = 1.0,
    original: int = 4096,
    attention_factor: float | None = None,
    layout: str = "concatenated",
) -> Row:
    angles = [a / mpf(f) for a, f in zip(rope_angles(p, d, base), factors, strict=True)]
    if attention_factor is None:
        attention_factor = sqrt(1 + log(mpf(factor)) / log(mpf(original))) if factor > 1 else 1.0
    return [mpf(attention_factor) * value for value in LAYOUTS[layout](angles)]


def rope_gemma4(p: mpf, d: int, dim: int, partial: float = 0.25, base: float = 1e6, factor: float = 1.0) -> Row:
    turned = int(partial * d // 2)
    return halves([a / mpf(factor) if k < turned else mpf(0) for k, a in enumerate(rope_angles(p, d, base))])


def rope_mrope(
    p: tuple[mpf, ...],
    d: int,
    dim: int = 128,
    sections: Sequence[int] = (16, 24, 24),
    base: float = 1e6,
    interleaved: bool = False,
) -> Row:
    # transformers' apply_interleaved_mrope overwrites those of time at offset::3, up to 3 times a section.
    axis = [0] * (d // 2)
    if interleaved:
        for offset in (1, 2):
            for k in range(offset, min(3 * sections[offset], d // 2), 3):
                axis[k] = offset
    else:
        axis = [a for a, section in enumerate(sections) for _ in range(section)]
    w = rope_angles(mpf(1), d, base)
    return halves([p[a] * w[k] for k, a in enumerate(axis)])


def by_axes(p: tuple[mpf, ...], widths: Sequence[int], base: float) -> Row:
    return [value for q, width in zip(p, widths, strict=True) for value in rope_meta(q, width, base)]


def rope_flux(p: tuple[mpf, ...], d: int, axes_dim: Sequence[int] = (16, 56, 56), base: float = 10000.0) -> Row:
    return by_axes(p, axes_dim, base)


def rope_hunyuan(p: tuple[mpf, ...], d: int, axes_dim: Sequence[int] = (16, 56, 56), base: float = 256.0) -> Row:
    return by_axes(p, axes_dim, base)


def rope_wan(p: tuple[mpf, ...], d: int, dim: int = 128, base: float = 10000.0) -> Row:
    return by_axes(p, (d - 4 * (d // 6), 2 * (d // 6), 2 * (d // 6)), base)


def rope_cogvideox(p: tuple[mpf, ...], d: int, base: float = 10000.0) -> Row:
    return by_axes(p, (d // 4, d // 8 * 3, d // 8 * 3), base)


def rope_allegro(p: tuple[mpf, ...], d: int, base: float = 10000.0) -> Row:
    return [value for q in p for value in rope_hf(q, d // 3, base)]


def rope_qwen2_vl_vision(p: tuple[mpf, ...], d: int, base: float = 10000.0) -> Row:
    return halves([a for q in p for a in rope_angles(q, d // 2, base)])


def rope_pixtral(p: tuple[mpf, ...], d: int, dim: int = 64, base: float = 10000.0) -> Row:
    y, x = (rope_angles(q, d, base) for q in p)
    return halves(y[0::2] + x[1::2])


def rope_kimi_vision(p: tuple[mpf, ...], d: int, base: float = 10000.0) -> Row:
    y, x = (rope_angles(q, d // 2, base) for q in p)
    return halves([a for pair in zip(x, y, strict=True) for a in pair])


def rope_eva(p: tuple[mpf, ...], d: int, pt: int = 16, ft: int | None = None, base: float = 10000.0) -> Row:
    return by_axes(tuple(q * pt / (ft or pt) for q in p), (d // 2, d // 2), base)


def rope_vit_axial(p: tuple[mpf, ...], d: int, base: float = 100.0) -> Row:
    return by_axes(p[::-1], (d // 2, d // 2), base)


def rope_sam2(p: tuple[mpf, ...], d: int, base: float = 10000.0) -> Row:
    return by_axes(p[::-1], (d // 2, d // 2), base)


def rope_llama4_vision(p: tuple[mpf, ...], d: int, base: float = 10000.0) -> Row:
    return by_axes(tuple(q + 1 for q in p[::-1]), (d // 2, d // 2), base)


def rope_dinov3(p: tuple[mpf, ...], d: int, shape: Sequence[int] = (14, 14), base: float = 100.0) -> Row:
    centres = [2 * pi * (2 * (q + mpf(1) / 2) / size - 1) for q, size in zip(p, shape, strict=True)]
    return halves([a for q in centres for a in rope_angles(q, d // 2, base)])


def rope_loftr(p: tuple[mpf, ...], d: int, base: float = 10000.0) -> Row:
    y, x = (rope_angles(q + 1, d // 2, base) for q in p)
    return adjacent([a for pair in zip(y, x, strict=True) for a in pair])


def rope_gemma4_vision(p: tuple[mpf, ...], d: int, base: float = 100.0) -> Row:
    return [value for q in p for value in rope_hf(q, d // 2, base)]


class Case(NamedTuple):
    """One encoding at one width."""

    names: str
    formula: Callable[..., Row]
    dim: int
    options: dict[str, Any] = {}  # noqa: RUF012
    # How far parameters may be off, relatively, since posenc rounds them to doubles; 0 where it does not.
    rounding: float = 0.0
    axes: int = 1
    odd: int | None = None  # an odd width that is allowed, too
    positions: tuple[Any, ...] = ()

    @property
    def where(self) -> list[Any]:
        """Some positions, exact in binary: whole and fractional ones."""
        if self.positions:
            return list(self.positions)
        if self.axes == 1:
            return [0, 1, 5, 1000, 0.25, -3]
        return [tuple(range(axis, axis + self.axes)) for axis in (0, 3)] + [(17, 0, 2.5, 1)[: self.axes]]


ULP = 2.0**-51
TIMES = (0, 1, 937, 0.5)

CASES = [
    Case("paper xlm flaubert distilbert keras_hub videomae thp", vaswani, 12, odd=7),
    Case("pytorch annotated_transformer annotated d2l", even(vaswani), 12),
    Case("opennmt_py_interleaved joeynmt informer", even(vaswani), 8),
    Case("espnet wenet nemo icefall speechbrain speechbrain_rel csdi_time", even(vaswani), 10),
    Case("espnet_scaled speecht5", even(scaled), 10),
    Case("espnet_scaled", even(scaled), 10, {"alpha": 0.75}),
    Case("nemo_fixed", even(nemo_fixed), 10, rounding=ULP),
    Case(
        "rel_conformer espnet_rel wav2vec2_conformer fastspeech2_conformer parakeet",
        even(rel_conformer),
        10,
        {"length": 9},
    ),
    Case("rel_conformer espnet_rel wav2vec2_conformer fastspeech2_conformer parakeet", even(vaswani), 10),
    Case("espnet_legacy_rel", even(espnet_legacy_rel), 10),
    Case("espnet_legacy_rel", even(espnet_legacy_rel), 10, {"max_len": 100}),
    Case("pse_tae", tae, 10, odd=7),
    Case("pse_tae", tae, 10, {"T": 200, "first": 0}),
    Case("ltae", ltae, 128, odd=16 * 3),
    Case("utae", utae, 128, odd=16 * 3, positions=(0, 1, 365, 1461)),
    Case("utae", utae, 12, {"n_head": 3, "T": 500, "first": 1}),
    Case("ltae", ltae, 12, {"n_head": 3, "T": 500, "first": 0}),
    Case("coqui_tts", even(coqui), 8, rounding=ULP),
    Case(
        "hf_marian hf_pegasus roformer hf_timeseries time_series_transformer hf_informer hf_autoformer ctrl",
        hf_marian,
        12,
        odd=9,
    ),
    Case("transformer_xl", even(transformer_xl), 8, {"klen": 20}),
    Case("xlnet", even(xlnet), 8, {"klen": 20}),
    Case("transformer_xl xlnet funnel tf_tutorial_2022 wavegrad nemo_tts sockeye", even(hf_marian), 8),
    Case("sockeye", even(sockeye), 8, {"scale_down_positions": True}, rounding=ULP),
    Case("x_transformers", even(x_transformers), 8, rounding=ULP),
    Case("x_transformers", even(x_transformers), 8, {"theta": 500}, rounding=ULP),
    Case("tensor2tensor praxis allennlp lingvo", tensor2tensor, 12, odd=9),
    Case("tensor2tensor praxis lingvo", tensor2tensor, 2, odd=3),  # AllenNLP divides by 0
    Case("tensor2tensor", tensor2tensor, 12, {"min_timescale": 2, "max_timescale": 500}),
    Case("tensor2tensor", tensor2tensor, 12, {"min_timescale": 3, "max_timescale": 1e4}, rounding=ULP),
    Case("tf_models", even(tensor2tensor), 12, {"min_timescale": 2, "max_timescale": 128}),
    Case("maxtext", even(maxtext), 12, {"max_wavelength": 4096}),
    Case("maxtext tf_models", even(maxtext), 12),
    Case("flax_wmt flax_lm1b flaxformer", flax, 12, odd=9),
    Case("flax_wmt", flax, 12, {"min_scale": 0.5, "max_scale": 1000}),
    Case(
        "fairseq fsmt m2m100 nllb_moe speech_to_text speech2text seamless trocr kosmos2 xglm",
        fairseq,
        12,
        odd=9,
    ),
    Case("fairseq", fairseq, 12, {"padding_idx": 0}),
    Case("seamless_m4t", seamless_m4t, 12, odd=9),
    Case("seamless_m4t", seamless_m4t, 12, {"padding_idx": 1}),
    Case("xglm", xglm, 12),
    Case("fairseq2", even(fairseq2), 12),
    Case("fairseq2", even(fairseq2), 12, {"_legacy_pad_idx": 1}),
    Case("marian marian_nmt pegasus pegasus_x opennmt_py_concat whisper", even(whisper), 12),
    Case("whisper", even(whisper), 12, {"max_timescale": 300}),
    Case("opennmt_tf funasr ctranslate2", even(from_one), 12),
    Case("pyg", even(pyg), 8),
    Case("pyg", even(pyg), 8, {"base_freq": 0.001, "granularity": 7}, rounding=ULP),
    Case("mlx", even(mlx), 8, rounding=ULP),
    Case("mlx", even(mlx), 8, {"scale": 0.5, "cos_first": True, "max_freq": 2.0, "min_freq": 0.25}),
    Case("mlx", even(mlx), 8, {"full_turns": True}, rounding=ULP),
    Case("gradtts matcha f5", even(gradtts), 8, positions=(0, 0.5, 0.25, 1)),
    Case("gradtts", even(gradtts), 8, {"scale": 100}),
    Case("diffwave csdi_step", even(diffwave), 8, rounding=ULP, positions=(0, 1, 49)),
    Case("depthcharge_mz", even(mz), 12, positions=(0, 1.5, 500.25, 1000)),
    Case("depthcharge_mz", even(mz), 12, {"min_wavelength": 0.01, "max_wavelength": 10}),
    Case("depthcharge_intensity", even(intensity), 12, rounding=ULP, positions=(0, 0.5, 0.125)),
    Case("depthcharge_position", even(residue), 12),
    Case("depthcharge_intensity", even(intensity), 12, {"min_wavelength": 0.25, "max_wavelength": 16}),
    Case("depthcharge_position", even(residue), 12, {"min_wavelength": 0.5, "max_wavelength": 100}),
    Case("lingvo_linear", even(lingvo_linear), 8, {"dim": 8, "seq_len": 128}),
    Case("lingvo_linear", even(lingvo_linear), 8, {"dim": 8, "seq_len": 100}, rounding=ULP),
    Case("sam2_1d", even(sam2_1d), 16, {"dim": 16}, rounding=ULP),
    Case("sam2_1d", even(sam2_1d), 8, {"dim": 8, "temperature": 99}, rounding=ULP),
    Case("ddpm score_sde", ddpm, 12, odd=9, positions=TIMES),
    Case("score_sde", ddpm, 12, {"max_positions": 1000}, odd=9, positions=TIMES),
    Case("guided_diffusion improved_diffusion glide ldm dit ggml", guided_diffusion, 12, odd=9, positions=TIMES),
    Case("dit", guided_diffusion, 12, {"max_period": 100}, positions=TIMES),
    Case("flux auraflow", flux, 12, odd=9, positions=(0, 0.5, 1)),
    Case("flux", flux, 12, {"time_factor": 10, "max_period": 77}, positions=(0, 0.5, 1)),
    Case("wan", even(wan), 12, positions=TIMES),
    Case("diffusers", diffusers, 12, odd=9, positions=TIMES),
    Case(
        "diffusers",
        diffusers,
        12,
        {"flip_sin_to_cos": True, "downscale_freq_shift": 0, "scale": 1000, "max_period": 500},
        positions=(0, 0.5, 1),
    ),
    Case("diffusers", diffusers, 12, {"downscale_freq_shift": 0.5}, positions=TIMES),
    Case("diffusers_dit", diffusers_dit, 12, odd=9, positions=TIMES),
    Case("edm_songunet", even(edm_songunet), 12, positions=TIMES),
    Case("edm_adm", even(edm_adm), 12, positions=TIMES),
    Case("edm_songunet", even(edm_songunet), 12, {"max_positions": 99}, positions=TIMES),
    Case("edm_adm", even(edm_adm), 12, {"max_positions": 99}, positions=TIMES),
    Case("musicgen", musicgen, 12, odd=9),
    Case("audiocraft demucs", even(audiocraft), 12),
    Case("audiocraft", even(audiocraft), 12, {"positional_scale": 0.5, "max_period": 100}),
    Case("demucs", even(demucs), 12, {"shift": 3, "max_period": 100}),
    Case("detr maskformer sam2 deformable_detr", detr, 16, axes=2),
    Case("detr maskformer sam2", detr, 16, {"normalize": True, "shape": (25, 34)}, rounding=ULP, axes=2),
    Case("detr", detr, 16, {"normalize": True, "shape": (25, 34), "scale": 3, "temperature": 100}, ULP, axes=2),
    Case("deformable_detr", deformable_detr, 16, {"normalize": True, "shape": (25, 34)}, rounding=ULP, axes=2),
    Case("dino_hw grounding_dino", dino_hw, 16, axes=2),
    Case("deformable_detr", deformable_detr, 16, {"temperature": 100}, axes=2),
    Case("deformable_detr", deformable_detr, 16, {"normalize": True, "shape": (5, 6), "scale": 3}, ULP, axes=2),
    Case("dino_hw", dino_hw, 16, {"temperatureH": 10, "normalize": True, "shape": (7, 9)}, rounding=ULP, axes=2),
    Case("dino_hw", dino_hw, 16, {"temperatureW": 10, "normalize": True, "shape": (7, 9), "scale": 1}, ULP, axes=2),
    Case("mae vit_mae dit2d ijepa aimv2", mae, 16, axes=2),
    Case("moco_v3 vjepa2d rt_detr_v5", moco_v3, 16, axes=2),
    Case("moco_v3", moco_v3, 16, {"temperature": 100}, axes=2),
    Case("simple_vit big_vision", simple_vit, 16, axes=2),
    Case("simple_vit", simple_vit, 16, {"temperature": 99}, axes=2),
    Case("simple_vit_3d", simple_vit_3d, 24, axes=3),
    Case("simple_vit_3d", simple_vit_3d, 29, {"temperature": 99}, axes=3),
    Case("t2t_nd", t2t_nd, 16, axes=2),
    Case("t2t_nd", t2t_nd, 20, {"axes": 3, "min_timescale": 2, "max_timescale": 64}, axes=3),
    Case("t2t_nd", t2t_nd, 9, {"axes": 1}),
    Case("timm_sincos2d", timm_sincos2d, 16, axes=2),
    Case("timm_sincos2d", timm_sincos2d, 16, {"interleave_sin_cos": True, "temperature": 50}, axes=2),
    Case("vjepa3d", vjepa3d, 32, axes=3),
    Case("vjepa3d", vjepa3d, 32, {"uniform_power": True}, axes=3),
    Case("diffusers_2d", diffusers_2d, 16, axes=2),
    Case("diffusers_2d", diffusers_2d, 16, {"grid_size": 32, "base_size": 64}, axes=2),
    Case("diffusers_2d", diffusers_2d, 16, {"grid_size": (8, 64)}, axes=2),
    Case("diffusers_2d", diffusers_2d, 16, {"grid_size": (24, 9), "interpolation_scale": 1.5}, rounding=ULP, axes=2),
    Case("diffusers_3d", diffusers_3d, 32, axes=3),
    Case("cogvideox", cogvideox, 32, rounding=ULP, axes=3),
    Case("cogvideox", cogvideox, 32, {"spatial_interpolation_scale": 2, "temporal_interpolation_scale": 4}, axes=3),
    Case(
        "diffusers_3d",
        diffusers_3d,
        32,
        {"spatial_interpolation_scale": 1.875, "temporal_interpolation_scale": 2.0},
        rounding=ULP,
        axes=3,
    ),
    Case("positional_encodings", positional_encodings, 12, odd=7),
    Case("positional_encodings", positional_encodings, 16, {"axes": 2}, axes=2, odd=13),
    Case("positional_encodings", positional_encodings, 20, {"axes": 3}, axes=3, odd=13),
    Case("positional_encodings_legacy", positional_encodings_legacy, 12, odd=7),
    Case("positional_encodings_legacy", positional_encodings_legacy, 20, {"axes": 3}, axes=3),
    Case("wzlxjtu demucs_2d", wzlxjtu, 16, axes=2),
    Case("loftr", loftr, 16, axes=2),
    Case("loftr_legacy", loftr_legacy, 16, {"dim": 16}, rounding=ULP, axes=2),
    Case("nerf", nerf, 60, axes=3),
    Case("nerf", nerf, 16, {"num_freqs": 4, "input_dims": 2}, axes=2),
    Case("nerf_paper", nerf_paper, 60, axes=3),
    Case("nerf_paper", nerf_paper, 16, {"num_freqs": 4, "input_dims": 2}, axes=2),
    Case("gligen", gligen, 64, axes=4, rounding=ULP),
    Case("perceiver", perceiver, 256, rounding=4 * ULP, axes=2),
    Case(
        "perceiver",
        perceiver,
        24,
        {"shape": (8, 20, 30), "num_bands": 4, "max_resolution": (9, 21, 4)},
        rounding=4 * ULP,
        axes=3,
    ),
    Case("rope_hf rope_neox rope_llama rope_mistral rope_phi rope_esm2", even(rope_hf), 12),
    Case("rope_hf", even(rope_hf), 12, {"base": 500000.0}),
    Case(
        "rope_meta rope_gptj rope_roformer rope_cohere rope_glm rope_deepseek rope_lucidrains rope_x_transformers",
        even(rope_meta),
        12,
    ),
    Case("rope_meta", even(rope_meta), 12, {"base": 500000.0}),
    Case("rope_nanochat", even(rope_nanochat), 12),
    Case("rope_nanochat", even(rope_nanochat), 12, {"base": 99.0}),
    Case("rope_linear", even(rope_linear), 12),
    Case("rope_linear", even(rope_linear), 12, {"base": 99.0, "factor": 3.0, "layout": "interleaved"}, rounding=ULP),
    Case("rope_ntk", rope_ntk, 12, {"dim": 12}, rounding=2 * ULP),
    Case("rope_ntk", rope_ntk, 12, {"dim": 12, "base": 99.0, "factor": 3.5, "layout": "interleaved"}, rounding=2 * ULP),
    Case("rope_dynamic", rope_dynamic, 12, {"dim": 12}, rounding=2 * ULP),
    Case(
        "rope_dynamic",
        rope_dynamic,
        12,
        {
            "dim": 12,
            "seq_len": 9999,
            "base": 1e6,
            "factor": 3.0,
            "max_position_embeddings": 4096,
            "layout": "interleaved",
        },
        rounding=2 * ULP,
    ),
    Case("rope_llama3", rope_llama3, 128, {"dim": 128}, rounding=ULP),
    Case(
        "rope_llama3",
        rope_llama3,
        64,
        {"dim": 64, "base": 1e4, "factor": 32.0, "low": 2.0, "high": 6.0, "original": 4096, "layout": "interleaved"},
        rounding=ULP,
    ),
    Case("rope_yarn", rope_yarn, 64, {"dim": 64}, rounding=ULP),
    Case("rope_yarn", rope_yarn, 64, {"dim": 64, "factor": 0.5, "truncate": False}, rounding=ULP),
    Case("rope_yarn", rope_yarn, 64, {"dim": 64, "factor": 8.0, "attention_factor": 1.5}, rounding=ULP),
    Case(
        "rope_yarn",
        rope_yarn,
        64,
        {
            "dim": 64,
            "base": 150000.0,
            "factor": 40.0,
            "original": 2048,
            "beta_fast": 16.0,
            "beta_slow": 2.0,
            "mscale": 0.707,
            "mscale_all_dim": 1.0,
            "layout": "interleaved",
        },
        rounding=ULP,
    ),
    Case("rope_longrope", rope_longrope, 12, {"dim": 12, "factors": (1.0, 1.1, 2.0, 3.5, 9.0, 64.0)}, rounding=ULP),
    Case(
        "rope_longrope",
        rope_longrope,
        4,
        {"dim": 4, "factors": (1.5, 3.0), "base": 99.0, "factor": 32.0, "original": 2048, "layout": "interleaved"},
        rounding=ULP,
    ),
    Case("rope_longrope", rope_longrope, 4, {"dim": 4, "factors": (1.5, 3), "attention_factor": 1.25}, rounding=ULP),
    Case("rope_gemma4", rope_gemma4, 64, {"dim": 64}, rounding=ULP),
    Case("rope_gemma4", rope_gemma4, 64, {"dim": 64, "partial": 0.5, "base": 1e4, "factor": 8.0}, rounding=ULP),
    Case("rope_mrope", rope_mrope, 128, rounding=ULP, axes=3),
    Case(
        "rope_mrope",
        rope_mrope,
        128,
        {"dim": 128, "sections": (24, 20, 20), "base": 5e6, "interleaved": True},
        rounding=ULP,
        axes=3,
    ),
    Case("rope_mrope", rope_mrope, 64, {"dim": 64, "sections": (8, 12, 12), "interleaved": True}, ULP, axes=3),
    Case("rope_flux rope_qwen_image", rope_flux, 128, axes=3),
    Case("rope_flux", rope_flux, 32, {"axes_dim": (8, 12, 12), "base": 2000.0}, axes=3),
    Case("rope_wan", rope_wan, 128, axes=3),
    Case("rope_wan", rope_wan, 64, {"dim": 64, "base": 99.0}, axes=3),
    Case("rope_hunyuan_video", rope_hunyuan, 128, axes=3),
    Case("rope_hunyuan_video", rope_hunyuan, 32, {"axes_dim": (8, 12, 12), "base": 99.0}, axes=3),
    Case("rope_cogvideox", rope_cogvideox, 64, axes=3),
    Case("rope_cogvideox", rope_cogvideox, 64, {"base": 99.0}, axes=3),
    Case("rope_allegro", rope_allegro, 24, axes=3),
    Case("rope_allegro", rope_allegro, 24, {"base": 99.0}, axes=3),
    Case("rope_qwen2_vl_vision", rope_qwen2_vl_vision, 16, axes=2),
    Case("rope_qwen2_vl_vision", rope_qwen2_vl_vision, 16, {"base": 99.0}, axes=2),
    Case("rope_pixtral", rope_pixtral, 64, rounding=ULP, axes=2),
    Case("rope_pixtral", rope_pixtral, 16, {"dim": 16, "base": 99.0}, rounding=ULP, axes=2),
    Case("rope_kimi_vision", rope_kimi_vision, 16, axes=2),
    Case("rope_kimi_vision", rope_kimi_vision, 16, {"base": 99.0}, axes=2),
    Case("rope_eva", rope_eva, 16, axes=2),
    Case("rope_eva", rope_eva, 16, {"pt": 14, "ft": 24, "base": 99.0}, rounding=ULP, axes=2),
    Case("rope_vit_axial", rope_vit_axial, 16, axes=2),
    Case("rope_vit_axial", rope_vit_axial, 16, {"base": 99.0}, axes=2),
    Case("rope_sam2", rope_sam2, 16, axes=2),
    Case("rope_sam2", rope_sam2, 16, {"base": 99.0}, axes=2),
    Case("rope_llama4_vision", rope_llama4_vision, 16, axes=2),
    Case("rope_llama4_vision", rope_llama4_vision, 16, {"base": 99.0}, axes=2),
    Case("rope_dinov3", rope_dinov3, 16, rounding=4 * ULP, axes=2),
    Case("rope_dinov3", rope_dinov3, 16, {"shape": (12, 20), "base": 99.0}, rounding=4 * ULP, axes=2),
    Case("rope_loftr", rope_loftr, 16, axes=2),
    Case("rope_loftr", rope_loftr, 16, {"base": 99.0}, axes=2),
    Case("rope_gemma4_vision", rope_gemma4_vision, 16, axes=2),
    Case("rope_gemma4_vision", rope_gemma4_vision, 16, {"base": 99.0}, axes=2),
]
