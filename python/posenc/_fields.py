"""The fields of an encoding: each function returns a value in the one form that equal encodings have, or raises."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _frequencies, _validate
from ._arrays import LARGEST as LARGEST_POSITION

if TYPE_CHECKING:
    from ._encoding import Encoding

LARGEST_DIM = 2**20
LARGEST_AXES = 32  # NumPy's arrays have few more

LAYOUTS = {"interleaved": "akt", "concatenated": "atk"}
NESTINGS = ("akt", "atk", "tak", "kat", "kta", "tka")
ODD = ("error", "zero", "extra", "truncate")
AMPLITUDES = {"rsqrt_dim": Fraction(1), "sqrt_2_over_dim": Fraction(2)}  # the square root of this / dim
WIDTHS = ("floor", "ceil")


def power(number: float) -> str:
    """A power of two, as messages name it."""
    return f"2**{math.frexp(number)[1] - 1}"


SMALLEST, LARGEST = power(_frequencies.SMALLEST_FREQUENCY), power(_frequencies.LARGEST_FREQUENCY)


def one_of(value: Any, name: str, known: Collection[str]) -> str:
    expected = f"{name}: expected one of {', '.join(known)}"
    if not isinstance(value, str):
        raise TypeError(f"{expected}, got {_validate.shown(value)}")
    if value not in known:
        raise ValueError(f"{expected}, got {value!r}")
    return str(value)


def flag(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {_validate.shown(value)}")
    return bool(value)


def finite(value: Any, name: str) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, got {_validate.shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return number + 0.0  # no negative zero, whose repr would differ


def positive(value: Any, name: str) -> float:
    number = finite(value, name)
    if number <= 0.0:
        raise ValueError(f"{name}: expected a number greater than 0, got {number}")
    return number


def refuse_implied(parameters: dict[str, Any], names: tuple[str, ...], by: str) -> None:
    """Refuse those parameters of an encoding that other arguments of its constructor, `by`, imply."""
    for name in names:
        if name in parameters:
            got = _validate.shown(parameters[name])
            raise TypeError(f"{name}: expected none, as it follows from {by}, got {got}; leave it out")


@contextlib.contextmanager
def made_from(names: str, given: Any, *made: str) -> Iterator[None]:
    """Say which arguments those fields of an encoding were made from that it refuses."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not str(error).startswith(made):
            raise
        got = _validate.shown(given)
        raise type(error)(f"{names}: expected numbers to make an encoding from, got {got}: {error}") from None


def not_zero(value: Any, name: str) -> float:
    number = finite(value, name)
    if number == 0.0:
        raise ValueError(f"{name}: expected a number other than 0, got {number}")
    return number


def offset(value: Any, name: str) -> float:
    number = finite(value, name)
    if abs(number) > LARGEST_POSITION:
        raise ValueError(f"{name}: expected at most 2**53 in magnitude, got {number}")
    return number


def amplitude(value: Any) -> float | str:
    if isinstance(value, str):
        return one_of(value, "amplitude", AMPLITUDES)
    number = not_zero(value, "amplitude")
    least, most = _frequencies.SMALLEST_AMPLITUDE, _frequencies.LARGEST_AMPLITUDE
    if not least <= abs(number) <= most:
        raise ValueError(
            f"amplitude: expected a magnitude from {power(least)} to {power(most)}, got {number}; multiply the result "
            "of an encoding with amplitude 1 instead"
        )
    return number


def _listed(value: Any) -> Any:
    """`value` as numbers and lists if it is an array, or a tensor."""
    return value.tolist() if hasattr(value, "tolist") else value


def per_axis(value: Any, name: str, axes: int, check: Callable[[Any, str], float]) -> Any:
    """One number, or a tuple of one per axis where they differ."""
    value = _listed(value)
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        return check(value, name)
    numbers = tuple(check(item, name) for item in value)
    if len(numbers) != axes:
        raise ValueError(f"{name}: expected a number, or one for each of {axes} axes, got {len(numbers)}")
    return numbers[0] if len(set(numbers)) == 1 else numbers


def vectors(value: Any, axes: int) -> Any:
    """None, one tuple of numbers, or a tuple of such tuples where the axes' differ."""
    name = "frequencies"
    if value is None:
        return None
    items = [_listed(item) for item in _validate.sequence(_listed(value), name, "numbers")]
    if not any(hasattr(item, "__len__") and not isinstance(item, (str, bytes)) for item in items):
        items = [items]
    elif len(items) != axes:
        raise ValueError(f"{name}: expected numbers, or such a list for each of {axes} axes, got {len(items)} lists")
    vectors = tuple(_vector(item, name) for item in items)
    if not all(vectors):
        raise ValueError(f"{name}: expected at least one number, got none")
    return vectors[0] if len(set(vectors)) == 1 else vectors


def _vector(value: Any, name: str) -> tuple[float, ...]:
    numbers = _validate.sequence(value, name, "numbers")
    if all(type(number) is float for number in numbers) and all(map(math.isfinite, numbers)):
        return tuple([number + 0.0 for number in numbers])
    return tuple([finite(number, name) for number in numbers])


def proportions(value: Any, axes: int) -> str | tuple[int, ...] | None:
    if value is None or isinstance(value, str):
        return None if value is None else one_of(value, "axis_widths", WIDTHS)
    weights = tuple(
        _validate.integer(weight, "axis_widths", minimum=1)
        for weight in _validate.sequence(value, "axis_widths", f"'floor', 'ceil' or {axes} integers")
    )
    if len(weights) != axes:
        raise ValueError(f"axis_widths: expected {axes} integers, one per axis, got {len(weights)}")
    common = math.gcd(*weights)
    return None if len(set(weights)) == 1 else tuple(weight // common for weight in weights)


def check_frequencies(scale: float, frequencies: tuple[float, ...] | None, full_turns: bool) -> None:
    """Refuse position_scale, or explicit frequencies times it, beyond the domain of correct rounding."""
    if frequencies is None:
        _check_frequency(scale, None, full_turns)
        return
    magnitudes = [abs(w) for w in frequencies if w != 0.0]
    for worst in (min, max):  # all others are in between
        if magnitudes:
            size = worst(magnitudes)
            _check_frequency(scale, size if size in frequencies else -size, full_turns)


def _check_frequency(scale: float, w: float | None, full_turns: bool) -> None:
    quarter_turns = abs(scale if w is None else scale * w) * (4.0 if full_turns else 2.0 / math.pi)
    name, got = ("position_scale", f"{scale}") if w is None else ("frequencies times position_scale", f"{w} * {scale}")
    got += " turns" if full_turns else " radians"
    if quarter_turns > _frequencies.LARGEST_FREQUENCY:
        raise ValueError(
            f"{name}: expected at most {LARGEST} quarter turns per unit of position, got {got}; use a smaller one, or "
            "smaller units of position"
        )
    if quarter_turns < _frequencies.SMALLEST_FREQUENCY:
        raise ValueError(
            f"{name}: expected at least {SMALLEST} quarter turns per unit of position, got {got}; use a larger one, or "
            "frequencies=[0.0, ...] for columns that stay the same"
        )


def at(value: Any, axis: int) -> float:
    """The value of a field that may be one per axis."""
    number: float = value[axis] if isinstance(value, tuple) else value
    return number


def explicit(encoding: Encoding, axis: int) -> tuple[float, ...]:
    vectors: Any = encoding.frequencies
    vector: tuple[float, ...] = vectors[axis] if isinstance(vectors[0], tuple) else vectors
    return vector
