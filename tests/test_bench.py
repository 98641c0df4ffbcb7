"""The benchmarks work: they check results, count right, and write what they say. Nothing depends on any time."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _backend
from posenc.cli import arrays, bench, limits, main, peers, workloads
from posenc.cli.arrays import Unavailable
from posenc.cli.timing import Timing
from posenc.cli.workloads import GROUPS, PACKED, PADDED, WORKLOADS, Arena, Entrant, Judge, Workload

ROOT = Path(__file__).parent.parent
TINY = ["bench", "--quick", "--shape", "12x32", "--backend", "numpy"]
suite_only = pytest.mark.skipif(not (ROOT / "bench").is_dir(), reason="the repository's bench/ is not here")


@pytest.fixture(autouse=True)
def least_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sample each, and no peer that compiles."""
    monkeypatch.setattr(bench, "QUICK_EFFORT", (0.0, 1))
    monkeypatch.setattr(
        bench, "peers", lambda case: [peer for peer in peers.peers(case) if peer.name != "torch.compile"]
    )


def benched(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status = main([*TINY, "--json", "-", *arguments])
    return status, json.loads(capsys.readouterr().out)["rows"]


# ---- the cases ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", WORKLOADS, ids=str)
def test_every_backend_limit_and_peer_enters_every_case(workload: Workload) -> None:
    if workload.dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    if workload.held == "torch":
        pytest.importorskip("torch")
    arena = Arena(workload.tiny)
    judge = Judge(arena)
    ours = [workloads.ours(name) for name in _backend.MODULES if _backend.why_not(name) is None]
    field = [*ours, *workloads.twins(arena.workload, ours), *bench.peers(workload)]  # type: ignore[attr-defined]
    for entrant in [*field, *limits.limits(workload), *limits.limits(workload, 2)]:
        row, task = bench.examine(entrant, arena, judge)
        if entrant.kind == "peer" and task is None:
            problem = row.finding.problem or ""
            assert problem.endswith(("not installed", "only", "is allowed")), (str(entrant), problem)
        else:
            assert row.finding.problem is None, (str(entrant), row.finding.problem)
        if entrant.kind == "posenc" and workload.of_the_paper:
            assert row.finding.max_ulp is not None
            assert row.finding.max_ulp <= (0.51 if workload.op in workloads.MAKES else 1.6) or arena.x.itemsize == 8


def test_names_are_unique() -> None:
    assert len({str(workload) for workload in WORKLOADS}) == len(WORKLOADS)


def test_tiny_cases_are_tiny_and_of_the_same_kind() -> None:
    assert max(workload.tiny.nbytes for workload in WORKLOADS) <= 2**16
    assert Workload("add", (64, 768, 32, 24), encoding="mae", channel_axis=1).tiny.shape == (2, 32, 9, 12)
    assert Workload("fill", (4, 16, 32, 32, 768), encoding="vjepa3d").tiny.shape == (2, 6, 9, 12, 32)


def test_positions_are_what_posenc_makes_of_the_arguments() -> None:
    """The judge writes them out row by row; what is timed says the same in fewer words."""
    packed = Arena(Workload("add", (2000, 8), at=PACKED))
    assert len(packed.cu_seqlens) == 4
    assert (np.flatnonzero(packed.positions == 0) == packed.cu_seqlens[:-1]).all()
    padded = Arena(Workload("add", (3, 40, 8), at=PADDED))
    assert padded.mask is not None
    assert not padded.mask.all()
    numbered = posenc.positions_from_mask(padded.mask)
    assert (padded.positions == numbered)[padded.mask].all()


@pytest.mark.parametrize(
    ("case", "twin"),
    [
        (Workload("fill", (9, 8), encoding="whisper"), "fill 9x8"),
        (Workload("fill", (9, 8), at="reals to 1"), "fill 9x8 at reals"),
        (Workload("fill", (9, 8), at="integers"), "fill 9x8 at reals"),
        (Workload("add", (2, 9, 8), at=PADDED), "add 2x9x8"),
        (Workload("fill", (9, 8), at="reals"), None),
        (Workload("fill", (9, 9, 8), encoding="mae"), None),
    ],
    ids=str,
)
def test_twins_are_plainer(case: Workload, twin: str | None) -> None:
    ours = [workloads.ours("numpy")]
    assert case.twin is None or str(case.twin[1]) == twin
    assert [entrant.kind for entrant in workloads.twins(case, ours)] == ["twin"] * (twin is not None)


def test_a_first_call_is_one_every_time() -> None:
    arena = Arena(Workload("first", (2, 8)))
    call = workloads.ours("numpy").make(arena)
    rows = [call().copy() for _ in range(3)]
    assert (rows[0] == posenc.encode(2, 8)).all()
    assert all(not np.array_equal(rows[i], rows[j]) for i, j in [(0, 1), (0, 2), (1, 2)])


# ---- bfloat16 -------------------------------------------------------------------------------------------------------


def test_bfloat16_is_a_tensor_where_ml_dtypes_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    arena = Arena(Workload("add", (12, 32), dtype="bfloat16"))
    assert arena.x.dtype == torch.bfloat16
    assert arena.x.data_ptr() == arena.memory.ctypes.data
    judge = Judge(arena)
    for entrant in [workloads.ours("numpy"), *peers.peers(arena.workload)]:
        row, task = bench.examine(entrant, arena, judge)
        assert (task is None) == entrant.name.startswith(("np.", "positional")), row.finding.problem


def test_bfloat16_is_said_to_be_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    arrays.torch.cache_clear()
    try:
        assert main([*TINY, "--op", "fill", "--dtype", "bfloat16,float16"]) == 0
    finally:
        arrays.torch.cache_clear()
    out = capsys.readouterr().out
    assert "numpy: bfloat16 needs ml_dtypes or torch, and neither is installed (fill 12x32 bfloat16)" in out
    assert "fill 12x32 float16  numpy" in out


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_sixteen_bits_there_and_back(name: str) -> None:
    kind = arrays.memory_dtype(name)
    bits = np.arange(2**16, dtype=np.uint16).view(kind)
    values = arrays.widened(bits)
    assert values.dtype == np.float32
    nan = np.isnan(values)
    assert (arrays.rounded(values, kind)[~nan].view(np.uint16) == bits[~nan].view(np.uint16)).all()
    assert [arrays.has_nan(bits[i : i + 1]) for i in range(0, 2**16, 97)] == nan[::97].tolist()


@pytest.mark.parametrize("op", workloads.OPS)
def test_a_wrong_result_is_not_timed(op: str) -> None:
    arena = Arena(Workload(op, (12, 32)))
    judge = Judge(arena)

    def almost(arena: Arena) -> Any:
        right = workloads.ours("numpy").make(arena)

        def call() -> np.ndarray:
            result = np.array(right())
            result[-1, -1] = np.nextafter(result[-1, -1], 9, dtype=np.float32)
            return result

        return call

    row, task = bench.examine(Entrant("posenc", "almost", almost), arena, judge)
    assert (row.finding.problem, task) == ("differs from the numpy backend", None)
    row, task = bench.examine(Entrant("peer", "almost", almost), arena, judge)
    assert row.finding.problem is None
    assert task is not None
    row, task = bench.examine(Entrant("peer", "nothing", lambda arena: lambda: np.zeros_like(arena.x)), arena, judge)
    assert "off by" in (row.finding.problem or "")


def test_gaps_exceptions_and_absences_are_reported() -> None:
    arena = Arena(Workload("fill", (12, 32)))
    judge = Judge(arena)

    def away(_: Arena) -> Any:
        raise Unavailable("it is away")

    for make, problem in [
        (lambda arena: lambda: arena.x, "left elements unwritten, or wrote NaN"),
        (lambda arena: lambda: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda arena: lambda: arena.x.astype(int), "returned int64 of shape (12, 32)"),
        (away, "it is away"),
    ]:
        with np.errstate(invalid="ignore"):
            row, task = bench.examine(Entrant("peer", "bad", make), arena, judge)
        assert (row.finding.problem, task) == (problem, None)


# ---- posenc bench ---------------------------------------------------------------------------------------------------


def test_bench_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--op", ",".join(workloads.OPS)]) == 0
    out = capsys.readouterr().out
    for words in [
        *(name for name in bench.HEADER if name != "vs twin"),
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
    ("name", "problem"), [("whisper2", "do you mean whisper"), ("detr", "3 dimensions at least"), ("sam2_1d", "dim")]
)
def test_bench_refuses_encodings(name: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--encodings", name]) == 1
    error = capsys.readouterr().err
    assert error.startswith("posenc: --encodings: ")
    assert problem in error


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
        (["--cases", "all"], WORKLOADS),
        (["--cases", "axes,first"], [*GROUPS["axes"], *GROUPS["first"]]),
        (["--dtype", "bfloat16"], [case for case in WORKLOADS if case.dtype == "bfloat16"]),
        (["--op", "fill"], [case for case in GROUPS["core"] if case.op == "fill"]),
        (["--op", "first"], GROUPS["first"]),
        (["--encodings", "paper"], [Workload("fill", (512, 512)), Workload("fill", (131072, 512))]),
        (["--encodings", "mae", "--op", "add"], [Workload("add", (64, 32, 32, 768), encoding="mae")]),
    ],
    ids=str,
)
def test_bench_runs_the_named_cases(
    arguments: list[str],
    expected: list[Workload],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Workload] = []

    def watch(cases: Sequence[Workload], *_: Any) -> list[Any]:
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
    monkeypatch.setattr(bench, "ours", lambda name: Entrant("posenc", name, lambda arena: lambda: arena.x + 1))
    assert main([*TINY, "--op", "add"]) == 1
    assert "Not timed: numpy: differs from the numpy backend" in capsys.readouterr().out


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
        row | {"kind": kind, "name": kind, "shape": shape}
        for kind in ("posenc", "limit", "peer")
        for shape in ([64, 32], [128, 32])
    ]
    machine = {"cpu": "A CPU", "posenc": "1.2", "date": "2026-01-02T03:04:05+00:00"}
    for some in (rows[::2], rows):
        (axis,) = figure.figure_of(some, machine).axes
        lines = axis.get_lines()
        assert len(lines) == 3
        for line in lines:
            assert len(line.get_xdata()) == len(some) // 3
            assert len(line.get_xdata()) > 1 or line.get_marker() not in ("", "None", None)
    figure.pyplot().close("all")


def test_bench_says_that_matplotlib_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([*TINY, "--plot", "speed.png"]) == 1
    assert "--plot needs matplotlib" in capsys.readouterr().err


# ---- bench/ ---------------------------------------------------------------------------------------------------------


@suite_only
def test_the_suite_runs() -> None:
    pytest.importorskip("pytest_benchmark")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "bench",
        "--quick",
        "--benchmark-disable",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    run = subprocess.run([*command, "-k", "not numba and not compile"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    assert "passed" in run.stdout


@suite_only
def test_results_are_of_all_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("run_results")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    for name in GROUPS:
        op = {"core": "fill", "first": "first"}.get(name)
        monkeypatch.setitem(GROUPS, name, [Workload(op, (12, 32))] if op else [])
    assert module.run(["--quick", "--no-peers", "--backend", "numpy"]) == 0
    (path,) = tmp_path.glob("*.json")
    document = json.loads(path.read_text())
    assert document["ok"]
    assert {row["case"] for row in document["rows"]} == {"fill 12x32", "first 12x32"}


@suite_only
def test_the_readme_shows_cases_that_there_are() -> None:
    shown = script("update_readme").SHOWN
    assert set(shown) <= {str(case) for case in WORKLOADS}
    assert len(shown) <= 28


@suite_only
def test_scaling_runs() -> None:
    command = [sys.executable, str(ROOT / "bench" / "scaling.py"), "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "2^53 - L" in out


@suite_only
def test_two_builds_take_turns() -> None:
    here = str(Path(posenc.__file__).parents[1])
    command = [sys.executable, str(ROOT / "bench" / "compare_commits.py"), here, here, "--seconds", "0"]
    out = subprocess.run([*command, "--only", "add 1x512"], capture_output=True, text=True, check=True).stdout
    first, *rows, blank, slower = out.splitlines()
    assert (blank, slower.partition(": ")[0]) == ("", "slower by more than 10%")
    assert first.split() == ["old,", "us", "new,", "us", "old/new", "quartiles"]
    assert [row[:34].strip() for row in rows] == ["add 1x512", "add 1x512 float16"]
    for row in rows:
        assert re.fullmatch(r"\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+[\d.]+ to [\d.]+", row[34:]), row


@pytest.mark.skipif(not (ROOT / "tools").is_dir(), reason="the repository's tools/ is not here")
def test_loops_are_found_in_assembly() -> None:
    """By the way that takes the fewest branches forward, once around."""
    spec = importlib.util.spec_from_file_location("mca", ROOT / "tools" / "mca.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mca"] = module  # for its dataclass
    spec.loader.exec_module(module)
    text = ["f:", "\tjmp\t.L2", ".L1:", "\taddq\t$1, %rax", ".L2:", "\t# LLVM-MCA-LOOP", "\tvaddpd\ta", "\tjne\t.L9"]
    text += ["\tvmulpd\tb", "\tcmpq\tc", "\tjb\t.L1", "\tret", ".L9:", "\tjmp\t.L2", "\t.size\tf, .-f"]
    assert list(module.loops(text)) == [["vaddpd\ta", "jne\t.L9", "vmulpd\tb", "cmpq\tc", "jb\t.L1", "addq\t$1, %rax"]]
    names = {name for target in module.TARGETS for name in [target.level]}
    assert all(module.flags(target)[-1].startswith("-") for target in module.TARGETS)
    assert names == {"avx512", "avx2", "baseline"}


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "bench" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result(case: Workload, kind: str, name: str, seconds: float | None, problem: str | None = None) -> dict[str, Any]:
    row = bench.Row(case, Entrant(kind, name, lambda arena: lambda: None), workloads.Finding(problem, 0.5, 0.0))
    if seconds is not None:
        row.timing = Timing((seconds,), 1)
        row.of_limit = 0.5
    return row.record()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    near, far = Workload("fill", (4096, 512)), Workload("fill", (4096, 512), start=10**9)
    small, large = Workload("add", (1, 512)), Workload("add", (512, 512))
    other, packed = Workload("fill", (131072, 512), encoding="whisper"), Workload("add", (16384, 768), at=PACKED)
    images, first = Workload("add", (64, 768, 32, 32), encoding="mae", channel_axis=1), Workload("first", (64, 1024))
    rows = [
        result(near, "posenc", "cpp", 1e-3),
        result(near, "limit", "memset", 5e-4),
        result(near, "peer", "NumPy f64 recipe", 80e-3),
        result(near, "peer", "NumPy f32 recipe", 0.5e-3),
        result(near, "peer", "torch recipe", None, "torch is not installed"),
        result(far, "posenc", "cpp", 1e-3),
        result(far, "peer", "NumPy f32 recipe", None, "off by 2, where 0.1 is allowed"),
        result(other, "posenc", "cpp", 4e-2) | {"over_twin": 0.987},
        result(other, "twin", "cpp", 4e-2) | {"doing": "paper"},
        result(packed, "posenc", "cpp", 1e-3) | {"over_twin": 0.912},
        result(packed, "twin", "cpp", 1e-3) | {"doing": "plain"},
        result(images, "posenc", "cpp", 1e-2),
        result(first, "posenc", "cpp", 2e-3) | {"of_limit": None},
        result(small, "posenc", "cpp", 1e-6),
        result(small, "peer", "np.add with a table", 2e-6),
        result(small, "peer", "torch add_ with a table", 3e-6),
        result(large, "posenc", "cpp", 1e-3),
        result(large, "peer", "torch add_ with a table", 3e-3),
        result(Workload("fill", (7, 8)), "posenc", "cpp", 1e-3),
    ]
    machine = {"cpu": "A CPU", "date": "2026-01-02T03:04:05+00:00", "posenc": "1.2", "compiler": "C", "numpy": "2.0"}
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"machine": machine | {"commit": "abc"}, "rows": rows}))
    return path


@suite_only
def test_the_readme_is_rewritten_once(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = script("update_readme")
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n")
    page = tmp_path / "speed.md"
    page.write_text("<!-- speed -->\n<!-- /speed -->\n")
    arguments = [str(results), "--readme", str(readme), "--page", str(page)]
    assert module.main([*arguments, "--check"]) == 1
    assert "old" in readme.read_text()
    assert module.main(arguments) == 0
    text = readme.read_text()
    assert module.main([*arguments, "--check"]) == 0
    assert module.main(arguments) == 0
    assert readme.read_text() == text
    assert text.startswith("before\n<!-- speed -->\nA CPU, 2026-01-02: posenc 1.2 (abc), C, numpy 2.0.\n\n| ")
    assert text.endswith("\n<!-- /speed -->\nafter\n")
    for line in [
        "| `fill_(x)`, 4096 x 512 | 1.00 ms | 8.39 | 50% | 80.0x | 0.50x | - |",
        "| `fill_(x)`, 4096 x 512, from 1,000,000,000 | 1.00 ms | 8.39 | 50% | - | wrong | - |",
        '| `fill_(x, encoding="whisper")`, 131072 x 512 | 40.0 ms | 6.71 | 50% | - | - | - |',
        "| `add_(x)`, 1 x 512 | 1.00 us | 2.05 | 50% | - | 2.00x | - |",  # a tensor's call is not an array's
        "| `add_(x)`, 512 x 512 | 1.00 ms | 1.05 | 50% | - | - | 3.00x |",
        "| `add_(x, cu_seqlens=c)`, 16384 x 768 | 1.00 ms | 50.3 | 50% | - | - | - |",
        '| `add_(x, encoding="mae", channel_axis=1)`, 64 x 768 x 32 x 32 | 10.0 ms | 20.1 | 50% | - | - | - |',
        "| `fill_(x, encoding=Encoding(...))`, 64 x 1024 | 2.00 ms | - | - | - | - | - |",
    ]:
        assert f"\n{line}\n" in text
    for line in [
        "A CPU, 2026-01-02:",
        "| `fill 131072x512 whisper` | the paper's encoding | 0.99 |",
        "| `add 16384x768 packed` | rows that stand at 0, 1, 2 ... in every sequence | 0.91 |",
    ]:
        assert f"\n{line}\n" in page.read_text()
    assert "7 x 8" not in text


@suite_only
def test_the_readme_shows_every_processor(results: Path, tmp_path: Path) -> None:
    module = script("update_readme")
    document = json.loads(results.read_text())
    document["machine"] |= {"cpu": "Another CPU", "date": "2026-03-02T03:04:05+00:00"}
    document["rows"][0] |= {"limit": "memset"}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document))
    text = module.tables(module.read([results, other]))
    assert text.startswith("Another CPU, 2026-03-02")
    assert text.count("\n\nA CPU, 2026-01-02") == 1
    assert text.count("| `fill_(x)`, 4096 x 512 | 1.00 ms | 8.39 | 50% (m) | 80.0x | 0.50x | - |") == 1
    assert text.count("| `fill_(x)`, 4096 x 512 | 1.00 ms | 8.39 | 50% | 80.0x | 0.50x | - |") == 1
    with pytest.raises(FileNotFoundError, match="no results: run"):
        module.read([])


@suite_only
def test_processors_of_one_name_have_files_of_their_own() -> None:
    name = script("run_results").file_name
    assert name({"cpu": "AMD EPYC (TM) CPU @ 2 GHz", "cpu_model": "25-17-1"}).startswith("amd-epyc-25-17-1-")
    assert name({"cpu": "AMD EPYC", "cpu_model": "26-2-1"}) != name({"cpu": "AMD EPYC", "cpu_model": "25-17-1"})
    assert name({"cpu": "AMD EPYC", "cpu_model": None}).startswith("amd-epyc-")


@suite_only
def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one"):
        script("update_readme").rewritten("no marker", "block")


@suite_only
def test_committed_results_are_whole() -> None:
    for path in (ROOT / "bench" / "results").glob("*.json"):
        document = json.loads(path.read_text())
        assert {"cpu", "date", "posenc", "commit", "compiler", "flags"} <= set(document["machine"])
        cases = {row["case"] for row in document["rows"]}
        assert {str(case) for case in GROUPS["core"]} <= cases
        assert cases <= {str(case) for case in WORKLOADS}
        assert all(math.isfinite(row["gb_per_s"]) for row in document["rows"] if row["ok"])
