"""How each name was established: ran against its original, read in the original's source, or taken from a paper."""

from __future__ import annotations

from typing import NamedTuple


class Evidence(NamedTuple):
    """`grade` is "ran", "read" or "paper"; `where` is what ran, or what was read: repository@commit file:lines."""

    grade: str
    where: str


# Compared with what the original computes, in tests/test_originals.py, on every backend.
TRANSFORMERS = {
    "aimv2": "aimv2 build_2d_sinusoidal_position_embedding, halves exchanged as Aimv2VisionEmbeddings does",
    "ctrl": "ctrl positional_encoding",
    "deformable_detr": "deformable_detr DeformableDetrSinePositionEmbedding",
    "detr": "detr DetrSinePositionEmbedding",
    "distilbert": "distilbert create_sinusoidal_embeddings",
    "fastspeech2_conformer": "fastspeech2_conformer FastSpeech2ConformerRelPositionalEncoding",
    "flaubert": "flaubert create_sinusoidal_embeddings",
    "fsmt": "fsmt SinusoidalPositionalEmbedding",
    "grounding_dino": "grounding_dino GroundingDinoSinePositionEmbedding",
    "hf_autoformer": "autoformer AutoformerSinusoidalPositionalEmbedding",
    "hf_informer": "informer InformerSinusoidalPositionalEmbedding",
    "hf_marian": "marian MarianSinusoidalPositionalEmbedding",
    "hf_pegasus": "pegasus PegasusSinusoidalPositionalEmbedding",
    "hf_timeseries": "time_series_transformer TimeSeriesSinusoidalPositionalEmbedding",
    "kosmos2": "kosmos2 Kosmos2TextSinusoidalPositionalEmbedding",
    "m2m100": "m2m_100 M2M100SinusoidalPositionalEmbedding",
    "maskformer": "maskformer MaskFormerSinePositionEmbedding",
    "musicgen": "musicgen MusicgenSinusoidalPositionalEmbedding",
    "nllb_moe": "nllb_moe NllbMoeSinusoidalPositionalEmbedding",
    "parakeet": "parakeet ParakeetEncoderRelPositionalEncoding",
    "pegasus_x": "pegasus_x PegasusXSinusoidalPositionalEmbedding",
    "perceiver": "perceiver generate_fourier_features",
    "roformer": "roformer RoFormerSinusoidalPositionalEmbedding",
    "rt_detr_v5": "rt_detr RTDetrSinePositionEmbedding",
    "sam2": "sam2 Sam2SinePositionEmbedding",
    "sam2_1d": "sam2_video get_1d_sine_pe",
    "seamless_m4t": "seamless_m4t SeamlessM4TDecoder.embed_positions",
    "speech2text": "speech_to_text Speech2TextSinusoidalPositionalEmbedding",
    "speech_to_text": "speech_to_text Speech2TextSinusoidalPositionalEmbedding",
    "speecht5": "speecht5 SpeechT5ScaledPositionalEncoding",
    "time_series_transformer": "time_series_transformer TimeSeriesSinusoidalPositionalEmbedding",
    "trocr": "trocr TrOCRSinusoidalPositionalEmbedding",
    "videomae": "videomae get_sinusoid_encoding_table",
    "vit_mae": "vit_mae ViTMAEEmbeddings",
    "wav2vec2_conformer": "wav2vec2_conformer Wav2Vec2ConformerRelPositionalEmbedding",
    "whisper": "whisper sinusoids",
    "xglm": "xglm XGLMSinusoidalPositionalEmbedding",
    "xlm": "xlm create_sinusoidal_embeddings",
    "xlnet": "xlnet XLNetModel.relative_positional_encoding",
}
DIFFUSERS = {
    "auraflow": "the Timesteps of AuraFlowTransformer2DModel",
    "cogvideox": "the positions of CogVideoXPatchEmbed",
    "diffusers": "get_timestep_embedding",
    "diffusers_2d": "get_2d_sincos_pos_embed",
    "diffusers_3d": "get_3d_sincos_pos_embed",
    "diffusers_dit": "CombinedTimestepLabelEmbeddings",
    "gligen": "get_fourier_embeds_from_boundingbox",
}
OTHERS = {
    "positional_encodings": "positional-encodings 6.0.3, PositionalEncoding1D, 2D and 3D",
    "x_transformers": "x-transformers 2.31.0, ScaledSinusoidalEmbedding",
}

# Read in the source of the original.
ESPNET = "espnet/espnet@029365d81725 espnet/nets/pytorch_backend/transformer/embedding.py"
READ = {
    "allennlp": "allenai/allennlp@80fb6061e568 allennlp/nn/util.py:1703-1758",
    "annotated": "harvardnlp/annotated-transformer@debc9fd747bb the_annotated_transformer.py:748-768",
    "annotated_transformer": "harvardnlp/annotated-transformer@debc9fd747bb the_annotated_transformer.py:748-768",
    "audiocraft": "facebookresearch/audiocraft@896ec7c47f5e audiocraft/modules/transformer.py:70-89",
    "big_vision": "google-research/big_vision@0127fb6b337e big_vision/models/vit.py:34-44",
    "coqui_tts": "coqui-ai/TTS@dbf1a08a0d4e TTS/tts/layers/generic/pos_encoding.py:7-66",
    "csdi_step": "ermongroup/CSDI@7f24a436f08d diff_models.py:31-57",
    "csdi_time": "ermongroup/CSDI@7f24a436f08d main_model.py:46-54",
    "ctranslate2": "OpenNMT/CTranslate2@0d8bcd362ac7 src/layers/common.cc:204-243",
    "d2l": "d2l-ai/d2l-en@23d7a5aeccee "
    "chapter_attention-mechanisms-and-transformers/self-attention-and-positional-encoding.md:264-341",
    "ddpm": "hojonathanho/diffusion@1e0dceb3b349 diffusion_tf/nn.py:90-109",
    "demucs": "facebookresearch/demucs@e976d93ecc38 demucs/transformer.py:19-34",
    "demucs_2d": "facebookresearch/demucs@e976d93ecc38 demucs/transformer.py:37-70",
    "depthcharge_intensity": "wfondrie/depthcharge@486221c6fd8c depthcharge/encoders/sinusoidal.py:83-163",
    "depthcharge_mz": "wfondrie/depthcharge@486221c6fd8c depthcharge/encoders/sinusoidal.py:10-80",
    "depthcharge_position": "wfondrie/depthcharge@486221c6fd8c depthcharge/encoders/sinusoidal.py:166-216",
    "diffwave": "lmnt-com/diffwave@0594106093b8 src/diffwave/model.py:39-69",
    "dino_hw": "IDEA-Research/DINO@faa8520fe960 models/dino/position_encoding.py:62-108",
    "dit": "facebookresearch/DiT@ed81ce222909 models.py:41-59",
    "dit2d": "facebookresearch/DiT@ed81ce222909 models.py:274-321",
    "edm_adm": "NVlabs/edm@008a4e5316c8 training/networks.py:193-206",
    "edm_songunet": "NVlabs/edm@008a4e5316c8 training/networks.py:193-206, 269, 323",
    "espnet": f"{ESPNET} PositionalEncoding",
    "espnet_legacy_rel": f"{ESPNET} LegacyRelPositionalEncoding",
    "espnet_rel": f"{ESPNET} RelPositionalEncoding",
    "espnet_scaled": f"{ESPNET} ScaledPositionalEncoding",
    "f5": "SWivid/F5-TTS@2ae2c9bd9b64 src/f5_tts/model/modules.py:157-169",
    "fairseq": "facebookresearch/fairseq@3d262bb25690 fairseq/modules/sinusoidal_positional_embedding.py:48-110, "
    "fairseq/utils.py:256-266",
    "fairseq2": "facebookresearch/fairseq2@027bdebca4b9 src/fairseq2/nn/position_encoder.py:70-216",
    "flax_lm1b": "google/flax@18f8f311c275 examples/lm1b/models.py:80-105",
    "flax_wmt": "google/flax@18f8f311c275 examples/wmt/models.py:67-92",
    "flaxformer": "google/flaxformer@399ea3a85e98 flaxformer/components/initializers.py:28-59",
    "flux": "black-forest-labs/flux@802fb4713906 src/flux/modules/layers.py:28-49",
    "funasr": "modelscope/FunASR@3c58cb56a565 funasr/models/transformer/embedding.py:384-432",
    "funnel": "laiguokun/Funnel-Transformer@1085523bc768 pytorch/ops.py:388-400",
    "ggml": "ggml-org/ggml@d99724f2b141 src/ggml-cpu/ops.cpp:8289-8320",
    "glide": "openai/glide-text2im@69b530740eb6 glide_text2im/nn.py:87-105",
    "gradtts": "huawei-noah/Speech-Backbones@7782c7a223dd Grad-TTS/model/diffusion.py:113-125",
    "guided_diffusion": "openai/guided-diffusion@22e0df818350 guided_diffusion/nn.py:103-121",
    "icefall": "k2-fsa/icefall@36e0420c7e3e egs/librispeech/ASR/conformer_ctc/transformer.py:627-685",
    "ijepa": "facebookresearch/ijepa@52c1ae95d05f src/models/vision_transformer.py:22-81",
    "improved_diffusion": "openai/improved-diffusion@1bc7bbbdc414 improved_diffusion/nn.py:103-121",
    "informer": "zhouhaoyi/Informer2020@29f2a739226a models/embed.py:7-24",
    "joeynmt": "joeynmt/joeynmt@cdc4d03d430a joeynmt/transformer_layers.py:168-210",
    "keras_hub": "keras-team/keras-hub@71453d08f59e keras_hub/src/layers/modeling/sine_position_encoding.py:66-95",
    "ldm": "CompVis/latent-diffusion@a506df575647 ldm/modules/diffusionmodules/util.py:151-171",
    "lingvo": "tensorflow/lingvo@e0be5dc4ce9b lingvo/core/layers.py:3143-3241",
    "lingvo_linear": "tensorflow/lingvo@e0be5dc4ce9b lingvo/core/layers.py:3433-3473",
    "loftr": "zju3dv/LoFTR@df7ca80f9173 src/loftr/utils/position_encoding.py:6-35",
    "loftr_legacy": "zju3dv/LoFTR@df7ca80f9173 src/loftr/utils/position_encoding.py:6-35",
    "ltae": "VSainteuf/lightweight-temporal-attention-pytorch@d8f99bd5bc97 models/ltae.py:57-95, 166-188",
    "mae": "facebookresearch/mae@efb2a8062c20 util/pos_embed.py:20-67",
    "marian": "marian-nmt/marian-dev@c9f287db75b4 src/tensors/cpu/tensor_operators.cpp:1733-1746",
    "marian_nmt": "marian-nmt/marian-dev@c9f287db75b4 src/tensors/cpu/tensor_operators.cpp:1733-1746",
    "matcha": "shivammehta25/Matcha-TTS@108906c603fa matcha/models/components/decoder.py:14-29",
    "maxtext": "AI-Hypercomputer/maxtext@e591f30cbbf2 src/maxtext/layers/embeddings.py:1055-1115",
    "mlx": "ml-explore/mlx@846d176227a0 python/mlx/nn/layers/positional_encoding.py:57-121",
    "moco_v3": "facebookresearch/moco-v3@c349e6e24f40 vits.py:53-69",
    "nemo": "NVIDIA/NeMo@8cfedd720346 nemo/collections/asr/parts/submodules/multi_head_attention.py:993-1053",
    "nemo_fixed": "NVIDIA/NeMo@8cfedd720346 "
    "nemo/collections/nlp/modules/common/transformer/transformer_modules.py:30-58",
    "nemo_tts": "NVIDIA/NeMo@8cfedd720346 nemo/collections/tts/modules/transformer.py:35-50",
    "nerf": "bmild/nerf@14c55567a6d0 run_nerf_helpers.py:22-71",
    "opennmt_py_concat": "OpenNMT/OpenNMT-py@97111d97551c onmt/modules/embeddings.py:17-79",
    "opennmt_py_interleaved": "OpenNMT/OpenNMT-py@97111d97551c onmt/modules/embeddings.py:17-79",
    "opennmt_tf": "OpenNMT/OpenNMT-tf@6f3b952ebb97 opennmt/layers/position.py:11-44, 93-116",
    "pegasus": "google-research/pegasus@1b4929016aba pegasus/layers/timing.py:31-63",
    "positional_encodings_legacy": "tatp22/multidim-positional-encoding@6d0ad50ae049 "
    "positional_encodings/positional_encodings.py:6-168",
    "praxis": "google/praxis@feeaff19915c praxis/layers/embedding_softmax.py:1016-1071",
    "pse_tae": "VSainteuf/pytorch-psetae@fbd8ca3b5f6e models/tae.py:89-97, 171-188",
    "pyg": "pyg-team/pytorch_geometric@5c6461b2305a torch_geometric/nn/encoding.py:13-65",
    "pytorch": "pytorch/examples@77f55b912142 word_language_model/model.py:65-105",
    "rel_conformer": f"{ESPNET} RelPositionalEncoding; NVIDIA/NeMo@8cfedd720346 "
    "nemo/collections/asr/parts/submodules/multi_head_attention.py:1056-1100",
    "score_sde": "yang-song/score_sde@0acb9e0ea3b8 models/layers.py:450-464",
    "seamless": "facebookresearch/fairseq2@027bdebca4b9 src/fairseq2/models/nllb/factory.py:105",
    "simple_vit": "lucidrains/vit-pytorch@69d24fe9e302 vit_pytorch/simple_vit.py:12-21",
    "simple_vit_3d": "lucidrains/vit-pytorch@69d24fe9e302 vit_pytorch/simple_vit_3d.py:13-34",
    "sockeye": "awslabs/sockeye@871d9863d6a6 sockeye/layers.py:696-711",
    "speechbrain": "speechbrain/speechbrain@9c826ef3937b speechbrain/lobes/models/transformer/Transformer.py:252-303",
    "speechbrain_rel": "speechbrain/speechbrain@9c826ef3937b speechbrain/nnet/attention.py:333-408",
    "t2t_nd": "tensorflow/tensor2tensor@bafdc1b67730 tensor2tensor/layers/common_attention.py:685-738",
    "tensor2tensor": "tensorflow/tensor2tensor@bafdc1b67730 tensor2tensor/layers/common_attention.py:408-456",
    "tf_models": "tensorflow/models@00b830c7ca64 official/nlp/modeling/layers/position_embedding.py "
    "RelativePositionEmbedding",
    "tf_tutorial_2022": "tensorflow/text@17c38bf01481 docs/tutorials/transformer.ipynb:877-890",
    "thp": "SimiaoZuo/Transformer-Hawkes-Process@9f2e563909c5 transformer/Models.py:50-70",
    "timm_sincos2d": "huggingface/pytorch-image-models@aa4b5850c154 timm/layers/pos_embed_sincos.py:39-77",
    "transformer_xl": "kimiyoung/transformer-xl@44781ed21dba pytorch/mem_transformer.py:15-31, 664-668",
    "utae": "VSainteuf/utae-paps@987874e27a98 src/backbones/positional_encoding.py:5-31",
    "vjepa2d": "facebookresearch/jepa@51c59d518fc6 src/models/utils/pos_embs.py:47-63, 81-99",
    "vjepa3d": "facebookresearch/jepa@51c59d518fc6 src/models/utils/pos_embs.py:11-44, 81-99",
    "wan": "Wan-Video/Wan2.1@9737cba9c1c3 wan/modules/model.py:18-28",
    "wavegrad": "lmnt-com/wavegrad@c3d54c89631c src/wavegrad/model.py:34-60",
    "wenet": "wenet-e2e/wenet@015469960db7 wenet/models/transformer/embedding.py:27-78, 121-147",
    "wzlxjtu": "wzlxjtu/PositionalEncoding2D@d1714f299389 positionalembedding2d.py:24-46",
}

# From a paper's formula; there is no source of its own.
PAPER = {"paper": "arXiv:1706.03762, section 3.5", "nerf_paper": "arXiv:2003.08934, section 5.1"}

EVIDENCE = {
    **{name: Evidence("ran", f"transformers 5.23.0, {what}") for name, what in TRANSFORMERS.items()},
    **{name: Evidence("ran", f"diffusers 0.42.0, {what}") for name, what in DIFFUSERS.items()},
    **{name: Evidence("ran", what) for name, what in OTHERS.items()},
    **{name: Evidence("read", where) for name, where in READ.items()},
    **{name: Evidence("paper", where) for name, where in PAPER.items()},
}
