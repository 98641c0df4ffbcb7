"""Every check of this repository, one session each: `nox -l` lists them, `nox -s tests-3.12` runs one.

Requirements are read from pyproject.toml. A session's docstring says what its passing proves.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.sessions = ["lint", "types", "symbols", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
CPP = [str(path) for path in sorted(Path("csrc").iterdir())]
NATIVE = {"POSENC_REQUIRE_NATIVE": "1"}


def group(session: nox.Session, name: str) -> None:
    session.install(*nox.project.dependency_groups(PROJECT, name))


def install(session: nox.Session, what: str, *settings: str) -> None:
    """Install posenc with its compiled backend, or fail. `settings` are scikit-build-core's."""
    session.install("-v", what, *(f"-C{setting}" for setting in settings), env=NATIVE)


def pytest(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> None:
    session.run("python", "-m", "pytest", *(session.posargs or arguments), env=NATIVE | (env or {}))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The suite passes on every supported Python, with the compiled backend at every ISA level of this processor."""
    install(session, ".[test]")
    pytest(session)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """The lower bounds of the dependencies are true."""
    bounds = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["numba"]
    install(session, ".[test]")
    session.install(*(bound.replace(">=", "==") + ".*" for bound in bounds))
    pytest(session)


@nox.session
def no_numba(session: nox.Session) -> None:
    """Nothing needs Numba."""
    install(session, ".[test]")
    session.run("pip", "uninstall", "--yes", "numba", "llvmlite")
    pytest(session)


@nox.session
def no_compiler(session: nox.Session) -> None:
    """Without a compiler the installation succeeds, says so, and passes the same tests on the Python backends."""
    pure = {"POSENC_REQUIRE_NATIVE": "0"}
    session.install("-v", ".[test]", "-Cbuild-dir=build/no_compiler", env=pure | {"CXX": "no-such-compiler"})
    session.run("python", "-c", "import posenc; assert posenc.info()['backend'] == 'numba', posenc.info()")
    pytest(session, env=pure)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, spelling and metadata are as configured."""
    group(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("clang-format", "--dry-run", "-Werror", *CPP)
    session.run("codespell")
    session.run("validate-pyproject", "pyproject.toml")


@nox.session
def types(session: nox.Session) -> None:
    """The package is typed throughout, and the stub of the compiled module describes what is in it."""
    install(session, ".[cli]")
    group(session, "types")
    session.run("mypy")
    session.run("python", "-m", "mypy.stubtest", "posenc._core", "--allowlist", "tests/stubtest_allowlist.txt")


@nox.session
def tidy(session: nox.Session) -> None:
    """clang-tidy finds nothing in csrc, and nor do the compiler's warnings."""
    group(session, "tidy")
    session.run("cmake", "--preset", "tidy", external=True)
    session.run("cmake", "--build", "--preset", "tidy", "--clean-first", external=True)


DEBUG = ["cmake.args=--preset=dev", "cmake.build-type=Debug", "build-dir=build/debug-{wheel_tag}"]


@nox.session
def symbols(session: nox.Session) -> None:
    """ISA levels share no code in a Debug build either, where nothing is inlined; wheels hold what they should."""
    install(session, ".[test]", *DEBUG)
    pytest(session, "tests/test_symbols.py", "tests/test_packaging.py")


@nox.session
def debug(session: nox.Session) -> None:
    """The suite passes in a Debug build, with the assertions of the C++ library on."""
    install(session, ".[test]", *DEBUG)
    pytest(session)


def sanitized(session: nox.Session, preset: str, *arguments: str, **options: str) -> None:
    settings = [
        f"cmake.args=--preset={preset}",
        "cmake.build-type=RelWithDebInfo",
        f"build-dir=build/{preset}-{{wheel_tag}}",
    ]
    install(session, ".[test]", *settings)
    # Python itself is not sanitized: the runtime must be there before it, and the C++ library that the runtime hooks.
    libraries = [
        subprocess.check_output(["c++", f"-print-file-name={name}.so"], text=True).strip()
        for name in (f"lib{preset}", "libstdc++")
    ]
    # --capture=sys: what the runtime has to say, it says below Python.
    pytest(session, "--capture=sys", *arguments, env={"LD_PRELOAD": " ".join(libraries), **options})


@nox.session
def asan(session: nox.Session) -> None:
    """The suite reads and writes no byte it should not, and does nothing undefined (address, undefined behaviour)."""
    options = {"ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
    sanitized(session, "asan", "--ignore=tests/test_symbols.py", **options)


@nox.session
def tsan(session: nox.Session) -> None:
    """Calls from many threads do not race. The sanitizer does not support fork after threads."""
    sanitized(session, "tsan", "tests/test_threads.py", "-k", "not fork", TSAN_OPTIONS="halt_on_error=1")


@nox.session
def bench(session: nox.Session) -> None:
    """Every result is right; how fast, a quiet machine will tell. `nox -s bench -- --quick` takes half a minute."""
    install(session, ".[bench]")
    session.run("python", "-m", "pytest", "bench", *(session.posargs or ["--benchmark-only"]), env=NATIVE)


@nox.session
def docs(session: nox.Session) -> None:
    """Examples in docstrings and in the README give what they say, and links between files lead somewhere."""
    for page in sorted(Path().glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                session.error(f"{page} links to {target}, which does not exist")
    install(session, ".[test]")
    pytest(session, "tests/test_docs.py")
