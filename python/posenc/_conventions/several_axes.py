"""Conventions over two and more axes."""

from __future__ import annotations

import numpy as np

from .._encoding import Encoding
from .makers import (
    NORMALIZED,
    UPSIDE_DOWN,
    detr,
    diffusers_2d,
    diffusers_3d,
    image,
    perceiver,
    powers_of_e,
    timescales,
)
from .row import Row

ROWS = [
    Row(
        ("detr", "maskformer", "sam2"),
        "DETR and many after it: y before x, interleaved, positions from 1",
        "facebookresearch/detr models/position_encoding.py PositionEmbeddingSine",
        lambda temperature=10000.0, normalize=False, scale=None, shape=None: detr(temperature, normalize, scale, shape),
        (
            *NORMALIZED,
            "Added to queries and keys, not to values. Channels first: channel_axis=.",
            "num_pos_feats is dim / 2, but dim in SAM 2, whose class normalizes unless told otherwise. transformers 5 "
            "computes in the model's dtype.",
        ),
    ),
    Row(
        ("deformable_detr",),
        "Deformable DETR: DETR's, with positions half a pixel lower if normalised",
        "fundamentalvision/Deformable-DETR models/position_encoding.py PositionEmbeddingSine",
        lambda temperature=10000.0, normalize=False, scale=None, shape=None: detr(
            temperature, normalize, scale, shape, offset=-0.5
        ),
        ("With shape=(H, W), positions are (i + 0.5) / (H + 1e-6).", *NORMALIZED[1:]),
    ),
    Row(
        ("dino_hw", "grounding_dino"),
        "DINO and Grounding DINO: DETR's, with a temperature per axis",
        "IDEA-Research/DINO models/dino/position_encoding.py PositionEmbeddingSineHW",
        lambda temperatureH=20.0, temperatureW=20.0, normalize=False, scale=None, shape=None: detr(
            (temperatureH, temperatureW), normalize, scale, shape
        ),
        (*NORMALIZED, "The class's own defaults are 10000, its models' 20."),
    ),
    Row(
        ("mae", "vit_mae", "dit2d", "ijepa", "aimv2"),
        "MAE, DiT's patches, I-JEPA, AIMv2: x before y",
        "facebookresearch/mae util/pos_embed.py get_2d_sincos_pos_embed",
        lambda: image(1, 0, layout="concatenated"),
        (
            "MAE puts a row of zeros in front, for the class token; DiT, I-JEPA and AIMv2 do not.",
            "x comes first although the code calls it h.",
            "Of AIMv2 only the model of native resolution has it; positions of the others are learned.",
        ),
    ),
    Row(
        ("moco_v3", "vjepa2d", "rt_detr_v5"),
        "MoCo v3, V-JEPA, RT-DETR since transformers 5: y before x",
        "facebookresearch/moco-v3 vits.py build_2d_sincos_position_embedding",
        lambda temperature=10000.0: image(layout="concatenated", base=temperature),
        (
            "MoCo v3 puts a row of zeros in front, for the class token; V-JEPA and RT-DETR do not.",
            "MoCo v3 and RT-DETR before transformers 5 flatten the grid transposed, which fits square images only.",
            "temperature is an argument of MoCo v3 and RT-DETR.",
        ),
    ),
    Row(
        ("simple_vit", "big_vision"),
        "Simple ViT, big_vision: x before y, the last frequency being 1 / base",
        "google-research/big_vision big_vision/models/vit.py posemb_sincos_2d",
        lambda temperature=10000.0: image(1, 0, layout="concatenated", freq_shift=1.0, base=temperature),
        ("It says that it follows MoCo v3, whose frequencies and order are others.",),
    ),
    Row(
        ("simple_vit_3d",),
        "vit-pytorch's SimpleViT for video: x, y, then t; zeros in the columns that remain",
        "lucidrains/vit-pytorch vit_pytorch/simple_vit_3d.py posemb_sincos_3d",
        lambda temperature=10000.0: Encoding(
            axes=3, axis_order=(2, 1, 0), layout="concatenated", freq_shift=1.0, base=temperature, axis_widths="floor"
        ),
    ),
    Row(
        ("t2t_nd",),
        "tensor2tensor's add_timing_signal_nd; zeros in the columns that remain",
        "tensorflow/tensor2tensor tensor2tensor/layers/common_attention.py add_timing_signal_nd",
        lambda axes=2, min_timescale=1.0, max_timescale=1e4: timescales(
            min_timescale, max_timescale, axes=axes, axis_widths="floor"
        ),
        (UPSIDE_DOWN,),
    ),
    Row(
        ("timm_sincos2d",),
        "timm's build_sincos2d_pos_embed: sin y, sin x, cos y, cos x",
        "huggingface/pytorch-image-models timm/layers/pos_embed_sincos.py build_sincos2d_pos_embed",
        lambda temperature=10000.0, interleave_sin_cos=False: image(
            nesting="atk" if interleave_sin_cos else "tak", base=temperature
        ),
        (
            "interleave_sin_cos interleaves blocks of columns, not columns: sin y, cos y, sin x, cos x.",
            "reverse_coord=True is for arrays (W, H, dim).",
        ),
    ),
    Row(
        ("vjepa3d",),
        "V-JEPA's video: t, y, x with 1/2, 1/4 and 1/4 of the columns",
        "facebookresearch/jepa src/models/utils/pos_embs.py get_3d_sincos_pos_embed",
        lambda uniform_power=False: Encoding(
            axes=3, layout="concatenated", axis_widths="ceil" if uniform_power else (2, 1, 1), odd="error"
        ),
        ("uniform_power=True, in the configuration of some models, gives a third of the columns to each axis.",),
    ),
    Row(
        ("diffusers_2d",),
        "diffusers' get_2d_sincos_pos_embed: x before y",
        "huggingface/diffusers src/diffusers/models/embeddings.py get_2d_sincos_pos_embed",
        lambda grid_size=(16, 16), interpolation_scale=1.0, base_size=16: diffusers_2d(
            grid_size, interpolation_scale, base_size
        ),
        (
            "Positions are i / (grid_size / base_size) / interpolation_scale.",
            "Stable Diffusion 3 crops a larger table.",
        ),
    ),
    Row(
        ("diffusers_3d",),
        "diffusers' get_3d_sincos_pos_embed: t, x, y with 1/4, 3/8 and 3/8 of the columns",
        "huggingface/diffusers src/diffusers/models/embeddings.py get_3d_sincos_pos_embed",
        lambda spatial_interpolation_scale=1.0, temporal_interpolation_scale=1.0: diffusers_3d(
            spatial_interpolation_scale, temporal_interpolation_scale
        ),
        ("Its spatial_size is (width, height). CogVideoX divides y and x by 1.875: cogvideox.",),
    ),
    Row(
        ("cogvideox",),
        "CogVideoX in diffusers: that of diffusers_3d with y and x divided by 1.875",
        "huggingface/diffusers src/diffusers/models/embeddings.py CogVideoXPatchEmbed",
        lambda spatial_interpolation_scale=1.875, temporal_interpolation_scale=1.0: diffusers_3d(
            spatial_interpolation_scale, temporal_interpolation_scale
        ),
        ("Rows of zeros stand before it, for the text.",),
    ),
    Row(
        ("positional_encodings",),
        "The package positional-encodings, since 5.1: interleaved, blocks of even width, cut to dim",
        "tatp22/multidim-positional-encoding positional_encodings/torch_encodings.py",
        lambda axes=1: Encoding(axes=axes, axis_widths="ceil"),
        ("Before 5.1, columns were concatenated: positional_encodings_legacy.", "Integer input gives zeros there."),
    ),
    Row(
        ("positional_encodings_legacy",),
        "The package positional-encodings before 5.1: concatenated",
        "tatp22/multidim-positional-encoding positional_encodings/positional_encodings.py",
        lambda axes=1: Encoding(axes=axes, layout="concatenated", axis_widths="ceil"),
    ),
    Row(
        ("wzlxjtu", "demucs_2d"),
        "wzlxjtu's PositionalEncoding2D, Demucs over two axes: x before y, interleaved",
        "wzlxjtu/PositionalEncoding2D positionalembedding2d.py",
        lambda: image(1, 0),
        ("Channels first: channel_axis=.",),
    ),
    Row(
        ("loftr",),
        "LoFTR: sin x, cos x, sin y, cos y of each frequency, positions from 1",
        "zju3dv/LoFTR src/loftr/utils/position_encoding.py PositionEncodingSine",
        lambda: image(1, 0, nesting="kat", position_offset=1.0),
        ("Channels first: channel_axis=.", "Old weights (temp_bug_fix=False): loftr_legacy."),
    ),
    Row(
        ("loftr_legacy",),
        "LoFTR with temp_bug_fix=False: frequencies e^(-2k)",
        "zju3dv/LoFTR src/loftr/utils/position_encoding.py PositionEncodingSine",
        lambda dim=256: image(1, 0, nesting="kat", position_offset=1.0, frequencies=powers_of_e(-2, dim // 4)),
        ("A slip of operator precedence. Here the frequencies are rounded to doubles.",),
    ),
    Row(
        ("nerf",),
        "NeRF, the released code: sin and cos of 2^k x",
        "bmild/nerf run_nerf_helpers.py Embedder",
        lambda num_freqs=10, input_dims=3: Encoding(
            axes=input_dims, nesting="kta", frequencies=2.0 ** np.arange(num_freqs), odd="error"
        ),
        ("There is no pi in it, as in the paper (nerf_paper).", "The original puts x itself in front."),
    ),
    Row(
        ("nerf_paper",),
        "NeRF, the paper: sin and cos of 2^k pi x",
        "arXiv:2003.08934, section 5.1",
        lambda num_freqs=10, input_dims=3: Encoding(
            axes=input_dims,
            nesting="kta",
            frequencies=2.0 ** np.arange(num_freqs),
            position_scale=0.5,
            full_turns=True,
            odd="error",
        ),
    ),
    Row(
        ("gligen",),
        "GLIGEN's boxes: frequencies 100^(k / K)",
        "huggingface/diffusers src/diffusers/models/embeddings.py get_fourier_embeds_from_boundingbox",
        lambda: Encoding(axes=4, nesting="kta", base=0.01, odd="error"),
        ("Positions are the four coordinates of a box. Its embed_dim is dim / 8.",),
    ),
    Row(
        ("perceiver",),
        "Perceiver's Fourier features: sines of all axes, then cosines",
        "huggingface/transformers models/perceiver/modeling_perceiver.py generate_fourier_features",
        lambda shape=(224, 224), num_bands=64, max_resolution=None: perceiver(shape, num_bands, max_resolution),
        ("Positions from -1 to 1 come from shape.", "The original puts the positions themselves in front."),
    ),
]
