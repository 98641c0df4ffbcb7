"""posenc.identify: every name is found again, in what recipes, dtypes, starts and paddings leave of its table."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import posenc
import pytest
from numpy.typing import NDArray

# Without those that need options, and one whose values repeat themselves at every second whole number.
SCALED = {f"rope_{name}" for name in ("ntk", "dynamic", "llama3", "yarn", "longrope", "gemma4")}
NAMES = {row.name for row in posenc.list_encodings()} - {"lingvo_linear", "sam2_1d", "nerf_paper"} - SCALED
SIZES = {1: (96,), 2: (6, 16), 3: (2, 3, 8), 4: (2, 2, 3, 4)}


def width(encoding: posenc.Encoding) -> int | None:
    """One that the encoding has."""
    for dim in (96, 60, 256, 258, 64, 128):
        try:
            posenc.encode(np.zeros((1, encoding.axes)) if encoding.axes > 1 else [0], dim, encoding=encoding)
        except ValueError:
            continue
        return dim
    return None


def table(name: str, start: Any = 0) -> NDArray[Any]:
    """One of at least 64 columns, so that it is nobody else's."""
    encoding = posenc.get_encoding(name)
    dim = width(encoding)
    if dim is None and encoding.frequencies is not None:  # perceiver
        dim = 2 * encoding.axes * np.shape(encoding.frequencies)[-1]
    assert dim is not None
    sizes = SIZES[encoding.axes]
    if encoding.axes == 1:
        return posenc.encode(sizes[0], dim, start=start, encoding=encoding)
    cells = posenc.grid(*sizes, start=start).reshape(-1, encoding.axes)
    return posenc.encode(cells, dim, encoding=encoding)


# Of names that mean the same, one; all of them are in its matches.
ENCODINGS = {posenc.get_encoding(name): name for name in sorted(NAMES)}


@pytest.mark.parametrize("name", ENCODINGS.values())
def test_every_name(name: str) -> None:
    matches = posenc.identify(table(name))
    same = {other for other in NAMES if posenc.get_encoding(other) == posenc.get_encoding(name)}
    assert same <= {match.name for match in matches}
    assert matches[0].start == 0
    assert matches == sorted(matches, key=lambda match: match.max_error)
    (own,) = {match for match in matches if match.name == name and match.encoding == posenc.get_encoding(name)}
    assert own.start == 0
    assert own.max_error <= 2.0**-24


def best(values: Any) -> tuple[str, Any]:
    matches = posenc.identify(values)
    return (matches[0].name, matches[0].start) if matches else ("", None)


def is_(name: str, values: Any, start: Any = 0) -> bool:
    return any(match.name == name and match.start == start for match in posenc.identify(values))


@pytest.mark.parametrize("start", [1, -99999, 0.5, 10**6])
@pytest.mark.parametrize("name", ["paper", "whisper", "pse_tae", "coqui_tts", "ddpm", "rel_conformer"])
def test_starts(name: str, start: Any) -> None:
    assert is_(name, table(name, start), start)
    assert is_(name, table(name, start)[:1], start)


@pytest.mark.parametrize("name", ["mae", "detr", "vjepa3d"])
def test_starts_of_grids(name: str) -> None:
    for start in (1, -4, 0.5, 30):
        assert is_(name, table(name, start), start)
    assert best(table("mae"))[0] == "mae"
    y, x = posenc.grid(4, 6)[..., 0] + 3, posenc.grid(4, 6)[..., 1]
    rows = posenc.encode(np.stack([y, x], -1).reshape(-1, 2), 64, encoding="mae")
    assert best(rows) == ("mae", (3, 0))


@pytest.mark.parametrize("name", ["paper", "whisper", "mae"])
def test_shapes(name: str) -> None:
    rows = table(name)
    for values in (rows[None], rows[:, None], rows[None, :, None], np.asfortranarray(rows), rows[::-1][::-1]):
        assert is_(name, values)
    rows.flags.writeable = False
    assert is_(name, rows)
    if name == "mae":
        assert is_(name, rows.reshape(*SIZES[2], -1))
        assert not is_(name, rows.reshape(16, 6, -1))
    else:
        assert not posenc.identify(np.stack([rows, rows]))


def test_rows_of_zeros() -> None:
    rows = table("marian")
    rows[1] = 0.0
    assert is_("marian", rows)
    assert is_("fairseq", rows[2:])
    assert is_("fairseq", rows, -2)
    assert is_("mae", np.concatenate([np.zeros((2, 96), np.float32), table("mae")]))
    assert not posenc.identify(np.zeros((5, 8)))


def test_dtypes() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rows = torch.tensor(table("whisper", 400))
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        for values in (rows.to(dtype), rows.to(dtype).double(), torch.nn.Parameter(rows.to(dtype))):
            assert is_("whisper", values, 400)
    assert not is_("whisper", rows + 1e-3, 400)
    assert is_("whisper", (rows + 1e-4).half(), 400)


def test_recipes() -> None:
    """What everybody computes in float32, of positions where it shows."""
    position = np.arange(5000, dtype=np.float32)[:, None]
    k = np.arange(0, 256, 2, dtype=np.float32)
    for frequencies in (np.exp(k * np.float32(-math.log(10000.0) / 256)), 1.0 / np.float32(10000) ** (k / 256)):
        pe = np.empty((5000, 256), np.float32)
        pe[:, 0::2], pe[:, 1::2] = np.sin(position * frequencies), np.cos(position * frequencies)
        (match, *_) = posenc.identify(pe)
        assert (match.name, match.start) == ("paper", 0)
        assert 1e-5 < match.max_error < 2e-3
        assert best(pe[4000:]) == ("paper", 4000)


def test_sizes_are_options() -> None:
    """Those of relative positions, which the length of the table tells."""
    (match, *_) = posenc.identify(table("paper")[::-1])
    assert (match.name, match.start) == ("rel_conformer", 0)
    assert match.encoding == posenc.get_encoding("rel_conformer", length=96)


def test_what_no_encoding_made() -> None:
    rng = np.random.default_rng(0)
    rows = table("paper")
    for values in (
        rng.standard_normal((20, 8)),
        rows[::2],
        rows[:, ::-1],
        2.0 * rows,
        np.concatenate([rows, rows]),
        np.where(np.arange(96)[:, None] == 50, -rows, rows),
        rows + 1e-3,
        np.ones((3, 8)),
    ):
        assert not posenc.identify(values)


def test_small_tables() -> None:
    for length in (1, 2, 3):
        for dim in (1, 2, 3, 4):
            assert is_("paper", posenc.encode(length, dim)) or (length, dim) == (1, 1)
    assert is_("paper", posenc.encode(5, 2, start=10), 10)


def test_refusals() -> None:
    for values, error in (
        (np.ones(4), ValueError),
        (np.ones((0, 4)), ValueError),
        (np.ones((4, 0)), ValueError),
        (np.full((2, 4), np.nan), ValueError),
        (np.ones((2, 4), int), TypeError),
        ([[1.0, 2.0]], TypeError),
        ("whisper", TypeError),
    ):
        with pytest.raises(error, match=r"^table(\.dtype)?: expected .*; "):
            posenc.identify(values)


def test_a_match_says_how_to_make_it_again() -> None:
    rows = table("whisper", 7)
    for match in posenc.identify(rows):
        name, encoding, start, error = match
        again = posenc.encode(*rows.shape, start=start, encoding=encoding)
        assert np.abs(again - rows).max() <= error + 2.0**-24
        assert posenc.get_encoding(name) == encoding
    assert isinstance(match, posenc.Match)


def test_it_needs_numpy_alone() -> None:
    code = "import posenc, sys; posenc.identify(posenc.encode(4, 8)); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
