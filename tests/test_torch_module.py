"""posenc.torch.PositionalEncoding: what modules have to bear, and the checkpoints of those that it replaces."""

from __future__ import annotations

import contextlib
import copy
import doctest
import inspect
import io
import math
import pickle
import threading
import warnings
from typing import Any

import numpy as np
import posenc
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import posenc.torch  # noqa: E402
from posenc.torch import _functions, _module  # noqa: E402

PositionalEncoding = posenc.torch.PositionalEncoding
DIM = 32


def noise(*shape: int, dtype: Any = torch.float32) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


class Tutorial(torch.nn.Module):
    """PyTorch's, word for word."""

    def __init__(self, d_model: int, dropout: float = 0.1, max_len: int = 5000):
        super().__init__()
        self.dropout = torch.nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x: Any) -> Any:
        x = x + self.pe[: x.size(0)]
        return self.dropout(x)


def test_signature() -> None:
    text = "(d_model, dropout=0.1, max_len=None, *, batch_first, scale=None, encoding=None)"
    signature = inspect.signature(PositionalEncoding)
    plain = [value.replace(annotation=value.empty) for value in signature.parameters.values()]
    assert str(inspect.Signature(plain)) == text
    with pytest.raises(TypeError, match="batch_first"):
        PositionalEncoding(8)


def test_it_is_the_tutorials() -> None:
    old, new = Tutorial(DIM), PositionalEncoding(DIM, 0.1, 5000, batch_first=False)
    x = noise(50, 3, DIM)
    torch.manual_seed(0)
    want = old(x)
    torch.manual_seed(0)
    got = new(x)  # the same elements are dropped
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    assert ((got == 0) == (want == 0)).all()
    assert torch.equal(x, noise(50, 3, DIM))
    old.eval(), new.eval()
    torch.testing.assert_close(new(x), old(x), rtol=0, atol=5e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_axes(graph: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if graph:
        monkeypatch.setattr(_functions, "direct", lambda *tensors: False)
    x = noise(2, 5, DIM)
    positions, mask = noise(2, 5) * 100, torch.tensor([[1, 0, 1, 1, 0], [0, 1, 1, 1, 1]])
    first = PositionalEncoding(DIM, 0.0, batch_first=True, scale="sqrt_dim", encoding="whisper")
    last = PositionalEncoding(DIM, 0.0, batch_first=False, scale="sqrt_dim", encoding="whisper")
    options = {"x_scale": "sqrt_dim", "encoding": "whisper"}
    t = x.transpose(0, 1)
    for keywords in ({}, {"start": 3}, {"start": torch.tensor([3, 4])}, {"start": 0.5}):
        want = posenc.add(x, **keywords, **options)
        assert torch.equal(first(x, **keywords), want)
        assert torch.equal(last(t, **keywords), want.transpose(0, 1))
        assert torch.equal(last(t.contiguous(), **keywords), want.transpose(0, 1))
    want = posenc.add(x, positions=positions, mask=mask, **options)
    assert torch.equal(first(x, positions=positions, mask=mask), want)
    assert torch.equal(last(t, positions=positions.T, mask=mask.T), want.transpose(0, 1))
    rows = {"positions": positions[0], "mask": mask[0]}
    assert torch.equal(last(t, **rows), posenc.add(x, **rows, **options).transpose(0, 1))
    for module in (first, last):
        assert torch.equal(module(x[0]), posenc.add(x[0], **options))
    many = noise(2, 3, 5, DIM)
    assert torch.equal(first(many), posenc.add(many, **options))
    assert torch.equal(last(many), posenc.add(many, seq_axis=0, **options))
    image = PositionalEncoding(DIM, 0.0, batch_first=True, encoding="mae")
    assert torch.equal(image(many), posenc.add(many, encoding="mae"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_dtypes(dtype: Any) -> None:
    x = noise(2, 5, DIM, dtype=dtype)
    for module in (PositionalEncoding(DIM, batch_first=True), PositionalEncoding(DIM, batch_first=True).to(dtype)):
        assert torch.equal(module.eval()(x), posenc.add(x))


def test_nothing_to_keep() -> None:
    module = PositionalEncoding(DIM, batch_first=True, encoding=posenc.Encoding(base=50.0), scale=3.0).eval()
    x = noise(2, 5, DIM)
    assert not module.state_dict()
    assert not [*module.parameters(), *module.buffers()]
    with torch.device("meta"):
        made = PositionalEncoding(DIM, batch_first=True, encoding=posenc.Encoding(base=50.0), scale=3.0).eval()
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for other in (
        module.half(),
        module.to("meta").to_empty(device="cpu"),
        made,
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        torch.load(file, weights_only=False),
        module.share_memory(),
    ):
        assert torch.equal(other(x), module(x))
        assert repr(other) == repr(module)
        assert other.load_state_dict({}, strict=True).missing_keys == []
    assert "32, batch_first=True, scale=3.0, encoding=Encoding(base=50.0)" in repr(module)


def test_threads_share_it() -> None:
    """As the replicas of DataParallel do."""
    module = PositionalEncoding(DIM, batch_first=True).eval()
    inputs = [noise(2, length, DIM).requires_grad_() for length in range(1, 33)]
    results: list[Any] = []

    def run() -> None:
        for x in inputs:
            y = module(x)
            y.sum().backward()
            results.append(torch.equal(y, posenc.add(x)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4 * len(inputs)


def test_refusals() -> None:
    for arguments, keywords, error, name in (
        ((0,), {}, ValueError, "d_model"),
        ((8.0,), {}, TypeError, "d_model"),
        ((8, 0.1, 5.5), {}, TypeError, "max_len"),
        ((8,), {"batch_first": 1}, TypeError, "batch_first"),
        ((8,), {"batch_first": None}, TypeError, "batch_first"),
        ((8, "0.1"), {}, TypeError, "dropout"),
        ((8, True), {}, TypeError, "dropout"),
        ((8, None), {}, TypeError, "dropout"),
        ((8, 1.5), {}, ValueError, "dropout"),
        ((8, float("nan")), {}, ValueError, "dropout"),
        ((8,), {"scale": "dim"}, ValueError, "scale"),
        ((8,), {"scale": float("inf")}, ValueError, "scale"),
        ((8,), {"scale": torch.ones((), requires_grad=True)}, ValueError, "scale"),
        ((8,), {"encoding": "no such name"}, ValueError, "encoding"),
        ((7,), {"encoding": "whisper"}, ValueError, "encoding"),
        ((8,), {"encoding": "mae", "batch_first": False}, ValueError, "batch_first"),
    ):
        with pytest.raises(error, match=f"^{name}: expected ") as caught:
            PositionalEncoding(*arguments, **{"batch_first": True} | keywords)
        assert "x_scale" not in str(caught.value)
    PositionalEncoding(np.int64(8), np.float32(0.5), np.int64(5000), batch_first=True)
    with pytest.raises(ValueError, match=r"^x: expected 8 channels in the last dimension, got shape \(2, 8, 5\); "):
        PositionalEncoding(8, batch_first=True)(noise(2, 8, 5))
    for x in (noise(2, 5, 8).numpy(), noise(2, 5, 8).tolist(), None):
        with pytest.raises(TypeError, match=r"^x: expected a torch\.Tensor"):
            PositionalEncoding(8, batch_first=True)(x)


# ---- checkpoints ----------------------------------------------------------------------------------------------------


class Model(torch.nn.Module):
    def __init__(self, positions: Any) -> None:
        super().__init__()
        self.encoder = torch.nn.ModuleDict({"input": torch.nn.Linear(4, DIM), "positions": positions})


def load(name: str, value: Any, dim: int = DIM, **options: Any) -> list[str]:
    """Load a state_dict that holds `value`, strictly; the warnings."""
    model = Model(PositionalEncoding(dim, **{"batch_first": True} | options))
    state = model.state_dict()
    state[f"encoder.positions.{name}"] = value
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = model.load_state_dict(state, strict=True)
    assert not result.missing_keys
    assert not result.unexpected_keys
    assert f"encoder.positions.{name}" in state  # the caller's
    texts = [str(warning.message) for warning in caught]
    assert all(text.startswith(f"encoder.positions.{name}: expected what this module computes") for text in texts)
    return texts


def table(length: int = 1000, **options: Any) -> Any:
    return posenc.encode(length, DIM, dtype=torch.float32, **options)


def test_the_tutorials_checkpoint() -> None:
    old = Model(Tutorial(DIM)).state_dict()
    new = Model(PositionalEncoding(DIM, batch_first=False))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(new.load_state_dict(old, strict=True)) == "<All keys matched successfully>"
        old["encoder.positions.pe"] = old["encoder.positions.pe"].transpose(0, 1)
        assert old["encoder.positions.pe"].shape == (1, 5000, DIM)
        new.load_state_dict(old, strict=True)
        new.load_state_dict(old, strict=True, assign=True)
        new.encoder["positions"].load_state_dict({"pe": table()}, strict=True)
    assert torch.equal(new.encoder["input"].weight, old["encoder.input.weight"])
    assert len(new.state_dict()) == 2


@pytest.mark.parametrize("name", ["pe", "P", "weights", "weight", "pos_table"])
def test_tables_of_the_same_encoding(name: str) -> None:
    pe = Tutorial(DIM).pe
    for kept in (pe, pe.transpose(0, 1), pe[:, 0], pe.half(), pe.bfloat16(), pe.bfloat16().float(), pe.double()):
        assert not load(name, kept)
    assert not load(name, pe[:, 0].T[None])  # channels first
    assert not load(name, table(encoding="whisper"), encoding="whisper")
    assert not load(name, pe[:1])
    assert not load(name, torch.nn.Parameter(pe))
    assert not load(name, pe.to_sparse())
    assert not load(name, pe.to("meta"))


def test_tables_of_other_encodings() -> None:
    (text,) = load("pe", table(encoding="whisper")[None])
    assert "expected what this module computes, Encoding(), got that of" in text
    assert "'whisper'" in text
    (text,) = load("pe", table(encoding="espnet"), encoding="whisper")
    assert "'espnet'" in text
    assert "'paper'" in text
    (text,) = load("pe", table(start=1))
    assert "from position 1 on; `start=1`" in text
    (text,) = load("weight", noise(100, DIM))
    assert "no encoding with a name" in text
    (text,) = load("pe", torch.full((3, DIM), float("nan")))
    assert "finite" in text
    half = (torch.arange(4000).half()[:, None] * torch.rand(DIM // 2)).sin().repeat(1, 2)  # positions in half precision
    (text,) = load("pe", half)
    assert "no encoding with a name" in text


def test_fairseq() -> None:
    weights = table(encoding="marian")
    weights[1] = 0.0  # its padding_idx
    assert not load("weights", weights, encoding="fairseq")
    (text,) = load("weights", weights)
    assert "`encoding='fairseq'`" in text
    assert not load("_float_tensor", torch.zeros(1))


def test_a_class_token() -> None:
    cells = torch.tensor(posenc.grid(7, 9).reshape(-1, 2))
    rows = posenc.encode(cells, DIM, encoding="mae", dtype=torch.float32)
    rows = torch.cat([torch.zeros(1, DIM), rows])[None]
    assert not load("pos_embed", rows, encoding="mae")
    (text,) = load("pos_embed", rows)
    assert "'mae'" in text


def test_frequencies() -> None:
    k = torch.arange(0, DIM, 2)
    for inv_freq in (1.0 / 10000 ** (k / DIM), torch.exp(k * (-math.log(10000.0) / DIM))):
        for kept in (inv_freq, inv_freq.double(), inv_freq.half(), inv_freq.bfloat16()):
            assert not load("inv_freq", kept)
        assert not load("inv_freq", inv_freq, encoding=posenc.Encoding(layout="concatenated"))
    (text,) = load("inv_freq", 1.0 / 10000 ** (torch.arange(DIM // 2) / (DIM // 2 - 1)))
    assert "'whisper'" in text
    (text,) = load("inv_freq", torch.ones(3))
    assert "no encoding with a name" in text


def test_what_is_not_ours_is_not_dropped() -> None:
    model = Model(PositionalEncoding(DIM, batch_first=True))
    state = model.state_dict()
    for name in ("encoder.positions.alpha", "encoder.pe", "pe", "encoder.positions.more.pe"):  # learned, or another's
        with pytest.raises(RuntimeError, match="Unexpected key"):
            model.load_state_dict({**state, name: table()}, strict=True)
        assert model.load_state_dict({**state, name: table()}, strict=False).unexpected_keys == [name]
    for strict in (True, False):
        with pytest.raises(RuntimeError, match=r"size mismatch for encoder\.positions\.pe: expected a table of 32 ch"):
            model.load_state_dict({**state, "encoder.positions.pe": torch.zeros(100, 1, 64)}, strict=strict)


# ---- documentation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [_functions, _module, posenc.torch], ids=lambda module: module.__name__)
def test_docstrings(module: Any) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as report:
        failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed, report.getvalue()
    assert tried
