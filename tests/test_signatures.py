"""The verbs share their keywords: same order, same default, same annotation."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import posenc
import pytest

VERBS = {name: inspect.signature(getattr(posenc, name)) for name in ("fill_", "add_", "add", "embed", "encode")}
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
