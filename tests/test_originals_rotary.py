"""Rotary encodings side by side with the running originals, as tests/test_originals.py is for those that are added.

Originals turn random queries, and posenc the same ones. Most make their angles in float32, so `ANGLE` of an angle is
what they may be off. `nox -s originals` installs them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import posenc
import pytest
from posenc._conventions.evidence import DIFFUSERS, OTHERS, ROTARY

from .arrays import assert_same_bits

torch = pytest.importorskip("torch", reason="nox -s originals installs torch and the originals")
transformers = pytest.importorskip("transformers", reason="nox -s originals installs transformers")
pytest.importorskip("diffusers", reason="nox -s originals installs diffusers")
embeddings = pytest.importorskip("diffusers.models.embeddings", reason="nox -s originals installs diffusers")
x_transformers = pytest.importorskip("x_transformers.x_transformers", reason="nox -s originals installs it")
lucidrains = pytest.importorskip("rotary_embedding_torch", reason="nox -s originals installs it")

from diffusers.models.transformers.transformer_flux import FluxPosEmbed  # noqa: E402
from diffusers.models.transformers.transformer_hunyuan_video import HunyuanVideoRotaryPosEmbed  # noqa: E402
from diffusers.models.transformers.transformer_qwenimage import QwenEmbedRope, apply_rotary_emb_qwen  # noqa: E402
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed  # noqa: E402
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS  # noqa: E402
from transformers.models import (  # noqa: E402
    cohere,
    deepseek_v2,
    dinov3_vit,
    efficientloftr,
    esm,
    gemma4,
    glm,
    gpt_neox,
    gptj,
    kimi_k25,
    llama,
    llama4,
    mistral,
    nanochat,
    phi,
    pixtral,
    qwen2_vl,
    qwen3_vl,
    roformer,
    sam2_video,
)

ANGLE = 12 * 2.0**-24
VALUE = 2.0**-21  # of products and sums, at unit length
LENGTH = 300


class Original(NamedTuple):
    """What an original makes of queries (1, 1, L, D), and the encoding that shall do the same."""

    names: str
    turn: Callable[[Any], Any]
    positions: Any = LENGTH
    dim: int = 64
    options: dict[str, Any] = {}  # noqa: RUF012


def modelling(module: Any, name: str) -> Any:
    short = module.__name__.rpartition(".")[2]
    return getattr(getattr(module, f"modeling_{short}"), name)


def halves(module: Any, base: float = 10000.0) -> Callable[[Any], Any]:
    """A model's function, given cosines and sines of full width, as its rotary class makes them."""

    def turn(q: Any) -> Any:
        angles = torch.outer(torch.arange(LENGTH).float(), base ** -(torch.arange(0, 64, 2).float() / 64))
        full = torch.cat((angles, angles), -1)[None]
        return modelling(module, "apply_rotary_pos_emb")(q, q, full.cos(), full.sin())[0]

    return turn


def adjacent(module: Any) -> Callable[[Any], Any]:
    def turn(q: Any) -> Any:
        angles = torch.outer(torch.arange(LENGTH).float(), 10000 ** -(torch.arange(0, 64, 2).float() / 64))
        full = angles.repeat_interleave(2, -1)[None]
        return modelling(module, "apply_rotary_pos_emb")(q, q, full.cos(), full.sin())[0]

    return turn


def glm_turn(q: Any) -> Any:
    angles = torch.outer(torch.arange(LENGTH).float(), 10000 ** -(torch.arange(0, 64, 2).float() / 64))
    full = torch.cat((angles, angles), -1)[None]
    return modelling(glm, "apply_rotary_pos_emb")(q, q, full.cos(), full.sin())[0]


def gptj_turn(q: Any) -> Any:
    sin, cos = modelling(gptj, "create_sinusoidal_positions")(LENGTH, 64).chunk(2, -1)
    return modelling(gptj, "apply_rotary_pos_emb")(q.transpose(1, 2), sin[None], cos[None]).transpose(1, 2)


def roformer_turn(q: Any) -> Any:
    table = modelling(roformer, "RoFormerSinusoidalPositionalEmbedding")(LENGTH, 64).create_weight()[None, None]
    return modelling(roformer, "RoFormerSelfAttention").apply_rotary_position_embeddings(table, q, q)[0]


def deepseek_turn(q: Any) -> Any:
    angles = torch.outer(torch.arange(LENGTH).float(), 10000 ** -(torch.arange(0, 64, 2).float() / 64))
    table = torch.polar(torch.ones_like(angles), angles)[None]
    return modelling(deepseek_v2, "apply_rotary_emb")(q, q, table)[0]


def by_class(module: Any, name: str, config: Any, positions: Any, *, pairs: bool = False) -> Callable[[Any], Any]:
    """A rotary class of a model, at these positions, and Llama's function, or one of adjacent pairs."""

    def turn(q: Any) -> Any:
        cos, sin = modelling(module, name)(config)(q, positions)
        shape = (1, 1, q.shape[-2], -1)
        function = modelling(cohere if pairs else llama, "rotate_half")
        return q * cos.reshape(shape) + function(q) * sin.reshape(shape)

    return turn


GRID = posenc.grid(6, 9).reshape(-1, 2)
Y, X = torch.from_numpy(GRID).T
TEXT = torch.stack([torch.arange(LENGTH), torch.arange(LENGTH) // 3, torch.arange(LENGTH) % 7])
VIDEO = posenc.grid(3, 4, 5).reshape(-1, 3)


def vision(**parameters: Any) -> Any:
    """What a configuration's rotary class reads."""

    class Config:
        head_dim = 64
        hidden_size = 64
        num_attention_heads = 1
        max_position_embeddings = 4096

        def __init__(self) -> None:
            self.rope_parameters = {"rope_type": "default", "rope_theta": 10000.0} | parameters

        def standardize_rope_params(self) -> None:
            pass

    return Config()


def llama4_turn(q: Any) -> Any:
    config = transformers.Llama4VisionConfig(
        hidden_size=64, num_attention_heads=1, image_size=9 * 14, patch_size=14, num_hidden_layers=1
    )
    table = modelling(llama4, "Llama4VisionRotaryEmbedding")(config)(q)
    q = q.transpose(1, 2)
    return modelling(llama4, "vision_apply_rotary_emb")(q, q, table[:-1].view(1, 81, 1, -1)[0])[0].transpose(1, 2)


def dinov3_turn(q: Any) -> Any:
    config = transformers.DINOv3ViTConfig(hidden_size=64, num_attention_heads=1, patch_size=16)
    cos, sin = modelling(dinov3_vit, "DINOv3ViTRopePositionEmbedding")(config).eval()(torch.zeros(1, 3, 96, 144))
    return q * cos + modelling(llama, "rotate_half")(q) * sin


def loftr_turn(q: Any) -> Any:
    config = transformers.EfficientLoFTRConfig()
    cos, sin = modelling(efficientloftr, "EfficientLoFTRRotaryEmbedding")(config)(torch.zeros(1, 256, 24, 36))
    cos, sin = cos.reshape(1, 1, 54, 256), sin.reshape(1, 1, 54, 256)
    return q * cos + modelling(cohere, "rotate_half")(q) * sin


def gemma4_turn(q: Any) -> Any:
    cos, sin = modelling(gemma4, "Gemma4VisionRotaryEmbedding")(vision(rope_type="axial", rope_theta=100.0))(
        q, torch.stack([Y, X], -1)[None]
    )
    parts = []
    for x, c, s in zip(q.chunk(2, -1), cos.chunk(2, -1), sin.chunk(2, -1), strict=True):
        parts.append(x * c[:, None] + modelling(llama, "rotate_half")(x) * s[:, None])
    return torch.cat(parts, -1)


def flux_turn(q: Any) -> Any:
    table = FluxPosEmbed(10000, [16, 24, 24])(torch.from_numpy(VIDEO))
    return embeddings.apply_rotary_emb(q, table)


def qwen_image_turn(q: Any) -> Any:
    rope = QwenEmbedRope(10000, [16, 24, 24], scale_rope=False)
    table, _ = rope([(3, 4, 5)], device=torch.device("cpu"), max_txt_seq_len=1)
    return apply_rotary_emb_qwen(q.transpose(1, 2), table, use_real=False).transpose(1, 2)


def wan_turn(q: Any) -> Any:
    cos, sin = WanRotaryPosEmbed(64, (1, 2, 2), 1024)(torch.zeros(1, 16, 3, 8, 10))
    return embeddings.apply_rotary_emb(q, (cos[0, :, 0], sin[0, :, 0]))


def hunyuan_turn(q: Any) -> Any:
    table = HunyuanVideoRotaryPosEmbed(2, 1, [16, 24, 24], 256.0)(torch.zeros(1, 16, 3, 8, 10))
    return embeddings.apply_rotary_emb(q, table)


def cogvideox_turn(q: Any) -> Any:
    table = embeddings.get_3d_rotary_pos_embed(64, ((0, 0), (4, 5)), (4, 5), 3)
    return embeddings.apply_rotary_emb(q, table)


def allegro_turn(q: Any) -> Any:
    freqs = embeddings.get_3d_rotary_pos_embed_allegro(96, ((0, 0), (4, 5)), (4, 5), 3)[:3]
    return embeddings.apply_rotary_emb_allegro(q, freqs, torch.from_numpy(VIDEO.T[:, None].astype(int)))


def x_transformers_turn(**options: Any) -> Callable[[Any], Any]:
    def turn(q: Any) -> Any:
        angles, _ = x_transformers.RotaryEmbedding(64, **options)(torch.arange(LENGTH))
        return x_transformers.apply_rotary_pos_emb(q, angles)

    return turn


ORIGINALS = [
    Original("rope_hf rope_llama", halves(llama)),
    Original("rope_neox", halves(gpt_neox)),
    Original("rope_mistral", halves(mistral)),
    Original("rope_phi", halves(phi)),
    Original("rope_esm2", halves(esm)),
    Original("rope_nanochat", halves(nanochat, 100000.0)),
    Original("rope_cohere", adjacent(cohere)),
    Original("rope_glm", glm_turn),
    Original("rope_gptj", gptj_turn),
    Original("rope_roformer", roformer_turn),
    Original("rope_deepseek", deepseek_turn),
    Original("rope_lucidrains", lambda q: lucidrains.RotaryEmbedding(64).rotate_queries_or_keys(q)),
    Original("rope_x_transformers", x_transformers_turn()),
    Original(
        "rope_ntk",
        x_transformers_turn(base_rescale_factor=4.0),
        options={"dim": 64, "factor": 4.0, "layout": "interleaved"},
    ),
    Original(
        "rope_mrope",
        by_class(qwen2_vl, "Qwen2VLRotaryEmbedding", vision(mrope_section=[8, 12, 12]), TEXT[:, None]),
        TEXT.T.numpy(),
        options={"dim": 64, "sections": (8, 12, 12), "base": 10000.0},
    ),
    Original(
        "rope_mrope",
        by_class(qwen3_vl, "Qwen3VLTextRotaryEmbedding", vision(mrope_section=[12, 10, 10]), TEXT[:, None]),
        TEXT.T.numpy(),
        options={"dim": 64, "sections": (12, 10, 10), "base": 10000.0, "interleaved": True},
    ),
    Original(
        "rope_qwen2_vl_vision",
        by_class(qwen2_vl, "Qwen2VLVisionRotaryEmbedding", vision(rope_type="axial"), torch.stack([Y, X], -1)),
        GRID,
    ),
    Original(
        "rope_pixtral",
        by_class(pixtral, "PixtralVisionRotaryEmbedding", vision(rope_type="axial"), torch.stack([Y, X], -1)),
        GRID,
    ),
    Original(
        "rope_kimi_vision",
        by_class(kimi_k25, "Kimi_K25VisionRotaryEmbedding", vision(rope_type="axial"), torch.stack([Y, X], -1)),
        GRID,
    ),
    Original("rope_llama4_vision", llama4_turn, posenc.grid(9, 9).reshape(-1, 2)),
    Original("rope_dinov3", dinov3_turn, GRID, options={"shape": (6, 9)}),
    Original("rope_loftr", loftr_turn, GRID, 256),
    Original("rope_gemma4_vision", gemma4_turn, GRID),
    Original("rope_flux", flux_turn, VIDEO, options={"axes_dim": (16, 24, 24)}),
    Original("rope_qwen_image", qwen_image_turn, VIDEO, options={"axes_dim": (16, 24, 24)}),
    Original("rope_wan", wan_turn, VIDEO, options={"dim": 64}),
    Original("rope_hunyuan_video", hunyuan_turn, VIDEO, options={"axes_dim": (16, 24, 24)}),
    Original("rope_cogvideox", cogvideox_turn, VIDEO),
    Original("rope_allegro", allegro_turn, VIDEO, 96),
]


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: original.names.replace(" ", "-"))
def test_original(original: Original, backend: str) -> None:
    rows = original.positions if isinstance(original.positions, int) else len(original.positions)
    q = torch.from_numpy(np.random.default_rng(5).standard_normal((1, 1, rows, original.dim)).astype(np.float32))
    with torch.no_grad():
        want = original.turn(q).numpy()
    for name in original.names.split():
        encoding = posenc.get_encoding(name, **original.options)
        where = {} if isinstance(original.positions, int) else {"positions": original.positions}
        got = posenc.rotate(q, encoding, backend=backend, **where).numpy()
        reach = np.abs(original.positions).max() + 20.0
        fastest = max(np.abs(encoding.frequencies_for(original.dim, axis)).max() for axis in range(encoding.axes))
        bound = (VALUE + ANGLE * reach * fastest) * (1.0 + np.abs(q.numpy()).max())
        assert np.abs(got - want).max() <= bound


SCALINGS = [
    ("rope_linear", {"rope_type": "linear", "factor": 4.0}),
    ("rope_dynamic", {"rope_type": "dynamic", "factor": 4.0}),
    ("rope_yarn", {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}),
    (
        "rope_yarn",
        {
            "rope_type": "yarn",
            "factor": 32.0,
            "original_max_position_embeddings": 4096,
            "beta_fast": 16.0,
            "beta_slow": 2.0,
            "truncate": False,
            "mscale": 0.707,
            "mscale_all_dim": 1.0,
        },
    ),
    ("rope_yarn", {"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 1024}),
    (
        "rope_longrope",
        {
            "rope_type": "longrope",
            "short_factor": [1.0 + k / 40 for k in range(32)],
            "long_factor": [1.0 + k * k for k in range(32)],
            "original_max_position_embeddings": 1024,
        },
    ),
    (
        "rope_llama3",
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 1024,
        },
    ),
    ("rope_gemma4", {"rope_type": "proportional", "partial_rotary_factor": 0.25}),
]


@pytest.mark.parametrize(("name", "parameters"), SCALINGS)
@pytest.mark.parametrize("seq_len", [None, 3000, 9000])
def test_scalings(name: str, parameters: dict[str, Any], seq_len: int | None) -> None:
    """The six functions and two: frequencies and factor, to 1e-6."""
    config = vision(**parameters)
    want, factor = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](config, "cpu", seq_len=seq_len)
    encoding = posenc.from_rope_parameters(
        config.rope_parameters, 64, seq_len=seq_len, max_position_embeddings=config.max_position_embeddings
    )
    np.testing.assert_allclose(encoding.frequencies_for(64), want.numpy(), rtol=1e-6)
    assert math.isclose(encoding.amplitude, factor, rel_tol=1e-9)
    assert name in ROTARY


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bits_of_the_eager_function(dtype: Any, backend: str) -> None:
    """Given the table that posenc has, transformers' function and the product of complex numbers have its bits."""
    q = torch.from_numpy(np.random.default_rng(8).standard_normal((2, 3, 200, 64))).to(dtype)
    table = posenc.encode(200, 64, start=5, encoding="rope_hf", dtype=dtype)
    cos, sin = table[:, :32], table[:, 32:]
    full = [torch.cat((part, part), -1)[None] for part in (cos, sin)]
    want = modelling(llama, "apply_rotary_pos_emb")(q, q, *full)[0]
    assert_same_bits(posenc.rotate(q, "rope_hf", start=5, backend=backend).numpy(), want.numpy())
    product = torch.view_as_complex(q.unflatten(-1, (-1, 2))) * torch.complex(cos, sin)
    got = posenc.rotate(q, "rope_meta", start=5, backend=backend)
    assert_same_bits(got.numpy(), torch.view_as_real(product).flatten(-2).numpy())


def test_what_ran_is_what_evidence_says() -> None:
    ran = {name for original in ORIGINALS for name in original.names.split()} | {name for name, _ in SCALINGS}
    said = {name for name in (*ROTARY, *DIFFUSERS, *OTHERS) if name.startswith("rope_")}
    sam2 = {"rope_sam2"}  # test_sam2
    assert ran | sam2 == said


def test_sam2(backend: str) -> None:
    config = transformers.Sam2VideoConfig(
        memory_attention_hidden_size=64,
        memory_attention_downsample_rate=1,
        memory_attention_num_attention_heads=1,
        memory_attention_rope_feat_sizes=[9, 9],
    )
    rope = modelling(sam2_video, "Sam2VideoVisionRotaryEmbedding")(config)
    q = torch.from_numpy(np.random.default_rng(9).standard_normal((1, 1, 81, 64)).astype(np.float32))
    grid = posenc.grid(9, 9).reshape(-1, 2)
    cos, sin = rope(q, torch.from_numpy(np.ascontiguousarray(grid[:, ::-1])))  # x, y
    want = modelling(sam2_video, "apply_rotary_pos_emb_2d")(q, q, cos.reshape(81, 64), sin.reshape(81, 64))[0]
    got = posenc.rotate(q, "rope_sam2", positions=grid, backend=backend)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=0, atol=1e-4)
