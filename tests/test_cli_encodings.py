"""`posenc encodings`, and the pages that tools/conventions.py makes of the same table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import posenc
import pytest
from posenc import _notation
from posenc._conventions import ROWS
from posenc.cli import encodings, main

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not (ROOT / "tools").is_dir(), reason="the repository's tools/ is not here")
def test_the_pages_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "conventions.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encodings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [row.names[0] for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.names[0])
def test_one(row, capsys: pytest.CaptureFixture[str]) -> None:
    for name in row.names:
        assert main(["encodings", name]) == 0
        assert capsys.readouterr().out == encodings.details(row) + "\n"
    call, encoding = encodings.example(row)
    assert eval(call, {"posenc": posenc}) == encoding
    assert eval(encodings.as_dict(row)["encoding"], {"Encoding": posenc.Encoding}) == encoding
    assert len(_notation.short(encoding)) < 200 + 100 * (encoding.axes - 1)  # frequencies of each axis may be given


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encodings", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert {name for entry in entries for name in entry["names"]} == {e.name for e in posenc.list_encodings()}
    assert main(["encodings", "whisper", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["encoding"] == "Encoding(layout='concatenated', freq_shift=1.0, odd='error')"


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (
            "temperature",
            ["detr ", "simple_vit ", "theta, temperature, T, n (x-transformers, DETR, ViTs, L-TAE): `base`"],
        ),
        ("downscale_freq", ["diffusers: ", "downscale_freq_shift (diffusers): `freq_shift`"]),
        ("Casanovo", ["depthcharge_mz"]),
        ("inv_freq", ["inv_freq, freqs, bands, div_term (buffers of checkpoints): `frequencies`"]),
    ],
)
def test_a_word(word: str, found: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encodings", word]) == 0
    printed = capsys.readouterr().out
    for text in found:
        assert text in printed


def test_nothing_like_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encodings", "whisper_v3"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "got 'whisper_v3'; do you mean whisper" in printed.err


def test_formula() -> None:
    lines = {name: _notation.lines(posenc.get_encoding(name)) for name in ("fairseq", "simple_vit_3d", "ltae")}
    assert lines == {
        "fairseq": [
            "columns: sin_0 sin_1 ... cos_0 cos_1 ...",
            "w_k = 10000^(-k / (K - 1)), K = dim / 2",
            "angle = (p + 2) * w_k",
            "odd dim: K is rounded down, the last column is 0",
        ],
        "simple_vit_3d": [
            "columns: for each axis 2, 1, 0: for each sin, cos: for each frequency",
            "width of an axis: 2 floor(dim / 6); the columns that remain are 0",
            "w_k = 10000^(-k / (K - 1)), K = width / 2",
            "angle = p * w_k",
        ],
        "ltae": [
            "columns: sin_0 cos_0 sin_1 cos_1 ...; all 16 times",
            "w_k = 1000^(-k / K), K = dim / 32",
            "angle = (p + 1) * w_k",
            "odd dim / 16: one more sin than cos, and K stays the real half",
        ],
    }
