"""The benchmarks work: they check results, count right, and write what they say. Nothing depends on any time."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _backend
from posenc.cli import bench, limits, main, peers, workloads
from posenc.cli.timing import Timing
from posenc.cli.workloads import WORKLOADS, Arena, Entrant, Judge, Unavailable, Workload

ROOT = Path(__file__).parent.parent
TINY = ["bench", "--quick", "--shape", "12x32", "--backend", "numpy"]
suite_only = pytest.mark.skipif(not (ROOT / "bench").is_dir(), reason="the repository's bench/ is not here")


@pytest.fixture(autouse=True)
def least_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sample each, and no peer that compiles."""
    monkeypatch.setattr(bench, "QUICK_EFFORT", (0.0, 1))
    monkeypatch.setattr(bench, "peers", lambda op: [peer for peer in peers.peers(op) if peer.name != "torch.compile"])


def benched(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status = main([*TINY, "--json", "-", *arguments])
    return status, json.loads(capsys.readouterr().out)["rows"]


# ---- the cases ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", WORKLOADS, ids=str)
def test_every_backend_limit_and_peer_enters_every_case(workload: Workload) -> None:
    arena = Arena(workload.tiny)
    judge = Judge(arena)
    ours = [workloads.ours(name) for name in _backend.MODULES if _backend.why_not(name) is None]
    for entrant in [*ours, *limits.limits(workload.op), *limits.limits(workload.op, 2), *bench.peers(workload.op)]:
        row, task = bench.examine(entrant, arena, judge)
        if entrant.kind == "peer" and task is None:
            problem = row.finding.problem or ""
            assert problem.endswith(("not installed", "only", "is allowed")), (str(entrant), problem)
        else:
            assert row.finding.problem is None, (str(entrant), row.finding.problem)
        if entrant.kind == "posenc":
            assert row.finding.max_ulp is not None
            assert row.finding.max_ulp <= {"fill": 0.51, "encode": 0.51}.get(workload.op, 1.6) or arena.x.itemsize == 8


def test_names_are_unique() -> None:
    assert len({str(workload) for workload in WORKLOADS}) == len(WORKLOADS)


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
    for words in [*bench.HEADER, "memset", "x *= a", "NumPy f64 recipe", "np.add table", "encode 12x32"]:
        assert words in out
    assert max(map(len, out[: out.find("Not timed")].splitlines())) <= 120


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


def test_bench_without_arguments_runs_the_named_cases(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Workload] = []

    def watch(cases: Sequence[Workload], *_: Any) -> list[Any]:
        seen.extend(cases)
        return []

    monkeypatch.setattr(bench, "bench", watch)
    assert main(["bench", "--json", "-"]) == 0
    assert seen == WORKLOADS


@pytest.mark.parametrize(
    "arguments", [["--op", "fly"], ["--threads", "0"], ["--dtype", "float16"], ["--shape", "5"], ["--backend", "gpu"]]
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
    assert main([*TINY, "--shape", "24x32", "--threads", "1,2", "--plot", str(target)]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")


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
def test_scaling_runs() -> None:
    command = [sys.executable, str(ROOT / "bench" / "scaling.py"), "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "2^53 - L" in out


def update_readme() -> Any:
    spec = importlib.util.spec_from_file_location("update_readme", ROOT / "bench" / "update_readme.py")
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
    near, far = Workload("fill", (1000, 250)), Workload("fill", (1000, 250), start=10**9)
    rows = [
        result(near, "posenc", "cpp", 1e-3),
        result(near, "limit", "memset", 5e-4),
        result(near, "peer", "NumPy f64 recipe", 80e-3),
        result(near, "peer", "NumPy f32 recipe", 0.5e-3),
        result(near, "peer", "torch recipe", None, "torch is not installed"),
        result(far, "posenc", "cpp", 1e-3),
        result(far, "peer", "NumPy f32 recipe", None, "off by 2, where 0.1 is allowed"),
    ]
    machine = {"cpu": "A CPU", "date": "2026-01-02T03:04:05+00:00", "posenc": "1.2", "compiler": "C", "numpy": "2.0"}
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"machine": machine | {"commit": "abc"}, "rows": rows}))
    return path


@suite_only
def test_the_readme_is_rewritten_once(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = update_readme()
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n")
    arguments = [str(results), "--readme", str(readme)]
    assert module.main([*arguments, "--check"]) == 1
    assert "old" in readme.read_text()
    assert module.main(arguments) == 0
    text = readme.read_text()
    assert module.main([*arguments, "--check"]) == 0
    assert module.main(arguments) == 0
    assert readme.read_text() == text
    assert text.startswith("before\n<!-- speed -->\nA CPU, 2026-01-02: posenc 1.2 (abc), C, numpy 2.0.\n\n| ")
    assert text.endswith("\n<!-- /speed -->\nafter\n")
    assert "| `fill_(x)`, 1000 x 250 | 1.00 ms | 1.00 | 50% | 80.0x | 0.50x | - |\n" in text
    assert "| `fill_(x)`, 1000 x 250, from 1,000,000,000 | 1.00 ms | 1.00 | 50% | - | wrong | - |\n" in text


@suite_only
def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one"):
        update_readme().rewritten("no marker", "block")


@suite_only
def test_committed_results_are_whole() -> None:
    for path in (ROOT / "bench" / "results").glob("*.json"):
        document = json.loads(path.read_text())
        assert {"cpu", "date", "posenc", "commit", "compiler", "flags"} <= set(document["machine"])
        assert {row["case"] for row in document["rows"]} == {str(case) for case in WORKLOADS}
        assert all(math.isfinite(row["gb_per_s"]) for row in document["rows"] if row["ok"])
