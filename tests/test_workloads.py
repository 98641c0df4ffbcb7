"""Cases of benchmarks: who enters them does what they say, and a wrong result is not timed."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _backend
from posenc.cli import arrays
from posenc.cli.arena import Arena
from posenc.cli.arrays import Unavailable
from posenc.cli.contest import examine
from posenc.cli.entrants import Entrant, ours, twins
from posenc.cli.judge import Judge
from posenc.cli.limits import limits
from posenc.cli.peers import peers
from posenc.cli.workloads import MAKES, OPS, PACKED, PADDED, WORKLOADS, Workload


@pytest.mark.parametrize("workload", WORKLOADS, ids=str)
def test_every_backend_limit_and_peer_enters_every_case(workload: Workload) -> None:
    if workload.dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    if workload.held == "torch":
        pytest.importorskip("torch")
    arena = Arena(workload.tiny)
    judge = Judge(arena)
    backends = [ours(name) for name in _backend.MODULES if _backend.why_not(name) is None]
    others = [peer for peer in peers(workload) if peer.name != "torch.compile"]
    for entrant in [*backends, *twins(arena.workload, backends), *others, *limits(workload), *limits(workload, 2)]:
        row, task = examine(entrant, arena, judge)
        if entrant.kind == "peer" and task is None:
            problem = row.finding.problem or ""
            assert problem.endswith(("not installed", "only", "is allowed")), (str(entrant), problem)
        else:
            assert row.finding.problem is None, (str(entrant), row.finding.problem)
        if entrant.kind == "posenc" and workload.of_the_paper:
            assert row.finding.max_ulp is not None
            assert row.finding.max_ulp <= (0.51 if workload.op in MAKES else 1.6) or arena.x.itemsize == 8


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
    assert case.twin is None or str(case.twin[1]) == twin
    assert [entrant.kind for entrant in twins(case, [ours("numpy")])] == ["twin"] * (twin is not None)


def test_a_first_call_is_one_every_time() -> None:
    arena = Arena(Workload("first", (2, 8)))
    call = ours("numpy").make(arena)
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
    for entrant in [ours("numpy"), *peers(arena.workload)]:
        row, task = examine(entrant, arena, judge)
        assert (task is None) == entrant.name.startswith(("np.", "positional")), row.finding.problem


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_sixteen_bits_there_and_back(name: str) -> None:
    kind = arrays.memory_dtype(name)
    bits = np.arange(2**16, dtype=np.uint16).view(kind)
    values = arrays.widened(bits)
    assert values.dtype == np.float32
    nan = np.isnan(values)
    assert (arrays.rounded(values, kind)[~nan].view(np.uint16) == bits[~nan].view(np.uint16)).all()


@pytest.mark.parametrize("op", OPS)
def test_a_wrong_result_is_not_timed(op: str) -> None:
    arena = Arena(Workload(op, (12, 32)))
    judge = Judge(arena)

    def almost(arena: Arena) -> Any:
        right = ours("numpy").make(arena)

        def call() -> np.ndarray:
            result = np.array(right())
            result[-1, -1] = np.nextafter(result[-1, -1], 9, dtype=np.float32)
            return result

        return call

    row, task = examine(Entrant("posenc", "almost", almost), arena, judge)
    assert (row.finding.problem, task) == ("differs from the numpy backend", None)
    row, task = examine(Entrant("peer", "almost", almost), arena, judge)
    assert row.finding.problem is None
    assert task is not None
    row, task = examine(Entrant("peer", "nothing", lambda arena: lambda: np.zeros_like(arena.x)), arena, judge)
    assert "off by" in (row.finding.problem or "")


@pytest.mark.parametrize("dtype", arrays.DTYPES)
def test_gaps_are_reported(dtype: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    arena = Arena(Workload("fill", (12, 32), dtype))
    judge = Judge(arena)

    def all_but_one(arena: Arena) -> Any:
        right = ours("numpy").make(arena)

        def call() -> Any:
            gap = arena.memory[7, 3].copy()  # NaN, as long as nobody has written
            result = right()
            arena.memory[7, 3] = gap
            return result

        return call

    row, task = examine(Entrant("peer", "bad", all_but_one), arena, judge)
    assert (row.finding.problem, task) == ("left elements unwritten, or wrote NaN", None)


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
            row, task = examine(Entrant("peer", "bad", make), arena, judge)
        assert (row.finding.problem, task) == (problem, None)
