"""The verbs share their keywords: same order, same default, same annotation. Docstrings name what signatures have."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from typing import Any

import numpy as np
import posenc
import posenc.files
import posenc.plot
import posenc.properties
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


PUBLIC = {
    f"{module.__name__}.{name}": function
    for module in (posenc, posenc.files, posenc.plot, posenc.properties)
    for name in module.__all__
    if inspect.isroutine(function := getattr(module, name))
} | {"posenc.Encoding": posenc.Encoding}


def documented(function: Any) -> list[tuple[str, str, str]]:
    """Name, type and text of every parameter in a docstring."""
    found = re.search(r"^Parameters\n-+\n(.*?)\n(?=\n\w+\n---|\Z)", inspect.getdoc(function) or "", re.M | re.S)
    result = []
    for entry in re.split(r"^(?=\S)", found[1], flags=re.M)[1:] if found else []:
        head, _, text = entry.partition("\n")
        names, _, kind = head.partition(" : ")
        result += [(name.strip("*"), kind, " ".join(text.split())) for name in names.split(", ")]
    return result


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_name_the_parameters(name: str) -> None:
    parameters = inspect.signature(PUBLIC[name]).parameters
    said = documented(PUBLIC[name])
    assert sorted(parameter for parameter, _, _ in said) == sorted(parameters)
    for parameter, kind, _ in said:
        default = parameters[parameter].default
        for text in re.findall(r"default ([-\w.]+|\"\w+\")$", kind):
            value = {"float32": np.float32}.get(text)
            assert np.dtype(default) == value if value else default == ast.literal_eval(text), parameter
        if kind.endswith("optional"):
            assert default is None, parameter


def test_docstrings_say_the_same_of_the_same() -> None:
    """What is written in full more than once, so that each page stands for itself."""
    texts: dict[str, set[str]] = {}
    for name, function in PUBLIC.items():
        for parameter, kind, text in documented(function):
            shared = parameter in ("threads", "backend", "encoding") and kind.endswith("optional")
            if shared and name != "posenc.embed":  # whose encoding has one axis
                texts.setdefault(parameter, set()).add(f"{kind}: {text}")
    assert {parameter: len(same) for parameter, same in texts.items()} == {"threads": 1, "backend": 1, "encoding": 1}
