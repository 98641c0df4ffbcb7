"""Conventions over one axis with all sines before all cosines, or the other way round."""

from __future__ import annotations

from .._encoding import Encoding
from .makers import (
    LEARNED,
    PADDING,
    RELATIVE,
    SQRT,
    TIMESTEP,
    UPSIDE_DOWN,
    concatenated,
    inclusive,
    linear,
    relative,
    sam2,
    timescales,
)
from .row import Row

ROWS = [
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
            "seamless",
            "trocr",
            "kosmos2",
        ),
        "fairseq, Seamless, and fairseq's ports in transformers: FSMT, M2M100, NLLB-MoE, Speech2Text, TrOCR, Kosmos-2",
        "facebookresearch/fairseq fairseq/modules/sinusoidal_positional_embedding.py SinusoidalPositionalEmbedding",
        lambda padding_idx=1: inclusive(odd="zero", position_offset=padding_idx + 1),
        (
            "The first token stands at padding_idx + 1, which is 2.",
            *PADDING,
            "TrOCR has it only with use_learned_position_embeddings=False.",
        ),
    ),
    Row(
        ("seamless_m4t",),
        "SeamlessM4T in transformers: the first token stands at 1",
        "huggingface/transformers SeamlessM4TSinusoidalPositionalEmbedding",
        lambda padding_idx=0: inclusive(odd="zero", position_offset=padding_idx + 1),
        (
            "Its padding_idx is the pad_token_id of the text, 0. Meta's own text models (seamless) stand at 2 all the "
            "same, and so does the port's text-to-unit decoder: padding_idx=1.",
            *PADDING,
        ),
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
        (
            SQRT,
            "FunASR multiplies by the square root of its encoder's output size, not of dim: give x_scale= that number.",
        ),
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
            amplitude="sqrt_2_over_dim" if scale is None else scale,
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
        linear,
        ("It depends on the length, and needs dim.",),
    ),
    Row(
        ("sam2_1d",),
        "SAM 2's temporal encoding: every frequency twice",
        "facebookresearch/sam2 sam2/modeling/sam2_utils.py get_1d_sine_pe",
        lambda dim, temperature=10000.0: sam2(dim, temperature),
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
]
