"""Every check of this repository, one session each: `nox -l` lists them, `nox -s tests-3.12` runs one.

Requirements are read from pyproject.toml. A session's docstring says what its passing proves.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.sessions = ["lint", "types", "symbols", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = [version for version in nox.project.python_versions(PROJECT) if not version.endswith("t")]
FREE_THREADED = ["3.14t", "3.15t"]
CPP = [str(path) for path in sorted([*Path("csrc").rglob("*.?pp"), *Path("tests/cross").glob("*.?pp")])]
VERSION = PROJECT["project"]["version"]
WORKFLOWS = [str(path) for path in sorted(Path(".github/workflows").iterdir())]
NATIVE = {"POSENC_REQUIRE_NATIVE": "1"}


def group(session: nox.Session, name: str) -> None:
    session.install(*nox.project.dependency_groups(PROJECT, name))


def install(session: nox.Session, what: str, *settings: str, **environment: str) -> None:
    """Install posenc with its compiled backend, or fail. `settings` are scikit-build-core's."""
    session.install("-v", what, *(f"-C{setting}" for setting in settings), env=NATIVE | environment)


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
    extras = PROJECT["project"]["optional-dependencies"]
    bounds = PROJECT["project"]["dependencies"] + extras["numba"]
    bounds += [bound for bound in extras["files"] if bound.startswith("ml_dtypes")]  # a newer one wants a newer NumPy
    install(session, ".[test]")
    session.install(*(bound.partition(";")[0].replace(">=", "==") + ".*" for bound in bounds))
    pytest(session)


@nox.session(python=PYTHONS[-1])
def newest(session: nox.Session) -> None:
    """The newest NumPy will do, a release candidate too. Numba, which allows only some, stays away."""
    install(session, ".[test]")
    session.run("pip", "uninstall", "--yes", "numba", "llvmlite")
    session.install("--upgrade", "--pre", "numpy")
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
def isa(session: nox.Session) -> None:
    """The suite passes whichever ISA level is forced, for the short cuts of a default backend, too."""
    install(session, ".[test]")
    code = "import posenc; print(*posenc.info()['isa_levels'])"
    levels = session.run("python", "-c", code, silent=True)
    assert isinstance(levels, str)
    for level in levels.split():
        pytest(session, env={"POSENC_ISA": level})


@nox.session
def torch(session: nox.Session) -> None:
    """The suite passes where torch is, too: tensors, and data loaders whose workers call posenc."""
    group(session, "torch")
    install(session, ".[test]")
    pytest(session)


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take long pass, too: all levels, minutes of calls within calls, thousands of doubles."""
    group(session, "torch")
    install(session, ".[test]")
    pytest(session, "-m", "slow")


@nox.session
def torch_slow(session: nox.Session) -> None:
    """What Inductor compiles has the bits of posenc.add, and spawned workers do their work."""
    group(session, "torch")
    install(session, ".[test]")
    pytest(session, "tests/test_torch_compile.py", "tests/test_torch_training.py", "-m", "slow")


@nox.session
def jax(session: nox.Session) -> None:
    """Encodings within jax.jit, and what docs/how-to/jax.md says."""
    group(session, "jax")
    install(session, ".[test]")
    pytest(session, "tests/test_jax.py", "tests/test_docs.py", "tests/test_arrays_in.py", "-k", "jax or jit or page")


@nox.session
def dask(session: nox.Session) -> None:
    """posenc.dask has the bits of one call, also on a cluster of processes, for an array larger than a worker."""
    group(session, "dask")
    install(session, ".[test,dask]")
    pytest(session, "tests/test_dask.py", "tests/test_dask_cluster.py", "-m", "slow or not slow")


@nox.session
def recipes(session: nox.Session) -> None:
    """The pages of docs/recipes are programs that run, with the libraries that they are about."""
    group(session, "recipes")
    install(session, ".[test,dask]")
    pytest(session, "tests/test_recipes.py", "-m", "slow or not slow")


@nox.session
def kills(session: nox.Session) -> None:
    """Runs in place survive a kill at every step and 50 at random moments; also tells their speed beside cp."""
    install(session, ".[test]")
    session.run("python", "-m", "tests.killing", "steps")
    session.run("python", "-m", "tests.killing", "random", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """An hour of random calls, others each time, finds nothing: `nox -s fuzz -- --seconds 600`."""
    install(session, ".[test]")
    session.run("python", "-m", "tests.fuzz", *(session.posargs or ["--seconds", "3600"]))


@nox.session
def mutations(session: nox.Session) -> None:
    """Each of some sixty faults, put into a copy of the tree, is seen by a test. Takes an hour."""
    install(session, ".[test]")
    group(session, "dask")
    session.install("pip", *PROJECT["build-system"]["requires"])
    session.run("python", "-m", "tests.mutations", *session.posargs)


@nox.session
def aarch64(session: nox.Session) -> None:
    """The kernel has the same bits on aarch64 (Debian: apt install g++-aarch64-linux-gnu qemu-user)."""
    install(session, ".[test]")
    pytest(session, "tests/test_cross.py", "-m", "slow")


@nox.session(python=PYTHONS)
def release(session: nox.Session) -> None:
    """What a release uploads is complete, and installs from an index into clean environments where it passes the tests.

    The dry run of docs/releasing.md: the files are left in dist/. Arguments are pytest's; without any, all tests run
    but those of symbols, which read the build directory.
    """
    group(session, "release")
    dist = Path("dist").resolve()
    shutil.rmtree(dist, ignore_errors=True)
    session.run("check-sdist", "--installer", "pip")
    session.run("python", "-m", "build", "--outdir", str(dist), env=NATIVE)  # the wheel from the source distribution
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    if wheel.stem.endswith(f"linux_{platform.machine()}"):
        session.run("auditwheel", "show", str(wheel))
        session.run("auditwheel", "repair", "--wheel-dir", str(dist), str(wheel))
        wheel.unlink()
        (wheel,) = dist.glob("*.whl")
    session.run("check-wheel-contents", str(wheel))
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    session.run("python", "tools/release.py", str(dist))
    for kind, option in (("wheel", "--only-binary"), ("sdist", "--no-binary")):
        clean = Path(session.create_tmp()).resolve() / kind
        shutil.rmtree(clean, ignore_errors=True)
        session.run("python", "-m", "venv", str(clean))
        python = str(clean / ("Scripts" if os.name == "nt" else "bin") / "python")
        with session.chdir(clean):  # where no checkout is
            index = ["--find-links", str(dist), option, "posenc"]
            session.run(python, "-m", "pip", "install", *index, f"posenc[test]=={VERSION}", external=True, env=NATIVE)
            code = "import posenc; print(*posenc.info().items(), sep=chr(10)); assert posenc.info()['backend'] == 'cpp'"
            session.run(python, "-c", code, external=True)
        arguments = session.posargs or ["-n", "auto", "--dist", "loadfile", "--ignore=tests/test_symbols.py"]
        session.run(python, "-m", "pytest", *arguments, external=True, env=NATIVE)


@nox.session
def originals(session: nox.Session) -> None:
    """Names compute what the originals do that run beside them: of transformers, diffusers and three more packages."""
    group(session, "originals")
    install(session, ".[test]")
    pytest(session, "tests/test_originals.py", "tests/test_originals_rotary.py")


@nox.session(python=[PYTHONS[0], *FREE_THREADED])
def parallel(session: nox.Session) -> None:
    """Tests pass in four threads at once; on a free-threaded Python, importing posenc leaves the GIL off."""
    group(session, "parallel")
    free = str(session.python).endswith("t")
    install(session, "." if free else ".[test]")
    if free:  # Numba is not tested there
        session.install("hypothesis", "mpmath", "pytest")
        code = "import sys, posenc; posenc.encode(2, 2); assert not sys._is_gil_enabled(), 'posenc turned the GIL on'"
        session.run("python", "-W", "error", "-c", code)
    pytest(session, "--parallel-threads=4", "--ignore=tests/test_symbols.py")


@nox.session
def coverage(session: nox.Session) -> None:
    """Which lines of Python and C++ the suite runs: a report, in build/coverage too, and no threshold."""
    group(session, "coverage")
    reports = Path("build/coverage")
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)

    def builds() -> Iterator[Path]:
        return Path("build").glob("coverage-*")

    for former in (count for build in builds() for count in build.rglob("*.gcda")):
        former.unlink()
    install(session, ".[test]", *preset("coverage", "g++"), CXX="g++")
    shown = ["--cov=posenc", "--cov-report=term:skip-covered", f"--cov-report=html:{reports}/python"]
    tests = session.posargs or [
        "--ignore=tests/test_symbols.py",
        "--ignore=tests/test_resident.py",
    ]  # memory is no matter
    session.run("python", "-m", "pytest", *shown, *tests, env=NATIVE | {"COVERAGE_FILE": str(reports / "data")})
    listing = ["--html-details", str(reports / "cpp.html"), "--txt", str(reports / "cpp.txt"), "--txt-summary"]
    merged = ["--filter", "csrc/", "--merge-mode-functions=merge-use-line-min"]  # of a kernel's levels
    # Those of pybind11, which went with the environment that pip built in.
    merged += [f"--gcov-ignore-errors={error}" for error in ("source_not_found", "no_working_dir_found")]
    session.run("gcovr", "--root", ".", *merged, *listing, *(str(path) for path in builds()))
    session.log((reports / "cpp.txt").read_text())


@nox.session
def lint(session: nox.Session) -> None:
    """Style, spelling and metadata are as configured, constants as mpmath has them."""
    group(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("clang-format", "--dry-run", "-Werror", *CPP)
    session.run("codespell")
    session.run("python", "tools/minimax.py", "--check")
    session.run("validate-pyproject", "pyproject.toml")
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    session.run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")
    forms = [str(path) for path in Path(".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"]
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-issue-forms", *forms)
    session.run("zizmor", "--offline", ".github")


@nox.session
def types(session: nox.Session) -> None:
    """The package is typed throughout, tests and tools are consistent, and the stub of the compiled module is true."""
    install(session, ".[test]")
    group(session, "types")
    session.run("mypy")
    session.run("python", "-m", "mypy.stubtest", "posenc._core", "--allowlist", "tests/stubtest_allowlist.txt")


@nox.session
def tidy(session: nox.Session) -> None:
    """clang-tidy finds nothing in csrc, and nor do the compiler's warnings."""
    group(session, "tidy")
    session.run("cmake", "--preset", "tidy", external=True)
    session.run("cmake", "--build", "--preset", "tidy", "--clean-first", "--", "--keep-going", external=True)


# Other versions by environment: Clang 14's thread sanitizer, for one, does not start inside Python, that of 19 does.
COMPILERS = {"gcc": os.environ.get("GXX", "g++"), "clang": os.environ.get("CLANGXX", "clang++")}
BOTH = nox.parametrize("compiler", list(COMPILERS.values()), ids=list(COMPILERS))


def preset(name: str, compiler: str = "c++") -> list[str]:
    """What makes scikit-build-core build a preset of CMakePresets.json."""
    build_type = "Debug" if name == "dev" else "RelWithDebInfo"
    directory = f"build-dir=build/{name}-{compiler}-{{wheel_tag}}"
    return [f"cmake.args=--preset={name}", f"cmake.build-type={build_type}", directory]


@nox.session
def symbols(session: nox.Session) -> None:
    """ISA levels share no code in a Debug build either, where nothing is inlined; wheels hold what they should."""
    install(session, ".[test]", *preset("dev"))
    pytest(session, "tests/test_symbols.py", "tests/test_packaging.py")


@nox.session
@BOTH
def debug(session: nox.Session, compiler: str) -> None:
    """The suite passes in a Debug build, with the assertions of the C++ library on; compilers have no warnings."""
    install(session, ".[test]", *preset("dev", compiler), CXX=compiler)
    pytest(session)


def sanitized(session: nox.Session, name: str, compiler: str, *arguments: str, **options: str) -> None:
    install(session, ".[test]", *preset(name, compiler), CXX=compiler)
    # Python itself is not sanitized: the runtime must be there before it, and the C++ library that the runtime hooks.
    runtime = f"libclang_rt.{name}-{platform.machine()}" if "clang" in compiler else f"lib{name}"
    libraries = [
        subprocess.check_output([compiler, f"-print-file-name={library}.so"], text=True).strip()
        for library in (runtime, "libstdc++")
    ]
    # --capture=sys: what the runtime has to say, it says below Python.
    pytest(session, "--capture=sys", *arguments, env={"LD_PRELOAD": " ".join(libraries), **options})


@nox.session
def faults(session: nox.Session) -> None:
    """Every allocation of the compiled core fails once: an error and nothing written, or the work done without it."""
    install(session, ".[test]", "cmake.define.POSENC_FAULTS=ON", "build-dir=build/faults-{wheel_tag}")
    pytest(session, "tests/test_allocations.py", "tests/test_faults.py")


@nox.session
@BOTH
def asan(session: nox.Session, compiler: str) -> None:
    """The suite reads and writes no byte it should not, and does nothing undefined (address, undefined behaviour)."""
    options = {"ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
    sanitized(session, "asan", compiler, "--ignore=tests/test_symbols.py", **options)


@nox.session
@BOTH
def tsan(session: nox.Session, compiler: str) -> None:
    """Calls from many threads do not race. The sanitizer does not support fork after threads."""
    arguments = ["tests/test_threads.py", "-k", "not fork"]
    options = f"halt_on_error=1:suppressions={Path('tests/tsan.supp').resolve()}"
    sanitized(session, "tsan", compiler, *arguments, TSAN_OPTIONS=options)


@nox.session
def bench(session: nox.Session) -> None:
    """Every result is right; how fast, a quiet machine will tell. `nox -s bench -- --quick` takes half a minute."""
    install(session, ".[bench]")
    session.run("python", "-m", "pytest", "bench", *(session.posargs or ["--benchmark-only"]), env=NATIVE)


def last_release() -> str:
    """The tag of the last release before this commit; the commit at which users began, as long as there is none."""
    command = ["git", "describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout.strip() if told.returncode == 0 else "8b2c3b1"


@nox.session
def compare(session: nox.Session) -> None:
    """What is over 10 % slower than in the last release, or a commit: `nox -s compare -- 8b2c3b1 --only add`."""
    arguments = list(session.posargs)
    commit = arguments.pop(0) if arguments and not arguments[0].startswith("-") else last_release()
    session.log(f"comparing this checkout with {commit}")
    folder = Path(session.create_tmp()).resolve()
    session.install("numpy", "ml_dtypes")
    tree, builds = folder / "tree", {"old": folder / "old", "new": folder / "new"}
    for path in builds.values():
        shutil.rmtree(path, ignore_errors=True)
    session.run("git", "worktree", "prune", external=True)
    session.run("git", "worktree", "add", "--detach", "--force", str(tree), commit, external=True)
    try:
        for source, target in ((tree, builds["old"]), (Path.cwd(), builds["new"])):
            where = f"-Cbuild-dir={folder}/build-{target.name}"
            session.install("--no-deps", "--target", str(target), where, str(source), env=NATIVE)
    finally:
        session.run("git", "worktree", "remove", "--force", str(tree), external=True)
    session.run("python", "bench/compare_commits.py", str(builds["old"]), str(builds["new"]), *arguments)


@nox.session
def docs(session: nox.Session) -> None:
    """The site builds without a warning, and every block of code on its pages and in the README runs."""
    group(session, "docs")
    install(session, ".[test,plot,dask]")
    session.run("python", "-m", "sphinx", "--fail-on-warning", "--keep-going", "docs", "docs/_build/html")
    pages = ["tests/test_docs.py", "tests/test_plot.py", "tests/test_cli_encodings.py"]
    pytest(session, "-m", "slow or not slow", *pages)
