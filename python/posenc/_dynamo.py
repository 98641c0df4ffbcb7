"""Keeps torch.compile from tracing posenc, whose memory and checks no graph can hold.

Dynamo would trace NumPy code as if it were torch's. Two of its lists make it break the graph at a call, and run the
call as it is: one of files that it does not trace, one of functions below which it traces nothing (Numba compiles
there). Both exist once Dynamo has been imported, which torch does when somebody compiles. As posenc imports no torch, a
finder waits for that.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from types import CodeType, ModuleType
from typing import Any

RULES = ("torch._dynamo.trace_rules", "torch._dynamo.skipfiles")  # the second in torch 2.1 and 2.2


def _skip(rules: ModuleType) -> None:
    """Tell Dynamo, whose `rules` have just been imported."""
    if not hasattr(rules, "add"):
        return
    package: Any = sys.modules[__package__]
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        if module.name.startswith(f"{__package__}._"):  # the others may be made for tracing
            rules.add(module.name)
    frames: Any = importlib.import_module("torch._C._dynamo.eval_frame")
    if hasattr(frames, "set_code_exec_strategy"):  # torch 2.7
        skip = frames._FrameAction.SKIP
        for code in _public(package):
            frames.set_code_exec_strategy(code, frames._FrameExecStrategy(skip, skip))


def _public(package: Any) -> Iterator[CodeType]:
    """The code of every public function and method."""
    for thing in (getattr(package, name) for name in package.__all__):
        for function in vars(thing).values() if isinstance(thing, type) else [thing]:
            plain = getattr(function, "__func__", None) or getattr(function, "fget", None) or function
            plain = getattr(plain, "__wrapped__", plain)
            if isinstance(getattr(plain, "__code__", None), CodeType):
                yield plain.__code__


class _Finder:
    """On sys.meta_path: lets others find Dynamo's rules, and adds to them once they are loaded."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in RULES:
            return None
        for finder in sys.meta_path:
            spec = None if finder is _Finder else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                loader: Any = spec.loader
                execute = loader.exec_module

                def execute_and_skip(module: ModuleType, execute: Any = execute) -> None:
                    execute(module)
                    _skip(module)

                loader.exec_module = execute_and_skip
                return spec
        return None


def install() -> None:
    """See to it that Dynamo skips posenc, whether it has been imported or will be."""
    for name in RULES:
        if name in sys.modules:
            _skip(sys.modules[name])
    sys.meta_path.insert(0, _Finder)
