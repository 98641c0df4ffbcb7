"""Whether a result is right: it has the bits of the NumPy backend, and elements are near the real numbers.

Those are computed by mpmath from the formula alone: nothing that posenc computes with is used for them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import posenc

from .arrays import lend, memory_of, widened
from .cases import GRIDS, MAKES
from .implementations import Implementation
from .inputs import REFERENCE, Inputs
from .timing import Task

CHECKED_ELEMENTS = 2**19
EXACT_ELEMENTS = 400
HOPELESS = 1e300  # more ulps are told as so many: JSON has no infinity
DIGITS = 80  # of a real number: a position below 2**53 takes 16 of these, the rest is behind the point


@dataclass(frozen=True)
class Finding:
    """What is known of a result: why it is wrong, or `absent`, and its largest errors against the real numbers."""

    problem: str | None
    max_ulp: float | None = None
    max_error: float | None = None
    absent: bool = False
    equal: float | None = None  # the fraction of elements with the right bits


@functools.cache
def reals() -> Any:
    """Mpmath's functions and numbers of so many digits, however many others use."""
    context = importlib.import_module("mpmath").MPContext()
    context.dps = DIGITS
    return context


@functools.lru_cache(maxsize=2**14)
def real(position: float, column: int, dim: int) -> Any:
    """PE(p, 2k) = sin(p 10000^(-2k/D)) and PE(p, 2k + 1) = cos(...) of the paper's encoding with D = `dim`."""
    angle = position * reals().power(10000, reals().mpf(-2 * (column // 2)) / dim)
    return reals().cos(angle) if column % 2 else reals().sin(angle)


def ulp(value: Any, dtype: np.dtype[Any]) -> Any:
    """The unit in the last place: the distance between numbers of `dtype` around `value`. uint16 is bfloat16."""
    least, digits = (-126, 7) if dtype == np.uint16 else (int(np.finfo(dtype).minexp), int(np.finfo(dtype).nmant))
    return reals().ldexp(1, max(reals().frexp(value)[1] - 1 if value else least, least) - digits)


def _some_rows(length: int, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """All rows, or about `count` of them in runs: the first, the last and others."""
    if count >= length:
        return np.arange(length)
    run = min(64, length)
    starts = random.integers(length - run + 1, size=max(count // run - 2, 0))
    return np.unique(np.concatenate([[0, length - run], starts])[:, None] + np.arange(run))


class Check:
    """Knows what must come out for a case: the numpy backend's bits, and some real numbers."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        inputs.prepare()
        case, rows, random = inputs.case, inputs.rows, np.random.default_rng(0)
        where: dict[str, Any] = {"positions": inputs.positions, "mask": inputs.mask}
        if inputs.axes > 1:  # whole images: the first and the last
            self.sample: tuple[Any, ...] = (np.array([0, -1]), ...) if rows.ndim - 1 > inputs.axes else (...,)
        else:
            chosen = _some_rows(inputs.length, CHECKED_ELEMENTS * inputs.length // rows.size, random)
            self.sample = (..., chosen, slice(None))
            where = {name: value if value is None else value[..., chosen] for name, value in where.items()}
        self.expected = np.array(inputs.before(self.sample), order="C")
        if case.at == GRIDS:
            where["positions"] = inputs.positions[self.sample]
        where |= {"encoding": case.encodes, "backend": REFERENCE}
        if case.op in MAKES:
            posenc.fill_(lend(self.expected), **where)
        elif case.op == "rotate":
            posenc.rotate_(lend(self.expected), **where | {"encoding": case.encodes or posenc.Encoding()})
        else:
            posenc.add_(lend(self.expected), x_scale=inputs.scale, **where)
        self.elements = np.unravel_index(random.integers(rows.size, size=EXACT_ELEMENTS), rows.shape)
        # The real numbers are known of the paper's only, and by mpmath.
        known = case.of_the_paper and importlib.util.find_spec("mpmath") is not None
        self.exact = self._exact() if known else []

    @functools.cached_property
    def twin(self) -> Check:
        return Check(self.inputs.twin)

    def __call__(self, implementation: Implementation, task: Task) -> Finding:
        """Run `task` once and look at its result."""
        if implementation.kind == "twin":
            return self.twin(replace(implementation, kind="posenc"), task)
        inputs = self.inputs
        task.setup()
        inputs.prepare()
        try:
            returned = task.call()
            # np.copyto returns nothing.
            result = inputs.memory if returned is None and implementation.kind == "peer" else memory_of(returned)
            result = implementation.tidy(result) if implementation.tidy else result
        except Exception as error:  # any: the others are still worth timing
            return Finding(f"raised {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        if implementation.kind == "limit":
            return Finding(None)
        whole = inputs.memory.shape
        shapes = [whole, whole[-2:]] if implementation.kind == "peer" else [whole]  # a recipe's rows may serve a batch
        if result.shape not in shapes or result.dtype != inputs.memory.dtype:
            return Finding(f"returned {result.dtype} of shape {result.shape}")
        result = inputs.with_channels_last(np.broadcast_to(result, whole))
        written = result[self.sample]
        if not all(np.isfinite(widened(part)).all() for part in np.array_split(result, 64)):  # wide parts are small
            return Finding("left elements unwritten, or wrote NaN or infinity")
        bits = f"u{written.itemsize}"
        equal = float(np.mean(np.ascontiguousarray(written).view(bits) == self.expected.view(bits)))
        pairs = zip(widened(result[self.elements]), self.exact, strict=False)  # unless none are known
        errors = [(float(abs(float(found) - value)), ulp) for found, (value, ulp) in pairs]
        max_error = max((error for error, _ in errors), default=None)
        max_ulp = max((float(min(error / ulp, HOPELESS)) for error, ulp in errors), default=None)
        problem = None
        if implementation.kind == "posenc":
            if equal < 1.0:
                problem = f"differs from the {REFERENCE} backend"
            elif max_ulp is not None and max_error is not None and not self._true(max_ulp, max_error):
                problem = f"up to {max_ulp:.3g} ulp from the real number"
        else:
            allowed = self._allowed(implementation)
            off = float(np.max(np.abs(widened(written).astype(np.float64) - widened(self.expected))))
            if off > allowed:
                problem = f"off by {off:.2g}, where {allowed:.2g} is allowed"
        return Finding(problem, max_ulp, max_error, equal=equal)

    def _true(self, max_ulp: float, max_error: float) -> bool:
        """Whether errors are those of a correctly rounded encoding, and of one rounded sum; a product adds its own."""
        op, kind = self.inputs.case.op, self.inputs.memory.dtype
        if op not in (*MAKES, "add", "add_new"):
            return True
        if kind == np.float64:
            return max_error <= (1e-15 if op in MAKES else 2e-15)
        return max_ulp <= (0.51 if op in MAKES else 1.01)

    def _allowed(self, implementation: Implementation) -> float:
        """How far from what is expected a peer may be: what its angles explain, and two roundings to 16 bits."""
        allowed = implementation.tolerance(float(np.max(np.abs(self.inputs.positions)))) * self.inputs.scale
        if self.inputs.memory.itemsize == 2:
            digits = 7 if self.inputs.memory.dtype == np.uint16 else 10
            allowed += math.ldexp(2.0, math.frexp(np.max(np.abs(widened(self.expected))))[1] - 1 - digits)
        return allowed

    def _exact(self) -> list[tuple[Any, Any]]:
        """The values of some elements, and the unit in which the error of each is counted."""
        inputs, places = self.inputs, self.elements[:-1]
        kind, wide = inputs.memory.dtype, widened(inputs.memory[:0]).dtype
        scale = reals().mpf(float(wide.type(inputs.scale)))
        positions = np.broadcast_to(inputs.positions, inputs.rows.shape[:-1])[places]
        alive = np.broadcast_to(True if inputs.mask is None else inputs.mask, inputs.rows.shape[:-1])[places]
        before = widened(inputs.before(self.elements))
        exact = []
        for position, column, old, there in zip(positions, self.elements[-1], before, alive, strict=True):
            value = real(float(position), int(column), inputs.dim) if there else 0
            units = [ulp(value, kind)]
            if inputs.case.op not in MAKES:
                term = float(old) * (scale if there else 1)
                value += term
                units += [ulp(value, kind), ulp(term, wide) if scale != 1 else 0]  # the product is rounded, too
            exact.append((value, max(units)))
        return exact
