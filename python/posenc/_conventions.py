"""Public conventions by name: one table, `ROWS`, which the functions, the command line and docs/conventions.md read.

Options bear the names of the originals' own arguments, and have their defaults.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _validate
from ._encoding import PAPER, Encoding, columns, spectra

# What decides which frequencies there are.
FREQUENCIES = ("base", "freq_shift", "frequencies", "full_turns", "position_scale", "odd", "tile", "axis_widths")


class Kind(NamedTuple):
    types: Any
    words: str


# What an option must be whose default is of such a type.
KINDS = {
    bool: Kind(bool, "True or False"),
    int: Kind((int, np.integer), "an integer"),
    float: Kind((int, float, np.integer, np.floating), "a number"),
}


class Row(NamedTuple):
    """One convention: its names, the first of which is the usual one, and what there is to know about it."""

    names: tuple[str, ...]
    summary: str
    source: str
    make: Callable[..., Encoding]
    traps: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """The options that `make` takes, with their defaults, which are `inspect.Parameter.empty` if there are none."""
        return {name: option.default for name, option in inspect.signature(self.make).parameters.items()}


class Summary(NamedTuple):
    """What `list_encodings` tells of an encoding."""

    name: str
    summary: str
    source: str


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


def perceiver(shape: Sequence[int], num_bands: int, max_resolution: Sequence[int] | None) -> Encoding:
    """sin(pi f x), f from 1 to half the resolution in equal steps, x from -1 to 1."""
    return Encoding(
        axes=len(shape),
        nesting="tak",
        frequencies=[np.linspace(1.0, size / 2, num_bands) / 2 for size in max_resolution or shape],
        full_turns=True,
        position_offset=[(1 - size) / 2 for size in shape],
        position_scale=[2 / (size - 1) for size in shape],
    )


def _linear(dim: int, seq_len: int) -> Encoding:
    return concatenated(frequencies=np.arange(1, dim // 2 + 1), position_scale=1 / seq_len, full_turns=True)


def _sam2(dim: int, temperature: float) -> Encoding:
    return concatenated(frequencies=[temperature ** (-2 * (k // 2) / (dim // 2)) for k in range(dim // 2)])


SQRT = "The model multiplies the embeddings by sqrt(dim) first: x_scale='sqrt_dim'."
PADDING = (
    "Padding has a row of zeros, and tokens are counted without it: give mask= and positions_from_mask(mask).",
    SQRT,
)
TIMESTEP = "Positions are timesteps: give them as positions=."
CLS = "The original has a row of zeros in front, for the class token."
UPSIDE_DOWN = "Frequencies are multiplied by the smallest timescale, not divided; 1, the default, hides it."
NORMALIZED = (
    "Models use normalize=True: positions are (i + 1) / (H + 1e-6), made by shape=(H, W); without it, give them.",
    "With padding, positions end at the last pixel that is not padded: give positions.",
)
RELATIVE = "Relative: the table is used in attention, not added."
LEARNED = "The factor is learned; this is its initial value."

ROWS = [
    # ---- the paper's columns and frequencies ----
    Row(("paper",), "Vaswani et al. 2017, section 3.5", "arXiv:1706.03762", lambda: PAPER, (SQRT,)),
    Row(
        ("pytorch", "annotated_transformer", "annotated", "d2l"),
        "PyTorch's tutorial and word_language_model, The Annotated Transformer, d2l",
        "pytorch/examples word_language_model/model.py PositionalEncoding",
        lambda: interleaved(),
        (SQRT, "Computed in float32: 4e-4 off at position 5000."),
    ),
    Row(
        ("xlm", "flaubert", "distilbert", "keras_hub", "videomae"),
        "XLM, FlauBERT and DistilBERT with sinusoidal embeddings, KerasHub, VideoMAE",
        "huggingface/transformers create_sinusoidal_embeddings",
        lambda: PAPER,
        ("KerasHub computes in the compute dtype: float16 loses positions beyond 2048.",),
    ),
    Row(
        ("opennmt_py_interleaved", "joeynmt"),
        "OpenNMT-py's SinusoidalInterleaved (its default), JoeyNMT",
        "OpenNMT/OpenNMT-py onmt/modules/embeddings.py PositionalEncoding",
        lambda: interleaved(),
        (SQRT,),
    ),
    Row(
        ("informer",),
        "Informer, the original repository",
        "zhouhaoyi/Informer2020 models/embed.py PositionalEmbedding",
        lambda: interleaved(),
        ("The port in Hugging Face's transformers has other columns: hf_informer.",),
    ),
    Row(
        ("espnet", "wenet", "nemo", "icefall"),
        "Speech toolkits: ESPnet, WeNet, NeMo, icefall's Conformer",
        "espnet/espnet espnet/nets/pytorch_backend/transformer/embedding.py PositionalEncoding",
        lambda: interleaved(),
        (SQRT, "WeNet's RelPositionalEncoding is this one too, absolute."),
    ),
    Row(
        ("speechbrain",),
        "SpeechBrain",
        "speechbrain/speechbrain speechbrain/lobes/models/transformer/Transformer.py PositionalEncoding",
        lambda: interleaved(),
        ("Embeddings are not scaled.",),
    ),
    Row(
        ("espnet_scaled", "speecht5"),
        "ESPnet's ScaledPositionalEncoding, SpeechT5",
        "espnet/espnet espnet/nets/pytorch_backend/transformer/embedding.py ScaledPositionalEncoding",
        lambda alpha=1.0: interleaved(amplitude=alpha),
        (LEARNED, "Embeddings are not scaled."),
    ),
    Row(
        ("nemo_fixed",),
        "NeMo's FixedPositionalEncoding: divided by sqrt(dim)",
        "NVIDIA/NeMo nemo/collections/nlp/modules/common/transformer/transformer_modules.py",
        lambda: interleaved(amplitude="rsqrt_dim"),
        ("Embeddings are not scaled.",),
    ),
    Row(
        ("rel_conformer", "espnet_rel", "wav2vec2_conformer", "fastspeech2_conformer", "parakeet"),
        "Relative positions length - 1 ... -(length - 1) of Conformers: ESPnet, NeMo, Seamless, Parakeet",
        "espnet/espnet espnet/nets/pytorch_backend/transformer/embedding.py RelPositionalEncoding",
        lambda length=None: relative(length, interleaved()),
        (RELATIVE, "It has 2 * length - 1 rows. Without length, give positions."),
    ),
    Row(
        ("espnet_legacy_rel",),
        "ESPnet's LegacyRelPositionalEncoding: positions from max_len - 1 down, of old checkpoints",
        "espnet/espnet espnet/nets/pytorch_backend/transformer/embedding.py LegacyRelPositionalEncoding",
        lambda max_len=5000: relative(max_len, interleaved()),
        (RELATIVE,),
    ),
    Row(
        ("speechbrain_rel",),
        "SpeechBrain's RelPosEncXL, blind to the sign of a relative position",
        "speechbrain/speechbrain speechbrain/nnet/attention.py RelPosEncXL",
        lambda: interleaved(),
        (RELATIVE, "Give positions=abs(arange(length - 1, -length, -1)): the sine is not negated before 0."),
    ),
    Row(
        ("pse_tae",),
        "PSE-TAE: base 1000, positions from 1",
        "VSainteuf/pytorch-psetae models/tae.py get_sinusoid_encoding_table",
        lambda T=1000, first=1: Encoding(base=T, position_offset=first),
        ("If positions are days, give them, and first=0.",),
    ),
    Row(
        ("ltae", "utae"),
        "L-TAE and U-TAE: base 1000, positions from 1, the columns of a head repeated for every head",
        "VSainteuf/lightweight-temporal-attention-pytorch models/ltae.py get_sinusoid_encoding_table",
        lambda T=1000, n_head=16, first=1: Encoding(base=T, tile=n_head, position_offset=first),
        ("If positions are days, give them, and first=0.", "The class's own default is n_head=10, its models' 16."),
    ),
    Row(
        ("thp",),
        "Transformer Hawkes process, at the times of events",
        "SimiaoZuo/Transformer-Hawkes-Process transformer/Models.py temporal_enc",
        lambda: PAPER,
        ("Give positions=, and mask=. The model adds it again before every layer.",),
    ),
    Row(
        ("csdi_time",),
        "CSDI's time embedding, at real times",
        "ermongroup/CSDI main_model.py time_embedding",
        lambda: interleaved(),
        ("Give positions=.",),
    ),
    Row(
        ("coqui_tts",),
        "Coqui TTS: frequencies that grow, 10000^(k / K)",
        "coqui-ai/TTS TTS/tts/layers/generic/pos_encoding.py PositionalEncoding",
        lambda: interleaved(base=1e-4),
        (SQRT, "A slip that its checkpoints have learned to live with. Channels first: channel_axis=."),
    ),
    # ---- concatenated, with the paper's frequencies ----
    Row(
        (
            "hf_marian",
            "hf_pegasus",
            "roformer",
            "hf_timeseries",
            "time_series_transformer",
            "hf_informer",
            "hf_autoformer",
        ),
        "Marian, Pegasus, RoFormer, TimeSeriesTransformer, Informer and Autoformer in Hugging Face's transformers",
        "huggingface/transformers MarianSinusoidalPositionalEmbedding and others of that name",
        lambda: concatenated(odd="extra"),
        (
            "Not those of Marian NMT, Google's Pegasus and Informer themselves: marian, pegasus, informer.",
            "The original Autoformer adds no positions.",
            "padding_idx is ignored.",
            "x_scale='sqrt_dim' only if the model's config.scale_embedding is set.",
            "Decoders of TimeSeriesTransformer start at context_length, Autoformer's at context_length - label_length.",
        ),
    ),
    Row(
        ("ctrl",),
        "CTRL",
        "salesforce/ctrl transformer.py positional_encoding",
        lambda: concatenated(odd="extra"),
        (SQRT,),
    ),
    Row(
        ("transformer_xl",),
        "Transformer-XL: relative positions klen - 1 ... 0",
        "kimiyoung/transformer-xl pytorch/mem_transformer.py PositionalEmbedding",
        lambda klen=None: relative(klen, concatenated()),
        (RELATIVE, "Without klen, give positions; and with clamp_len, too."),
    ),
    Row(
        ("xlnet",),
        "XLNet: relative positions klen ... -qlen + 1",
        "zihangdai/xlnet modeling.py relative_positional_encoding",
        lambda klen=None: relative(None if klen is None else klen + 1, concatenated()),
        (RELATIVE, "Without klen, give positions; and with clamp_len, too."),
    ),
    Row(
        ("funnel",),
        "Funnel Transformer, at relative positions",
        "laiguokun/Funnel-Transformer, transformers FunnelAttentionStructure",
        lambda: concatenated(),
        (RELATIVE, "Give positions."),
    ),
    Row(
        ("sockeye",),
        "Sockeye",
        "awslabs/sockeye sockeye/layers.py get_positional_embeddings",
        lambda scale_down_positions=False: concatenated(amplitude="rsqrt_dim" if scale_down_positions else 1.0),
        (SQRT, "Steps beyond max_seq_len repeat the last row."),
    ),
    Row(
        ("tf_tutorial_2022",),
        "TensorFlow's Transformer tutorial since 2022",
        "tensorflow/text docs/tutorials/transformer.ipynb positional_encoding",
        lambda: concatenated(),
        (SQRT, "It shows the paper's interleaved formula, which the version before computed: pytorch."),
    ),
    Row(
        ("x_transformers",),
        "x-transformers' ScaledSinusoidalEmbedding: divided by sqrt(dim)",
        "lucidrains/x-transformers x_transformers/x_transformers.py ScaledSinusoidalEmbedding",
        lambda theta=10000.0: concatenated(base=theta, amplitude="rsqrt_dim"),
        (LEARNED,),
    ),
    Row(
        ("wavegrad", "nemo_tts"),
        "WaveGrad, at noise levels; NeMo's TTS",
        "lmnt-com/wavegrad src/wavegrad/model.py PositionalEncoding",
        lambda: concatenated(),
        ("Some ports multiply the noise level by 5000.",),
    ),
    # ---- concatenated, the last frequency being 1 / base ----
    Row(
        ("tensor2tensor", "praxis", "allennlp", "lingvo"),
        "tensor2tensor, Praxis, AllenNLP, Lingvo's PositionalEmbeddingLayer",
        "tensorflow/tensor2tensor tensor2tensor/layers/common_attention.py get_timing_signal_1d",
        lambda min_timescale=1.0, max_timescale=1e4: timescales(min_timescale, max_timescale, odd="zero"),
        (UPSIDE_DOWN, SQRT),
    ),
    Row(
        ("tf_models",),
        "TensorFlow Model Garden's RelativePositionEmbedding, which is absolute",
        "tensorflow/models official/nlp/modeling/layers/position_embedding.py RelativePositionEmbedding",
        lambda min_timescale=1.0, max_timescale=1e4: timescales(min_timescale, max_timescale),
        (UPSIDE_DOWN, SQRT, "An odd width loses a column there."),
    ),
    Row(
        ("maxtext",),
        "MaxText's PositionalEmbedding",
        "AI-Hypercomputer/maxtext MaxText/layers/embeddings.py PositionalEmbedding",
        lambda max_wavelength=10000.0: inclusive(base=max_wavelength),
        ("An odd width loses a column there.",),
    ),
    Row(
        ("flax_wmt", "flax_lm1b", "flaxformer"),
        "Flax's examples wmt and lm1b, flaxformer",
        "google/flax examples/wmt/models.py sinusoidal_init",
        lambda min_scale=1.0, max_scale=1e4: timescales(min_scale, max_scale, odd="zero"),
        (UPSIDE_DOWN, "The function of the same name in examples/nlp_seq computes the paper's."),
    ),
    Row(
        (
            "fairseq",
            "fsmt",
            "m2m100",
            "nllb_moe",
            "speech_to_text",
            "speech2text",
            "seamless_m4t",
            "seamless",
            "trocr",
            "kosmos2",
        ),
        "fairseq, and its ports in transformers: FSMT, M2M100, NLLB-MoE, Speech2Text, SeamlessM4T, TrOCR, Kosmos-2",
        "facebookresearch/fairseq fairseq/modules/sinusoidal_positional_embedding.py SinusoidalPositionalEmbedding",
        lambda padding_idx=1: inclusive(odd="zero", position_offset=padding_idx + 1),
        ("The first token stands at padding_idx + 1, which is 2.", *PADDING),
    ),
    Row(
        ("xglm",),
        "XGLM: the first token stands at 2",
        "huggingface/transformers XGLMSinusoidalPositionalEmbedding",
        lambda: inclusive(odd="zero", position_offset=2),
        PADDING,
    ),
    Row(
        ("fairseq2",),
        "fairseq2",
        "facebookresearch/fairseq2 SinusoidalPositionEncoder",
        lambda _legacy_pad_idx=None: inclusive(position_offset=0 if _legacy_pad_idx is None else 1 + _legacy_pad_idx),
        ("Seamless gives _legacy_pad_idx=1: the first token stands at 2.",),
    ),
    Row(
        ("marian", "marian_nmt"),
        "Marian NMT, the C++ toolkit",
        "marian-nmt/marian-dev src/tensors/cpu/tensor_operators.cpp SinusoidalPositionEmbeddings",
        lambda: inclusive(),
        (
            SQRT,
            "Hugging Face's port and CTranslate2's converter have other frequencies (hf_marian).",
            "An odd width, refused here, repeats the first cosine at the end.",
        ),
    ),
    Row(
        ("pegasus", "pegasus_x"),
        "Google's Pegasus, and PEGASUS-X in transformers",
        "google-research/pegasus pegasus/layers/timing.py add_time_signal",
        lambda: inclusive(),
        (SQRT, "Pegasus in transformers has other frequencies (hf_pegasus)."),
    ),
    Row(
        ("opennmt_tf", "funasr"),
        "OpenNMT-tf, FunASR: positions from 1",
        "OpenNMT/OpenNMT-tf opennmt/layers/position.py SinusoidalPositionEncoder",
        lambda: inclusive(position_offset=1),
        (SQRT,),
    ),
    Row(
        ("ctranslate2",),
        "CTranslate2's runtime: positions from 1",
        "OpenNMT/CTranslate2 src/layers/common.cc SinusoidalPositionEncoder",
        lambda: inclusive(position_offset=1),
        (SQRT, "Used only if the model file brings no table; its converters write those of other conventions."),
    ),
    Row(
        ("opennmt_py_concat",),
        "OpenNMT-py's SinusoidalConcat",
        "OpenNMT/OpenNMT-py onmt/modules/embeddings.py PositionalEncoding",
        lambda: inclusive(),
        (SQRT,),
    ),
    Row(
        ("whisper",),
        "Whisper's audio encoder",
        "openai/whisper whisper/model.py sinusoids",
        lambda max_timescale=10000.0: inclusive(base=max_timescale),
        ("The decoder's positions are learned.",),
    ),
    Row(
        ("pyg",),
        "PyTorch Geometric's PositionalEncoding",
        "pyg-team/pytorch_geometric torch_geometric/nn/encoding.py PositionalEncoding",
        lambda base_freq=1e-4, granularity=1.0: inclusive(base=1 / base_freq, position_scale=1 / granularity),
        ("Its docstring shows the paper's formula.", "1 / granularity is rounded to a double here."),
    ),
    Row(
        ("mlx",),
        "MLX: frequencies from max_freq to min_freq, rows of length 1",
        "ml-explore/mlx python/mlx/nn/layers/positional_encoding.py SinusoidalPositionalEncoding",
        lambda min_freq=1e-4, max_freq=1.0, scale=None, cos_first=False, full_turns=False: inclusive(
            position_scale=max_freq,
            base=max_freq / min_freq,
            amplitude=scale or "sqrt_2_over_dim",
            cos_first=cos_first,
            full_turns=full_turns,
        ),
        ("scale multiplies the encoding, not the positions.",),
    ),
    Row(
        ("gradtts", "matcha", "f5"),
        "Grad-TTS, Matcha-TTS, F5-TTS, Qwen2.5-Omni: timesteps times 1000",
        "huawei-noah/Speech-Backbones Grad-TTS/model/diffusion.py SinusoidalPosEmb",
        lambda scale=1000.0: inclusive(position_scale=scale),
        (TIMESTEP,),
    ),
    Row(
        ("diffwave", "csdi_step"),
        "DiffWave and CSDI's steps: frequencies that grow, 10^(4k / (K - 1))",
        "lmnt-com/diffwave src/diffwave/model.py DiffusionEmbedding",
        lambda: inclusive(base=1e-4),
        (TIMESTEP, "DiffWave interpolates linearly between whole steps, which is not what this does."),
    ),
    Row(
        ("depthcharge_mz",),
        "depthcharge's FloatEncoder, Casanovo: m/z, wavelengths from 0.001 to 10000",
        "wfondrie/depthcharge depthcharge/encoders/sinusoidal.py FloatEncoder",
        lambda min_wavelength=0.001, max_wavelength=10000.0: Encoding.from_wavelengths(
            min_wavelength, max_wavelength, layout="concatenated", odd="error"
        ),
        (
            "The original's float32 angles are off by 0.3 radians at 1000 m/z: its values are those of its rounding.",
            "An odd width, refused here, has two schedules there.",
        ),
    ),
    Row(
        ("depthcharge_intensity",),
        "depthcharge's PeakEncoder: intensities, wavelengths from 1e-6 to 1",
        "wfondrie/depthcharge depthcharge/encoders/sinusoidal.py PeakEncoder",
        lambda min_wavelength=1e-6, max_wavelength=1.0: Encoding.from_wavelengths(
            min_wavelength, max_wavelength, layout="concatenated", odd="error"
        ),
        ("In float32 the shortest wavelengths are rounding noise there.",),
    ),
    Row(
        ("depthcharge_position",),
        "depthcharge's PositionalEncoder: wavelengths from 1 to 100000",
        "wfondrie/depthcharge depthcharge/encoders/sinusoidal.py PositionalEncoder",
        lambda min_wavelength=1.0, max_wavelength=1e5: Encoding.from_wavelengths(
            min_wavelength, max_wavelength, layout="concatenated", odd="error"
        ),
        ("The first sine is sin(2 pi p): 0 at whole positions, rounding noise in the original.",),
    ),
    Row(
        ("lingvo_linear",),
        "Lingvo's SinusoidalPositionalEmbeddingLayer: frequencies (k + 1) 2 pi / seq_len",
        "tensorflow/lingvo lingvo/core/layers.py SinusoidalPositionalEmbeddingLayer",
        _linear,
        ("It depends on the length, and needs dim.",),
    ),
    Row(
        ("sam2_1d",),
        "SAM 2's temporal encoding: every frequency twice",
        "facebookresearch/sam2 sam2/modeling/sam2_utils.py get_1d_sine_pe",
        lambda dim, temperature=10000.0: _sam2(dim, temperature),
        ("Its frequencies are those of DETR's interleaved columns, and needs dim; here they are rounded to doubles.",),
    ),
    # ---- timesteps of diffusion models ----
    Row(
        ("ddpm", "score_sde"),
        "DDPM, score_sde, the autoencoders of latent diffusion",
        "hojonathanho/diffusion diffusion_tf/nn.py get_timestep_embedding",
        lambda max_positions=10000.0: inclusive(odd="zero", base=max_positions),
        (TIMESTEP,),
    ),
    Row(
        ("guided_diffusion", "improved_diffusion", "glide", "ldm", "dit", "ggml"),
        "improved- and guided-diffusion, GLIDE, latent and Stable Diffusion, DiT, ggml: cosines first",
        "openai/guided-diffusion guided_diffusion/nn.py timestep_embedding",
        lambda max_period=10000.0: concatenated(cos_first=True, odd="zero", base=max_period),
        (TIMESTEP, "DiT in diffusers has other frequencies (diffusers_dit).", "DiT's patches have that of mae."),
    ),
    Row(
        ("flux", "auraflow"),
        "Flux and AuraFlow: timesteps times 1000, cosines first",
        "black-forest-labs/flux src/flux/modules/layers.py timestep_embedding",
        lambda max_period=10000.0, time_factor=1000.0: concatenated(
            cos_first=True, odd="zero", base=max_period, position_scale=time_factor
        ),
        (TIMESTEP,),
    ),
    Row(
        ("wan",),
        "Wan 2: cosines first, in float64",
        "Wan-Video/Wan2.1 wan/modules/model.py sinusoidal_embedding_1d",
        lambda: concatenated(cos_first=True),
        (TIMESTEP,),
    ),
    Row(
        ("diffusers",),
        "diffusers' get_timestep_embedding, Timesteps",
        "huggingface/diffusers src/diffusers/models/embeddings.py get_timestep_embedding",
        lambda flip_sin_to_cos=False, downscale_freq_shift=1.0, scale=1.0, max_period=10000.0: concatenated(
            cos_first=flip_sin_to_cos,
            freq_shift=downscale_freq_shift,
            position_scale=scale,
            base=max_period,
            odd="zero",
        ),
        (
            TIMESTEP,
            "These are the function's defaults; nearly all models use flip_sin_to_cos=True, downscale_freq_shift=0.",
            "QwenImage rounds frequencies to bfloat16.",
        ),
    ),
    Row(
        ("diffusers_dit",),
        "DiT in diffusers: cosines first, the last frequency being 1 / base",
        "huggingface/diffusers src/diffusers/models/embeddings.py CombinedTimestepLabelEmbeddings",
        lambda: inclusive(cos_first=True, odd="zero"),
        (TIMESTEP, "DiT itself: dit."),
    ),
    Row(
        ("edm_songunet",),
        "EDM's SongUNet (DDPM++, NCSN++), after it has swapped the halves",
        "NVlabs/edm training/networks.py PositionalEmbedding, SongUNet",
        lambda max_positions=10000.0: inclusive(base=max_positions),
        (TIMESTEP, "An odd width loses a column there."),
    ),
    Row(
        ("edm_adm",),
        "EDM's DhariwalUNet: cosines first",
        "NVlabs/edm training/networks.py PositionalEmbedding, DhariwalUNet",
        lambda max_positions=10000.0: concatenated(cos_first=True, base=max_positions),
        (TIMESTEP, "An odd width loses a column there."),
    ),
    # ---- music ----
    Row(
        ("musicgen",),
        "MusicGen in transformers: cosines first",
        "huggingface/transformers MusicgenSinusoidalPositionalEmbedding",
        lambda: inclusive(cos_first=True, odd="zero"),
    ),
    Row(
        ("audiocraft",),
        "AudioCraft, where MusicGen comes from",
        "facebookresearch/audiocraft audiocraft/modules/transformer.py create_sin_embedding",
        lambda max_period=10000.0, positional_scale=1.0: inclusive(
            cos_first=True, base=max_period, amplitude=positional_scale
        ),
        ("Computed in the dtype of the activations.",),
    ),
    Row(
        ("demucs",),
        "Demucs, one axis",
        "facebookresearch/demucs demucs/transformer.py create_sin_embedding",
        lambda shift=0, max_period=10000.0: inclusive(cos_first=True, base=max_period, position_offset=shift),
    ),
    # ---- several axes ----
    Row(
        ("detr", "maskformer", "sam2"),
        "DETR and many after it: y before x, interleaved, positions from 1",
        "facebookresearch/detr models/position_encoding.py PositionEmbeddingSine",
        lambda temperature=10000.0, normalize=False, scale=None, shape=None: detr(temperature, normalize, scale, shape),
        (
            *NORMALIZED,
            "Added to queries and keys, not to values. Channels first: channel_axis=.",
            "num_pos_feats is dim / 2. transformers 5 computes in the model's dtype.",
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
        (CLS, "x comes first although the code calls it h."),
    ),
    Row(
        ("moco_v3", "vjepa2d", "rt_detr_v5"),
        "MoCo v3, V-JEPA, RT-DETR since transformers 5: y before x",
        "facebookresearch/moco-v3 vits.py build_2d_sincos_position_embedding",
        lambda temperature=10000.0: image(layout="concatenated", base=temperature),
        (
            CLS,
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
        ("diffusers_3d", "cogvideox"),
        "diffusers' get_3d_sincos_pos_embed, CogVideoX: t, x, y with 1/4, 3/8 and 3/8 of the columns",
        "huggingface/diffusers src/diffusers/models/embeddings.py get_3d_sincos_pos_embed",
        lambda spatial_interpolation_scale=1.0, temporal_interpolation_scale=1.0: Encoding(
            axes=3,
            axis_order=(0, 2, 1),
            axis_widths=(2, 3, 3),
            layout="concatenated",
            odd="error",
            position_scale=[
                1 / temporal_interpolation_scale,
                1 / spatial_interpolation_scale,
                1 / spatial_interpolation_scale,
            ],
        ),
        ("Its spatial_size is (width, height).",),
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

_rows = {name: row for row in ROWS for name in row.names}


def get_encoding(name: str, **options: Any) -> Encoding:
    """The encoding that a framework, a model or a paper uses.

    Parameters
    ----------
    name : str
        One of those that `list_encodings` lists.
    **options
        Arguments of the original, under their own names; ``posenc encodings NAME`` lists them.

    Returns
    -------
    Encoding

    Raises
    ------
    TypeError
        If the encoding does not take such options, or needs others; or if one is not of the kind it should be.
    ValueError
        If there is no encoding of that name, or an option has a value that makes no sense.

    Examples
    --------
    >>> import posenc
    >>> posenc.get_encoding("diffusers", flip_sin_to_cos=True, downscale_freq_shift=0)
    Encoding(layout='concatenated', cos_first=True, odd='zero')
    """
    if not isinstance(name, str):
        raise TypeError(f"encoding: expected the name of an encoding, got {_validate.shown(name)}")
    return _make(row(name), name, options) if options else _plain(name)


@functools.cache
def _plain(name: str) -> Encoding:
    return _make(row(name), name, {})


def resolve(encoding: str | Encoding | None) -> Encoding:
    """The encoding that a user means."""
    if encoding is None:
        return PAPER
    if isinstance(encoding, Encoding):
        return encoding
    if isinstance(encoding, str):
        return _plain(encoding)
    raise TypeError(f"encoding: expected an Encoding, or the name of one, got {_validate.shown(encoding)}")


def row(name: str) -> Row:
    """The row of the table for `name`."""
    if name in _rows:
        return _rows[name]
    import difflib  # slow to import

    plain = name.lower().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(plain, _rows, n=3, cutoff=0.5)
    near += [known for known in _rows if plain and known.startswith(plain) and known not in near][: 5 - len(near)]
    hint = f"; do you mean {' or '.join(near)}?" if near else ""
    raise ValueError(f"encoding: expected a name that list_encodings() lists, got {name!r}{hint}")


def _make(row: Row, name: str, options: dict[str, Any]) -> Encoding:
    known = row.options
    for option, value in options.items():
        if option not in known:
            takes = f"takes {', '.join(known)}" if known else "takes none"
            raise TypeError(f"encoding: expected options of {name}, which {takes}, got {option}")
        kind = KINDS.get(type(known[option]))
        if kind is not None and not (isinstance(value, kind.types) and isinstance(value, bool) is (kind.types is bool)):
            raise TypeError(f"{option}: expected {kind.words}, got {_validate.shown(value)}")
    for option, default in known.items():
        if default is inspect.Parameter.empty and option not in options:
            raise TypeError(f"encoding: expected {option} with {name}: get_encoding({name!r}, {option}=...)")
    try:
        return row.make(**options)
    except (TypeError, ValueError, ArithmeticError) as error:
        given = ", ".join(f"{option}={value!r}" for option, value in options.items())
        kind_of_error = TypeError if isinstance(error, TypeError) else ValueError
        raise kind_of_error(f"encoding: expected options that make sense, got {name}({given}): {error}") from None


def list_encodings() -> list[Summary]:
    """All encodings that have a name.

    Returns
    -------
    list of (name, summary, source)
        In alphabetical order. ``posenc encodings`` prints it, and more of each.

    Examples
    --------
    >>> import posenc
    >>> [encoding.name for encoding in posenc.list_encodings() if "Marian NMT" in encoding.summary]
    ['marian', 'marian_nmt']
    """
    return sorted(Summary(name, row.summary, row.source) for name, row in _rows.items())


def convert_layout_(array: Any, source: str | Encoding, target: str | Encoding, axis: int = -1) -> Any:
    """Reorder the columns of one encoding into those of another, in place.

    For tables, and for weights that read them, of encodings that differ in the order of their columns only.

    Parameters
    ----------
    array : ndarray of any dtype, or a floating-point tensor
        It is only rearranged.
    source, target : str or Encoding
        What the columns are, and what they shall be.
    axis : int, default -1
        Along which the columns count.

    Returns
    -------
    ndarray or tensor
        `array` itself.

    Raises
    ------
    TypeError
        If `array` can't be written in place, or `source` or `target` is no encoding.
    ValueError
        If the encodings differ in more than the order of columns; if `array` is read-only, overlaps itself or does not
        fit the encodings. Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> posenc.convert_layout_(np.arange(6), "paper", posenc.Encoding(layout="concatenated"))
    array([0, 2, 4, 1, 3, 5])
    """
    view = _rearrangeable(array, axis)
    order = permutation(resolve(source), resolve(target), view.shape[-1])
    rows = view if view.ndim > 1 else view[None]
    step = max(1, 2**16 // rows.shape[-1])
    for index in np.ndindex(rows.shape[:-2]):
        for start in range(0, rows.shape[-2], step):  # a few rows at a time, for they are copied on the way
            part = rows[index][start : start + step]
            part[...] = part[:, order]
    _arrays.written(array)
    return array


def permutation(source: Encoding, target: Encoding, dim: int) -> NDArray[np.intp]:
    """For each of `dim` columns of `target`, which one of `source` it is."""
    if source.axes != target.axes:
        raise _unlike("axes", source, target, ["axes"])
    before, after = spectra(source, dim), spectra(target, dim)
    if any(a.offset != b.offset for a, b in zip(before, after, strict=True)):
        raise _unlike("first positions", source, target, ["position_offset"])
    if before[0].amplitude != after[0].amplitude:
        raise _unlike("amplitudes", source, target, ["amplitude"])
    order, kinds, frequencies = _sorted(source, dim)
    target_order, target_kinds, target_frequencies = _sorted(target, dim)
    # What differs by rounding only, as 1 / 0.0001 and 10000 might, is the same.
    if not (np.array_equal(kinds, target_kinds) and np.allclose(frequencies, target_frequencies, rtol=1e-14, atol=0.0)):
        raise _unlike("frequencies", source, target, FREQUENCIES)
    result = np.empty(dim, np.intp)
    result[target_order] = order
    return result


def _sorted(encoding: Encoding, dim: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The columns sorted by axis, phase and frequency; these axes and phases; these frequencies."""
    owner, source = columns(encoding, dim)
    frequency = np.zeros(dim)  # of columns that are 0
    for axis, spectrum in enumerate(spectra(encoding, dim)):
        frequency[owner == axis] = spectrum.frequencies[0, source[owner == axis] >> 1]
    kind = np.where(owner < 0, -1, 2 * owner + (source & 1))
    order = np.lexsort((frequency, kind))
    return order, kind[order], frequency[order]


def _unlike(what: str, source: Encoding, target: Encoding, fields: Sequence[str]) -> ValueError:
    pairs = [(name, getattr(source, name), getattr(target, name)) for name in fields]
    shown = ", ".join(f"{name} {a!r} and {b!r}" for name, a, b in pairs if a != b)
    return ValueError(
        f"target: expected an encoding that differs from source in the order of columns only, but their {what} differ"
        + (f" ({shown})" if shown else "")
    )


def _rearrangeable(array: Any, axis: Any) -> NDArray[Any]:
    """A view of `array` whose last axis is the one to rearrange."""
    if isinstance(array, np.ndarray) and not _arrays.is_masked(array):
        view = array.view(np.ndarray)  # of any dtype
    else:
        view = _arrays.view(array, "array", write=True)
    _validate.alone(view, "array")
    place = _validate.integer(axis, "axis")
    if not -view.ndim <= place < view.ndim:
        raise ValueError(f"axis: expected an axis of array, got {place} for shape {view.shape}")
    if not view.shape[place]:
        raise ValueError(f"array: expected at least 1 column, got shape {view.shape}")
    return np.moveaxis(view, place, -1)
