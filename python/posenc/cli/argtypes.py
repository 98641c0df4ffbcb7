"""Types of arguments that commands share: what a text stands for, or what was expected."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Collection
from typing import Any

from posenc import _threads
from posenc._encoding import LARGEST_DIM

MOST_ELEMENTS = 2**40  # what no memory holds, and NumPy still counts


def typed(expected: str, make: Callable[[str], Any], pattern: str = ".*") -> Callable[[str], Any]:
    """The type of an argument: what `make` makes of a text that `pattern` describes, unless that is a ValueError."""

    def parse(text: str) -> Any:
        try:
            if not re.fullmatch(pattern, text, re.A | re.S):
                raise ValueError
            return make(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None

    return parse


def each(make: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Makes a list of what stands between commas, each once."""
    return lambda text: list(dict.fromkeys(map(make, text.split(","))))


def some_of(names: Collection[str]) -> Callable[[str], list[str]]:
    return each(typed(f"some of {', '.join(names)}", str, "|".join(names)))


def one_or_more(make: Callable[[str], Any], separator: str = ",") -> Callable[[str], Any]:
    """Makes one value, or a tuple of those with separators between them."""

    def parse(text: str) -> Any:
        values = tuple(map(make, text.split(separator)))
        return values if len(values) > 1 else values[0]

    return parse


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(map(int, text.split("x")))
    if sizes[-1] > LARGEST_DIM or math.prod(sizes) > MOST_ELEMENTS:
        raise ValueError
    return sizes


number = typed("a number", _number)
numbers = typed("a number, or several with commas between them", one_or_more(_number))
axes = typed("an integer, or several with commas between them, as in --seq-axis=-3,-2", one_or_more(int))
factor = typed("a number or sqrt_dim", lambda text: text if text == "sqrt_dim" else float(text))
seconds = typed("seconds such as 0.3", float, r"\d{1,3}(\.\d{1,6})?")
thread_counts = typed(
    f"numbers of threads up to {_threads.MOST} such as 1,2",
    each(lambda text: _threads.resolve(int(text))),
    r"[1-9]\d{0,4}(,[1-9]\d{0,4})*",
)
shape = typed(
    f"2 to 32 sizes, such as 8x512x768, of at most {LARGEST_DIM} channels, the last size, and {MOST_ELEMENTS} elements",
    _sizes,
    r"[1-9]\d{0,18}(x[1-9]\d{0,18}){1,31}",
)
