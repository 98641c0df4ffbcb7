"""Verbs of the compiled core are functions to whoever looks, and bind arguments as Python does."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import pickle
import pydoc
import sys
import typing
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import posenc
import pytest
from posenc import _backend

from . import backends

pytestmark = pytest.mark.skipif("cpp" in backends.MISSING, reason=backends.MISSING.get("cpp", ""))
if "cpp" not in backends.MISSING:
    from posenc import _core, _cpp

NAMES = ("fill_", "add_", "add", "embed", "rotate_", "rotate", "encode", "positions_from_mask")
VERBS: list[Any] = [getattr(posenc, name) for name in NAMES]


@pytest.mark.parametrize("verb", VERBS)
def test_looks(verb: Any) -> None:
    function = verb.__wrapped__
    assert inspect.isfunction(function)
    assert inspect.isroutine(verb)
    assert callable(verb)
    assert inspect.signature(verb) == inspect.signature(function)
    assert inspect.getfullargspec(verb) == inspect.getfullargspec(function)
    assert typing.get_type_hints(verb).keys() == typing.get_type_hints(function).keys()
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(verb, name) == getattr(function, name)
    assert repr(verb) == repr(function)
    assert f"{function.__name__}(" in pydoc.render_doc(verb)
    assert inspect.getsource(verb).startswith("@")
    assert inspect.getdoc(functools.partial(verb).func) == inspect.getdoc(function)


@pytest.mark.parametrize("verb", VERBS)
def test_copies(verb: Any) -> None:
    assert pickle.loads(pickle.dumps(verb)) is verb
    assert copy.copy(verb) is verb
    assert copy.deepcopy([verb])[0] is verb
    assert weakref.ref(verb)() is verb
    assert hash(verb) == hash(verb)


def test_attributes_of_classes() -> None:
    class Model:
        encode = posenc.encode
        table = staticmethod(posenc.encode)

    assert Model.encode is posenc.encode
    assert Model.table(2, 2).shape == (2, 2)
    assert Model().table(2, 2).shape == (2, 2)
    with pytest.raises(TypeError, match="Model"):
        Model().encode(2)
    assert inspect.ismethod(Model().encode)


def both(*said: Any, **named: Any) -> Any:
    """What a verb makes of its arguments, or says of them, which its function does as well."""
    results = []
    for call in (posenc.fill_, posenc.fill_.__wrapped__):  # type: ignore[attr-defined]
        try:
            results.append(call(*said, **named))
        except TypeError as error:
            results.append(str(error))
    assert results[0] is results[1] if isinstance(results[1], np.ndarray) else results[0] == results[1]
    return results[0]


class Text(str):
    """Equal to itself alone."""

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = str.__hash__


def test_arguments() -> None:
    out = np.empty((2, 4), np.float32)
    named = "".join(["sta", "rt"])
    assert both(out) is out
    assert both(out=out) is out
    assert both(out, start=1) is out
    assert both(out, **{named: 3}) is out
    assert out[0, 0] == np.float32(np.sin(3.0))
    assert both(**{named: 3, "out": out}) is out
    for refused in (
        both(),
        both(out, 1),
        both(out, out=out),
        both(out, begin=1),
        both(start=1),
        both(out, **{"": 1}),
        both(out, **{Text("start"): 1}),
        both(out, **{Text("start"): 1, "start": 2}),
        both(**dict.fromkeys(inspect.signature(posenc.fill_).parameters)),
    ):
        assert isinstance(refused, str)
        assert refused


def test_defaults_are_those_of_the_function() -> None:
    """All of them, said again, change nothing."""
    x, table, ids = np.ones((2, 4), np.float32), np.ones((3, 4), np.float32), np.array([1, 2])
    said: dict[str, tuple[Any, ...]] = {
        "fill_": (x,),
        "add_": (x,),
        "add": (x,),
        "embed": (ids, table),
        "rotate_": (x, "rope_hf"),
        "rotate": (x, "rope_hf"),
        "encode": (2, 4),
        "positions_from_mask": ([[1, 0]],),
    }
    for name in NAMES:
        verb = getattr(posenc, name)
        parameters = inspect.signature(verb).parameters.values()
        defaults = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
        x[...] = 1
        bare = np.array(verb(*said[name]))
        x[...] = 1
        assert np.array_equal(bare, verb(*said[name], **defaults)), name


def verb_of(function: Callable[..., Any], calls: Any) -> Any:
    verb = _core.Verb(function, "fill")
    verb.calls = calls
    return verb


def test_who_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def fill(
        out: Any,
        *,
        start: Any = 0,
        positions: Any = None,
        mask: Any = None,
        cu_seqlens: Any = None,
        encoding: Any = None,
        seq_axis: Any = None,
        channel_axis: Any = -1,
        grid: Any = None,
        prefix: Any = 0,
        threads: Any = None,
        backend: Any = None,
    ) -> Any:
        asked.append(start)

    verb = verb_of(fill, _cpp.small_calls())
    out = np.empty((2, 4), np.float32)
    assert verb(out, start=5) is out
    assert not asked
    assert verb(out[:, 0], start=5) is None  # not plain
    verb.calls = None
    assert verb(out, start=6) is None
    assert asked == [5, 6]
    assert verb.calls is None
    for wrong in (3, _backend):
        with pytest.raises(TypeError, match="SmallCalls"):
            verb.calls = wrong
    with pytest.raises(TypeError, match="SmallCalls"):
        del verb.calls


def test_what_is_no_verb() -> None:
    def many(a: Any, *, b: Any = 1) -> None: ...
    def positional(a: Any = 1) -> None: ...
    def without(a: Any, *, b: Any) -> None: ...

    with pytest.raises(ValueError, match="SmallCalls"):
        _core.Verb(many, "no such method")
    for function in (positional, without, len, 3):
        with pytest.raises((ValueError, AttributeError, TypeError)):
            _core.Verb(function, "fill")
    too_many = eval("lambda *, " + ", ".join(f"p{i}=0" for i in range(17)) + ": 0")
    with pytest.raises(ValueError, match="16"):
        _core.Verb(too_many, "fill")
    with pytest.raises(TypeError, match="12 arguments, got 2"):
        verb_of(many, _cpp.small_calls())(np.empty((2, 2)))


def test_verbs_end() -> None:
    """With what they hold, cycles too."""

    def function(out: Any, *, key: Any = object()) -> None: ...  # noqa: B008

    def made() -> Callable[..., Any]:
        return eval("lambda out, *, key=0: None")

    before = sys.getrefcount(function)
    verbs = [_core.Verb(function, "fill") for _ in range(100)]
    assert sys.getrefcount(function) == before + 100
    del verbs
    assert sys.getrefcount(function) == before
    inner: Any = made()
    verb: Any = _core.Verb(inner, "fill")
    verb.itself = verb
    inner.verb = verb
    there = weakref.ref(inner)
    del verb, inner
    gc.collect()
    assert there() is None
