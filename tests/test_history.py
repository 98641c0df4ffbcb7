"""bench/history.py keeps medians by processor and commit, and tells what became of each case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .scripts import ROOT, script

history = script("bench/history.py")


def row(case: str, seconds: float, share: float | None, **others: Any) -> dict[str, Any]:
    usual = {"kind": "posenc", "name": "cpp", "isa": "avx2", "threads": 1, "ok": True}
    return {"case": case, "timing": {"median_s": seconds}, "of_limit": share} | usual | others


def document(commit: str, date: str, *rows: dict[str, Any]) -> dict[str, Any]:
    machine = {"commit": commit, "date": date, "posenc": "1.2.3", "compiler": "C 1", "isa_levels": ["avx2", "baseline"]}
    return {"machine": machine, "rows": rows}


OLD = document(
    "aaa",
    "2026-01-01",
    row("fill 4x8", 1.23456e-6, 0.5, threads=2),
    row("fill 4x8", 2.34567e-6, 0.456789),
    row("fill 4x8", 9e-6, 0.1, isa="baseline"),
    row("fill 4x8", 1e-6, 1.0, kind="limit", name="memset"),
    row("add 4x8", 1e-6, 0.8),
    row("first 4x8", 5e-3, None),
    row("wrong 4x8", 1e-6, 0.9, ok=False),
)
NEW = document("bbb", "2026-01-02", row("fill 4x8", 1e-6, 0.9), row("add 4x8", 2e-6, 0.4), row("new 4x8", 1e-6, 0.7))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for one in (NEW, OLD):  # their dates count, not the order of the files
        history.write(history.record(one), tmp_path / "a-processor")
    return tmp_path / "a-processor"


def test_medians_of_the_best_level_on_one_thread(folder: Path) -> None:
    old, new = history.read(folder)
    assert (old.commit, new.commit) == ("aaa", "bbb")
    assert old.cases == {"fill 4x8": (2.35e-6, 0.457), "add 4x8": (1e-6, 0.8), "first 4x8": (5e-3, None)}
    assert json.loads((folder / "bbb.json").read_text())["posenc"] == "1.2.3"


def test_the_greatest_loss_comes_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert history.main([str(folder)]) == 0
    name, head, *rows, blank = capsys.readouterr().out.splitlines()
    assert (name, blank) == ("a-processor", "")
    assert head.split() == ["%", "of", "limit", "aaa", "bbb", "new/old"]
    assert [line.split() for line in rows] == [
        ["add", "4x8", "80%", "40%", "0.50"],
        ["fill", "4x8", "46%", "90%", "1.97"],
        ["new", "4x8", "-", "70%", "-"],
    ]


def test_one_commit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.write(history.record(NEW), tmp_path / "p")
    assert history.main([str(tmp_path / "p"), "--only", "fill"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["fill", "4x8", "-", "90%", "-"]


def test_a_picture(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = tmp_path / "history.svg"
    assert history.main([str(folder), "-o", str(path)]) == 0
    assert path.read_text().count('id="axes_') == 3  # the first call has no limit
    with pytest.raises(SystemExit, match=r"^-o: expected a file name that ends in one of .*\.png"):
        history.main([str(folder), "-o", str(tmp_path / "x.abc")])
    with pytest.raises(SystemExit, match="no case with a limit has 'embed' in its name"):
        history.main([str(folder), "--only", "embed", "-o", str(path)])


def test_what_is_kept_is_small() -> None:
    for path in (ROOT / "bench" / "results").glob("*/*.json"):
        assert path.stat().st_size < 20_000
        assert path.stem == json.loads(path.read_text())["commit"]
