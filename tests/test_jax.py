"""JAX: encodings within and outside of jit, and when its arrays share NumPy's memory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import posenc
import pytest

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


def test_positions_that_are_traced_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^positions: expected numbers, got .*Tracer"):
        jax.jit(lambda t: posenc.encode(t, DIM))(jnp.arange(3.0))
    table = jnp.asarray(posenc.encode(100, DIM))  # rows of a table can be chosen
    got = jax.jit(lambda t: table[t])(jnp.array([5, 2]))
    assert (np.asarray(got) == posenc.encode([5, 2], DIM)).all()


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
