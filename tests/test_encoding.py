"""Encodings: what makes one, and its frequencies and columns against mpmath. No array of a user's, no backend."""

from __future__ import annotations

import copy
import dataclasses
import decimal
import math
import pickle
import sys

import numpy as np
import posenc
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from posenc import Encoding, _spectrum
from posenc._encoding import PAPER, columns, spectra

from . import backends, truth
from .arrays import assert_same_bits

DIMS = [1, 2, 3, 7, 64, 511, 512, 4096]


# ---- the paper's ----


@pytest.mark.parametrize("dim", DIMS)
def test_frequencies_of_the_paper(dim: int) -> None:
    (spectrum,) = spectra(PAPER, dim)
    parts = spectrum.frequencies
    count = (dim + 1) // 2
    assert parts.shape == (2, count)
    with mp.workprec(700):
        for k in {0, count // 3, count // 2, count - 1}:
            true = truth.frequency(k, dim, 700) * 2 / mp.pi
            assert abs(backends.frequency(spectrum, k) - true) <= true * mpf(2) ** -510
            assert float(parts[0, k]) == float(true)
            assert float(parts[1, k]) == float(true - mpf(float(parts[0, k])))


@pytest.mark.parametrize("dim", DIMS)
def test_columns_of_the_paper(dim: int) -> None:
    (spectrum,) = spectra(PAPER, dim)
    assert spectrum.dim == dim
    np.testing.assert_array_equal(spectrum.source, np.arange(dim))
    assert (spectrum.source.dtype, spectrum.amplitude, spectrum.offset) == (np.int32, 1.0, 0.0)
    assert spectra(PAPER, dim).nbytes > spectrum.nbytes == 16 * ((dim + 1) // 2) + 4 * dim + spectrum.numbers.nbytes


def test_decimals_of_the_user_do_not_matter() -> None:
    want = posenc.encode([1.0, 1e-9, 2.0**-20], 8, backend="numpy")
    hostile = decimal.Context(prec=3, rounding=decimal.ROUND_UP, Emin=-2, Emax=2, traps=[decimal.Inexact])
    with decimal.localcontext(hostile):
        frequencies = _spectrum._make((PAPER, 8))[0].frequencies
        got = posenc.encode([1.0, 1e-9, 2.0**-20], 8, backend="numpy")
    np.testing.assert_array_equal(frequencies, spectra(PAPER, 8)[0].frequencies)
    np.testing.assert_array_equal(got, want)


def test_made_once() -> None:
    assert spectra(PAPER, 20) is spectra(Encoding(), 20)
    assert spectra(PAPER, 20) is not spectra(Encoding(base=5), 20)
    assert not np.array_equal(spectra(PAPER, 20)[0].frequencies, spectra(PAPER, 21)[0].frequencies[:, :10])


# ---- any ----

reals = st.floats(-1e6, 1e6, allow_subnormal=False)
positives = st.one_of(st.floats(1e-6, 1e6), st.floats(min_value=5e-324, max_value=1e300))
sizes = st.floats(1e-6, 1e6) | st.floats(1e-160, 1e-100)  # what a product of two of them leaves in the domain
amplitudes = st.floats(1e-70, 1e6) | st.floats(-1e38, -1e-70)
scales = st.tuples(st.sampled_from([1.0, -1.0]), sizes).map(math.prod)


@st.composite
def encodings(draw: st.DrawFn) -> Encoding:
    axes = draw(st.integers(1, 4))

    def per_axis(values: st.SearchStrategy) -> st.SearchStrategy:
        return st.one_of(values, st.lists(values, min_size=axes, max_size=axes))

    parameters = {
        "cos_first": draw(st.booleans()),
        "full_turns": draw(st.booleans()),
        "position_scale": draw(per_axis(scales)),
        "position_offset": draw(per_axis(reals)),
        "amplitude": draw(st.one_of(amplitudes, st.sampled_from(["rsqrt_dim", "sqrt_2_over_dim"]))),
        "odd": draw(st.sampled_from(["error", "zero", "extra", "truncate"])),
        "tile": draw(st.integers(1, 3)),
        "axes": axes,
    }
    if draw(st.booleans()):
        parameters["frequencies"] = draw(
            per_axis(st.lists(st.floats(-1e6, 1e6).filter(lambda w: w == 0.0 or abs(w) > 1e-6), min_size=2, max_size=2))
        )
    else:
        parameters |= {"base": draw(per_axis(positives)), "freq_shift": draw(st.floats(-5, 1.5))}
    weights = st.lists(st.integers(1, 3), min_size=axes, max_size=axes)
    parameters["axis_order"] = draw(st.one_of(st.none(), st.permutations(range(axes))))
    parameters["axis_widths"] = draw(st.one_of(st.none(), st.sampled_from(["floor", "ceil"]), weights))
    parameters["nesting"] = draw(st.sampled_from([None, "akt", "atk", "tak", "kat", "kta", "tka"]))
    if parameters["nesting"] is None:
        parameters["layout"] = draw(st.sampled_from(["interleaved", "concatenated"]))
    try:
        return Encoding(**parameters)
    except ValueError as error:
        assert "quarter turns per unit of position" in str(error)  # noqa: PT017
        assume(False)
        raise


def fitting(encoding: Encoding, units: int) -> int:
    """A width that an encoding may have."""
    weights = encoding.axis_widths or (1,) * encoding.axes
    unit = encoding.tile * (1 if isinstance(weights, str) else sum(weights))
    return unit * (4 if encoding.frequencies is not None else units)


def spectra_or_not(encoding: Encoding, dim: int) -> _spectrum.Spectra:
    try:
        return spectra(encoding, dim)
    except ValueError as error:
        assert str(error).startswith("encoding: expected ")  # noqa: PT017
        assume(False)
        raise


@given(encodings())
def test_repr_evaluates_back(encoding: Encoding) -> None:
    same = [
        eval(repr(encoding)),
        pickle.loads(pickle.dumps(encoding)),
        copy.deepcopy(encoding),
        dataclasses.replace(encoding),
        Encoding(**{field.name: getattr(encoding, field.name) for field in dataclasses.fields(Encoding)}),
    ]
    for other in same:
        assert other == encoding
        assert hash(other) == hash(encoding)
        assert repr(other) == repr(encoding)
    assert encoding != dataclasses.replace(encoding, cos_first=not encoding.cos_first)


def test_repr_is_short() -> None:
    assert repr(Encoding()) == "Encoding()"
    assert repr(Encoding(base=10000, freq_shift=-0.0, axes=2, nesting="akt")) == "Encoding(axes=2)"
    assert repr(Encoding(base=np.float32(0.5))) == "Encoding(base=0.5)"


def test_pickle_holds_no_hash() -> None:
    # Hashes of strings differ from one process to the next.
    assert b"_hash" not in pickle.dumps(Encoding(odd="zero"))


def test_equal_encodings_have_one_form() -> None:
    for a, b in [
        ({"base": (50, 50), "axes": 2}, {"base": 50.0, "axes": 2}),
        ({"axes": 2, "nesting": "atk"}, {"axes": 2, "layout": "concatenated"}),
        ({"axes": 2, "nesting": "atk", "layout": "concatenated"}, {"axes": 2, "layout": "concatenated"}),
        ({"axes": 2, "axis_order": [0, 1]}, {"axes": 2}),
        ({"axes": 2, "axis_widths": (64, 64)}, {"axes": 2}),
        ({"axes": 3, "axis_widths": (64, 32, 32)}, {"axes": 3, "axis_widths": (2, 1, 1)}),
        ({"frequencies": np.float32([1, 0.5])}, {"frequencies": (1.0, 0.5)}),
        ({"axes": 2, "frequencies": [[1, 2], [1, 2]]}, {"axes": 2, "frequencies": [1, 2]}),
        ({"axes": 1, "position_scale": [3], "axis_order": [0], "axis_widths": [5]}, {"position_scale": 3}),
        ({"nesting": "kta"}, {"nesting": "akt"}),
        ({"nesting": "tak"}, {"layout": "concatenated"}),
    ]:
        assert Encoding(**a) == Encoding(**b)
        assert hash(Encoding(**a)) == hash(Encoding(**b))


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Encoding().base = 5.0
    with pytest.raises(TypeError):
        Encoding("interleaved")


@settings(max_examples=200)
@given(encodings(), st.integers(1, 9))
def test_spectra(encoding: Encoding, units: int) -> None:
    dim = fitting(encoding, units)
    parts = spectra_or_not(encoding, dim)
    assert len(parts) == encoding.axes
    with mp.workprec(700):
        amplitudes = {"rsqrt_dim": mpf(1) / mp.sqrt(dim), "sqrt_2_over_dim": mp.sqrt(mpf(2) / dim)}
        for axis, spectrum in enumerate(parts):
            assert spectrum.dim == dim
            assert spectrum.amplitude == float(amplitudes.get(encoding.amplitude, encoding.amplitude))
            assert spectrum.offset == at(encoding.position_offset, axis)
            count = spectrum.frequencies.shape[1]
            assert -1 <= spectrum.source.min() <= spectrum.source.max() < 2 * count
            for k in range(count):
                true = frequency(encoding, dim, axis, k, count)
                assert abs(backends.frequency(spectrum, k) - true) <= abs(true) * mpf(2) ** -510
                high, low = spectrum.frequencies[:, k].tolist()
                assert high == float(true)
                assert abs(mpf(high) + mpf(low) - true) <= abs(true) * mpf(2) ** -106
                radians = float(true * mp.pi / 2)
                got = encoding.frequencies_for(dim, axis)[k]
                assert abs(mpf(float(got)) - true * mp.pi / 2) <= mpf(math.ulp(radians)) * (0.5 + mpf(2) ** -100)
                if radians:
                    assert encoding.wavelengths(dim, axis)[k] == pytest.approx(2 * math.pi / abs(radians), rel=1e-15)


def at(value: object, axis: int) -> object:
    return value[axis] if isinstance(value, tuple) else value


def frequency(encoding: Encoding, dim: int, axis: int, k: int, count: int) -> mpf:
    """As `Encoding` documents it, in quarter turns."""
    if encoding.frequencies is not None:
        vector = encoding.frequencies[axis] if isinstance(encoding.frequencies[0], tuple) else encoding.frequencies
        assert count == len(vector)
        w = mpf(vector[k])
    elif count == 1:
        w = mpf(1)
    else:
        block = dim // encoding.tile
        width = mpf(2 * count)  # what every width is but for an odd one whose half is real
        weights = encoding.axis_widths or (1,) * encoding.axes
        if not isinstance(weights, str) and encoding.odd == "extra":
            width = mpf(block) * weights[axis] / sum(weights)
        w = mpf(at(encoding.base, axis)) ** (-k / (width / 2 - mpf(encoding.freq_shift)))
    turn = 4 if encoding.full_turns else 2 / mp.pi
    return w * mpf(at(encoding.position_scale, axis)) * turn


@given(encodings(), st.integers(1, 9))
def test_columns(encoding: Encoding, units: int) -> None:
    dim = fitting(encoding, units)
    parts = spectra_or_not(encoding, dim)
    owner, source = columns(encoding, dim)
    block = dim // encoding.tile
    np.testing.assert_array_equal(owner.reshape(-1, block), np.tile(owner[:block], (encoding.tile, 1)))
    np.testing.assert_array_equal(source.reshape(-1, block), np.tile(source[:block], (encoding.tile, 1)))
    for axis, spectrum in enumerate(parts):
        np.testing.assert_array_equal(spectrum.source, np.where(owner == axis, source, -1))
    shown = [pair for pair in zip(owner[:block].tolist(), source[:block].tolist(), strict=True) if pair[0] >= 0]
    assert len(set(shown)) == len(shown), "a column twice"
    if encoding.axis_widths != "ceil":  # which cuts columns off
        for axis, spectrum in enumerate(parts):
            mine = sorted(s for a, s in shown if a == axis)
            first = int(encoding.cos_first)
            firsts, seconds = ([s >> 1 for s in mine if s & 1 == phase] for phase in (first, 1 - first))
            assert firsts == list(range(spectrum.frequencies.shape[1]))
            assert seconds == firsts[: len(seconds)]
            assert len(firsts) - len(seconds) <= (encoding.odd in ("extra", "truncate"))


@pytest.mark.parametrize(
    ("parameters", "want"),
    [
        ({}, "s0 c0 s1 c1 s2 c2 s3 c3"),
        ({"cos_first": True}, "c0 s0 c1 s1 c2 s2 c3 s3"),
        ({"layout": "concatenated"}, "s0 s1 s2 s3 c0 c1 c2 c3"),
        ({"layout": "concatenated", "cos_first": True}, "c0 c1 c2 c3 s0 s1 s2 s3"),
        ({"tile": 2}, "s0 c0 s1 c1 s0 c0 s1 c1"),
        ({"axes": 2}, "as0 ac0 as1 ac1 bs0 bc0 bs1 bc1"),
        ({"axes": 2, "layout": "concatenated"}, "as0 as1 ac0 ac1 bs0 bs1 bc0 bc1"),
        ({"axes": 2, "nesting": "tak"}, "as0 as1 bs0 bs1 ac0 ac1 bc0 bc1"),
        ({"axes": 2, "nesting": "kat"}, "as0 ac0 bs0 bc0 as1 ac1 bs1 bc1"),
        ({"axes": 2, "nesting": "kta"}, "as0 bs0 ac0 bc0 as1 bs1 ac1 bc1"),
        ({"axes": 2, "nesting": "tka"}, "as0 bs0 as1 bs1 ac0 bc0 ac1 bc1"),
        ({"axes": 2, "nesting": "kta", "axis_order": (1, 0)}, "bs0 as0 bc0 ac0 bs1 as1 bc1 ac1"),
        ({"axes": 2, "axis_widths": (3, 1)}, "as0 ac0 as1 ac1 as2 ac2 bs0 bc0"),
        ({"axes": 2, "axis_widths": (1, 3), "nesting": "tak"}, "as0 bs0 bs1 bs2 ac0 bc0 bc1 bc2"),
        ({"axes": 3, "axis_widths": "floor"}, "as0 ac0 bs0 bc0 cs0 cc0 - -"),
        ({"axes": 3, "axis_widths": "ceil"}, "as0 ac0 as1 ac1 bs0 bc0 bs1 bc1"),
        ({"axes": 3, "axis_widths": "ceil", "axis_order": (2, 0, 1)}, "cs0 cc0 cs1 cc1 as0 ac0 as1 ac1"),
    ],
)
def test_order_of_columns(parameters: dict, want: str) -> None:
    assert shown(Encoding(**parameters), 8) == want


@pytest.mark.parametrize(
    ("odd", "layout", "want"),
    [
        ("zero", "interleaved", "s0 c0 s1 c1 -"),
        ("zero", "concatenated", "s0 s1 c0 c1 -"),
        ("extra", "interleaved", "s0 c0 s1 c1 s2"),
        ("extra", "concatenated", "s0 s1 s2 c0 c1"),
        ("truncate", "interleaved", "s0 c0 s1 c1 s2"),
        ("truncate", "concatenated", "s0 s1 s2 c0 c1"),
    ],
)
def test_odd_widths(odd: str, layout: str, want: str) -> None:
    encoding = Encoding(odd=odd, layout=layout)
    assert shown(encoding, 5) == want
    half = {"zero": 2.0, "extra": 2.5, "truncate": 3.0}[odd]
    assert encoding.frequencies_for(5)[1] == pytest.approx(10000.0 ** (-1 / half), rel=1e-15)
    both = shown(dataclasses.replace(encoding, axes=2), 10).split()
    assert " ".join(both[:5]).replace("a", "") == " ".join(both[5:]).replace("b", "") == want


def shown(encoding: Encoding, dim: int) -> str:
    axis = "abc" if encoding.axes > 1 else ("",)
    pairs = zip(*columns(encoding, dim), strict=True)
    return " ".join("-" if a < 0 else f"{axis[a]}{'sc'[source & 1]}{source >> 1}" for a, source in pairs)


def test_one_frequency_is_one() -> None:
    for shift in (0.0, 1.0, 7.5):
        for dim in (1, 2):
            assert Encoding(freq_shift=shift).frequencies_for(dim).tolist() == [1.0]
    assert Encoding(freq_shift=1.0, axes=2).frequencies_for(4, axis=1).tolist() == [1.0]


def test_wavelengths() -> None:
    encoding = Encoding.from_wavelengths(4, 1024, layout="concatenated")
    assert encoding == Encoding(layout="concatenated", position_scale=0.25, base=256, freq_shift=1.0, full_turns=True)
    assert encoding.wavelengths(10).tolist() == [4.0, 16.0, 64.0, 256.0, 1024.0]
    assert spectra(encoding, 10)[0].frequencies[0].tolist() == [1.0, 0.25, 0.0625, 0.015625, 0.00390625]
    assert Encoding.from_wavelengths(1024, 4).wavelengths(10).tolist() == [1024.0, 256.0, 64.0, 16.0, 4.0]
    assert Encoding(frequencies=[0, -1]).wavelengths(4).tolist() == [math.inf, 2 * math.pi]
    assert Encoding.from_timescales(2, 512, freq_shift=0).frequencies_for(4).tolist() == [0.5, 0.03125]
    for make in (Encoding.from_timescales, Encoding.from_wavelengths):
        with pytest.raises(ValueError, match=r"^shortest: expected a number greater than 0, got 0\.0$"):
            make(0, 5)
        with pytest.raises(TypeError, match=r"^longest: expected a number, got '5' \(str\)$"):
            make(1, "5")
        refused = r"^shortest, longest: .*, got \(1e-300, 1e\+300\) \(tuple\): base: expected a finite number, got inf$"
        with pytest.raises(ValueError, match=refused):
            make(1e-300, 1e300)
        with pytest.raises(ValueError, match=r"^shortest, longest: .*: position_scale: expected at most 2\*\*24"):
            make(1e-9, 1)
        for name in ("base", "frequencies", "position_scale"):
            with pytest.raises(
                TypeError, match=rf"^{name}: expected none, as it follows from .*, got 3 \(int\); leave it"
            ):
                make(1, 5, **{name: 3})
    with pytest.raises(TypeError, match=r"^full_turns: expected none"):
        Encoding.from_wavelengths(1, 5, full_turns=False)
    assert Encoding.from_timescales(1, 5, full_turns=True).wavelengths(4).tolist() == [1.0, 5.0]


def test_arrays_as_parameters() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    w = [1.0, 0.3, 2.0**-30]
    for of in (np.array, torch.tensor):
        assert Encoding(frequencies=of(w)) == Encoding(frequencies=of(w).tolist())
        assert Encoding(frequencies=of([w, w[::-1]]), axes=2).frequencies_for(12, 1)[0] == of(w)[2]
        assert Encoding(base=of(3.0), axes=2) == Encoding(base=3.0, axes=2)
        assert Encoding(base=of([2.0, 3.0]), axes=2).base == (2.0, 3.0)


def test_the_ends_of_the_domain() -> None:
    spectrum = spectra(Encoding(frequencies=[2.0**24], position_scale=0.25, full_turns=True), 2)[0]
    assert spectrum.frequencies.max() == 2.0**24
    for encoding in [
        Encoding(position_scale=2.0**-562, full_turns=True),
        Encoding(frequencies=[2.0**-300], position_scale=-(2.0**-262), full_turns=True),
        Encoding(base=2.0**560, freq_shift=1, position_scale=0.25, full_turns=True),
    ]:
        dim = 4 if encoding.freq_shift else 2
        assert np.abs(spectra(encoding, dim)[0].frequencies[0]).min() == 2.0**-560
    for amplitude in (2.0**-256, -(2.0**127)):
        assert Encoding(amplitude=amplitude).amplitude == amplitude
    assert Encoding(frequencies=[0.0, -0.0]).frequencies_for(4).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "parameters",
    [
        {"base": 1e-300},
        {"base": 1e-300, "freq_shift": 1.999999},
        {"base": 2.0**-40},
        {"base": 1e300, "freq_shift": np.nextafter(2.0, 0)},
        {"base": 2.0**561, "freq_shift": 1, "position_scale": 0.25, "full_turns": True},
        {"base": sys.float_info.max},
    ],
)
def test_bases_that_lead_out_of_the_domain(parameters: dict) -> None:
    with pytest.raises(
        ValueError, match=r"^encoding: expected .*2\*\*(24|-560) quarter turns.*; use a .*base nearer to 1"
    ):
        spectra(Encoding(**parameters), 6 if parameters.get("freq_shift") is None else 4)


@pytest.mark.parametrize(
    ("parameters", "dim", "text"),
    [
        ({}, 2**20 + 1, "at most 1048576 channels, got 1048577"),
        ({"odd": "error"}, 7, "an even width, got 7 (odd='error')"),
        ({"tile": 3}, 8, "a multiple of 3 channels (tile), got 8"),
        ({"odd": "zero"}, 1, "at least 2 columns, got 1 (odd='zero')"),
        ({"axes": 2}, 7, "a multiple of 2 channels for 2 axes, got 7"),
        ({"axes": 3, "axis_widths": (2, 1, 1), "tile": 2}, 12, "a multiple of 8 channels for 3 axes in proportions (2"),
        ({"axes": 3, "axis_widths": "floor"}, 5, "at least 6 channels, got 5"),
        ({"frequencies": [1, 2]}, 6, "a width of 4, for 2 frequencies, got 6"),
        ({"frequencies": [1, 2], "odd": "zero"}, 3, "a width of 4, for 2 frequencies, got 3"),
        ({"freq_shift": 2}, 4, "freq_shift below K = 2.0, got 2.0"),
    ],
)
def test_widths_that_do_not_fit(parameters: dict, dim: int, text: str) -> None:
    with pytest.raises(ValueError, match=r"^encoding: expected ") as caught:
        spectra(Encoding(**parameters), dim)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "error", "text"),
    [
        ({"layout": "tk"}, ValueError, "layout: expected one of interleaved, concatenated, got 'tk'"),
        ({"layout": None}, TypeError, "layout: expected one of interleaved, concatenated, got None (NoneType)"),
        ({"cos_first": 1}, TypeError, "cos_first: expected True or False, got 1 (int)"),
        ({"base": 0}, ValueError, "base: expected a number greater than 0, got 0.0"),
        ({"base": "1"}, TypeError, "base: expected a number, got '1' (str)"),
        ({"base": True}, TypeError, "base: expected a number, got True (bool)"),
        ({"base": math.inf}, ValueError, "base: expected a finite number, got inf"),
        ({"base": 10**400}, ValueError, "base: expected a finite number, got 1000"),
        ({"base": (1, 2)}, ValueError, "base: expected a number, or one for each of 1 axes, got 2"),
        ({"base": (1, 0), "axes": 2}, ValueError, "base: expected a number greater than 0, got 0.0"),
        ({"freq_shift": math.nan}, ValueError, "freq_shift: expected a finite number, got nan"),
        ({"freq_shift": (1, 1), "axes": 2}, TypeError, "freq_shift: expected a number, got (1, 1) (tuple)"),
        ({"frequencies": []}, ValueError, "frequencies: expected at least one number, got none"),
        ({"frequencies": 5}, TypeError, "frequencies: expected numbers, got 5 (int)"),
        ({"frequencies": "12"}, TypeError, "frequencies: expected numbers, got '12' (str)"),
        ({"frequencies": [1, "2"]}, TypeError, "frequencies: expected a number, got '2' (str)"),
        ({"frequencies": [math.nan]}, ValueError, "frequencies: expected a finite number, got nan"),
        ({"frequencies": [[1], [2]]}, ValueError, "frequencies: expected numbers, or such a list for each of 1 axes"),
        ({"frequencies": [[1], []], "axes": 2}, ValueError, "frequencies: expected at least one number, got none"),
        (
            {"frequencies": [1], "base": 5},
            ValueError,
            "frequencies: expected either frequencies or base and freq_shift",
        ),
        ({"full_turns": "yes"}, TypeError, "full_turns: expected True or False, got 'yes' (str)"),
        ({"position_scale": 0}, ValueError, "position_scale: expected a number other than 0, got 0.0"),
        ({"position_offset": 2.0**54}, ValueError, "position_offset: expected at most 2**53 in magnitude, got 1.8"),
        ({"amplitude": 0}, ValueError, "amplitude: expected a number other than 0, got 0.0"),
        ({"amplitude": 2.0**127.5}, ValueError, "amplitude: expected a magnitude from 2**-256 to 2**127, got 2.4"),
        ({"amplitude": -1e-78}, ValueError, "amplitude: expected a magnitude from 2**-256 to 2**127, got -1e-78"),
        ({"frequencies": [1.0, 1e300]}, ValueError, "frequencies times position_scale: expected at most 2**24 quarter"),
        (
            {"frequencies": [np.nextafter(2.0**24, np.inf)], "position_scale": 0.25, "full_turns": True},
            ValueError,
            "frequencies times position_scale: expected at most 2**24 quarter turns per unit of position, got 1677721",
        ),
        ({"position_scale": -1e300}, ValueError, "position_scale: expected at most 2**24 quarter turns"),
        (
            {"position_scale": 5e-324},
            ValueError,
            "position_scale: expected at least 2**-560 quarter turns per unit of position, got 5e-324 radians; use a",
        ),
        (
            {"frequencies": [1e-160], "position_scale": 1e-160},
            ValueError,
            "frequencies times position_scale: expected at least 2**-560 quarter turns per unit of position, got 1e-16",
        ),
        ({"amplitude": "d"}, ValueError, "amplitude: expected one of rsqrt_dim, sqrt_2_over_dim, got 'd'"),
        ({"amplitude": 1j}, TypeError, "amplitude: expected a number, got 1j (complex)"),
        ({"odd": "even"}, ValueError, "odd: expected one of error, zero, extra, truncate, got 'even'"),
        ({"tile": 0}, ValueError, "tile: expected at least 1, got 0"),
        ({"axes": 0}, ValueError, "axes: expected at least 1, got 0"),
        ({"axes": 2.0}, TypeError, "axes: expected an integer, got 2.0 (float)"),
        (
            {"axes": 2, "axis_order": (0, 2)},
            ValueError,
            "axis_order: expected the axes 0 ... 1 in some order, got (0, 2)",
        ),
        ({"axes": 2, "axis_order": 1}, TypeError, "axis_order: expected a tuple of axes, got 1 (int)"),
        ({"axes": 2, "axis_widths": "half"}, ValueError, "axis_widths: expected one of floor, ceil, got 'half'"),
        ({"axes": 2, "axis_widths": (1,)}, ValueError, "axis_widths: expected 2 integers, one per axis, got 1"),
        ({"axes": 2, "axis_widths": (1, 0)}, ValueError, "axis_widths: expected at least 1, got 0"),
        ({"axes": 2, "axis_widths": (0.5, 0.5)}, TypeError, "axis_widths: expected an integer, got 0.5 (float)"),
        ({"axes": 2, "nesting": "aaa"}, ValueError, "nesting: expected one of akt, atk, tak, kat, kta, tka, got 'aaa'"),
        (
            {"axes": 2, "nesting": "tak", "layout": "concatenated"},
            ValueError,
            "nesting: expected either layout or nesting",
        ),
        (
            {"axes": 2, "nesting": "akt", "layout": "concatenated"},
            ValueError,
            "nesting: expected either layout or nesting",
        ),
    ],
)
def test_what_makes_no_encoding(parameters: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        Encoding(**parameters)
    assert str(caught.value).startswith(text)


def test_what_frequencies_for_refuses() -> None:
    for arguments, error, text in [
        ((8, 1), ValueError, "axis: expected less than 1, the number of axes, got 1"),
        ((8, -1), ValueError, "axis: expected at least 0, got -1"),
        ((0,), ValueError, "dim: expected at least 1, got 0"),
        ((8.0,), TypeError, "dim: expected an integer, got 8.0 (float)"),
        ((2**21,), ValueError, "encoding: expected at most 1048576 channels, got 2097152"),
    ]:
        with pytest.raises(error) as caught:
            posenc.Encoding().frequencies_for(*arguments)
        assert str(caught.value) == text


def test_true_zeros(backend: str | None) -> None:
    # Five times a tenth of a turn is half of one, though no double is a tenth: the sine is 0, not 1e-43.
    encoding, turns = Encoding(full_turns=True), [5, 15, 505, -5, 10**9 + 5, 2**53 // 5 * 5, 7.5]
    turns += range(500, 10**9, 1000 * 99991)
    with mp.workprec(400):
        angles = [2 * mpf(p) / 10**k for p in turns for k in range(4)]
        want = np.array([float(f(angle)) for angle in angles for f in (mp.sinpi, mp.cospi)], np.float32).reshape(-1, 8)
    assert (want == 0).sum() > len(turns)
    for scale in (1.0, 1e38):
        scaled = dataclasses.replace(encoding, amplitude=scale)
        got = posenc.encode(turns, 8, encoding=scaled, backend=backend)
        assert np.array_equal(got == 0, want == 0)
        assert not np.signbit(got[got == 0]).any()
    assert_same_bits(posenc.encode(turns, 8, encoding=encoding, backend=backend), want + 0)


def test_no_negative_zeros_however_small_the_amplitude(backend: str | None) -> None:
    encoding = Encoding(amplitude=1e-42)
    for positions in (10, [0.0, -1.5, 0.5], np.arange(-3, 3)):
        got = posenc.encode(positions, 6, encoding=encoding, backend=backend)
        assert_same_bits(got, posenc.encode(positions, 6, encoding=encoding, backend="numpy"))
        assert not np.signbit(got[np.asarray(posenc.encode(positions, 6)) == 0]).any()
