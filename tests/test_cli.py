"""The command line: what it prints, as text and as JSON, what it returns, and that it notices a wrong backend.

Nothing here depends on how long anything takes.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _backend
from posenc.cli import COMMANDS, check, compare, info, machine, main, table, timing
from posenc.cli.cases import Case
from posenc.cli.check import Finding
from posenc.cli.implementations import Implementation
from posenc.cli.inputs import recipe
from posenc.cli.results import Result

from . import truth

AVAILABLE = [name for name in _backend.MODULES if _backend.why_not(name) is None]
TINY = ["compare", "--quick", "--shape", "3x8", "--shape", "2x1x5"]
ESCAPE = "\x1b"


@pytest.fixture(autouse=True)
def least_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sample each, and few elements: enough to see that it works."""
    monkeypatch.setattr(compare, "EFFORTS", ((0.25, 2), (0.0, 1)))
    monkeypatch.setattr("posenc.cli.check.EXACT_ELEMENTS", 100)


class Terminal(io.StringIO):
    """A stream that says it is one."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[Terminal, Terminal]]:
    """A function that makes stdout and stderr terminals, 120 columns wide, from then on."""

    def use() -> tuple[Terminal, Terminal]:
        for name, value in {"COLUMNS": "120", "TERM": "xterm-256color"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("NO_COLOR", raising=False)
        out, err = Terminal(), Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        return out, err

    return use


@pytest.fixture
def no_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)


def spoil(monkeypatch: pytest.MonkeyPatch, name: str, operation: str, damage: Callable[[np.ndarray], object]) -> None:
    """Make one backend do `damage` to its results."""
    _backend.default()
    monkeypatch.setattr(_backend.chosen, "small", None)  # small calls do not pass the module
    module = importlib.import_module(_backend.MODULES[name])
    sound = getattr(module, operation)

    def wrong(out: np.ndarray, *arguments: Any) -> None:
        sound(out, *arguments)
        damage(out)

    monkeypatch.setattr(module, operation, wrong)


def compared(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status = main([*TINY, "--json", *arguments])
    return status, json.loads(capsys.readouterr().out)["rows"]


# ---- info -----------------------------------------------------------------------------------------------------------


def test_info_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["version", posenc.__version__] in lines
    assert ["numpy", "available"] in lines


def test_info_as_json_is_what_the_function_returns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == posenc.info()


def test_info_shows_any_kind_of_entry() -> None:
    entries = {"word": "some words", "nothing": None, "list": ["a", "b"], "empty": [], "map": {"a": "x", "long": "y"}}
    assert info.readable(entries).splitlines() == [
        "word     some words",
        "nothing  -",
        "list     a, b",
        "empty    -",
        "map      a     x",
        "         long  y",
    ]


# ---- compare --------------------------------------------------------------------------------------------------------


def test_compare_prints_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(TINY) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert ESCAPE not in out
    assert max(map(len, out[out.index("\ncase") :].splitlines())) <= 80
    headers = [line for line in out.splitlines() if line.startswith("case ") and "median" in line]
    assert [header.split() for header in headers] == [" ".join(compare.HEADER).split()]
    body = out[out.index(headers[0]) :]
    for word in [*AVAILABLE, *posenc.info()["isa_levels"], "NumPy f64 recipe", "NumPy f32 recipe", "np.add table"]:
        assert f" {word} " in body
    assert [line.split() for line in body.splitlines() if line.startswith(("fill ", "add "))] == [
        [operation, shape, "float32"] for shape in ("3x8", "2x1x5") for operation in ("fill", "add")
    ]
    assert "FAILED" not in out


def test_compare_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--json", "--dtype", "float32", "--dtype", "float64"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == ""
    assert set(document) == {"command", "quick", "machine", "ok", "rows"}
    assert document["ok"] is True
    assert {"cpu", "cores", "os", "python", "numpy", "numba", "posenc", "compiler", "flags"} <= set(document["machine"])
    rows = document["rows"]
    for row in rows:
        assert {"op", "shape", "dtype", "start", "kind", "name", "isa", "ok", "problem", "timing"} <= set(row)
        assert {"max_ulp", "max_error", "equal", "gb_per_s", "speedup"} <= set(row)
        assert row["timing"] is None or row["timing"]["median_s"] > 0
    assert {tuple(row["shape"]): row["start"] for row in rows} == {(3, 8): 0, (2, 1, 5): 1000}
    levels = posenc.info()["isa_levels"]
    for operation in ("fill", "add"):
        for dtype in ("float32", "float64"):
            mine = [row for row in rows if (row["op"], row["dtype"]) == (operation, dtype)]
            assert {row["name"] for row in mine} >= set(AVAILABLE)
            assert {row["isa"] for row in mine if row["name"] == "cpp"} == set(levels)
    exact = [row for row in rows if row["name"] in AVAILABLE and row["dtype"] == "float32"]
    assert {row["equal"] for row in exact} == {1.0}
    assert max(row["max_ulp"] for row in exact if row["op"] == "fill") <= 0.51
    assert min(row["speedup"] for row in rows if row["ok"]) == 1.0


def test_compare_shows_what_the_recipe_loses(capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", "--quick", "--json", "--shape", "4000x16", "--backend", "recipe"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    single = next(row for row in rows if row["name"] == "NumPy f32 recipe")
    assert single["ok"]  # as near as float32 angles allow
    assert single["max_ulp"] > 100
    assert single["equal"] < 1


def test_only_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    status, rows = compared(capsys, "--backend", "numpy", "--backend", "recipe", "--backend", "numpy")
    assert status == 0
    named = [row["name"] for row in rows if not row["name"].startswith("torch")]
    assert named[:4] == ["numpy", "NumPy f64 recipe", "NumPy f32 recipe", "numpy"]


def test_default_shapes() -> None:
    parser = argparse.ArgumentParser()
    compare.arguments(parser)
    cases = compare.cases(parser.parse_args([]))
    shapes = {case.shape for case in cases if case.dtype == "float32"}
    assert shapes >= {(2048, 512), (32, 128, 512), (8, 512, 768), (1, 1, 512)}
    assert max(case.nbytes for case in cases) == 256 * 2**20
    assert {case.dtype for case in cases} == {"float32", "float64", "float16", "bfloat16"}
    assert {case.op for case in cases} == {"fill", "add"}


def nudge(out: np.ndarray) -> None:
    out[..., -1, -1] += 2 * np.spacing(out[..., -1, -1])


def blur(out: np.ndarray) -> None:
    out[...] = out.astype(np.float16)


def leave_out(out: np.ndarray) -> None:
    out[..., -1, -1] = np.nan


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("damage", [nudge, blur, leave_out, np.negative])
@pytest.mark.parametrize("operation", ["fill", "add"])
@pytest.mark.parametrize("name", AVAILABLE)
def test_a_wrong_backend_is_noticed(
    name: str,
    operation: str,
    damage: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(monkeypatch, name, operation, lambda out: damage(out, out) if damage is np.negative else damage(out))
    status, rows = compared(capsys, "--backend", name)
    assert status == 1
    assert {row["op"] for row in rows if not row["ok"]} == {operation}
    assert all((row["timing"] is None) != row["ok"] for row in rows)


def test_a_wrong_backend_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(monkeypatch, AVAILABLE[0], "add", blur)
    assert main(TINY) == 1
    out = capsys.readouterr().out
    if len(AVAILABLE) > 1:
        assert len(re.findall(" FAILED ", out)) == 2 * max(1, len(posenc.info()["isa_levels"]))  # nobody else's rows
    row = next(line for line in out[out.index("\nadd ") :].splitlines() if f" {AVAILABLE[0]} " in line)
    assert "FAILED" in row
    said = " ".join(out.split())
    assert re.search(
        rf"FAILED: {AVAILABLE[0]}[^:]*: differs from the numpy backend \(add 3x8, add 2x1x5 from 1000\)", said
    )


def test_a_failing_backend_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no such luck")

    spoil(monkeypatch, AVAILABLE[0], "fill", fail)
    status, rows = compared(capsys, "--backend", AVAILABLE[0], "--backend", "recipe")
    assert status == 1
    ours = [row for row in rows if row["kind"] == "posenc"]
    assert {row["problem"] for row in ours if not row["ok"]} == {"raised OSError: no such luck"}
    assert any(row["ok"] for row in rows)


def test_a_sample_of_rows_is_enough_to_notice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("posenc.cli.check.CHECKED_ELEMENTS", 2000)
    arguments = ["compare", "--quick", "--json", "--shape", "1000x16", "--backend", AVAILABLE[0]]
    assert main(arguments) == 0
    spoil(monkeypatch, AVAILABLE[0], "add", nudge)
    capsys.readouterr()
    assert main(arguments) == 1
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["problem"] for row in rows if not row["ok"]} == {"differs from the numpy backend"}


@pytest.mark.skipif("cpp" not in AVAILABLE, reason="no compiled core")
def test_the_isa_level_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    core = importlib.import_module("posenc._core")
    before = core.level()
    try:
        for level in core.levels():
            core.use_level(level)
            main(TINY)
            assert core.level() == level
    finally:
        core.use_level(before)


@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "--shape", "5"],
        ["compare", "--shape", "0x4"],
        ["compare", "--shape", "1x1048577"],
        ["bench", "--shape", "1x1048577"],
        ["bench", "--shape", "99999999999999999999x4"],
        ["bench", "--shape", "9999999999x9999999999x4"],
        ["bench", "--shape", "x".join("2" * 33)],
        ["bench", "--threads", "9" * 23],
        ["bench", "--threads", "1," + "9" * 5000],
        ["bench", "--threads", "65537"],
        ["bench", "--threads", "0"],
        ["compare", "--backend", "fortran"],
        ["dance"],
    ],
)
def test_bad_arguments_are_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "posenc" in error
    assert arguments[0] == "dance" or "expected" in error or "invalid choice" in error


def test_without_a_command_it_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for name in COMMANDS:
        command = importlib.import_module(f"posenc.cli.{name}")
        assert re.search(rf"^ +{name}\b", out, re.M)
        assert command.HELP in " ".join(out.split())


# ---- where it writes ------------------------------------------------------------------------------------------------


def shell(command: str) -> subprocess.CompletedProcess[str]:
    line = command.replace("posenc", f"'{sys.executable}' -m posenc", 1)
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("buffered", ["", "PYTHONUNBUFFERED=1 "])
@pytest.mark.parametrize("command", ["info", "encodings", "encodings --json", "", "--help", "--version", "add --help"])
def test_a_full_disk_is_told_in_a_line(command: str, buffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    done = shell(f"{buffered}posenc {command} > /dev/full")
    assert done.returncode == 1
    assert re.fullmatch(r"posenc: \[Errno 28\] .*\n", done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("stdout", ["> /dev/full", "| true"])
def test_what_was_printed_before_a_refusal_fails_no_more(stdout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    done = shell(f"set -o pipefail; posenc encodings nosuch --json {stdout}")
    assert done.returncode == 1
    assert re.fullmatch(r"posenc: encoding: expected a name .*\n", done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_closed_stdout_is_told_in_a_line() -> None:
    done = shell("posenc info >&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "posenc: standard output is closed\n")
    done = shell("posenc info >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    done = shell("posenc info 2>&-")
    assert (done.returncode, done.stdout[:7]) == (0, "version")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    done = shell("posenc encodings --json | head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[\n", "")


def test_a_missing_backend_is_refused_by_name_and_reported_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    why_not = _backend.why_not
    if _backend.default_name() == "numba":
        pytest.skip("Numba is the default here, and info() insists on it")
    monkeypatch.setattr(_backend, "why_not", lambda name: "it is away" if name == "numba" else why_not(name))
    monkeypatch.setattr(_backend, "_load", _backend._load.__wrapped__)  # what was loaded before is remembered there
    assert main([*TINY, "--backend", "numba"]) == 1
    assert "it is away" in capsys.readouterr().err
    assert main([*TINY]) == 0
    assert "Not timed: numba: it is away" in capsys.readouterr().out


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("posenc.cli.results.measure", interrupt)
    assert main(TINY) == 130
    out, err = capsys.readouterr()
    assert (out, err) == ("", "posenc: interrupted\n")


# ---- terminals ------------------------------------------------------------------------------------------------------


def test_a_terminal_gets_a_bar_and_a_drawn_table(terminal: Callable[[], tuple[Terminal, Terminal]]) -> None:
    pytest.importorskip("rich")
    out, err = terminal()
    assert main(TINY) == 0
    assert "fill 3x8: reference" in err.getvalue()
    assert ESCAPE in out.getvalue()
    assert "…" not in out.getvalue()


@pytest.mark.usefixtures("no_rich")
def test_a_terminal_without_rich_gets_plain_text(terminal: Callable[[], tuple[Terminal, Terminal]]) -> None:
    out, err = terminal()
    assert main(TINY) == 0
    assert err.getvalue() == ""
    assert ESCAPE not in out.getvalue()
    assert "\ncase " in out.getvalue()


@pytest.mark.usefixtures("no_rich")
def test_rich_is_optional(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    assert main(TINY) == 0


def test_a_narrow_terminal_folds_and_cuts_nothing(
    terminal: Callable[[], tuple[Terminal, Terminal]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich")
    out, _ = terminal()
    monkeypatch.setenv("COLUMNS", "30")
    table.show(["name", "value"], 1, [[table.Row(["x" * 25, "y" * 25], "bold")]])
    assert (out.getvalue().count("x"), out.getvalue().count("y")) == (25, 25)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    script = "import sys, posenc.cli; print(*{name.split('.')[0] for name in sys.modules} & {'rich', 'numba', 'torch'})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""


def test_python_m_posenc() -> None:
    command = [sys.executable, "-m", "posenc", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == f"posenc {posenc.__version__}\n"


# ---- what it measures with ------------------------------------------------------------------------------------------


def test_callables_take_turns() -> None:
    order: list[str] = []
    tasks = [timing.Task(lambda: None, setup=lambda name=name: order.append(name)) for name in "abc"]
    progress: list[float] = []
    timings = timing.measure(tasks, seconds=0.0, least=4, progress=progress.append)
    rounds = ["".join(order[i : i + 3]) for i in range(3, len(order), 3)]  # after one call each to set the pace
    assert rounds == ["abc", "cba", "abc", "cba"]
    assert [len(measured.samples) for measured in timings] == [4, 4, 4]
    assert progress == sorted(progress)


def test_timing_figures() -> None:
    measured = timing.Timing((3.0, 1.0, 2.0, 5.0, 4.0), calls=1)
    assert measured.median == 3.0
    assert measured.spread == pytest.approx(2 / 3)
    result = Result(
        Case("fill", (1000, 1500)), Implementation("peer", "x", lambda inputs: lambda: None), Finding(None), measured
    )
    assert result.gb_per_s == pytest.approx(2e-3)
    assert measured.record()["samples"] == 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2.00 s"), (0.0123, "12.3 ms"), (4.56e-4, "456 us"), (1e-6, "1.00 us"), (5e-9, "5.00 ns")],
)
def test_durations(seconds: float, text: str) -> None:
    assert table.duration(seconds) == text


def test_a_machine_that_hides_its_processor_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", hidden)
    record = machine.record()
    assert record["cpu"]
    assert record["cpu_model"] is None


def test_agreement_is_not_rounded_up() -> None:
    assert table.percent(1.0) == "all"
    assert table.percent(1 - 1e-9) == "99.99 %"


@pytest.mark.parametrize("position", [0.0, 1.0, -2.5, 4999.0, 2.0**24 + 1, 1e7, 2.0**31, 2.0**53])
def test_the_truth_agrees_with_mpmath(position: float) -> None:
    expected = truth.encoding([position], 6)
    for column in range(6):
        value = check.real(position, column, 6)
        high = float(value)
        assert high == expected.high[0, column]
        assert float(value - high) == pytest.approx(expected.low[0, column], rel=1e-12, abs=0)


def test_the_truth_has_its_own_digits() -> None:
    mpmath = pytest.importorskip("mpmath")
    expected = check.real(2.0**53, 1, 6)
    check.real.cache_clear()
    with mpmath.workdps(5):
        assert check.real(2.0**53, 1, 6) == expected
        assert mpmath.mp.dps == 5


@pytest.mark.parametrize(
    ("value", "exponent"),
    [("1", -23), ("-1.5", -23), ("0.99999999999999999999", -24), ("0.5", -24), ("0", -149), ("1e-44", -149)],
)
def test_ulp(value: str, exponent: int) -> None:
    assert float(check.ulp(check.reals().mpf(value), np.dtype(np.float32))) == 2.0**exponent


@pytest.mark.parametrize("shape", [(3, 8), (2, 3, 5), (1, 1)])
def test_the_recipe_is_a_fair_opponent(shape: tuple[int, ...]) -> None:
    out = np.empty(shape)
    recipe(out, 7, np.float64)
    np.testing.assert_allclose(out, posenc.fill_(np.empty(shape), start=7), rtol=0, atol=1e-12)
