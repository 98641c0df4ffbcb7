"""JAX: encodings within and outside of jit, and when its arrays share NumPy's memory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import posenc
import pytest

from .ways import follow_all

jax = pytest.importorskip("jax", reason="jax is not installed")
jnp = jax.numpy

LENGTH, DIM = 7, 16


def add(x: Any) -> Any:
    return x + posenc.encode(x.shape[-2], x.shape[-1], dtype=x.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_within_transforms(dtype: str) -> None:
    x = jax.random.normal(jax.random.key(0), (3, LENGTH, DIM)).astype(dtype)
    want = np.asarray(x) + posenc.encode(LENGTH, DIM, dtype=x.dtype)
    for function in (add, jax.jit(add), jax.vmap(add), jax.jit(jax.vmap(add)), jax.checkpoint(add)):
        got = function(x)
        assert got.dtype == x.dtype
        assert (np.asarray(got) == want).all()
    gradient = jax.jit(jax.grad(lambda x: add(x).sum().astype("float32")))(x)
    assert (gradient == 1).all()
    text = str(jax.make_jaxpr(add)(x))
    assert "callback" not in text  # a constant of the program
    assert jax.eval_shape(add, x).shape == x.shape


def test_one_compilation_for_each_length() -> None:
    traced = []

    @jax.jit
    def function(x: Any) -> Any:
        traced.append(x.shape)
        return add(x)

    for length in (3, 5, 3, 5):
        x = jnp.zeros((2, length, DIM))
        assert (np.asarray(function(x)) == posenc.encode(length, DIM)).all()
    assert traced == [(2, 3, DIM), (2, 5, DIM)]


ROWS = posenc.encode(4096, 512)
TABLE = np.ones((LENGTH, 512), np.float32)
X = np.ones((LENGTH, 512), np.float32)
# What is traced, the call that refuses it, and what the way out gives.
TRACED: dict[str, tuple[str, Any, Any, Any]] = {
    "positions": ("positions", [5, 2], lambda p: posenc.encode(p, 512), ROWS[[5, 2]]),
    "one position": ("positions", 7, lambda p: posenc.encode(p, 512), ROWS[[7, 3]]),
    "positions of add": ("positions", np.arange(LENGTH), lambda p: posenc.add(X, positions=p), ROWS[:LENGTH]),
    "start": ("start", 7, lambda s: posenc.encode(8, 512, start=s), ROWS[7:15]),
    "starts": ("start", [9, 1], lambda s: posenc.add(np.stack([X, X]), start=s), [ROWS[9:17], ROWS[1:9]]),
    "x": ("x", X, posenc.add, X + ROWS[:LENGTH]),
    "x in place": ("x", X, posenc.add_, X + ROWS[:LENGTH]),
    "out": ("out", X, posenc.fill_, ROWS[:LENGTH]),
    "ids": ("ids", [3, 1], lambda ids: posenc.embed(ids, TABLE), TABLE[:2] + ROWS[:2]),
    "table": ("table", TABLE, lambda table: posenc.embed([3, 1], table), TABLE[:2] + ROWS[:2]),
}


@pytest.mark.parametrize("transform", ["jit", "vmap"])
@pytest.mark.parametrize("kind", TRACED)
def test_ways_out_of_what_is_traced(kind: str, transform: str) -> None:
    name, value, call, want = TRACED[kind]

    def within(traced: Any) -> Any:
        make = (lambda: [traced, 3]) if kind == "one position" else (lambda: traced)
        (result,) = follow_all(name, make, call, **({"ids": [3, 1], "table": TABLE} | {name: None})).values()
        return result

    got = jax.jit(within)(jnp.asarray(value)) if transform == "jit" else jax.vmap(within)(jnp.asarray(value)[None])[0]
    np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


@pytest.mark.parametrize(
    "call",
    [
        lambda t: posenc.encode(t, DIM),
        lambda t: posenc.encode([t[0], t[1]], DIM),
        lambda t: posenc.encode(LENGTH, DIM, start=t[0]),
        lambda t: posenc.add(X, mask=t > 1),
        lambda t: posenc.add(X, x_scale=t[0]),
        lambda t: posenc.add(X, cu_seqlens=t.astype(int)),
        lambda t: posenc.rotate(X, "roformer", positions=t),
        lambda t: posenc.rotate(t[:, None] * X, "roformer"),
        lambda t: posenc.rotate_(t[:, None] * X, "roformer"),
        lambda t: posenc.positions_from_mask(t > 1),
        lambda t: posenc.grid(2, 3, start=t[0]),
    ],
)
def test_what_else_is_traced_is_refused_in_one_line(call: Any) -> None:
    def within(t: Any) -> Any:
        with pytest.raises(TypeError) as error:
            call(t)
        texts.append(str(error.value))
        return t.sum()

    texts: list[str] = []
    t = jnp.arange(LENGTH * 1.0)
    jax.jit(within)(t)
    jax.jit(jax.grad(within))(t)
    jax.vmap(within)(t[None])
    assert len(texts) == 3
    for text in texts:
        assert re.fullmatch(r"\w+: expected .*, got .*; call posenc through jax.pure_callback, or .*", text)


def test_ways_out_of_arrays() -> None:
    x = jnp.ones((LENGTH, DIM))
    with pytest.raises(ValueError, match="immutable") as error:
        posenc.add_(x)
    (code,) = re.findall("`([^`]+)`", str(error.value))
    scope = {"x": x, "posenc": posenc}
    exec(code, scope)
    assert (np.asarray(scope["x"]) == 1 + posenc.encode(LENGTH, DIM)).all()
    assert (posenc.add(x) == np.asarray(scope["x"])).all()  # may be read
    assert (x == 1).all()


def test_a_copy_shares_nothing() -> None:
    array = np.zeros((1024, 1024), np.float32)
    copied = jnp.array(array, copy=True).block_until_ready()  # which goes on in the background otherwise
    posenc.add_(array)
    assert (copied == 0).all()
