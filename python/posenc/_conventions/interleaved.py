"""Conventions over one axis whose columns are interleaved, as the paper's are."""

from __future__ import annotations

from .._encoding import PAPER, Encoding
from .makers import LEARNED, RELATIVE, SQRT, interleaved, relative
from .row import Row

ROWS = [
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
        (SQRT, "JoeyNMT scales only if its configuration says so."),
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
        (
            RELATIVE,
            "It has 2 * length - 1 rows. Without length, give positions.",
            'Wav2Vec2-Conformer has it with position_embeddings_type="relative", its default.',
        ),
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
        ("ltae",),
        "L-TAE: base 1000, positions from 1, the columns of a head repeated for every head",
        "VSainteuf/lightweight-temporal-attention-pytorch models/ltae.py get_sinusoid_encoding_table",
        lambda T=1000, n_head=16, first=1: Encoding(base=T, tile=n_head, position_offset=first),
        ("If positions are days, give them, and first=0.", "The class's own default is n_head=10, its models' 16."),
    ),
    Row(
        ("utae",),
        "U-TAE: base 1000, at days, the columns of a head repeated for every head",
        "VSainteuf/utae-paps src/backbones/positional_encoding.py PositionalEncoder",
        lambda T=1000, n_head=16, first=0: Encoding(base=T, tile=n_head, position_offset=first),
        ("Positions are days: give them as positions=. L-TAE adds 1 to its own, U-TAE nothing.",),
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
]
