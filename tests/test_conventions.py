"""Names, their options, and what they compute: every one against `golden`, which knows nothing of posenc."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from pathlib import Path

import numpy as np
import posenc
import pytest
from mpmath import mp, mpf
from posenc import _conventions, _encoding
from posenc._conventions import absent, lookup

from .arrays import assert_same_bits, noise
from .backends import frequency
from .golden import CASES, Case, Row
from .truth import Truth

IDS = [f"{case.names.split()[0]}-{case.dim}{''.join(f'-{k}' for k in case.options)}" for case in CASES]


def truth(case: Case, position: object, dim: int) -> Row:
    p = tuple(map(mpf, position)) if isinstance(position, tuple) else mpf(position)
    return case.formula(p, dim, **case.options)


def from_spectra(encoding: posenc.Encoding, position: object, dim: int) -> Row:
    """A row of an encoding as its spectra say it, exactly."""
    position = position if isinstance(position, tuple) else (position,)
    spectra = _encoding.spectra(encoding, dim)
    row = [mpf(0)] * dim
    for spectrum, p in zip(spectra, position, strict=True):
        for column, source in enumerate(spectrum.source.tolist()):
            if source >= 0:
                assert row[column] == 0, "a column of two axes"
                angle = (mpf(p) + mpf(spectrum.offset)) * frequency(spectrum, source >> 1)
                factor = (
                    mpf(spectrum.amplitude)
                    if spectrum.square is None
                    else mp.sqrt(mpf(spectrum.square.numerator) / spectrum.square.denominator)
                )
                row[column] = factor * (mp.cos if source & 1 else mp.sin)(angle * mp.pi / 2)
    return row


def rounding_bound(case: Case, encoding: posenc.Encoding, dim: int, position: object) -> float:
    """How far posenc may be off because its parameters are doubles."""
    largest = max(abs(encoding.frequencies_for(dim, axis)).max() for axis in range(encoding.axes))
    reach = np.abs(position).max() + np.abs(encoding.position_offset).max()
    return case.rounding * (1 + largest * reach)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_spectra(case: Case) -> None:
    with mp.workdps(60):
        for dim in [case.dim] + [case.odd] * (case.odd is not None):
            for name in case.names.split():
                encoding = posenc.get_encoding(name, **case.options)
                for position in case.where:
                    want, got = truth(case, position, dim), from_spectra(encoding, position, dim)
                    assert len(want) == dim
                    worst = max(abs(a - b) for a, b in zip(want, got, strict=True))
                    assert worst <= rounding_bound(case, encoding, dim, position) + 1e-35, (
                        name,
                        position,
                        float(worst),
                    )


@functools.cache
def golden_rows(index: int, dim: int) -> Truth:
    with mp.workdps(60):
        rows = [truth(CASES[index], position, dim) for position in CASES[index].where]
        high = np.array([[float(value) for value in row] for row in rows])
        low = np.array([[float(value - float(value)) for value in row] for row in rows])
    return Truth(high, low)


@pytest.mark.parametrize("index", range(len(CASES)), ids=IDS)
def test_rows(index: int, backend: str) -> None:
    case = CASES[index]
    for dim in [case.dim] + [case.odd] * (case.odd is not None):
        for name in case.names.split():
            encoding = posenc.get_encoding(name, **case.options)
            options = {"encoding": encoding if case.options else name, "backend": backend}
            got = posenc.encode(case.where, dim, dtype=np.float64, **options)
            want = golden_rows(index, dim)
            bounds = np.array([rounding_bound(case, encoding, dim, position) for position in case.where])[:, None]
            assert (want.distance(got) <= 1e-15 + bounds).all(), name
            got = posenc.encode(case.where, dim, **options)
            spacing = np.spacing(np.abs(want.high).astype(np.float32)).astype(np.float64)
            if case.rounding == 0.0:
                assert (want.ulps(got) <= 0.5).all(), name  # correctly rounded
            else:
                assert (want.distance(got) <= spacing / 2 * 1.0000001 + bounds).all(), name


def test_odd_widths_that_originals_refuse() -> None:
    refused = 0
    for case in CASES:
        if case.axes > 1 or "dim" in case.options:
            continue
        try:
            truth(case, 1, case.dim + 1)
        except ValueError:
            for name in case.names.split():
                refused += 1
                with pytest.raises(ValueError, match=r"^encoding: expected an even width"):
                    _encoding.spectra(posenc.get_encoding(name, **case.options), case.dim + 1)
    assert refused > 40


def test_every_name_has_a_case() -> None:
    assert {name for case in CASES for name in case.names.split()} == {e.name for e in posenc.list_encodings()}


def test_every_option_has_a_case() -> None:
    tried = {(name, option) for case in CASES for name in case.names.split() for option in case.options}
    for row in _conventions.ROWS:
        for option in row.options:
            assert any((name, option) in tried for name in row.names), (row.names[0], option)


def test_the_names_of_the_issue() -> None:
    """Those that users were promised."""
    names = """paper pytorch xlm distilbert keras_hub tensor2tensor fairseq m2m100 speech_to_text seamless_m4t xglm
    fairseq2 marian hf_marian hf_pegasus roformer informer ctrl transformer_xl opennmt_tf ctranslate2 whisper musicgen
    espnet nemo_fixed x_transformers mlx pyg ddpm guided_diffusion dit flux diffusers gradtts diffwave depthcharge_mz
    depthcharge_position ltae detr mae moco_v3 simple_vit timm_sincos2d diffusers_2d diffusers_3d vjepa3d
    positional_encodings loftr nerf"""
    assert set(names.split()) <= {encoding.name for encoding in posenc.list_encodings()}


def test_first_positions() -> None:
    """`add_(x, encoding=name)` is right from row 0."""
    first_positions = {"m2m100": 2, "fairseq": 2, "seamless": 2, "seamless_m4t": 1, "xglm": 2, "ctranslate2": 1}
    for name, first in (first_positions | {"opennmt_tf": 1, "whisper": 0, "ltae": 1, "utae": 0}).items():
        assert posenc.get_encoding(name).position_offset == first
    assert posenc.get_encoding("fairseq", padding_idx=4).position_offset == 5


def test_the_paper_by_name() -> None:
    assert (
        posenc.get_encoding("paper") == posenc.Encoding() == _conventions.resolve(None) == _conventions.resolve("paper")
    )
    assert posenc.get_encoding("whisper") is posenc.get_encoding("whisper")


def test_list() -> None:
    encodings = posenc.list_encodings()
    assert encodings == sorted(encodings)
    assert len({encoding.name for encoding in encodings}) == len(encodings) > 100
    for name, summary, source, evidence, where in encodings:
        assert name == name.lower()
        assert name.isidentifier()
        assert 0 < len(summary) < 120
        assert not summary.endswith(".")
        assert "/" in source or "arXiv" in source
        assert evidence in ("ran", "read", "paper")
        if evidence == "read":  # each place is a file at a commit, and what of it: lines, or a class
            repository, _, files = where.partition("@")
            assert re.fullmatch(r"[\w.-]+/[\w.-]+", repository), name
            assert re.match(r"[0-9a-f]{8,40} [\w./-]+\.\w+(:\d| \w)", files), name
        elif evidence == "ran":
            assert re.match(r"[a-z-]+ \d+\.\d+\.\d+, \w", where), name
        else:
            assert where.startswith("arXiv:"), name
    for row in _conventions.ROWS:
        for trap in row.traps:
            assert trap.endswith(".")


def test_what_ran_stands_in_the_tests_of_originals() -> None:
    """Those that run them are elsewhere, and not everywhere; this sees that none is only claimed."""
    files = sorted(Path(__file__).parent.glob("test_originals*.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    names = {name for quoted in re.findall(r'"([a-z0-9_ ]+)"', text) for name in quoted.split()}
    assert {encoding.name for encoding in posenc.list_encodings() if encoding.evidence == "ran"} <= names


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("whisper_v3", "whisper"),
        ("Whisper-large", "whisper"),
        ("seamless_m4", "seamless_m4t or seamless"),
        ("fairsek", "fairseq or fairseq2"),
        ("hf_mariam", "hf_marian"),
    ],
)
def test_nearest_names(name: str, near: str) -> None:
    expected = rf"^encoding: expected a name that list_encodings\(\) lists, got '{name}'; do you mean {near}\?$"
    with pytest.raises(ValueError, match=expected):
        posenc.get_encoding(name)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Whisper", "whisper"),
        ("WHISPER", "whisper"),
        ("Hf-Marian", "hf_marian"),
        ("hf marian", "hf_marian"),
        ("x-transformers", "x_transformers"),
        ("SeamlessM4T", "seamless_m4t"),
        ("  DETR ", "detr"),
        ("speech2text", "speech2text"),
    ],
)
def test_spelling_does_not_matter(name: str, known: str) -> None:
    assert posenc.get_encoding(name) is posenc.get_encoding(known)
    assert_same_bits(
        posenc.encode(5, 48, encoding="WHISPER "), posenc.encode(5, 48, encoding="whisper", backend="numpy")
    )
    if known == "whisper":
        assert posenc.get_encoding(name, max_timescale=7) == posenc.get_encoding(known, max_timescale=7)


def test_names_differ_in_more_than_spelling() -> None:
    names = [encoding.name for encoding in posenc.list_encodings()]
    assert len({absent.spelled(name) for name in names}) == len(names)


ROTARY = "rope RoPE rotary llama Llama-3.1-8B qwen2.5 mistral GPT-J gpt-neox-20b gemma3 phi_3"
LEARNED = (
    "bert BERT-base-uncased gpt2 gpt2-medium GPT gpt-neo vit ViT-B/16 vit_b_16 clip opt opt-125m bart roberta dinov2"
)
BIASES = "alibi ALiBi t5 flan-t5 T5-small mt5 bloom mpt swin"


@pytest.mark.parametrize(
    ("names", "text", "way_out"),
    [
        (ROTARY, "is rotary", r"(posenc\.rotate_\(.*\))$"),
        (LEARNED, "are learned", r": (x \+= table\[:length\])$"),
        (BIASES, "adds nothing to embeddings", r"(posenc\.list_encodings\(\)) has what is added$"),
    ],
)
def test_what_is_not_here(names: str, text: str, way_out: str) -> None:
    """The text says what it is, names no other encoding, and its way out works."""
    x, table = np.ones((3, 5, 8)), np.arange(80.0).reshape(10, 8)
    here = {"posenc": posenc, "length": 5, "head_dim": 8, "theta": 5e5, "x": x, "table": table}
    for name in names.split():
        with pytest.raises(
            ValueError, match=r"^encoding: expected a name that list_encodings\(\) lists, and "
        ) as caught:
            posenc.add_(x, encoding=name)
        assert text in str(caught.value)
        assert repr(name) in str(caught.value)
        assert "do you mean" not in str(caught.value)
    assert (x == 1).all()
    code = re.search(way_out, str(caught.value))
    assert code is not None
    if names == LEARNED:
        exec(code[1], here)
        np.testing.assert_array_equal(x, np.broadcast_to(1 + table[:5], x.shape))
    elif names == ROTARY:
        here["q"] = np.ones((2, 8))
        assert eval(code[1], here) is here["q"]
        assert (here["q"][0] == 1).all()
        assert (here["q"][1] != 1).all()
    else:
        assert eval(code[1], here)


def test_what_is_not_here_hides_nothing() -> None:
    """Every name that is here is found, also if it begins like one that is not."""
    for encoding in posenc.list_encodings():
        assert lookup.row(encoding.name).names
        assert lookup.row(encoding.name.upper().replace("_", "-")) is lookup.row(encoding.name)


def test_a_layout_is_no_name() -> None:
    with pytest.raises(ValueError, match=r"got the layout 'Concatenated': posenc.Encoding\(layout='concatenated'\)$"):
        posenc.get_encoding("Concatenated")


def test_a_name_like_no_other() -> None:
    for name in ("???", "", "quux"):
        with pytest.raises(ValueError, match=rf"got {re.escape(repr(name))}; posenc.Encoding\(...\) makes any other$"):
            posenc.get_encoding(name)
    with pytest.raises(TypeError, match=r"^encoding: expected the name of an encoding, got 3 \(int\); list_enc"):
        posenc.get_encoding(3)
    with pytest.raises(TypeError, match=r"^encoding: expected an Encoding, or the name of one, got 3 \(int\)$"):
        _conventions.resolve(3)


@pytest.mark.parametrize(
    ("name", "options", "error", "text"),
    [
        ("fairseq", {"pad": 1}, TypeError, "encoding: expected options of fairseq, which takes padding_idx, got pad"),
        ("paper", {"base": 1}, TypeError, "encoding: expected options of paper, which takes none, got base"),
        ("fairseq", {"padding_idx": 1.0}, TypeError, "padding_idx: expected an integer, got 1.0 (float)"),
        ("fairseq", {"padding_idx": True}, TypeError, "padding_idx: expected an integer, got True (bool)"),
        ("diffusers", {"flip_sin_to_cos": 1}, TypeError, "flip_sin_to_cos: expected True or False, got 1 (int)"),
        ("diffusers", {"scale": "1"}, TypeError, "scale: expected a number, got '1' (str)"),
        ("sam2_1d", {}, TypeError, "encoding: expected dim with sam2_1d: get_encoding('sam2_1d', dim=...)"),
        (
            "whisper",
            {"max_timescale": -1},
            ValueError,
            "got whisper(max_timescale=-1): base: expected a number greater",
        ),
        ("pyg", {"granularity": 0}, ValueError, "got pyg(granularity=0): division by zero"),
        (
            "detr",
            {"normalize": True, "shape": 5},
            TypeError,
            "shape: expected the sizes of all axes, such as (14, 14), got 5",
        ),
        ("detr", {"scale": 2.0}, ValueError, "scale and shape: expected normalize=True with them"),
        ("rel_conformer", {"length": -1}, ValueError, "length: expected at least 1, got -1"),
        ("rel_conformer", {"length": 2.0}, TypeError, "length: expected an integer, got 2.0 (float)"),
        ("espnet_legacy_rel", {"max_len": 0}, ValueError, "max_len: expected at least 1, got 0"),
        ("transformer_xl", {"klen": 0}, ValueError, "klen: expected at least 1, got 0"),
        ("xlnet", {"klen": True}, TypeError, "klen: expected an integer, got True (bool)"),
        ("ltae", {"n_head": 0}, ValueError, "n_head: expected at least 1, got 0"),
        ("lingvo_linear", {"dim": 8, "seq_len": 0}, ValueError, "seq_len: expected at least 1, got 0"),
        ("lingvo_linear", {"dim": 10**12, "seq_len": 8}, ValueError, "dim: expected at most 1048576, got 10"),
        ("sam2_1d", {"dim": -4}, ValueError, "dim: expected at least 1, got -4"),
        ("fairseq", {"padding_idx": -3}, ValueError, "padding_idx: expected at least 0, got -3"),
        ("fairseq2", {"_legacy_pad_idx": -3}, ValueError, "_legacy_pad_idx: expected at least 0, got -3"),
        ("nerf", {"num_freqs": 0}, ValueError, "num_freqs: expected at least 1, got 0"),
        ("nerf", {"num_freqs": 10**9}, ValueError, "num_freqs: expected at most 64, got 1000000000"),
        ("nerf", {"input_dims": 10**8}, ValueError, "input_dims: expected at most 32, got 100000000"),
        ("t2t_nd", {"axes": 0}, ValueError, "axes: expected at least 1, got 0"),
        ("positional_encodings", {"axes": 10**19}, ValueError, "axes: expected at most 32, got 1000"),
        ("detr", {"normalize": True, "shape": (4, -4)}, ValueError, "shape: expected at least 1, got -4"),
        ("detr", {"normalize": True, "shape": (4, 4.0)}, TypeError, "shape: expected an integer, got 4.0 (float)"),
        ("diffusers_2d", {"grid_size": 0}, ValueError, "grid_size: expected at least 1, got 0"),
        ("diffusers_2d", {"grid_size": (3, 0)}, ValueError, "grid_size: expected at least 1, got 0"),
        ("diffusers_2d", {"base_size": 0}, ValueError, "base_size: expected at least 1, got 0"),
        ("perceiver", {"shape": (1, 9)}, ValueError, "shape: expected at least 2 along every axis, got (1, 9)"),
        ("perceiver", {"num_bands": -1}, ValueError, "num_bands: expected at least 1, got -1"),
        ("perceiver", {"max_resolution": (9, 0)}, ValueError, "max_resolution: expected at least 1, got 0"),
        ("mlx", {"scale": 0}, ValueError, "amplitude: expected "),
    ],
)
def test_options_that_make_no_sense(name: str, options: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        posenc.get_encoding(name, **options)
    assert text in str(caught.value)


def test_the_number_of_axes_is_bounded() -> None:
    """Nothing is made for each axis before that is known."""
    posenc.Encoding(axes=32)
    for axes in (33, 10**8, 10**19):
        with pytest.raises(
            ValueError, match=rf"^axes: expected the number of axes of positions, at most 32, got {axes}$"
        ):
            posenc.Encoding(axes=axes)


# ---- convert_layout_ ----


@pytest.mark.parametrize("dim", [2, 3, 8, 9, 64])
def test_layouts_by_their_words(dim: int) -> None:
    """sin_0 cos_0 sin_1 cos_1 ... and sin_0 sin_1 ... cos_0 cos_1 ..., whatever the frequencies."""
    interleaved = np.array([f"{'sc'[j % 2]}{j // 2}" for j in range(dim)])
    concatenated = np.concatenate([interleaved[::2], interleaved[1::2]])
    array = np.tile(interleaved, (2, 3, 1))
    assert posenc.convert_layout_(array, "interleaved", "concatenated") is array
    assert (array == concatenated).all()
    posenc.convert_layout_(array, "Concatenated", "INTERLEAVED")
    assert (array == interleaved).all()
    turned = np.ascontiguousarray(array.transpose(2, 0, 1))
    posenc.convert_layout_(turned, "interleaved", "concatenated", axis=0)
    assert (turned[:, 0, 0] == concatenated).all()


@pytest.mark.parametrize(
    ("name", "dim"), [("whisper", 12), ("guided_diffusion", 9), ("mae", 16), ("ltae", 96), ("timm_sincos2d", 16)]
)
def test_a_layout_of_the_other_encoding(name: str, dim: int) -> None:
    known = posenc.get_encoding(name)
    where = [3.25, 7] if known.axes == 2 else 3.25
    for layout in ("interleaved", "concatenated"):
        other = dataclasses.replace(known, layout=layout, nesting=None)
        rows = [posenc.encode([where], dim, encoding=encoding) for encoding in (known, other)]
        assert_same_bits(posenc.convert_layout_(rows[0].copy(), name, layout), rows[1])
        assert_same_bits(posenc.convert_layout_(rows[1].copy(), layout, known), rows[0])


def test_conversion_is_what_the_target_computes() -> None:
    position = 3.25
    with mp.workdps(30):
        for source, target, dim in [
            ("paper", "hf_marian", 12),
            ("paper", "hf_marian", 9),
            ("pytorch", "guided_diffusion", 8),
            ("whisper", "musicgen", 8),
            ("tensor2tensor", "musicgen", 9),
            ("pyg", "ddpm", 10),
            ("mae", "moco_v3", 16),
            ("mae", "wzlxjtu", 16),
            ("timm_sincos2d", "positional_encodings", 16),
            ("sam2_1d", "sam2_1d", 16),
        ]:
            options = {"sam2_1d": {"dim": 16}, "positional_encodings": {"axes": 2}}
            was, becomes = (posenc.get_encoding(name, **options.get(name, {})) for name in (source, target))
            where = (position, 7) if was.axes == 2 else position
            row = np.array(from_spectra(was, where, dim), float)
            want = np.array(from_spectra(becomes, where, dim), float)
            assert posenc.convert_layout_(row, was, becomes) is row
            np.testing.assert_allclose(row, want, rtol=0, atol=1e-12)
            posenc.convert_layout_(row, becomes, was)
            np.testing.assert_allclose(row, np.array(from_spectra(was, where, dim), float), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.complex128, object, "U3", [("a", "f4"), ("b", "i2")]])
@pytest.mark.parametrize(("shape", "axis"), [((12,), 0), ((12,), -1), ((5, 12), 1), ((12, 3), 0), ((2, 12, 3), 1)])
def test_conversion_of_anything(dtype: object, shape: tuple[int, ...], axis: int) -> None:
    order = [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]
    array = np.arange(np.prod(shape)).astype("i4").reshape(shape).astype(dtype)
    want = np.take(array, order, axis)
    assert posenc.convert_layout_(array, "paper", "hf_marian", axis) is array
    np.testing.assert_array_equal(array, want)


def test_conversion_of_a_tensor() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for dtype in (torch.float32, torch.bfloat16):
        weights = torch.arange(24).reshape(2, 12).to(dtype)
        version = weights._version
        assert posenc.convert_layout_(weights.T, "paper", "hf_marian", axis=0).shape == (12, 2)
        assert weights[1].tolist() == [12, 14, 16, 18, 20, 22, 13, 15, 17, 19, 21, 23]
        assert weights._version > version, "autograd must know"


def test_conversion_of_a_long_strided_table() -> None:
    memory = np.random.default_rng(1).random((2, 9000, 64))
    before = memory.copy()
    posenc.convert_layout_(memory[:, ::-2, 1:50:4], "paper", "hf_marian")
    want = before.copy()
    order = [*range(0, 13, 2), *range(1, 13, 2)]
    want[:, ::-2, 1:50:4] = before[:, ::-2, 1:50:4][..., order]
    np.testing.assert_array_equal(memory, want)


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        ("whisper", "pytorch", "frequencies differ (freq_shift 1.0 and 0.0)"),
        ("ctranslate2", "whisper", "first positions differ (position_offset 1.0 and 0.0)"),
        ("mae", "whisper", "axes differ (axes 2 and 1)"),
        ("x_transformers", "wavegrad", "amplitudes differ (amplitude 'rsqrt_dim' and 1.0)"),
        ("hf_marian", "marian", "frequencies differ (freq_shift 0.0 and 1.0"),
        ("coqui_tts", "pytorch", "frequencies differ (base 0.0001 and 10000.0)"),
        ("flux", "dit", "frequencies differ (position_scale 1000.0 and 1.0)"),
    ],
)
def test_what_no_order_of_columns_makes(source: str, target: str, text: str) -> None:
    array = np.arange(16.0)
    with pytest.raises(
        ValueError, match=r"^target: expected an encoding that differs from source in the order"
    ) as caught:
        posenc.convert_layout_(array, source, target)
    assert text in str(caught.value)
    np.testing.assert_array_equal(array, np.arange(16.0))


def test_arrays_that_can_not_be_converted() -> None:
    read_only = np.zeros((3, 8))
    read_only.flags.writeable = False
    for array, axis, error, text in [
        ([0.0] * 8, -1, TypeError, "array: expected "),
        (np.ma.masked_array(np.zeros((3, 8))), -1, TypeError, "array: expected "),
        (read_only, -1, ValueError, "array: expected a writeable array, got a read-only one"),
        (np.lib.stride_tricks.as_strided(np.zeros(8), (3, 8), (0, 8)), -1, ValueError, "do not overlap in memory"),
        (np.zeros((3, 8)), 2, ValueError, "axis: expected an axis of array, got 2 for shape (3, 8)"),
        (np.zeros((3, 8)), 1.0, TypeError, "axis: expected an integer, got 1.0 (float)"),
        (np.zeros((3, 0)), -1, ValueError, "array: expected at least 1 column, got shape (3, 0)"),
        (np.zeros((3, 7)), -1, ValueError, "encoding: expected an even width, got 7"),
    ]:
        with pytest.raises(error) as caught:
            posenc.convert_layout_(array, "pytorch", "wavegrad", axis)
        assert text in str(caught.value)


def test_rows_have_plain_signatures() -> None:
    for row in _conventions.ROWS:
        for parameter in inspect.signature(row.make).parameters.values():
            assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


# ---- the contracts hold for every name ----


@pytest.mark.parametrize("index", range(len(CASES)), ids=IDS)
def test_contracts(index: int, backend: str) -> None:
    case = CASES[index]
    encoding, dim = posenc.get_encoding(case.names.split()[0], **case.options), case.odd or case.dim
    shape = {1: (37,), 2: (5, 9), 3: (3, 4, 5), 4: (2, 3, 2, 3)}[case.axes]
    options = {"encoding": encoding, "backend": backend}
    for dtype in (np.float32, np.float64, np.float16):
        x = noise((2, *shape, dim), np.float64).clip(-6e4, 6e4).astype(dtype)  # what float16 holds
        table = posenc.fill_(np.empty_like(x), **options)
        assert_same_bits(table[0], table[1])
        # Cell by cell, in any order; nothing knows of its neighbours.
        cells = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
        where = cells[..., 0] if case.axes == 1 else cells
        assert_same_bits(posenc.encode(where, dim, dtype=dtype, **options), table[0])
        some = np.random.default_rng(index).permutation(np.prod(shape))[:11]
        apart = posenc.encode(where.reshape(-1, *where.shape[case.axes :])[some], dim, dtype=dtype, **options)
        assert_same_bits(apart, table[0].reshape(-1, dim)[some])
        if dtype != np.float16:
            assert_same_bits(posenc.add(x, **options), x + table)
        # In place: strided, nothing beside it touched.
        memory = np.tile(x, 3)[..., : 2 * dim + 1]
        before = memory.copy()
        added = posenc.add_(memory[..., 1::2], **options)
        assert np.shares_memory(added, memory)
        assert_same_bits(memory[..., ::2], before[..., ::2])
        assert_same_bits(added, posenc.add(before[..., 1::2], **options))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_whole_turns_are_exact(dtype: type, backend: str) -> None:
    """And zeros are positive, so that the same row has the same bits whichever way it was computed."""
    for name, options in [
        ("depthcharge_intensity", {}),
        ("nerf_paper", {"num_freqs": 4, "input_dims": 1}),
        ("lingvo_linear", {"dim": 8, "seq_len": 1}),
    ]:
        encoding = posenc.get_encoding(name, **options)
        got = posenc.encode(300, 8, start=-150, encoding=encoding, dtype=dtype, backend=backend)
        want = np.tile(np.repeat([0, 1], 4).astype(dtype), (300, 1))
        if name == "nerf_paper":
            want = np.tile(np.array([0, 1], dtype), (300, 4))
            want[1::2, 1] = -1  # half a turn
        assert_same_bits(got, want)
