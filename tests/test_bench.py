"""posenc bench: it times what it is asked for, and writes what it says. Nothing depends on any time."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import posenc
import pytest
from posenc import _backend
from posenc.cli import arrays, bench, main, peers
from posenc.cli.cases import CASES, GROUPS, OPS, Case
from posenc.cli.implementations import Implementation

TINY = ["bench", "--quick", "--shape", "12x32", "--backend", "numpy"]


@pytest.fixture(autouse=True)
def least_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two samples each, which have a spread, and no peer that compiles."""
    monkeypatch.setattr(bench, "EFFORTS", ((0.3, 3), (0.0, 2)))
    monkeypatch.setattr(
        bench, "peers", lambda case: [peer for peer in peers.peers(case) if peer.name != "torch.compile"]
    )


def benched(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status = main([*TINY, "--json", "-", *arguments])
    return status, json.loads(capsys.readouterr().out)["rows"]


def test_bfloat16_is_said_to_be_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    arrays.torch.cache_clear()
    try:
        assert main([*TINY, "--op", "fill", "--dtype", "bfloat16,float16"]) == 0
    finally:
        arrays.torch.cache_clear()
    out = capsys.readouterr().out
    reason = "bfloat16 needs ml_dtypes or torch, and neither is installed"
    assert f"numpy: {reason} (fill 12x32 bfloat16)" in " ".join(out.split())
    assert "fill 12x32 float16  numpy" in out


def test_bench_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--op", ",".join(OPS)]) == 0
    out = capsys.readouterr().out
    for words in [
        *(name for name in (*bench.LEFT, *bench.COLUMNS) if name != "vs twin"),
        "memset",
        "x *= a",
        "NumPy f64 recipe",
        "np.add table",
        "encode 12x32",
    ]:
        assert words in out
    assert max(map(len, out[: out.find("Not timed")].splitlines())) <= 120


def test_bench_leaves_out_empty_columns_and_shows_twins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--op", "fill", "--no-peers", "--encodings", "paper,whisper"]) == 0
    out = capsys.readouterr().out
    assert "vs peer" not in out
    assert "vs twin" in out
    assert "numpy (paper)" in out
    assert max(map(len, out.splitlines())) <= 120


def test_bench_of_encodings(capsys: pytest.CaptureFixture[str]) -> None:
    status, rows = benched(capsys, "--encodings", "musicgen", "--op", "fill,encode,scale_add")
    assert status == 0
    ours = [row for row in rows if row["kind"] == "posenc"]
    assert [row["case"] for row in ours] == [f"{op} 12x32 musicgen" for op in ("fill", "encode", "scale_add")]
    for row in ours:
        twin = next(other for other in rows if other["kind"] == "twin" and other["case"] == row["case"])
        assert (twin["name"], twin["doing"], twin["max_ulp"] is None) == ("numpy", "paper", False)
        assert row["over_twin"] == pytest.approx(twin["timing"]["median_s"] / row["timing"]["median_s"])
        assert row["max_ulp"] is None
    status = main([*TINY[:2], *TINY[4:], "--shape", "2x9x12x32", "--encodings", "detr", "--json", "-"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert status == 0
    assert {row["case"] for row in rows} == {"fill 2x9x12x32 detr", "add 2x9x12x32 detr"}


@pytest.mark.parametrize(
    ("name", "problem"), [("whisper2", "do you mean whisper"), ("detr", "4 dimensions at least"), ("sam2_1d", "dim")]
)
def test_bench_refuses_encodings(name: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--encodings", name]) == 1
    error = capsys.readouterr().err
    assert error.startswith("posenc: --encodings: ")
    assert problem in error


def test_bench_refuses_columns_without_partners(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--op", "rotate", "--shape", "8x7"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("posenc: --encodings: paper of shape 8x7: encoding: expected pairs of columns")
    assert error.count("\n") == 1


def test_a_grid_alone_is_encoded_and_not_filled(capsys: pytest.CaptureFixture[str]) -> None:
    """An array (4, 5, 32) might be a batch of sequences as well."""
    grid = [*TINY[:2], *TINY[4:], "--shape", "4x5x32", "--encodings", "detr", "--no-peers"]
    assert main([*grid, "--op", "encode"]) == 0
    assert "FAILED" not in capsys.readouterr().out
    assert main([*grid, "--op", "encode,fill"]) == 1
    assert "detr of shape 4x5x32: expected 4 dimensions at least" in capsys.readouterr().err


def test_first_calls_have_encodings_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--op", "first", "--encodings", "whisper"]) == 1
    assert capsys.readouterr().err == (
        "posenc: --encodings: expected paper, got 'whisper'; --op first makes encodings of its own\n"
    )


def test_bench_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, rows = benched(capsys, "--op", "fill", "--threads", "1,2")
    assert status == 0
    assert {row["case"] for row in rows} == {"fill 12x32"}
    limit = max(row["gb_per_s"] for row in rows if row["kind"] == "limit" and row["threads"] == 1)
    ours = next(row for row in rows if row["kind"] == "posenc")
    assert ours["of_limit"] == pytest.approx(ours["gb_per_s"] / limit)
    peer = max(row["gb_per_s"] for row in rows if row["kind"] == "peer" and row["ok"])
    assert ours["over_peer"] == pytest.approx(ours["gb_per_s"] / peer)
    assert ours["max_ulp"] <= 0.51
    assert ours["gb_per_s"] == pytest.approx(12 * 32 * 4 / ours["timing"]["median_s"] / 1e9)


def test_bench_as_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--no-peers", "--csv", "-"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["kind"] for row in rows} == {"posenc", "limit"}
    assert all(float(row["median_s"]) > 0 for row in rows)
    assert {row["shape"] for row in rows} == {"12x32"}


@pytest.mark.skipif(_backend.why_not("cpp") is not None, reason="no compiled core")
def test_bench_chooses_levels_and_threads(capsys: pytest.CaptureFixture[str]) -> None:
    levels = posenc.info()["isa_levels"]
    status = main([*TINY[:-1], "cpp", "--isa", "all", "--threads", "1,2", "--no-peers", "--op", "add", "--json", "-"])
    rows = [row for row in json.loads(capsys.readouterr().out)["rows"] if row["kind"] == "posenc"]
    assert status == 0
    assert [(row["isa"], row["threads"]) for row in rows] == [(level, count) for level in levels for count in (1, 2)]
    assert main([*TINY[:-1], "cpp", "--isa", "none"]) == 1
    assert "--isa: expected best, all or levels out of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], GROUPS["core"]),
        (["--cases", "all"], CASES),
        (["--cases", "axes,first"], [*GROUPS["axes"], *GROUPS["first"]]),
        (["--dtype", "bfloat16"], [case for case in CASES if case.dtype == "bfloat16"]),
        (["--op", "fill"], [case for case in GROUPS["core"] if case.op == "fill"]),
        (["--op", "first"], GROUPS["first"]),
        (["--encodings", "paper"], [Case("fill", (512, 512)), Case("fill", (131072, 512))]),
        (["--encodings", "mae", "--op", "add"], [Case("add", (64, 32, 32, 768), encoding="mae")]),
    ],
    ids=str,
)
def test_bench_runs_the_named_cases(
    arguments: list[str],
    expected: list[Case],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Case] = []

    def watch(cases: Sequence[Case], *_: Any) -> list[Any]:
        seen.extend(cases)
        return []

    monkeypatch.setattr(bench, "bench", watch)
    assert main(["bench", "--json", "-", *arguments]) == 0
    assert [str(case) for case in seen] == [str(case) for case in expected]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--op", "fly"],
        ["--threads", "0"],
        ["--dtype", "int8"],
        ["--cases", "best"],
        ["--shape", "5"],
        ["--backend", "gpu"],
    ],
)
def test_bench_refuses_what_it_does_not_know(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", *arguments])
    assert exit_.value.code == 2
    assert "expected" in capsys.readouterr().err


def test_bench_fails_if_a_backend_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "ours", lambda name: Implementation("posenc", name, lambda inputs: lambda: inputs.x + 1))
    assert main([*TINY, "--op", "add"]) == 1
    assert "FAILED: numpy: differs from the numpy backend" in capsys.readouterr().out


def test_bench_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "speed.png"
    assert (
        main([*TINY, "--shape", "24x32", "--threads", "1,2", "--encodings", "paper,whisper", "--plot", str(target)])
        == 0
    )
    assert target.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object, **__: object) -> None:
        raise AssertionError("it was not checked before")

    monkeypatch.setattr(bench, "bench", measure)


@pytest.mark.usefixtures("nothing_is_measured")
@pytest.mark.parametrize("option", ["--json", "--csv", "--plot"])
def test_files_that_can_not_be_written_are_refused_first(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in [
        ("missing/x.png", "expected a file in a folder that exists"),
        ("", "expected a file to write, got the folder"),
    ]:
        with pytest.raises(SystemExit) as stop:
            main([*TINY, option, str(tmp_path / name)])
        assert stop.value.code == 2
        assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("nothing_is_measured")
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("a", "a", True), ("a", "./a", True), ("-", "-", True), ("a", "b", False), ("-", "a", False)],
)
def test_one_file_for_two_is_refused_first(
    one: str,
    other: str,
    same: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [*TINY, "--json", one, "--csv", other]
    if same:
        assert main(arguments) == 1
        assert "--json and --csv: expected different files" in capsys.readouterr().err
    else:
        with pytest.raises(AssertionError, match="it was not checked before"):  # it would go on
            main(arguments)


@pytest.mark.usefixtures("nothing_is_measured")
@pytest.mark.parametrize("name", ["x.unknown", "x", "x.py"])
def test_figures_of_an_unknown_kind_are_refused_first(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    assert main([*TINY, "--plot", str(tmp_path / name)]) == 1
    assert re.search(
        r"^posenc: --plot: expected a file name that ends in one of .*\.png.*, got ", capsys.readouterr().err
    )
    assert not list(tmp_path.iterdir())


def test_a_single_shape_shows_everybody() -> None:
    """A line through one point is none: it needs a mark."""
    pytest.importorskip("matplotlib")
    from posenc.cli import figure

    row = {"op": "fill", "dtype": "float32", "encoding": None, "ok": True, "isa": None, "threads": 1, "gb_per_s": 2.0}
    rows = [
        row | {"kind": kind, "name": kind, "nbytes": nbytes}
        for kind in ("posenc", "limit", "peer")
        for nbytes in (8192, 16384)
    ]
    machine = {"cpu": "A CPU", "posenc": "1.2", "date": "2026-01-02T03:04:05+00:00"}
    for some in (rows[::2], rows):
        (axis,) = figure.figure_of(some, machine).axes
        lines = axis.get_lines()
        assert len(lines) == 3
        for line in lines:
            assert len(line.get_xdata()) == len(some) // 3
            assert len(line.get_xdata()) > 1 or line.get_marker() not in ("", "None", None)


def test_bench_says_that_matplotlib_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([*TINY, "--plot", "speed.png"]) == 1
    assert "--plot: expected matplotlib to be installed" in capsys.readouterr().err
