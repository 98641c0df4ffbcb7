"""Side by side with the running originals: transformers, diffusers, positional-encodings and x-transformers.

`nox -s originals` installs them. Where an original computes its table in float64, the two are the same float32 numbers
but for what rounding a double to float32 twice does; elsewhere the original's own angles are off, and `ANGLE` says how
much: it makes a frequency by exp or pow in float32, and rounds once more when it multiplies by a position.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import posenc
import pytest
from posenc import _conventions
from posenc._encoding import columns

torch = pytest.importorskip("torch", reason="nox -s originals installs torch and the originals")
transformers = pytest.importorskip("transformers", reason="nox -s originals installs transformers")
diffusers = pytest.importorskip("diffusers", reason="nox -s originals installs diffusers")
embeddings = pytest.importorskip("diffusers.models.embeddings", reason="nox -s originals installs diffusers")
tatp22 = pytest.importorskip("positional_encodings.torch_encodings", reason="nox -s originals installs it")
lucidrains = pytest.importorskip("x_transformers.x_transformers", reason="nox -s originals installs it")

from diffusers.models.transformers.auraflow_transformer_2d import AuraFlowTransformer2DModel  # noqa: E402
from transformers.models import (  # noqa: E402
    aimv2,
    autoformer,
    codegen,
    ctrl,
    deformable_detr,
    detr,
    distilbert,
    fastspeech2_conformer,
    flaubert,
    fsmt,
    grounding_dino,
    informer,
    kosmos2,
    m2m_100,
    marian,
    maskformer,
    musicgen,
    nllb_moe,
    parakeet,
    pegasus,
    pegasus_x,
    perceiver,
    roformer,
    rt_detr,
    sam2,
    sam2_video,
    seamless_m4t,
    speech_to_text,
    speecht5,
    time_series_transformer,
    trocr,
    videomae,
    vit_mae,
    wav2vec2_conformer,
    whisper,
    xglm,
    xlm,
    xlnet,
)

# By how much an angle may be off, relatively: the exponent of exp(-9.2) has an error of up to 8 units of float32's
# precision, to which the exponential and the product with the position add.
ANGLE = 12 * 2.0**-24
VALUE = 2.0**-23  # sine, cosine and amplitude themselves
LENGTH = 1100
TOKENS = torch.full((1, LENGTH), 7)


class Original(NamedTuple):
    """What an original has, as rows, and what posenc shall make of it."""

    label: str
    table: Callable[[], Any]
    names: str
    options: dict[str, Any] = {}  # noqa: RUF012
    float64: bool = False
    positions: Any = LENGTH
    stands_in: bool = False  # for another original with the same formula, which did not run


def hugging_face(module: Any, name: str) -> Any:
    """Something from the modelling file of a model."""
    short = module.__name__.rpartition(".")[2]
    return getattr(getattr(module, f"modeling_{short}"), name)


def weights(module: Any, name: str, dim: int = 66) -> Callable[[], Any]:
    return lambda: hugging_face(module, name)(LENGTH, dim).create_weight()


def padded(module: Any, name: str, dim: int = 66, rows: int = 2 * LENGTH) -> Callable[[], Any]:
    """Of the ports of fairseq: what tokens get of which none is padding."""
    return lambda: hugging_face(module, name)(rows, dim, 1)(TOKENS)[0]


def out(module: Any, dim: int) -> Callable[[], Any]:
    return lambda: hugging_face(module, "create_sinusoidal_embeddings")(LENGTH, dim, torch.empty(LENGTH, dim))


def sine(module: Any, name: str, **options: Any) -> Callable[[], Any]:
    """Of DETR and others: (H, W, D)."""
    build = hugging_face(module, name)(num_position_features=32, **options)
    return lambda: build(torch.Size((1, 3, 25, 34)), "cpu", torch.float32)[0].permute(1, 2, 0)


def grounding() -> Any:
    config = transformers.GroundingDinoConfig(d_model=64, positional_embedding_temperature=20)
    build = hugging_face(grounding_dino, "GroundingDinoSinePositionEmbedding")(config)
    return build(torch.zeros(1), torch.ones(1, 25, 34))[0].permute(1, 2, 0)


def vit() -> Any:
    config = transformers.ViTMAEConfig(
        hidden_size=64, image_size=64, patch_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    module = hugging_face(vit_mae, "ViTMAEEmbeddings")(config)
    module.initialize_weights()
    return module.position_embeddings[0, 1:].reshape(16, 16, 64)


def conformer() -> Any:
    config = transformers.Wav2Vec2ConformerConfig(hidden_size=64, max_source_positions=400)
    return hugging_face(wav2vec2_conformer, "Wav2Vec2ConformerRelPositionalEmbedding")(config)(torch.zeros(1, 300, 64))[
        0
    ]


def native() -> Any:
    """AIMv2's, with the halves exchanged as its embeddings do."""
    table = hugging_face(aimv2, "build_2d_sinusoidal_position_embedding")(25, 34, 64).reshape(25, 34, 64)
    return torch.cat([table[..., 32:], table[..., :32]], -1)


def fast_speech() -> Any:
    config = transformers.FastSpeech2ConformerConfig(hidden_size=64)
    module = hugging_face(fastspeech2_conformer, "FastSpeech2ConformerRelPositionalEncoding")
    return module(config, {"positional_dropout_rate": 0.0})(torch.zeros(1, 300, 64))[1][0]


def parakeet_encoder() -> Any:
    config = transformers.ParakeetEncoderConfig(hidden_size=64)
    return hugging_face(parakeet, "ParakeetEncoderRelPositionalEncoding")(config)(torch.zeros(1, 300, 64))[0]


def seamless_decoder() -> Any:
    """With the padding_idx that the model gives it."""
    small = {
        f"{part}_{what}": 2 for part in ("encoder", "decoder") for what in ("layers", "ffn_dim", "attention_heads")
    }
    config = transformers.SeamlessM4TConfig(hidden_size=66, vocab_size=10, **small)
    return hugging_face(seamless_m4t, "SeamlessM4TDecoder")(config).embed_positions(TOKENS)[0]


def aura_flow() -> Any:
    model = AuraFlowTransformer2DModel(
        sample_size=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=1,
        joint_attention_dim=8,
        caption_projection_dim=8,
        pos_embed_max_size=4,
    )
    return model.time_step_embed(torch.tensor(UNIT))


def cog_video() -> Any:
    """Five frames of 7 x 9 patches, after the text."""
    module = embeddings.CogVideoXPatchEmbed(
        embed_dim=64, sample_width=18, sample_height=14, sample_frames=17, max_text_seq_length=3, text_embed_dim=8
    )
    return module.pos_embedding[0, 3:].reshape(5, 7, 9, 64)


def xl() -> Any:
    config = transformers.XLNetConfig(vocab_size=10, d_model=64, n_layer=1, n_head=2, d_inner=8, attn_type="bi")
    return hugging_face(xlnet, "XLNetModel")(config).relative_positional_encoding(100, 200)[:, 0]


TIMES = np.array([0.0, 1.0, 250.0, 937.0, 998.39, 0.5], np.float32)
UNIT = np.array([0.0, 0.25, 0.7, 1.0], np.float32)
BOXES = np.random.default_rng(1).random((20, 4), np.float32)
GRID = np.stack(np.meshgrid(np.arange(25), np.arange(34), indexing="ij"), -1)
VIDEO = np.stack(np.meshgrid(np.arange(5), np.arange(7), np.arange(9), indexing="ij"), -1)


def timesteps(times: Any, **options: Any) -> Original:
    table = lambda: embeddings.get_timestep_embedding(torch.tensor(times), 65, **options)  # noqa: E731
    return Original(f"diffusers {options}", table, "diffusers", options, positions=times)


ORIGINALS = [
    Original("Marian", weights(marian, "MarianSinusoidalPositionalEmbedding"), "hf_marian", float64=True),
    Original("Marian 65", weights(marian, "MarianSinusoidalPositionalEmbedding", 65), "hf_marian", float64=True),
    Original("Pegasus", weights(pegasus, "PegasusSinusoidalPositionalEmbedding"), "hf_pegasus", float64=True),
    Original("RoFormer", weights(roformer, "RoFormerSinusoidalPositionalEmbedding"), "roformer", float64=True),
    Original("Informer", weights(informer, "InformerSinusoidalPositionalEmbedding"), "hf_informer", float64=True),
    Original(
        "Autoformer", weights(autoformer, "AutoformerSinusoidalPositionalEmbedding"), "hf_autoformer", float64=True
    ),
    Original(
        "TimeSeriesTransformer",
        weights(time_series_transformer, "TimeSeriesSinusoidalPositionalEmbedding"),
        "hf_timeseries time_series_transformer",
        float64=True,
    ),
    Original("XLM", out(xlm, 66), "xlm", float64=True),
    Original("XLM 65", out(xlm, 65), "xlm", float64=True),
    Original("FlauBERT", out(flaubert, 66), "flaubert", float64=True),
    Original("DistilBERT", out(distilbert, 66), "distilbert", float64=True),
    Original(
        "VideoMAE",
        lambda: hugging_face(videomae, "get_sinusoid_encoding_table")(LENGTH, 66)[0],
        "videomae",
        float64=True,
    ),
    Original("CTRL", lambda: hugging_face(ctrl, "positional_encoding")(LENGTH, 66, torch.float32), "ctrl"),
    Original(
        "CodeGen",
        lambda: hugging_face(codegen, "create_sinusoidal_positions")(LENGTH, 66),
        "tf_tutorial_2022",
        stands_in=True,
    ),
    Original("FSMT", padded(fsmt, "SinusoidalPositionalEmbedding", rows=2), "fsmt"),
    Original("M2M100", padded(m2m_100, "M2M100SinusoidalPositionalEmbedding"), "m2m100"),
    Original("M2M100 65", padded(m2m_100, "M2M100SinusoidalPositionalEmbedding", 65), "m2m100"),
    Original("NLLB-MoE", padded(nllb_moe, "NllbMoeSinusoidalPositionalEmbedding"), "nllb_moe"),
    Original("SeamlessM4T", seamless_decoder, "seamless_m4t"),
    Original(
        "Speech2Text", padded(speech_to_text, "Speech2TextSinusoidalPositionalEmbedding"), "speech_to_text speech2text"
    ),
    Original("TrOCR", padded(trocr, "TrOCRSinusoidalPositionalEmbedding"), "trocr"),
    Original("Kosmos-2", padded(kosmos2, "Kosmos2TextSinusoidalPositionalEmbedding"), "kosmos2"),
    Original(
        "XGLM",
        lambda: hugging_face(xglm, "XGLMSinusoidalPositionalEmbedding")(LENGTH, 66, 1)(
            torch.arange(LENGTH)[None], past_key_values_length=0
        )[0],
        "xglm",
    ),
    Original(
        "PEGASUS-X",
        lambda: hugging_face(pegasus_x, "PegasusXSinusoidalPositionalEmbedding")(66)(torch.zeros(1, LENGTH, 66))[0],
        "pegasus_x",
    ),
    Original(
        "MusicGen",
        lambda: hugging_face(musicgen, "MusicgenSinusoidalPositionalEmbedding")(LENGTH, 65)(torch.zeros(1, 4, LENGTH)),
        "musicgen",
    ),
    Original("Whisper", lambda: hugging_face(whisper, "sinusoids")(LENGTH, 66), "whisper"),
    Original(
        "Whisper 99", lambda: hugging_face(whisper, "sinusoids")(LENGTH, 66, 99.0), "whisper", {"max_timescale": 99}
    ),
    Original(
        "SpeechT5",
        lambda: hugging_face(speecht5, "SpeechT5ScaledPositionalEncoding")(0.0, 66)(torch.zeros(1, LENGTH, 66))[0],
        "speecht5",
    ),
    Original("Wav2Vec2-Conformer", conformer, "wav2vec2_conformer", {"length": 300}, positions=599),
    Original("FastSpeech2-Conformer", fast_speech, "fastspeech2_conformer", {"length": 300}, positions=599),
    Original("Parakeet", parakeet_encoder, "parakeet", {"length": 300}, positions=599),
    Original("XLNet", xl, "xlnet", {"klen": 200}, positions=300),
    Original("DETR", sine(detr, "DetrSinePositionEmbedding"), "detr", positions=GRID),
    Original(
        "DETR, normalised",
        sine(detr, "DetrSinePositionEmbedding", normalize=True),
        "detr",
        {"normalize": True, "shape": (25, 34)},
        positions=GRID,
    ),
    Original(
        "MaskFormer",
        sine(maskformer, "MaskFormerSinePositionEmbedding", normalize=True, scale=3.0, temperature=500),
        "maskformer",
        {"normalize": True, "shape": (25, 34), "scale": 3.0, "temperature": 500},
        positions=GRID,
    ),
    Original(
        "SAM 2",
        sine(sam2, "Sam2SinePositionEmbedding", normalize=True),
        "sam2",
        {"normalize": True, "shape": (25, 34)},
        positions=GRID,
    ),
    Original(
        "Deformable DETR",
        sine(deformable_detr, "DeformableDetrSinePositionEmbedding", normalize=True),
        "deformable_detr",
        {"normalize": True, "shape": (25, 34)},
        positions=GRID,
    ),
    Original("Grounding DINO", grounding, "grounding_dino", {"normalize": True, "shape": (25, 34)}, positions=GRID),
    Original("ViTMAE", vit, "vit_mae", float64=True, positions=GRID[:16, :16]),
    Original("AIMv2", native, "aimv2", float64=True, positions=GRID),
    Original(
        "RT-DETR",
        lambda: hugging_face(rt_detr, "RTDetrSinePositionEmbedding")(64, 100)(
            34, 25, torch.device("cpu"), torch.float32
        )[0].reshape(25, 34, 64),
        "rt_detr_v5",
        {"temperature": 100},
        float64=True,
        positions=GRID,
    ),
    Original(
        "SAM 2, video",
        lambda: hugging_face(sam2_video, "get_1d_sine_pe")(torch.arange(100.0), 64),
        "sam2_1d",
        {"dim": 64},
        positions=100,
    ),
    Original(
        "Perceiver",
        lambda: hugging_face(perceiver, "generate_fourier_features")(
            hugging_face(perceiver, "build_linear_positions")((25, 34)).reshape(1, -1, 2), 6, (25, 34), concat_pos=False
        ).reshape(25, 34, 24),
        "perceiver",
        {"shape": (25, 34), "num_bands": 6},
        positions=GRID,
    ),
    timesteps(TIMES),
    timesteps(TIMES, flip_sin_to_cos=True, downscale_freq_shift=0),
    timesteps(UNIT, flip_sin_to_cos=True, downscale_freq_shift=0, scale=1000),
    timesteps(UNIT, downscale_freq_shift=0.5, max_period=2000, scale=2000),
    Original(
        "diffusers' DiT",
        lambda: embeddings.CombinedTimestepLabelEmbeddings(3, 8).time_proj(torch.tensor(TIMES)),
        "diffusers_dit",
        positions=TIMES,
    ),
    Original(
        "diffusers, interleaved",
        lambda: embeddings.SinusoidalPositionalEmbedding(66, LENGTH)(torch.zeros(1, LENGTH, 66))[0],
        "pytorch",
        stands_in=True,
    ),
    Original("AuraFlow", aura_flow, "auraflow", positions=UNIT),
    Original("CogVideoX", cog_video, "cogvideox", positions=VIDEO),
    Original(
        "diffusers 2-D",
        lambda: embeddings.get_2d_sincos_pos_embed(64, (25, 34), output_type="pt").reshape(25, 34, 64),
        "diffusers_2d",
        {"grid_size": (25, 34)},
        positions=GRID,
    ),
    Original(
        "diffusers 2-D, whole positions",
        lambda: embeddings.get_2d_sincos_pos_embed(64, (16, 32), base_size=32, output_type="pt").reshape(16, 32, 64),
        "diffusers_2d",
        {"grid_size": (16, 32), "base_size": 32},
        float64=True,
        positions=GRID[:16, :32],
    ),
    Original(
        "diffusers 3-D",
        lambda: embeddings.get_3d_sincos_pos_embed(64, (9, 7), 5, 1.875, 2.0).reshape(5, 7, 9, 64),
        "diffusers_3d",
        {"spatial_interpolation_scale": 1.875, "temporal_interpolation_scale": 2.0},
        positions=VIDEO,
    ),
    Original(
        "GLIGEN",
        lambda: embeddings.get_fourier_embeds_from_boundingbox(8, torch.tensor(BOXES)[None])[0],
        "gligen",
        positions=BOXES,
    ),
    Original(
        "positional-encodings 1-D",
        lambda: tatp22.PositionalEncoding1D(65)(torch.zeros(1, LENGTH, 65))[0],
        "positional_encodings",
    ),
    Original(
        "positional-encodings 2-D",
        lambda: tatp22.PositionalEncoding2D(66)(torch.zeros(1, 25, 34, 66))[0],
        "positional_encodings",
        {"axes": 2},
        positions=GRID,
    ),
    Original(
        "positional-encodings 3-D",
        lambda: tatp22.PositionalEncoding3D(65)(torch.zeros(1, 5, 7, 9, 65))[0],
        "positional_encodings",
        {"axes": 3},
        positions=VIDEO,
    ),
    Original(
        "x-transformers",
        lambda: lucidrains.ScaledSinusoidalEmbedding(66, theta=500)(torch.zeros(1, LENGTH, 66)),
        "x_transformers",
        {"theta": 500},
    ),
]


@functools.cache
def rows_of(label: str) -> np.ndarray:
    original = next(original for original in ORIGINALS if original.label == label)
    with torch.no_grad():
        return original.table().to(torch.float32).numpy()


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: original.label)
def test_original(original: Original, backend: str) -> None:
    table = rows_of(original.label)
    for name in original.names.split():
        compare(table, posenc.get_encoding(name, **original.options), original, backend)


def test_what_ran_is_what_evidence_says() -> None:
    ran = {name for original in ORIGINALS if not original.stands_in for name in original.names.split()}
    rotary = {name for name in _conventions.evidence.EVIDENCE if name.startswith("rope_")}  # test_originals_rotary.py
    assert ran == {e.name for e in posenc.list_encodings() if e.evidence == "ran"} - rotary
    said = {encoding.where.partition(",")[0].rpartition(".")[0] for encoding in posenc.list_encodings()}
    for package in (transformers, diffusers):
        assert f"{package.__name__} {package.__version__.rpartition('.')[0]}" in said


def compare(table: np.ndarray, encoding: posenc.Encoding, original: Original, backend: str) -> None:
    dim = table.shape[-1]
    got = posenc.encode(original.positions, dim, encoding=encoding, backend=backend)
    assert got.shape == table.shape
    difference = np.abs(got.astype(np.float64) - table)
    if original.float64:
        spacing = np.spacing(np.maximum(np.abs(got), np.float32(1e-6)))
        assert (difference <= spacing).all()
        assert np.mean(got == table) > 0.999
    else:
        bound = VALUE + ANGLE * angles(encoding, original.positions, dim)
        worst = (difference / bound).max()
        assert worst <= 1, f"{difference.max():.2e}, {worst:.1f} times the bound"


def angles(encoding: posenc.Encoding, positions: Any, dim: int) -> np.ndarray:
    """How large the angles of all elements are."""
    positions = np.arange(positions) if isinstance(positions, int) else np.asarray(positions, np.float64)
    coordinates = positions[..., None] if encoding.axes == 1 else positions
    owner, source = columns(encoding, dim)
    result = np.zeros((*coordinates.shape[:-1], dim))
    for axis in range(encoding.axes):
        offset = np.broadcast_to(encoding.position_offset, encoding.axes)[axis]
        frequencies = np.abs(encoding.frequencies_for(dim, axis))
        mine = owner == axis
        result[..., mine] = np.abs(coordinates[..., axis] + offset)[..., None] * frequencies[source[mine] >> 1]
        if offset < 0:  # positions that the original makes as a difference of larger ones
            result[..., mine] += abs(offset) * frequencies[source[mine] >> 1]
    return result


def test_no_padding_row_is_missing() -> None:
    """Real tokens of a padded batch, left and right."""
    build = hugging_face(m2m_100, "M2M100SinusoidalPositionalEmbedding")(100, 16, 1)
    tokens = torch.tensor([[1, 1, 5, 6, 7], [5, 6, 7, 1, 1]])
    mask = (tokens != 1).numpy()
    want = build(tokens).numpy()
    got = posenc.fill_(
        np.ones((2, 5, 16), np.float32), encoding="m2m100", positions=posenc.positions_from_mask(mask), mask=mask
    )
    np.testing.assert_allclose(got, want, rtol=0, atol=math.ldexp(1, -20))
