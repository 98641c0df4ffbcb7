"""Runs in place that are killed, and what becomes of the file: a program.

python -m tests.killing steps               every step of small runs, of their resumption and of their undoing
python -m tests.killing random --mib 512    SIGKILL at random moments of a real run, and how fast it is beside `cp`
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import posenc
import posenc.files
from posenc.files import _disk, _in_place, _sums

SHAPES = {"pieces": (2, 9, 4), "one piece": (3, 4), "a row each": (3, 2, 40)}
FEW = {"pieces": (2, 9, 4)}
BLOCK_BYTES, SYNCED_BYTES = 64, 160
KILLED = 77


def journal_of(path: Path) -> Path:
    return path.with_name(path.name + ".posenc-journal")


class Steps:
    """Ends the process at the given step; a write is then half done."""

    def __init__(self, last: int) -> None:
        self.left = last

    def step(self) -> bool:
        self.left -= 1
        return self.left == 0

    def install(self) -> None:
        write, link, unlink = _disk.write_at, os.link, Path.unlink

        def write_at(file: Any, offset: int, memory: Any) -> None:
            if self.step():
                memory = memoryview(memory).cast("B")
                write(file, offset, memory[: len(memory) // 2])
                os._exit(KILLED)
            write(file, offset, memory)
            if self.step():
                os._exit(KILLED)

        def around(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **keywords: Any) -> Any:
                if self.step():
                    os._exit(KILLED)
                result = function(*arguments, **keywords)
                if self.step():
                    os._exit(KILLED)
                return result

            return call

        _disk.write_at = write_at
        os.link = around(link)
        Path.unlink = around(unlink)  # type: ignore[method-assign]
        _disk.sync = around(lambda file: None)


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a child that ends at a step; tell whether it came to that."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            Steps(step).install()
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED), code
    return code == KILLED


def same(path: Path, wanted: bytes, what: str) -> None:
    assert path.read_bytes() == wanted, what
    assert not journal_of(path).exists(), what


def steps(folder: Path, shapes: dict[str, tuple[int, ...]], every: int = 1) -> int:
    """Kill a run at each of its steps, or every so many, and then at some of theirs what completes or undoes it."""
    _sums.BLOCK_BYTES = _in_place.BLOCK_BYTES = BLOCK_BYTES  # type: ignore[attr-defined]
    _in_place.SYNCED_BYTES = SYNCED_BYTES
    _disk.sync = _disk.sync_folder = lambda _: None  # type: ignore[assignment]  # a process that ends needs none
    cases = 0
    for (name, shape), sync in itertools.product(shapes.items(), (False, True)):
        path = folder / "x.npy"
        x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
        np.save(path, x)
        before = path.read_bytes()
        np.save(path, posenc.add(x, start=0.1, x_scale=3.0))
        after = path.read_bytes()
        for step in itertools.count(1, every):
            path.write_bytes(before)
            what = f"{name}, sync={sync}, step {step}"
            if not killed_at(
                step,
                lambda: posenc.files.add(path, in_place=True, sync=sync, start=0.1, x_scale=3.0),  # noqa: B023
            ):
                same(path, after, what)
                break
            cases += 1
            if not journal_of(path).exists():
                assert path.read_bytes() in (before, after), what
                continue
            try:
                posenc.files.add(path, in_place=True)
            except FileExistsError:
                pass
            else:
                raise AssertionError(f"a second run was not refused: {what}")
            state = path.read_bytes(), journal_of(path).read_bytes()
            for undo in (True, False):
                # The last of these steps is one that the work does not come to.
                for second in (1, 2, 3, 5, 8, 13, 1000)[:: 1 if every == 1 else 3]:
                    path.write_bytes(state[0])
                    journal_of(path).write_bytes(state[1])
                    killed_at(second, lambda: posenc.files.add(path, resume=not undo, undo=undo))  # noqa: B023
                    if journal_of(path).exists():
                        posenc.files.add(path, resume=undo, undo=not undo)
                        same(path, after if undo else before, what)
                    else:
                        same(path, before if undo else after, what)
    return cases


def spawn(path: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "posenc", "add", str(path), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


PEAK = """
import re, sys
from posenc.cli import main
status = main(["add", *sys.argv[1:]])
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
sys.exit(status)
"""


def peak(path: Path, *options: str) -> int:
    """The most resident bytes of a run. (ru_maxrss of a child counts those of its parent, too.)"""
    command = [sys.executable, "-c", PEAK, str(path), *options]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(printed.split()[-1]) * 1024


def kills(folder: Path, mib: int, count: int) -> None:
    """SIGKILL at random moments of a run of a large file; every other one is undone."""
    path, source, wanted = folder / "x.npy", folder / "before.npy", folder / "after.npy"
    rows = mib * 2**20 // 2048
    array = np.lib.format.open_memmap(source, "w+", np.float32, (rows, 512))
    for first in range(0, rows, 4096):
        array[first : first + 4096] = np.random.default_rng(first).standard_normal(array[first : first + 4096].shape)
    del array
    posenc.files.add(source, wanted)
    shutil.copyfile(source, path)
    most = peak(path, "--in-place")
    assert identical(path, wanted)
    print(f"most resident memory: {most / 2**20:.0f} MiB")
    assert most < 200 * 2**20
    in_flight = 0
    for number in range(count):
        shutil.copyfile(source, path)
        while True:
            process = spawn(path, "--in-place")
            while not journal_of(path).exists() and process.poll() is None:
                time.sleep(0.001)
            time.sleep(random.uniform(0.0, 0.35 * mib / 512))
            process.send_signal(signal.SIGKILL)
            process.wait()
            if journal_of(path).exists():
                break
            shutil.copyfile(source, path)  # it had come to its end
        in_flight += not (identical(path, source) or identical(path, wanted))
        undo = number % 2 == 1
        assert spawn(path, "--in-place", "--undo" if undo else "--resume").wait() == 0
        assert identical(path, source if undo else wanted), number
        assert not journal_of(path).exists()
    print(f"{count} kills, {in_flight} of them with the file partly changed: every byte is right")
    speed(folder, path)


def identical(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", "-s", str(one), str(other)], check=False).returncode == 0


def speed(folder: Path, path: Path) -> None:
    """In turns with cp, each of them three times before what counts."""
    seconds: dict[str, list[float]] = {"cp": [], "with a journal": [], "without": []}
    for _ in range(7):
        begun = time.perf_counter()
        subprocess.run(["cp", str(path), str(folder / "copy")], check=True)
        seconds["cp"].append(time.perf_counter() - begun)
        (folder / "copy").unlink()
        seconds["with a journal"].append(posenc.files.add(path, in_place=True).seconds)
        seconds["without"].append(posenc.files.add(path, in_place=True, journal=False).seconds)
    limit = statistics.median(seconds["cp"])
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name}: {median:.3f} s, {limit / median:.2f} of the speed of cp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("steps", "random", "speed"))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--kills", type=int, default=50)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if args.what == "steps":
            print(f"{steps(Path(name), SHAPES if args.every == 1 else FEW, args.every)} steps")
        elif args.what == "speed":
            path = Path(name) / "x.npy"
            posenc.files.encode(path, args.mib * 512, 512)
            speed(Path(name), path)
        else:
            kills(Path(name), args.mib, args.kills)


if __name__ == "__main__":
    main()
