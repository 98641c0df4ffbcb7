"""Cases of benchmarks: what takes part does what they say, and a wrong result is not timed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _backend
from posenc.cli import arrays
from posenc.cli.arrays import Unavailable
from posenc.cli.cases import CASES, MAKES, OPS, PACKED, PADDED, Case
from posenc.cli.check import Check
from posenc.cli.implementations import Implementation, ours, twins
from posenc.cli.inputs import Inputs
from posenc.cli.limits import limits
from posenc.cli.peers import peers
from posenc.cli.results import examine


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_backend_limit_and_peer_is_right_in_every_case(case: Case) -> None:
    if case.dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    if case.held == "torch":
        pytest.importorskip("torch")
    inputs = Inputs(case.tiny)
    check = Check(inputs)
    backends = [ours(name) for name in _backend.MODULES if _backend.why_not(name) is None]
    others = [peer for peer in peers(case) if peer.name != "torch.compile"]
    for implementation in [*backends, *twins(inputs.case, backends), *others, *limits(case), *limits(case, 2)]:
        result, task = examine(implementation, inputs, check)
        if implementation.kind == "peer" and task is None:
            problem = result.finding.problem or ""
            assert problem.endswith(("not installed", "only", "is allowed")), (str(implementation), problem)
        else:
            assert result.finding.problem is None, (str(implementation), result.finding.problem)
        if implementation.kind == "posenc" and case.of_the_paper:
            assert result.finding.max_ulp is not None
            assert result.finding.max_ulp <= (0.51 if case.op in MAKES else 1.6) or inputs.x.itemsize == 8


def test_names_are_unique() -> None:
    assert len({str(case) for case in CASES}) == len(CASES)


def test_tiny_cases_are_tiny_and_of_the_same_kind() -> None:
    assert max(case.tiny.nbytes for case in CASES) <= 2**16
    assert Case("add", (64, 768, 32, 24), encoding="mae", channel_axis=1).tiny.shape == (2, 32, 9, 12)
    assert Case("fill", (4, 16, 32, 32, 768), encoding="vjepa3d").tiny.shape == (2, 6, 9, 12, 32)


def test_positions_are_what_posenc_makes_of_the_arguments() -> None:
    """The check writes them out row by row; what is timed says the same in fewer words."""
    packed = Inputs(Case("add", (2000, 8), at=PACKED))
    assert len(packed.cu_seqlens) == 4
    assert (np.flatnonzero(packed.positions == 0) == packed.cu_seqlens[:-1]).all()
    padded = Inputs(Case("add", (3, 40, 8), at=PADDED))
    assert padded.mask is not None
    assert not padded.mask.all()
    numbered = posenc.positions_from_mask(padded.mask)
    assert (padded.positions == numbered)[padded.mask].all()


@pytest.mark.parametrize(
    ("case", "twin"),
    [
        (Case("fill", (9, 8), encoding="whisper"), "fill 9x8"),
        (Case("fill", (9, 8), at="reals to 1"), "fill 9x8 at reals"),
        (Case("fill", (9, 8), at="integers"), "fill 9x8 at reals"),
        (Case("add", (2, 9, 8), at=PADDED), "add 2x9x8"),
        (Case("fill", (9, 8), at="reals"), None),
        (Case("fill", (9, 9, 8), encoding="mae"), None),
    ],
    ids=str,
)
def test_twins_are_plainer(case: Case, twin: str | None) -> None:
    assert case.twin is None or str(case.twin[1]) == twin
    assert [implementation.kind for implementation in twins(case, [ours("numpy")])] == ["twin"] * (twin is not None)


def test_a_first_call_is_one_every_time() -> None:
    inputs = Inputs(Case("first", (2, 8)))
    call = ours("numpy").make(inputs)
    rows = [call().copy() for _ in range(3)]
    assert (rows[0] == posenc.encode(2, 8)).all()
    assert all(not np.array_equal(rows[i], rows[j]) for i, j in [(0, 1), (0, 2), (1, 2)])


# ---- bfloat16 -------------------------------------------------------------------------------------------------------


def test_bfloat16_is_a_tensor_where_ml_dtypes_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    inputs = Inputs(Case("add", (12, 32), dtype="bfloat16"))
    assert inputs.x.dtype == torch.bfloat16
    assert inputs.x.data_ptr() == inputs.memory.ctypes.data
    check = Check(inputs)
    for implementation in [ours("numpy"), *peers(inputs.case)]:
        result, task = examine(implementation, inputs, check)
        assert (task is None) == implementation.name.startswith(("np.", "positional")), result.finding.problem


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
    inputs = Inputs(Case(op, (12, 32)))
    check = Check(inputs)

    def almost(inputs: Inputs) -> Any:
        right = ours("numpy").make(inputs)

        def call() -> np.ndarray:
            result = np.array(right())
            result[-1, -1] = np.nextafter(result[-1, -1], 9, dtype=np.float32)
            return result

        return call

    result, task = examine(Implementation("posenc", "almost", almost), inputs, check)
    assert (result.finding.problem, task) == ("differs from the numpy backend", None)
    result, task = examine(Implementation("peer", "almost", almost), inputs, check)
    assert result.finding.problem is None
    assert task is not None
    result, task = examine(
        Implementation("peer", "nothing", lambda inputs: lambda: np.zeros_like(inputs.x)), inputs, check
    )
    assert "off by" in (result.finding.problem or "")


@pytest.mark.parametrize("spoilt", [(0, 0), (130, 7), (199, 31)], ids=str)
@pytest.mark.parametrize("value", [None, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", arrays.DTYPES)
def test_gaps_are_reported(dtype: str, value: float | None, spoilt: tuple[int, int]) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    inputs = Inputs(Case("fill", (200, 32), dtype))
    check = Check(inputs)

    def all_but_one(inputs: Inputs) -> Any:
        right = ours("numpy").make(inputs)

        def call() -> Any:
            gap = inputs.memory[spoilt]  # NaN, as long as nobody has written
            result = right()
            inputs.memory[spoilt] = gap if value is None else arrays.rounded(np.array(value), inputs.memory.dtype)
            return result

        return call

    result, task = examine(Implementation("peer", "bad", all_but_one), inputs, check)
    assert (result.finding.problem, task) == ("left elements unwritten, or wrote NaN or infinity", None)
    json.dumps(result.record(), allow_nan=False)


@pytest.mark.parametrize(
    "change",
    [
        lambda right: right[:1],
        lambda right: right[:, :-1],
        lambda right: right[..., :1],
        lambda right: np.concatenate([right, right]),
        lambda right: right[None],
        lambda right: np.stack([right, right]),
        lambda right: right[0, 0],
        lambda right: 1.0,
    ],
)
@pytest.mark.parametrize("kind", ["posenc", "peer"])
def test_a_result_of_another_shape_is_not_timed(kind: str, change: Callable[[Any], Any]) -> None:
    inputs = Inputs(Case("fill", (3, 12, 32)))
    right = ours("numpy").make(inputs)
    bad = Implementation(kind, "bad", lambda inputs: lambda: change(right()))
    result, task = examine(bad, inputs, Check(inputs))
    assert re.fullmatch(r"returned float\d\d of shape .*", result.finding.problem or "")
    assert task is None


def test_only_peers_may_make_one_table_for_a_batch() -> None:
    inputs = Inputs(Case("fill", (3, 12, 32)))
    right, check = ours("numpy").make(inputs), Check(inputs)
    problems = [
        examine(Implementation(kind, "one", lambda inputs: lambda: right()[0]), inputs, check)[0].finding.problem
        for kind in ("peer", "posenc")
    ]
    assert problems == [None, "returned float32 of shape (12, 32)"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hopeless_errors_are_numbers(dtype: str) -> None:
    inputs = Inputs(Case("fill", (12, 32), dtype))
    largest = np.full((12, 32), np.finfo(dtype).max, dtype)
    result, _ = examine(Implementation("peer", "bad", lambda inputs: lambda: largest), inputs, Check(inputs))
    assert (result.finding.problem or "").startswith("off by ")
    json.dumps(result.record(), allow_nan=False)


def test_columns_that_cannot_be_put_in_order_are_an_exception() -> None:
    inputs = Inputs(Case("fill", (12, 32)))
    peer = Implementation("peer", "bad", lambda inputs: lambda: inputs.x, tidy=lambda result: result.reshape(5, 5))
    result, task = examine(peer, inputs, Check(inputs))
    assert (result.finding.problem or "").startswith("raised ValueError: ")
    assert task is None


def test_gaps_exceptions_and_absences_are_reported() -> None:
    inputs = Inputs(Case("fill", (12, 32)))
    check = Check(inputs)

    def away(_: Inputs) -> Any:
        raise Unavailable("it is away")

    for make, problem in [
        (lambda inputs: lambda: inputs.x, "left elements unwritten, or wrote NaN or infinity"),
        (lambda inputs: lambda: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda inputs: lambda: inputs.x.astype(int), "returned int64 of shape (12, 32)"),
        (away, "it is away"),
    ]:
        with np.errstate(invalid="ignore"):
            result, task = examine(Implementation("peer", "bad", make), inputs, check)
        assert (result.finding.problem, task) == (problem, None)
