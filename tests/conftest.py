"""What all tests share: the backends to run on, the Hypothesis profiles, the report's header. No test and no data."""

from __future__ import annotations

import inspect
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import hypothesis
import posenc
import pytest

from . import backends

# derandomize: a failure under CI must be the same in the next run.
in_ci = bool(os.environ.get("CI"))
hypothesis.settings.register_profile("default", max_examples=40, deadline=None, derandomize=in_ci)
hypothesis.settings.register_profile("thorough", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure() -> None:
    if os.environ.get("POSENC_REQUIRE_NATIVE") == "1" and "cpp" in backends.MISSING:
        raise pytest.UsageError(f"POSENC_REQUIRE_NATIVE=1, but {backends.MISSING['cpp']}")


# What modules use that the process has once: the precision of mpmath, which is their truth, signal handlers, and the
# standard output, which doctest redirects.
ONCE = {"mp", "truth", "golden", "signal", "doctest"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell pytest-run-parallel, if it is here, what must run in one thread."""
    for item in items:
        if "request" in inspect.signature(getattr(item, "function", pytest_configure)).parameters:
            item.add_marker(pytest.mark.thread_unsafe(reason="fixtures asked for while the test runs"))
        if not ONCE.isdisjoint(vars(getattr(item, "module", None) or pytest)):
            item.add_marker(pytest.mark.thread_unsafe(reason="mpmath's precision, signals or doctest"))


def pytest_report_header() -> list[str]:
    info = posenc.info()
    return [
        f"posenc {info['version']}: backend {info['backend']} ({info['reason']}), "
        f"ISA {info['isa']} of {', '.join(info['isa_levels']) or 'none'}",
        f"compiled core: {info['compiler']}, {info['flags']}",
        *(f"{name}: {state}" for name, state in info["backends"].items() if state != "available"),
        f"numpy {_version('numpy')}, numba {_version('numba')}, python {platform.python_version()}",
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


# Module scope, because Hypothesis rightly refuses fixtures that would have to be renewed for every example.
@pytest.fixture(scope="module", params=backends.ALL)
def backend(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Every backend, the compiled one at every ISA level; the value is what `backend=` takes."""
    name, level = request.param
    with backends.at_level(level):
        yield name


@pytest.fixture(scope="module", params=backends.OTHERS)
def other_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same without the NumPy reference, for comparisons with it."""
    name, level = request.param
    with backends.at_level(level):
        yield name


@pytest.fixture(scope="module", params=backends.COMPILED)
def compiled_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The compiled backend alone, at every ISA level."""
    name, level = request.param
    with backends.at_level(level):
        yield name
