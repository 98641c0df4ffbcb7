"""The verbs share their keywords: same order, same default, same annotation."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import posenc
import pytest

VERBS = {name: inspect.signature(getattr(posenc, name)) for name in ("fill_", "add_", "add", "embed", "encode")}
TURNS = {name: inspect.signature(getattr(posenc, name)) for name in ("rotate_", "rotate")}
# What names the arrays.
OWN = {
    "fill_": {"out"},
    "add_": {"x"},
    "add": {"x", "out"},
    "embed": {"ids", "table", "out"},
    "encode": {"positions", "dim"},
}


def keywords(name: str) -> dict[str, Any]:
    return {key: value for key, value in VERBS[name].parameters.items() if key not in OWN[name]}


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(VERBS, 2)])
def test_shared_keywords(one: str, other: str) -> None:
    a, b = keywords(one), keywords(other)
    shared = [key for key in a if key in b]
    assert shared == [key for key in b if key in a]
    assert len(shared) >= 6
    for key in shared:
        assert a[key].default == b[key].default, key
        assert a[key].annotation == b[key].annotation, key
        assert a[key].kind is b[key].kind is inspect.Parameter.KEYWORD_ONLY, key


@pytest.mark.parametrize("name", TURNS)
def test_rotations(name: str) -> None:
    """Those of `add_`, but that an encoding has no default, as it has no order among them: it names what is done."""
    turns = TURNS[name].parameters
    assert [*turns][:2] == ["x", "encoding"]
    assert turns["encoding"].default is inspect.Parameter.empty
    adds = VERBS["add_"].parameters
    shared = [key for key in turns if key in adds and key not in ("x", "encoding")]
    assert shared == [key for key in adds if key in turns and key not in ("x", "encoding")]
    assert len(shared) == 8
    for key in shared:
        assert turns[key].default == adds[key].default, key
        assert turns[key].annotation == adds[key].annotation, key
        assert turns[key].kind is inspect.Parameter.KEYWORD_ONLY, key
    assert [key for key in turns if key not in adds] == ["out"] * (name == "rotate") + ["inverse"]
