"""Whether a result is right: against the reference backend, and against the real number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from . import table, truth
from .cases import OPERATIONS, Array, Case, Contender

REFERENCE = "numpy"
COMPARED_ELEMENTS = 2**22  # larger arrays are compared with the reference in a sample of their rows
EXACT_ELEMENTS = 1000

# What posenc promises: in units in the last place for float32, absolute for float64.
FLOAT32_ULP = Decimal("0.51")
FLOAT64_ERROR = Decimal("1e-15")


@dataclass(frozen=True)
class Verdict:
    """What is known of a result.

    Attributes
    ----------
    problem : str or None
        Why it is wrong, if it is.
    max_ulp, max_error : float or None
        The largest error against the real number: in units in the last place, of the encoding or of the sum, whichever
        are larger; and absolute. None if there is no finite one.
    equal : float or None
        The fraction of elements that are equal to the reference.
    """

    problem: str | None
    max_ulp: float | None = None
    max_error: float | None = None
    equal: float | None = None


@dataclass(frozen=True)
class _Exact:
    """What is known of one element: its value, an ulp, the allowed error."""

    value: Decimal
    ulp: Decimal
    allowed: Decimal


class Check:
    """Judges what contenders make of `x`, which it fills before each of them."""

    def __init__(self, case: Case, x: Array) -> None:
        random = np.random.default_rng(0)
        self.case, self.x = case, x
        self._prepare()
        length = case.shape[-2]
        self.rows = some_rows(length, COMPARED_ELEMENTS * length // x.size, random)
        self.expected = x[..., self.rows, :]
        OPERATIONS[case.operation](self.expected, positions=self.rows + case.start, backend=REFERENCE)
        self.elements = np.unravel_index(random.integers(x.size, size=EXACT_ELEMENTS), x.shape)
        places = zip(*self.elements[-2:], x[self.elements], strict=True)
        self.exact = [self._exact(int(row), int(column), float(before)) for row, column, before in places]

    def __call__(self, contender: Contender) -> Verdict:
        """Run `contender` once and look at what it wrote."""
        self._prepare()
        try:
            if contender.task.setup is not None:
                contender.task.setup()
            contender.task.call()
        except Exception as error:  # any: the others are still worth comparing
            return Verdict(f"raised {type(error).__name__}: {error}")
        written = self.x[..., self.rows, :]
        equal = float(np.mean(written == self.expected))
        if self.case.operation == "fill" and math.isnan(np.min(self.x)):
            return Verdict("left elements unwritten, or wrote NaN", equal=equal)
        values = self.x[self.elements]
        if not np.isfinite(values).all():
            return Verdict("wrote numbers that are not finite", equal=equal)
        errors = [abs(Decimal(float(v)) - exact.value) for v, exact in zip(values, self.exact, strict=True)]
        max_ulp = float(max(error / exact.ulp for error, exact in zip(errors, self.exact, strict=True)))
        problem = None
        if contender.judged:
            if any(error > exact.allowed for error, exact in zip(errors, self.exact, strict=True)):
                problem = f"up to {table.ulps(max_ulp)} ulp from the real number"
            elif not self._near_reference(written):
                problem = f"differs from the {REFERENCE} backend by more than 1 ulp"
        return Verdict(problem, max_ulp, float(max(errors)), equal)

    def _prepare(self) -> None:
        """NaN before a fill, so that a gap shows; the same ordinary numbers before every add."""
        if self.case.operation == "fill":
            self.x.fill(np.nan)
            return
        block = np.random.default_rng(1).standard_normal(2**18).astype(self.x.dtype)
        flat = self.x.reshape(-1)
        for first in range(0, flat.size, block.size):
            part = flat[first : first + block.size]
            part[:] = block[: part.size]

    def _exact(self, row: int, column: int, before: float) -> _Exact:
        dtype = self.case.dtype
        encoding = truth.encoding(float(row + self.case.start), column, self.case.shape[-1])
        ulp = truth.ulp(encoding, dtype)
        allowed = FLOAT32_ULP * ulp if dtype == np.float32 else FLOAT64_ERROR
        if self.case.operation == "fill":
            return _Exact(encoding, ulp, allowed)
        value = encoding + Decimal(before)
        last_place = truth.ulp(value, dtype)
        return _Exact(value, max(ulp, last_place), allowed + last_place / 2)

    def _near_reference(self, written: Array) -> bool:
        """Whether all of `written` is within an ulp, or in float64 twice the error allowed, of the reference."""
        scale = np.abs(self.expected)
        if self.case.operation == "add":
            scale = np.maximum(scale, 1.0)  # where the sum is small its error is an ulp of the encoding
        allowed = np.spacing(scale)
        if self.case.dtype == np.float64:
            allowed = np.maximum(allowed, 2 * float(FLOAT64_ERROR))
        return bool(np.all(np.abs(written - self.expected) <= allowed))


def some_rows(length: int, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """All rows, or about `count` of them in runs: the first, the last and others."""
    if count >= length:
        return np.arange(length)
    run = min(64, length)
    starts = random.integers(length - run + 1, size=max(count // run - 2, 0))
    return np.unique(np.concatenate([[0, length - run], starts])[:, None] + np.arange(run))
