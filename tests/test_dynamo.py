"""Calls inside torch.compile: one break of the graph each, the right values, and nothing of posenc is traced."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import posenc
import pytest

from . import backends

torch = pytest.importorskip("torch", reason="torch is not installed")

PACKAGE = Path(posenc.__file__).parent
ENCODING = posenc.get_encoding("whisper")
HALVES = posenc.Encoding(layout="concatenated")
LENGTHS = (5, 6, 7, 30)


@pytest.fixture(params=backends.NAMES)
def backend(request: pytest.FixtureRequest) -> str:
    """Every backend at one ISA level, of which Dynamo sees nothing: compiling takes a second."""
    if request.param in backends.MISSING:
        pytest.skip(backends.MISSING[request.param])
    return request.param


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The code that Dynamo traces."""
    convert = pytest.importorskip("torch._dynamo.convert_frame")
    seen: list[Any] = []
    compile_ = convert._compile

    def record(code: Any, *arguments: Any, **keywords: Any) -> Any:
        seen.append(code)
        return compile_(code, *arguments, **keywords)

    monkeypatch.setattr(convert, "_compile", record)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield seen
    torch._dynamo.reset()


CALLS: dict[str, Callable[[Any, str], Any]] = {
    "fill_": lambda x, backend: posenc.fill_(x * 2, backend=backend) + 1,
    "add_": lambda x, backend: posenc.add_(x * 2, start=3, backend=backend) + 1,
    "add": lambda x, backend: posenc.add(x * 2, x_scale="sqrt_dim", backend=backend) + 1,
    "mask": lambda x, backend: posenc.add_(x * 2, mask=x[..., 0] > 0, backend=backend) + 1,
    "encode": lambda x, backend: x + posenc.encode(x.shape[-2], x.shape[-1], dtype=x.dtype, backend=backend),
    "embed": lambda x, backend: posenc.embed([[0, 1]] * len(x), x[0] * 2, backend=backend) + 1,
    "an encoding": lambda x, backend: posenc.add_(x * 2, encoding=ENCODING, backend=backend) + 1,
    "positions_from_mask": lambda x, backend: posenc.positions_from_mask(x[..., 0] > 0) + 1,
    "convert_layout_": lambda x, backend: posenc.convert_layout_(x * 2, "paper", HALVES) + 1,
}


@pytest.mark.parametrize("call", CALLS)
def test_each_call_breaks_the_graph_once(call: str, backend: str, traced: list[Any]) -> None:
    function = CALLS[call]
    compiled = torch.compile(function, backend="eager")
    for length in LENGTHS:
        x = torch.ones(2, length, 8)
        assert torch.equal(compiled(x, backend), function(x, backend))
    names = [code.co_name.rpartition("resume_in_")[2].partition("_at_")[0] for code in traced]
    assert {Path(code.co_filename) for code in traced} == {Path(__file__)}, traced
    assert set(names) == {"<lambda>"}
    counters = torch._dynamo.utils.counters
    # The function and what follows the call, once for the first length and once for all others.
    assert counters["frames"]["total"] <= 4
    assert sum(counters["graph_break"].values()) <= 2
    assert not counters["recompile_limit"]


def test_coordinates_and_new_encodings(backend: str, traced: list[Any]) -> None:
    def function(x: Any) -> Any:
        cells = posenc.grid(3, 4, start=1, normalize=True)
        rows = posenc.encode(cells, 8, encoding=posenc.get_encoding("detr"), dtype=torch.float32, backend=backend)
        return x.sum() + rows + posenc.encode(4, 8, encoding=posenc.Encoding(base=50.0), dtype=x.dtype, backend=backend)

    compiled = torch.compile(function, backend="eager")
    for length in LENGTHS:
        x = torch.ones(2, length, 8)
        assert torch.equal(compiled(x), function(x))
    assert {Path(code.co_filename) for code in traced} == {Path(__file__)}, traced


def test_calls_below_frames_that_are_not_compiled(backend: str, traced: list[Any]) -> None:
    def function(x: Any) -> Any:
        try:  # Dynamo can't go on after a break in here: all runs as it is, and what is called may be compiled
            torch._dynamo.graph_break()
            return posenc.add_(x * 2, mask=[1, 0, 1], backend=backend)
        finally:
            x.add_(1)

    got = torch.compile(function, backend="eager")(torch.ones(3, 4))
    assert torch.equal(got, function(torch.ones(3, 4)))
    assert not [code for code in traced if PACKAGE in Path(code.co_filename).parents]


def test_a_verb_itself_may_be_compiled(backend: str, traced: list[Any]) -> None:
    compiled = torch.compile(posenc.add_, backend="eager")
    for length in LENGTHS:
        assert torch.equal(
            compiled(torch.ones(2, length, 8), backend=backend), posenc.add(torch.ones(2, length, 8), backend=backend)
        )
    assert not [code for code in traced if PACKAGE in Path(code.co_filename).parents]


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # which Dynamo reads
def test_gradients(backend: str, traced: list[Any]) -> None:
    weight = torch.ones(8, requires_grad=True)
    compiled = torch.compile(lambda x: posenc.add(x * weight, x_scale=3.0, backend=backend).sum(), backend="eager")
    for length in LENGTHS:
        weight.grad = None
        compiled(torch.ones(2, length, 8)).backward()
        assert torch.equal(weight.grad, torch.full((8,), 6.0 * length))
    assert {Path(code.co_filename) for code in traced} == {Path(__file__)}, traced


FIRST_CALL = """
import torch._dynamo.convert_frame as convert
seen = []
compile_ = convert._compile
convert._compile = lambda code, *a, **k: (seen.append(code), compile_(code, *a, **k))[1]
x = torch.ones(2, 5, 8)
got = torch.compile(lambda x: posenc.add_(x * 2, mask=x[..., 0] > 0) + 1, backend="eager")(x)
assert {code.co_filename for code in seen} == {"<string>"}, seen
assert all("<lambda>" in code.co_name for code in seen), seen
assert torch.equal(got, posenc.add(x * 2) + 1)
"""


# The first call of a process compiles kernels, builds tables and imports modules: below Dynamo, where it is compiled.
@pytest.mark.parametrize(
    ("name", "imports"),
    [
        ("cpp", "import posenc, torch"),
        pytest.param("numba", "import posenc, torch", marks=pytest.mark.slow),
        ("numpy", "import posenc, torch"),
        pytest.param("numpy", "import torch, posenc", marks=pytest.mark.slow),
        pytest.param("numpy", "import torch._dynamo, posenc, torch", marks=pytest.mark.slow),
    ],
)
def test_the_first_call(imports: str, name: str, tmp_path: Path) -> None:
    if name in backends.MISSING:
        pytest.skip(backends.MISSING[name])
    environment = {**os.environ, "POSENC_BACKEND": name, "NUMBA_CACHE_DIR": str(tmp_path)}
    environment.pop("POSENC_ISA", None)
    subprocess.run([sys.executable, "-W", "ignore", "-c", imports + FIRST_CALL], check=True, env=environment)


def test_torch_is_not_imported() -> None:
    subprocess.run([sys.executable, "-c", "import posenc, sys; assert 'torch' not in sys.modules"], check=True)
