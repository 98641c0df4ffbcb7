"""posenc encode, add and identify: fronts of posenc.files and posenc.identify."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import posenc
import posenc.files
import pytest
from posenc.cli import files, identify, main

from .arrays import assert_same_bits, noise


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main([word for argument in arguments for word in argument.split()])
    return status, *capsys.readouterr()


def test_the_help_has_a_line_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys)
    line = " ".join(out.split())
    assert "posenc encode 1500 384 --encoding whisper -o pe.safetensors" in line
    assert said(capsys, "encode 1500 384 --encoding whisper -o pe.safetensors")[0] == 0
    assert_same_bits(np.array(posenc.files.load("pe.safetensors", "pe")), posenc.encode(1500, 384, encoding="whisper"))


def test_encode(capsys: pytest.CaptureFixture[str]) -> None:
    options = "encode 9 4 --start 0.5 --dtype float64 -o pe.npy --json"
    status, out, err = said(capsys, options)
    record = json.loads(out)
    assert (status, err, out.count("\n")) == (0, "", 1)
    assert (record["shape"], record["dtype"], record["bytes"]) == ([9, 4], "float64", 288)
    assert_same_bits(np.load("pe.npy"), posenc.encode(9, 4, start=0.5, dtype="float64"))
    assert said(capsys, "encode 9 4 -o pe.txt")[2].startswith("posenc: path: expected a name that ends in .npy")
    assert said(capsys, "encode 9 5 --encoding whisper -o pe.npy")[2].startswith("posenc: encoding: ")
    assert said(capsys, "encode 9 4 -o no/pe.npy")[2].startswith("posenc: out: expected a file in a folder")
    assert os.listdir() == ["pe.npy"]


def test_add(capsys: pytest.CaptureFixture[str]) -> None:
    x = noise((5, 3, 8), np.float32)
    np.save("x.npy", x)
    options = "--encoding whisper --x-scale sqrt_dim --start 3 --seq-axis 0"
    want = posenc.add(x, encoding="whisper", x_scale="sqrt_dim", start=3, seq_axis=0)
    status, out, err = said(capsys, "add", "x.npy", "-o", "y.npy", options)
    assert (status, out[:6], err) == (0, "added:", "")
    assert_same_bits(np.load("y.npy"), want)
    assert_same_bits(np.load("x.npy"), x)
    assert said(capsys, "add", "x.npy", "--in-place", "--json", options)[0] == 0
    assert_same_bits(np.load("x.npy"), want)
    for arguments, text in {
        ("x.npy",): "out: expected a file, or in_place=True",
        ("x.npy", "-o", "x.npy"): "out: expected another file",
        ("x.npy", "--in-place", "--resume"): "journal: expected ",
        ("none.npy", "--in-place"): "[Errno 2] No such file",
    }.items():
        status, out, err = said(capsys, "add", *arguments)
        assert (status, out) == (1, "")
        assert err.startswith(f"posenc: {text}"), err
    with pytest.raises(SystemExit):
        main(["add", "x.npy", "--resume", "--undo"])


def test_several_axes(capsys: pytest.CaptureFixture[str]) -> None:
    x = noise((5, 3, 8), np.float32)
    np.save("x.npy", x)
    assert said(capsys, "add x.npy --in-place --no-journal --encoding mae --start 1,2.5 --seq-axis 0,1")[0] == 0
    assert_same_bits(np.load("x.npy"), posenc.add(x, encoding="mae", start=(1, 2.5), seq_axis=(0, 1)))


@pytest.mark.parametrize("way", ["--resume", "--undo"])
def test_ctrl_c_says_how_to_go_on(
    way: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = noise((5, 3, 8), np.float32)
    np.save("x.npy", x)

    def interrupt(done: float, text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "progress", lambda: contextlib.nullcontext(interrupt))
        patch.setattr(files, "REDRAW_SECONDS", 0.0)
        status, out, err = said(capsys, "add", "x.npy", "--in-place")
    assert (status, out) == (130, "")
    assert err.startswith("posenc: interrupted\n")
    assert "--resume" in err
    assert "--undo" in err
    status, _, err = said(capsys, "add", "x.npy", "--in-place")
    assert status == 1
    assert "--resume" in err
    assert said(capsys, "add", "x.npy", "--in-place", way)[0] == 0
    assert_same_bits(np.load("x.npy"), x if way == "--undo" else posenc.add(x))
    assert os.listdir() == ["x.npy"]


class Full(io.StringIO):
    """Standard output on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_is_done_is_told_even_if_nobody_listens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error without a word would make users add twice."""
    x = noise((5, 3, 8), np.float32)
    np.save("x.npy", x)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Full())
        assert main(["add", "x.npy", "--in-place", "--json"]) == 1
    err = capsys.readouterr().err
    assert "No space left" in err
    assert "\nposenc: added: " in err
    assert_same_bits(np.load("x.npy"), posenc.add(x))
    reader, writer = os.pipe()
    os.close(reader)
    with monkeypatch.context() as patch, open(writer, "w") as pipe:
        patch.setattr("sys.stdout", pipe)
        assert main(["encode", "3", "4", "-o", "pe.npy"]) == 1
    assert capsys.readouterr().err.startswith("posenc: written: ")


def test_a_path_that_stdout_has_no_bytes_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stdout = io.TextIOWrapper(io.BytesIO(), "ascii")
        patch.setattr("sys.stdout", stdout)
        assert main(["encode", "3", "4", "-o", "p\u00e9.npy"]) == 0
    stdout.flush()
    assert b"p\\xe9.npy, 3 x 4 float32" in stdout.buffer.getvalue()


def test_arguments_that_are_no_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, text in {
        ("encode", "3", "4", "-o", "pe.npy", "--start", "x"): "--start: expected a number, got 'x'",
        ("add", "x.npy", "--start", "1,"): "--start: expected a number, or several with commas between them, got '1,'",
        ("add", "x.npy", "--seq-axis", "x"): "--seq-axis: expected an integer, or several .*--seq-axis=-3,-2, got 'x'",
        ("add", "x.npy", "--x-scale", "sqrt"): "--x-scale: expected a number or sqrt_dim, got 'sqrt'",
    }.items():
        with pytest.raises(SystemExit):
            main(arguments)
        assert re.search(text, capsys.readouterr().err)


# ---- identify -------------------------------------------------------------------------------------------------------


def test_identify(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "encode 60 16 -o pe.safetensors --encoding whisper --name a:b --dtype bfloat16")
    status, out, _ = said(capsys, "identify", "pe.safetensors:a:b", "--json")
    assert (status, "whisper" in {match["name"] for match in json.loads(out)}) == (0, True)
    np.save("pe.npy", posenc.encode(60, 16, start=3)[None])
    status, out, _ = said(capsys, "identify", "pe.npy")
    assert (status, out.splitlines()[2].split()[:2]) == (0, ["paper", "3"])
    np.save("pe.npy", noise((9, 4), np.float32))
    status, out, err = said(capsys, "identify", "pe.npy")
    assert (status, out, err[:27]) == (1, "", "posenc: no known encoding m")


def test_identify_tells_the_start_along_each_axis(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("pe.npy", posenc.encode(posenc.grid(3, 4) + np.array([2, 5]), 32, encoding="mae"))
    status, out, _ = said(capsys, "identify", "pe.npy")
    assert (status, out.splitlines()[2].split()[:2]) == (0, ["mae", "2,5"])
    status, out, _ = said(capsys, "identify", "pe.npy", "--json")
    assert (status, json.loads(out)[0]["start"]) == (0, [2.0, 5.0])


def test_files_and_tensors(capsys: pytest.CaptureFixture[str]) -> None:
    assert identify.split("model.safetensors:a.b:c") == ("model.safetensors", "a.b:c")
    assert identify.split("x.npy") == ("x.npy", None)
    assert identify.split("folder.npy/x.safetensors:pe") == ("folder.npy/x.safetensors", "pe")
    Path("odd.npy:x.npy").write_bytes(b"")
    assert identify.split("odd.npy:x.npy") == ("odd.npy:x.npy", None)
    status, _, err = said(capsys, "identify", "none.npy:pe")
    assert status == 1
    assert "none.npy" in err
