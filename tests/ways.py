"""Follows the ways out that refusals name: runs the code in the backquotes of their texts. Not a test."""

from __future__ import annotations

import ast
import datetime
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import posenc

CODE = re.compile(r"`([^`]+)`")


def ways(text: str) -> list[str]:
    return CODE.findall(text)


def follow(code: str, name: str, argument: Any, call: Callable[[Any], Any], others: dict[str, Any]) -> Any:
    """What `argument` is called `name` becomes after `code` of a text, and a call if that was not one."""
    scope = {"np": np, "datetime": datetime, "posenc": posenc, **others}
    scope |= {library: sys.modules.get(library) for library in ("torch", "jax")}
    scope[name] = argument
    try:
        tree = ast.parse(code, mode="eval")
    except SyntaxError:
        exec(code, scope)
        if "posenc." in code and "positions_from_mask" not in code:
            return scope[name]
        return call(scope[name])
    value = eval(compile(tree, "<way>", "eval"), scope)
    if "posenc." in code:
        return value
    return call(argument if "resize_(" in code else value)


def follow_all(name: str, make: Callable[[], Any], call: Callable[[Any], Any], **others: Any) -> dict[str, Any]:
    """Have `call` refuse what `make` makes; the result of each way out that the text names, by its code."""
    try:
        call(make())
    except (TypeError, ValueError) as error:
        text = str(error)
    else:
        raise AssertionError("not refused")
    assert re.match(rf"{name}(\.dtype)?: expected .*got ", text), text
    found = ways(text)
    assert found, f"no way out: {text}"
    return {code: follow(code, name, make(), call, others) for code in found}
