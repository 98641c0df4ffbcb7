"""Models that train with posenc.torch: the losses of the tutorial's table, under everything that training loops do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import posenc
import pytest

from .test_torch_module import Tutorial

torch = pytest.importorskip("torch", reason="torch is not installed")
import posenc.torch  # noqa: E402

WORDS, DIM, LENGTH, STEPS = 11, 32, 12, 40


class Copier(torch.nn.Module):
    """Says what it hears, half a sequence later."""

    def __init__(self, positions: Any, checkpoint: bool = False) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(WORDS, DIM)
        self.positions = positions
        layer = torch.nn.TransformerEncoderLayer(DIM, 4, 64, dropout=0.1)
        self.encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = torch.nn.Linear(DIM, WORDS)
        self.checkpoint = checkpoint

    def forward(self, ids: Any) -> Any:
        x = self.words(ids) * DIM**0.5
        if self.checkpoint:
            x = torch.utils.checkpoint.checkpoint(self.positions, x, use_reentrant=False)
        else:
            x = self.positions(x)
        return self.out(self.encoder(x))


def losses(
    positions: Any,
    *,
    checkpoint: bool = False,
    wrap: Callable[[Any], Any] = lambda model: model,
    context: Callable[[], Any] = contextlib.nullcontext,
) -> Any:
    torch.manual_seed(0)
    model = Copier(positions, checkpoint)
    compiled = wrap(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    curve = []
    for _ in range(STEPS):
        ids = torch.randint(WORDS, (LENGTH, 16))
        with context():
            logits = compiled(ids)
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids.roll(LENGTH // 2, 0).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.detach())
    return torch.stack(curve)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # a model as small as this one only waits for others
    yield
    torch.set_num_threads(before)


def ours() -> Any:
    return posenc.torch.PositionalEncoding(DIM, batch_first=False)


@pytest.fixture(scope="module")
def tutorial() -> Any:
    curve = losses(Tutorial(DIM))
    assert curve[-1] < curve[0] - 0.2  # it learns
    return curve


def test_the_losses_are_the_tutorials(tutorial: Any) -> None:
    curve = losses(ours())
    torch.testing.assert_close(curve, tutorial, rtol=0, atol=1e-4)
    without = losses(torch.nn.Dropout(0.1))
    assert (without - tutorial).abs().max() > 1e-2  # the comparison sees positions


def test_gradient_checkpointing(tutorial: Any) -> None:
    torch.testing.assert_close(losses(ours(), checkpoint=True), tutorial, rtol=0, atol=1e-4)


def test_compiled(tutorial: Any) -> None:
    torch._dynamo.reset()
    curve = losses(ours(), wrap=lambda model: torch.compile(model, fullgraph=True, backend="aot_eager"))
    torch.testing.assert_close(curve, tutorial, rtol=0, atol=1e-4)
    torch._dynamo.reset()


def test_autocast() -> None:
    context = lambda: torch.autocast("cpu", dtype=torch.bfloat16)  # noqa: E731
    curve = losses(ours(), context=context)
    torch.testing.assert_close(curve, losses(Tutorial(DIM), context=context), rtol=0, atol=1e-2)
    with context():
        x = torch.nn.Linear(DIM, DIM)(torch.zeros(5, 2, DIM))
        assert ours()(x).dtype == torch.bfloat16  # as what came
        assert ours()(x.float()).dtype == torch.float32


def test_half() -> None:
    model = Copier(ours()).bfloat16().eval()
    ids = torch.randint(WORDS, (LENGTH, 2))
    assert model(ids).dtype == torch.bfloat16
    model(ids).sum().backward()
    assert model.words.weight.grad.isfinite().all()


# ---- workers of data loaders ----------------------------------------------------------------------------------------

MODULE = posenc.torch.PositionalEncoding(DIM, dropout=0.0, batch_first=True)


def collate(items: list[Any]) -> Any:
    """Pad, then add positions to the real rows: in the worker, in the memory that the batch lies in."""
    batch = torch.nn.utils.rnn.pad_sequence(items, batch_first=True)
    mask = torch.arange(batch.shape[1]) < torch.tensor([len(item) for item in items])[:, None]
    other = MODULE(batch, mask=mask) + posenc.torch.add(batch) * 0
    posenc.add_(batch, mask=mask)
    return batch, other


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*pin_memory:UserWarning")
def test_workers(method: str) -> None:
    if method not in torch.multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method}")
    sequences = [torch.full((1 + n % 5, DIM), float(n)) for n in range(16)]
    posenc.torch.add(torch.zeros(2, 5, DIM))  # the parent has begun to work
    loader = torch.utils.data.DataLoader(
        sequences, batch_size=4, num_workers=2, collate_fn=collate, multiprocessing_context=method
    )
    got = list(loader)
    assert len(got) == 4
    for (batch, other), first in zip(got, range(0, 16, 4), strict=True):
        assert torch.equal(batch, other)
        for row, sequence in zip(batch, sequences[first : first + 4], strict=True):
            assert torch.equal(row[: len(sequence)], posenc.add(sequence))
            assert not row[len(sequence) :].any()
