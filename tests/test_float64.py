"""Float64: bits that depend on the position and the column alone, whatever a workspace keeps from the call before."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import posenc
import pytest
from numpy.typing import NDArray
from posenc import Encoding

from . import backends, truth
from .arrays import assert_same_bits, noise
from .test_hard_cases import CASES

# The last ones are too wide for a workspace to keep every turn.
WIDE = backends.TUNING["turn_doubles"] // 64
DIMS = [1, 2, 7, 64, 130, WIDE + 76, 5 * WIDE // 2 + 40]
LAYOUTS: dict[str, Any] = {
    "paper": None,
    "concatenated": "tensor2tensor",
    "cosines first": Encoding(cos_first=True, amplitude=-1.9),
    "any order": Encoding(odd="zero", amplitude="rsqrt_dim"),
}


def positions() -> NDArray[np.float64]:
    generator = np.random.default_rng(1)
    return np.concatenate(
        [
            np.arange(-70.0, 70.0),
            generator.integers(-(2**53), 2**53, 40),
            generator.uniform(-1e6, 1e6, 40),
            [2.0**53, -(2.0**53), 63.5, 64.0, -64.0, -0.0, 5e-324, 2.0**31 + 0.5],
            np.arange(2.0**40 - 9, 2.0**40 + 9),
        ]
    )


def encode(where: Any, dim: int, encoding: Any, backend: str | None, **keywords: Any) -> NDArray[np.float64]:
    return posenc.encode(where, dim, encoding=encoding, dtype=np.float64, backend=backend, **keywords)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dim", DIMS)
def test_a_position_alone_makes_a_row(layout: str, dim: int, other_backend: str | None) -> None:
    encoding = LAYOUTS[layout]
    if (layout == "concatenated" and dim % 2) or (layout == "any order" and dim == 1):
        pytest.skip("no such width")
    where = positions() if dim < 1000 else positions()[50:]
    want = encode(where, dim, encoding, "numpy")
    assert_same_bits(encode(where, dim, encoding, other_backend), want, "list")
    order = np.random.default_rng(2).permutation(len(where))
    assert_same_bits(encode(where[order], dim, encoding, other_backend), want[order], "another order")
    for i in order[:25]:
        assert_same_bits(encode(where[i : i + 1], dim, encoding, other_backend)[0], want[i], f"alone: {where[i]}")
    x = noise((len(where), dim), np.float64, 3)
    got = posenc.add(x, positions=where, x_scale=0.3, encoding=encoding, backend=other_backend)
    assert_same_bits(got, x * 0.3 + want, "sum")


@pytest.mark.parametrize("start", [0, -100, 37, 2**31 - 50, -(2**53), 2**53 - 149])
@pytest.mark.parametrize("dim", [6, WIDE + 76])
def test_runs(start: int, dim: int, backend: str | None) -> None:
    want = encode(np.arange(start, start + 150), dim, None, "numpy")
    assert_same_bits(encode(150, dim, None, backend, start=start), want, "run")
    assert_same_bits(encode(float(start) + np.arange(150.0), dim, None, backend), want, "floats")
    down = posenc.fill_(np.empty((dim, 150)).T, start=start, backend=backend)
    assert_same_bits(down, want, "columns first")
    for row in (0, 1, 63, 64, 149):
        assert_same_bits(encode(1, dim, None, backend, start=start + row)[0], want[row], f"row {row}")


def test_signs(backend: str | None) -> None:
    where = positions()
    there, back = (encode(p, 10, None, backend) for p in (where, -where))
    assert (there[:, 0::2] == -back[:, 0::2]).all()
    assert (there[:, 1::2] == back[:, 1::2]).all()
    assert not np.signbit(there[there == 0.0]).any()


def test_sines_of_small_angles_have_all_their_digits(backend: str | None) -> None:
    where = np.arange(-63, 64)
    got, true = encode(where, 64, Encoding(base=1e30), backend), np.sin(where * 1e-30 ** (30 / 32))
    assert (np.abs(got[:, 60] - true) <= 1e-15 * np.abs(true)).all()


def test_whole_quarter_turns_are_exact(backend: str | None) -> None:
    frequencies = [2.0**-k for k in range(1, 14)] + [3 * 2.0**-9]
    encoding = Encoding(frequencies=frequencies, full_turns=True, amplitude=0.7)
    where = np.concatenate([np.arange(-300, 300), 2**11 * np.arange(-9, 9)])
    got = encode(where, 28, encoding, backend)
    for k, frequency in enumerate(frequencies):
        quarters = where * frequency * 4
        whole = quarters % 1 == 0
        assert whole.sum() > 8
        want = np.array([0.0, 0.7, 0.0, -0.7])[quarters[whole].astype(int) % 4]
        assert_same_bits(got[whole, 2 * k], want, f"{frequency}")


def test_hard_cases(backend: str | None) -> None:
    cases = [case for case in CASES if case[0] == "double"]
    assert len(cases) > 80
    worst = 0.0
    for _, _, dim, column, position, want in cases:
        true = truth.encoding([position], dim)
        assert true.high[0, column] == want
        worst = max(worst, true.distance(encode([position], dim, None, backend))[0, column])
    assert 3.2 * 2.0**-53 < worst <= 6.5 * 2.0**-53


# What a workspace keeps belongs to one table, and other calls may have written over it.
BETWEEN: dict[str, Any] = {
    "another encoding": lambda: encode(3, 64, Encoding(base=17.0), None, start=5),
    "another width": lambda: encode(3, 640, None, None, start=5),
    "float32": lambda: posenc.encode(300, 64, start=999),
    "float32 of another encoding": lambda: posenc.encode(300, 640, start=999, encoding=Encoding(base=17.0)),
    "a grid": lambda: posenc.fill_(np.empty((1, 90, 90, 64)), encoding=Encoding(axes=2)),
    "a large grid": lambda: posenc.fill_(np.empty((1, 2, 700, 512), np.float32), encoding=Encoding(axes=2)),
    "16 bits": lambda: posenc.add_(np.ones((40, 4000), np.float16), encoding=Encoding(odd="zero"), start=3),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_what_is_kept(between: str, compiled_backend: str | None) -> None:
    where = [1000, 1001, 70, 1000.5, 1001, 1063, 1064, 3]
    want = encode(where, 64, None, "numpy")
    for _ in range(2):
        for position, row in zip(where, want, strict=True):
            assert_same_bits(encode([position], 64, None, None)[0], row, f"{position}")
            BETWEEN[between]()


def test_threads_keep_their_own(compiled_backend: str | None) -> None:
    encodings = [Encoding(base=10.0 + i) for i in range(3)]
    want = [encode(np.arange(0, 4000, 7), 64, encoding, "numpy") for encoding in encodings]
    wrong: list[int] = []

    def work(seed: int) -> None:
        generator = np.random.default_rng(seed)
        for _ in range(400):
            which, row = int(generator.integers(3)), int(generator.integers(len(want[0])))
            if (encode([7 * row], 64, encodings[which], None)[0] != want[which][row]).any():
                wrong.append(row)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(backends.core is None, reason="there is no compiled core")
def test_threads_of_a_call() -> None:
    want = encode(3000, 300, None, "numpy", start=-1500)
    assert_same_bits(encode(3000, 300, None, "cpp", start=-1500, threads=3), want)
