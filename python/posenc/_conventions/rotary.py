"""Rotary conventions: what turns queries and keys. One axis, its scalings, then several axes."""

from __future__ import annotations

from .row import Row
from .scalings import by_axis, dynamic, llama3, longrope, ntk, proportional, rotary, shared, yarn
from .scalings import sections as by_sections

PARTIAL = "A model that turns a part of its columns does so on a view: x[..., :64]."
BASE = "base is the model's rope_theta."
DIM = "Frequencies are explicit: only arrays of dim columns are turned."
COMPLEX = "Adjacent columns are pairs; ports with halves have permuted weights: convert_layout_."
KEYS = "Keys that were cached under another length have to be turned back with the old encoding, and on with the new."
ROTARY_UTILS = "huggingface/transformers src/transformers/modeling_rope_utils.py"

ROWS = [
    Row(
        ("rope_hf", "rope_neox", "rope_llama", "rope_mistral", "rope_phi", "rope_esm2"),
        "Halves are pairs: Hugging Face's Llama, Mistral, Qwen, Phi and most others, GPT-NeoX, ESM-2",
        "huggingface/transformers models/llama/modeling_llama.py apply_rotary_pos_emb",
        lambda base=10000.0: rotary(base=base),
        (BASE, PARTIAL, "Meta's Llama itself has adjacent pairs: rope_meta."),
    ),
    Row(
        (
            "rope_meta",
            "rope_gptj",
            "rope_roformer",
            "rope_cohere",
            "rope_glm",
            "rope_deepseek",
            "rope_lucidrains",
            "rope_x_transformers",
        ),
        "Adjacent columns are pairs: Meta's Llama, GPT-J, RoFormer, Cohere, GLM, DeepSeek, x-transformers",
        "meta-llama/llama3 llama/model.py apply_rotary_emb",
        lambda base=10000.0: rotary("interleaved", base=base),
        (
            BASE,
            PARTIAL,
            COMPLEX,
            "DeepSeek-V3 in transformers stores halves of what it read as adjacent pairs: turn, then convert_layout_.",
        ),
    ),
    Row(
        ("rope_nanochat",),
        "nanochat: halves, turned the other way, base 100000",
        "karpathy/nanochat nanochat/gpt.py apply_rotary_emb",
        lambda base=100000.0: rotary(base=base, cos_first=False),
    ),
    Row(
        ("rope_linear",),
        "Linear scaling, position interpolation: positions divided by factor",
        f"{ROTARY_UTILS} _compute_linear_scaling_rope_parameters",
        lambda base=10000.0, factor=8.0, layout="concatenated": rotary(layout, base=base, position_scale=1.0 / factor),
        ("1 / factor is rounded to a double here.",),
    ),
    Row(
        ("rope_ntk",),
        "NTK-aware scaling: base * factor^(dim / (dim - 2))",
        "lucidrains/x-transformers x_transformers/x_transformers.py RotaryEmbedding",
        ntk,
        ("diffusers' ntk_factor multiplies the base by itself, without an exponent: give base=.",),
    ),
    Row(
        ("rope_dynamic",),
        "Dynamic NTK scaling, at one length",
        f"{ROTARY_UTILS} _compute_dynamic_ntk_parameters",
        dynamic,
        ("seq_len is the largest position of a call, plus 1; up to max_position_embeddings nothing is scaled.", KEYS),
    ),
    Row(
        ("rope_llama3",),
        "Llama 3.1's scaling: slow frequencies divided by factor, fast ones kept",
        f"{ROTARY_UTILS} _compute_llama3_parameters",
        llama3,
        (DIM, "layout='interleaved' for Meta's own weights.", "Llama 3.2 has factor=32."),
    ),
    Row(
        ("rope_yarn",),
        "YaRN: frequencies between those of linear scaling and their own, times an attention factor",
        f"{ROTARY_UTILS} _compute_yarn_parameters",
        yarn,
        (
            DIM,
            "The attention factor is the amplitude: of queries and keys, so scores have its square.",
            "DeepSeek's own code has attention_factor=1.0 and scales the scores instead.",
        ),
    ),
    Row(
        ("rope_longrope",),
        "LongRoPE: every frequency divided by a factor of its own, times an attention factor",
        f"{ROTARY_UTILS} _compute_longrope_parameters",
        longrope,
        (
            DIM,
            "factors are the model's short_factor, or its long_factor for contexts longer than original.",
            "factor is max_position_embeddings / original.",
            KEYS,
        ),
    ),
    Row(
        ("rope_gemma4",),
        "Gemma 4's full attention: halves of all columns, of which only the first frequencies turn",
        f"{ROTARY_UTILS} _compute_proportional_rope_parameters",
        proportional,
        (DIM, "A view of a quarter of the columns is something else: pairs are dim / 2 columns apart."),
    ),
    Row(
        ("rope_mrope",),
        "Multimodal RoPE of Qwen-VL: frequencies dealt out to time, height and width",
        "huggingface/transformers models/qwen2_vl/modeling_qwen2_vl.py, models/qwen3_vl/modeling_qwen3_vl.py",
        lambda dim=128, sections=(16, 24, 24), base=1e6, interleaved=False: by_sections(
            dim, sections, base, interleaved
        ),
        (
            "Positions are (..., 3): time, height, width; text has three equal ones.",
            "Qwen3-VL has sections=(24, 20, 20) and interleaved=True.",
        ),
    ),
    Row(
        ("rope_flux", "rope_qwen_image"),
        "Flux and Qwen-Image: adjacent pairs, then axes",
        "black-forest-labs/flux src/flux/math.py rope",
        lambda axes_dim=(16, 56, 56), base=10000.0: by_axis(axes_dim, base),
        ("Qwen-Image counts rows and columns from the middle: give positions.", "Text has positions of its own."),
    ),
    Row(
        ("rope_wan",),
        "Wan: adjacent pairs of time, height and width; dim - 4 (dim // 6) columns for time",
        "Wan-Video/Wan2.1 wan/modules/model.py rope_apply",
        lambda dim=128, base=10000.0: by_axis((dim - 4 * (dim // 6), 2 * (dim // 6), 2 * (dim // 6)), base),
    ),
    Row(
        ("rope_hunyuan_video",),
        "HunyuanVideo: adjacent pairs of time, height and width, base 256",
        "huggingface/diffusers src/diffusers/models/transformers/transformer_hunyuan_video.py",
        lambda axes_dim=(16, 56, 56), base=256.0: by_axis(axes_dim, base),
    ),
    Row(
        ("rope_cogvideox",),
        "CogVideoX: adjacent pairs of time, height and width, with 1/4, 3/8 and 3/8 of the columns",
        "huggingface/diffusers src/diffusers/models/embeddings.py get_3d_rotary_pos_embed",
        lambda base=10000.0: by_axis((2, 3, 3), base),
        ("Its crops are positions: give them.",),
    ),
    Row(
        ("rope_allegro",),
        "Allegro: halves within the columns of time, of height and of width",
        "huggingface/diffusers src/diffusers/models/embeddings.py get_3d_rotary_pos_embed_allegro",
        lambda base=10000.0: rotary(axes=3, base=base),
    ),
    Row(
        ("rope_qwen2_vl_vision",),
        "The images of Qwen2-VL and Qwen3-VL: halves, y before x in each",
        "huggingface/transformers models/qwen2_vl/modeling_qwen2_vl.py Qwen2VLVisionRotaryEmbedding",
        lambda base=10000.0: rotary("interleaved", axes=2, nesting="tak", base=base),
        ("Patches come in blocks of m x m: give positions in their order.",),
    ),
    Row(
        ("rope_pixtral",),
        "Pixtral: halves; even frequencies for y, then odd ones for x",
        "huggingface/transformers models/pixtral/modeling_pixtral.py PixtralVisionRotaryEmbedding",
        lambda dim=64, base=10000.0: shared(dim, base, lambda k: k % 2, 2, nesting="tak"),
        (DIM,),
    ),
    Row(
        ("rope_kimi_vision",),
        "The images of Kimi K2.5: halves; x and y of each frequency in turn",
        "huggingface/transformers models/kimi_k25/modeling_kimi_k25.py Kimi_K25VisionRotaryEmbedding",
        lambda base=10000.0: rotary("interleaved", axes=2, nesting="tka", axis_order=(1, 0), base=base),
    ),
    Row(
        ("rope_eva",),
        "EVA-02 and timm: adjacent pairs, y before x, positions scaled to those of pretraining",
        "huggingface/pytorch-image-models timm/layers/pos_embed_sincos.py RotaryEmbeddingCat",
        lambda pt=16, ft=None, base=10000.0: rotary(
            "interleaved", axes=2, base=base, position_scale=1.0 if ft is None else pt / ft
        ),
        ("pt and ft are sizes of the grid in pretraining and now.", "A class token is left out: x[:, :, 1:]."),
    ),
    Row(
        ("rope_vit_axial",),
        "RoPE-ViT's axial variant: adjacent pairs, x before y, base 100",
        "naver-ai/rope-vit deit/models_v2_rope.py compute_axial_cis",
        lambda base=100.0: rotary("interleaved", axes=2, axis_order=(1, 0), base=base),
        ("Its mixed variant has learned frequencies, which are none of an encoding's.",),
    ),
    Row(
        ("rope_sam2",),
        "The memory attention of SAM 2: adjacent pairs, x before y",
        "huggingface/transformers models/sam2_video/modeling_sam2_video.py Sam2VideoVisionRotaryEmbedding",
        lambda base=10000.0: rotary("interleaved", axes=2, axis_order=(1, 0), base=base),
    ),
    Row(
        ("rope_llama4_vision",),
        "The images of Llama 4: adjacent pairs, x before y, counted from 1",
        "huggingface/transformers models/llama4/modeling_llama4.py Llama4VisionRotaryEmbedding",
        lambda base=10000.0: rotary("interleaved", axes=2, axis_order=(1, 0), base=base, position_offset=1.0),
        ("The class token comes last and is left out: x[:, :, :-1].",),
    ),
    Row(
        ("rope_dinov3",),
        "DINOv3: halves, y before x in each; positions from -1 to 1",
        "huggingface/transformers models/dinov3_vit/modeling_dinov3_vit.py DINOv3ViTRopePositionEmbedding",
        lambda shape=(14, 14), base=100.0: rotary(
            "interleaved",
            axes=2,
            nesting="tak",
            base=base,
            full_turns=True,
            position_scale=[2.0 / size for size in shape],
            position_offset=[(1.0 - size) / 2.0 for size in shape],
        ),
        ("shape is the grid's; the class token and registers come first and are left out: x[:, :, 5:].",),
    ),
    Row(
        ("rope_loftr",),
        "EfficientLoFTR: adjacent pairs, y and x of each frequency in turn, counted from 1",
        "huggingface/transformers models/efficientloftr/modeling_efficientloftr.py EfficientLoFTRRotaryEmbedding",
        lambda base=10000.0: rotary("interleaved", axes=2, nesting="kat", base=base, position_offset=1.0),
        ("Over the hidden size, not the columns of one head.",),
    ),
    Row(
        ("rope_gemma4_vision",),
        "The images of Gemma 4: halves within the columns of each coordinate, base 100",
        "huggingface/transformers models/gemma4/modeling_gemma4.py Gemma4VisionRotaryEmbedding",
        lambda base=100.0: rotary(axes=2, base=base),
    ),
]
