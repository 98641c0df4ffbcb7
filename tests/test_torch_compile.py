"""posenc.torch in graphs: one graph for all lengths, with the bits of eager calls; exported, saved and loaded, too."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import posenc
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import posenc.torch  # noqa: E402

LENGTHS = (5, 7, 9, 30, 2)
WHISPER = posenc.get_encoding("whisper")
POWERS = posenc.Encoding(frequencies=[1.0, 0.5, 0.25, 0.125])
MODULE = posenc.torch.PositionalEncoding(8, dropout=0.0, batch_first=False, scale="sqrt_dim", encoding=POWERS)
IMAGE = posenc.torch.PositionalEncoding(8, dropout=0.0, batch_first=True, encoding="mae")
TABLE = torch.linspace(-1.0, 1.0, 9 * 8).reshape(9, 8)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def mask_of(x: Any) -> Any:
    return x[..., 0] > 0


CALLS: dict[str, Callable[[Any], Any]] = {
    "add": lambda x: posenc.torch.add(x * 2) + 1,
    "scaled": lambda x: posenc.torch.add(x, x_scale="sqrt_dim", encoding="whisper", start=-3),
    "an encoding": lambda x: posenc.torch.add(x, encoding=WHISPER, x_scale=0.1),
    "mask": lambda x: posenc.torch.add(x, mask=mask_of(x)),
    "positions": lambda x: posenc.torch.add(x, positions=x[..., 0].cumsum(-1), mask=mask_of(x)),
    "starts": lambda x: posenc.torch.add(x, start=(x[:, 0, 0] * 9).long()),
    "real start": lambda x: posenc.torch.add(x, start=0.25),
    "encode": lambda x: x * posenc.torch.encode(x.shape[-2], 8, start=2, dtype=x.dtype),
    "embed": lambda x: posenc.torch.embed((x[..., 0].abs() * 3).long(), TABLE.to(x.dtype), x_scale=3.0),
    "module": lambda x: MODULE(x.transpose(0, 1)),
    "image": lambda x: IMAGE(x.unsqueeze(1).expand(-1, 3, -1, -1)),
}


STARTS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, start: posenc.torch.add(x, start=start, x_scale="sqrt_dim"),
    "rotate": lambda x, start: posenc.torch.rotate(x, "rope_hf", start=start),
    "image": lambda x, start: posenc.torch.add(x[None], start=start, encoding="mae"),
    "image, one axis": lambda x, start: posenc.torch.add(x[None], start=(2, start), encoding="mae"),
    "embed": lambda x, start: posenc.torch.embed((x[..., 0].abs() * 3).long(), TABLE, start=start),
}


def inputs(dtype: Any = torch.float32) -> list[Any]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, length, 8, generator=generator).to(dtype) - 0.25 for length in LENGTHS]


@pytest.mark.parametrize("call", CALLS)
def test_one_graph_for_all_lengths(call: str) -> None:
    counter = pytest.importorskip("torch._dynamo.testing").CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(CALLS[call], fullgraph=True, backend=counter)
    for x in inputs():
        assert torch.equal(compiled(x), CALLS[call](x))
    assert counter.frame_count <= 2


def test_starts_of_decoding() -> None:
    counter = pytest.importorskip("torch._dynamo.testing").CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(lambda x, start: posenc.torch.add(x, start=start), fullgraph=True, backend=counter)
    x = inputs()[0][:, :1]
    for start in (2, 3, 4, 100, 10**6):
        assert torch.equal(compiled(x, start), posenc.add(x, start=start))
    assert counter.frame_count <= 2


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("call", STARTS)
def test_one_graph_for_all_starts(call: str, dynamic: bool | None) -> None:
    for starts in ((0, 1, 2, 100, -3), (0.5, 7.0, -3.25, 1e6, 2.0), [torch.tensor(n) for n in (0, 1, 5, 100, -3)]):
        torch._dynamo.reset()
        counter = pytest.importorskip("torch._dynamo.testing").CompileCounterWithBackend("aot_eager")
        compiled = torch.compile(STARTS[call], fullgraph=True, dynamic=dynamic, backend=counter)
        for x, start in zip(inputs(), starts, strict=True):
            assert torch.equal(compiled(x, start), STARTS[call](x, start))
        assert counter.frame_count <= 2


def test_another_encoding_is_another_graph() -> None:
    compiled = torch.compile(lambda x, e: posenc.torch.add(x, encoding=e), fullgraph=True, backend="eager")
    x = inputs()[0]
    for encoding in (None, "whisper", WHISPER, POWERS, posenc.Encoding(base=50.0), "paper", POWERS):
        assert torch.equal(compiled(x, encoding), posenc.add(x, encoding=encoding))


def test_gradients() -> None:
    compiled = torch.compile(lambda x: posenc.torch.add(x, x_scale=3.0).sum(), fullgraph=True, backend="aot_eager")
    table = TABLE.clone().requires_grad_()
    words = torch.compile(lambda ids: posenc.torch.embed(ids, table, x_scale=2.0), fullgraph=True, backend="aot_eager")
    for x in inputs():
        x.requires_grad_()
        compiled(x).backward()
        assert torch.equal(x.grad, torch.full_like(x, 3.0))
        table.grad = None
        words(torch.tensor([[1, 1, 4]])).sum().backward()
        assert table.grad[:, 0].tolist() == [0, 4, 0, 0, 2, 0, 0, 0, 0]


def test_refusals_within_a_graph() -> None:
    x = inputs()[0]
    compiled = torch.compile(posenc.torch.add, fullgraph=True, backend="eager")
    for keywords, text in (
        ({"positions": torch.full((5,), float("nan"))}, "positions: expected finite numbers"),
        ({"mask": torch.zeros(4).bool()}, "mask: expected shape"),
        ({"encoding": "no such name"}, "encoding: expected a name"),
    ):
        with pytest.raises(Exception, match=text):
            compiled(x, **keywords)


HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALVES], ids=str)
@pytest.mark.parametrize("call", [call for call in CALLS if call != "encode"])
def test_bits_of_inductor(call: str, dtype: Any) -> None:
    if call == "positions" and dtype in HALVES:
        pytest.skip("positions of half precision are refused")
    compiled = torch.compile(CALLS[call], fullgraph=True)
    for x in inputs(dtype)[:3]:
        got, want = compiled(x), CALLS[call](x)
        if call == "add" and dtype in HALVES:  # where 1 is added to what was rounded, or not
            error = (got.double() - want.double()).abs()
            assert (error <= 2 * torch.finfo(dtype).eps * want.double().abs().clamp(min=1.0)).all()
        else:
            assert torch.equal(got, want)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_inductor_may_round_each_result(dtype: Any) -> None:
    config = pytest.importorskip("torch._inductor.config")
    with config.patch(emulate_precision_casts=True):
        compiled = torch.compile(CALLS["add"], fullgraph=True)
        for x in inputs(dtype)[:3]:
            assert torch.equal(compiled(x), CALLS["add"](x))


# ---- export ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch's own calls
def test_export(strict: bool) -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.positions = posenc.torch.PositionalEncoding(8, batch_first=True, scale="sqrt_dim", encoding="whisper")

        def forward(self, x: Any, mask: Any) -> Any:
            return self.positions(x, mask=mask, start=4) + 1

    model = Model().eval()
    x = inputs()[0]
    length = torch.export.Dim("L")
    shapes = {"x": {1: length}, "mask": {1: length}}
    program = torch.export.export(model, (x, mask_of(x)), dynamic_shapes=shapes, strict=strict)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    for exported in (program, program.run_decompositions(), torch.export.load(file)):
        module = exported.module()
        for x in inputs():
            assert torch.equal(module(x, mask_of(x)), model(x, mask_of(x)))


def test_trace_is_refused() -> None:
    module = posenc.torch.PositionalEncoding(8, batch_first=True).eval()
    for function in (
        module,
        posenc.torch.add,
        lambda x: posenc.torch.encode(5, 8) + x,
        lambda x: posenc.torch.rotate(x, "rope_hf"),
        posenc.add,
        lambda x: posenc.add_(x * 1),
        lambda x: posenc.rotate(x, "rope_hf"),
        lambda x: posenc.fill_(x * 1, start=3, backend="numpy"),
    ):
        with (
            pytest.warns(DeprecationWarning, match=r"torch\.jit\.trace"),
            pytest.raises(RuntimeError, match=r"got torch\.jit\.trace.*`torch\.export\.export"),
        ):
            torch.jit.trace(function, (torch.zeros(2, 5, 8),))
