"""The programs of bench/ work, and the tables of README.md and docs/speed.md are made of what they measure."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import posenc
import pytest
from posenc.cli.cases import CASES, GROUPS, PACKED, Case
from posenc.cli.check import Finding
from posenc.cli.implementations import Implementation
from posenc.cli.results import Result
from posenc.cli.timing import Timing

from .scripts import ROOT, script

if not (ROOT / "bench").is_dir():
    pytest.skip("the repository's bench/ is not here", allow_module_level=True)


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


def test_results_are_of_all_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("bench/run_results.py")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    for name in GROUPS:
        op = {"core": "fill", "first": "first"}.get(name)
        monkeypatch.setitem(GROUPS, name, [Case(op, (12, 32))] if op else [])
    assert module.run(["--quick", "--no-peers", "--backend", "numpy", "--seconds", "0"]) == 0
    (path,) = tmp_path.glob("*.json")
    document = json.loads(path.read_text())
    assert document["ok"]
    assert {row["case"] for row in document["rows"]} == {"fill 12x32", "first 12x32"}


def test_the_readme_shows_cases_that_there_are() -> None:
    module = script("bench/update_readme.py")
    assert set(module.FRONT) <= set(module.SHOWN) <= {str(case) for case in CASES}
    assert len(module.FRONT) <= 13


def test_scaling_runs() -> None:
    command = [sys.executable, str(ROOT / "bench" / "scaling.py"), "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "2^53 - L" in out


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


def result(case: Case, kind: str, name: str, seconds: float | None, problem: str | None = None) -> dict[str, Any]:
    one = Result(case, Implementation(kind, name, lambda inputs: lambda: None), Finding(problem, 0.5, 0.0))
    if seconds is not None:
        one.timing = Timing((seconds,), 1)
        one.of_limit = 0.5
    return one.record()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    near, far = Case("fill", (4096, 512)), Case("fill", (4096, 512), start=10**9)
    small, large = Case("add", (1, 512)), Case("add", (512, 512))
    other, packed = Case("fill", (131072, 512), encoding="whisper"), Case("add", (16384, 768), at=PACKED)
    images, first = Case("add", (64, 768, 32, 32), encoding="mae", channel_axis=1), Case("first", (64, 1024))
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
        result(Case("fill", (7, 8)), "posenc", "cpp", 1e-3),
    ]
    machine = {"cpu": "A CPU", "date": "2026-01-02T03:04:05+00:00", "posenc": "1.2", "compiler": "C", "numpy": "2.0"}
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"machine": machine | {"commit": "abc"}, "rows": rows}))
    return path


def test_the_readme_is_rewritten_once(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = script("bench/update_readme.py")
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
        "| `add_(x)`, 1 x 512 | 1.00 us | 2.05 | 50% | - | 2.00x | - |",  # a tensor's call is not an array's
        "| `add_(x)`, 512 x 512 | 1.00 ms | 1.05 | 50% | - | - | 3.00x |",
        '| `add_(x, encoding="mae", channel_axis=1)`, 64 x 768 x 32 x 32 | 10.0 ms | 20.1 | 50% | - | - | - |',
    ]:
        assert f"\n{line}\n" in text
        assert f"\n{line}\n" in page.read_text()
    for line in [
        "| `fill_(x)`, 4096 x 512, from 1,000,000,000 | 1.00 ms | 8.39 | 50% | - | wrong | - |",
        '| `fill_(x, encoding="whisper")`, 131072 x 512 | 40.0 ms | 6.71 | 50% | - | - | - |',
        "| `add_(x, cu_seqlens=c)`, 16384 x 768 | 1.00 ms | 50.3 | 50% | - | - | - |",
        "| `fill_(x, encoding=Encoding(...))`, 64 x 1024 | 2.00 ms | - | - | - | - | - |",
        "A CPU, 2026-01-02, against something plainer in the same rounds: 1 is as fast.",
        "| `fill 131072x512 whisper` | the paper's encoding | 0.99 |",
        "| `add 16384x768 packed` | rows that stand at 0, 1, 2 ... in every sequence | 0.91 |",
    ]:
        assert f"\n{line}\n" in page.read_text()
    assert "7 x 8" not in text + page.read_text()


def test_the_readme_shows_every_processor(results: Path, tmp_path: Path) -> None:
    module = script("bench/update_readme.py")
    document = json.loads(results.read_text())
    document["machine"] |= {"cpu": "Another CPU", "cpu_model": "26-2-1", "date": "2026-03-02T03:04:05+00:00"}
    document["rows"][0] |= {"limit": "memset"}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document))
    text = module.front(module.read([results, other]))
    assert text.startswith("Another CPU (Zen 5), 2026-03-02")
    assert text.count("\n\nA CPU, 2026-01-02") == 1
    assert text.count("| `fill_(x)`, 4096 x 512 | 1.00 ms | 8.39 | 50% (m) | 80.0x | 0.50x | - |") == 1
    assert text.count("| `fill_(x)`, 4096 x 512 | 1.00 ms | 8.39 | 50% | 80.0x | 0.50x | - |") == 1
    with pytest.raises(FileNotFoundError, match="no results: run"):
        module.read([])


def test_processors_of_one_name_have_files_of_their_own() -> None:
    name = script("bench/run_results.py").file_name
    assert name({"cpu": "AMD EPYC (TM) CPU @ 2 GHz", "cpu_model": "25-17-1"}).startswith("amd-epyc-25-17-1-")
    assert name({"cpu": "AMD EPYC", "cpu_model": "26-2-1"}) != name({"cpu": "AMD EPYC", "cpu_model": "25-17-1"})
    assert name({"cpu": "AMD EPYC", "cpu_model": None}).startswith("amd-epyc-")


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one"):
        script("bench/update_readme.py").rewritten("no marker", "block")


def test_committed_results_are_whole() -> None:
    for path in (ROOT / "bench" / "results").glob("*.json"):
        document = json.loads(path.read_text())
        assert {"cpu", "date", "posenc", "commit", "compiler", "flags"} <= set(document["machine"])
        cases = {row["case"] for row in document["rows"]}
        assert {str(case) for case in GROUPS["core"]} <= cases
        assert cases <= {str(case) for case in CASES}
        assert all(math.isfinite(row["gb_per_s"]) for row in document["rows"] if row["ok"])
