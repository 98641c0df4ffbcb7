"""How many threads a call may use. One, unless somebody asked for more; none is ever started here."""

from __future__ import annotations

import functools
import os
import re
from typing import Any

from . import _validate

MOST = 2**16  # more than any machine has processors; a call never uses more threads than its array is worth

_chosen: int | None = None


def set_num_threads(threads: int | str) -> None:
    """Set how many threads calls use that do not say so themselves.

    Threads live as long as a call, and only large calls on the compiled backend use more than one.

    Parameters
    ----------
    threads : int or "auto"
        "auto": as many as this process may run on, by its CPU affinity and its control group's quota.

    Raises
    ------
    TypeError, ValueError
        If it is neither an integer from 1 to 65536 nor "auto".

    Examples
    --------
    >>> import posenc
    >>> posenc.set_num_threads(1)
    >>> posenc.get_num_threads()
    1
    """
    global _chosen
    _chosen = resolve(threads)


def get_num_threads() -> int:
    """How many threads calls use that do not say so: from set_num_threads, POSENC_NUM_THREADS, or 1."""
    return _chosen if _chosen is not None else _from_environment()


def is_set() -> bool:
    """Whether somebody has said how many threads calls use."""
    return _chosen is not None or bool(os.environ.get("POSENC_NUM_THREADS"))


def resolve(threads: Any) -> int:
    """The number that a `threads=` argument stands for."""
    if threads is None:
        return get_num_threads()
    if isinstance(threads, str):
        if threads != "auto":
            raise ValueError(f"threads: expected an integer or 'auto', got {threads!r}")
        return _available()
    number = _validate.integer(threads, "threads", minimum=1)
    if number > MOST:
        raise ValueError(f"threads: expected at most {MOST}, or 'auto', got {number}")
    return number


@functools.cache
def _from_environment() -> int:
    text = os.environ.get("POSENC_NUM_THREADS") or "1"  # empty is unset, as in POSENC_BACKEND and POSENC_ISA
    if text == "auto":
        return _available()
    if not re.fullmatch("0*[1-9][0-9]*", text):
        raise ValueError(f"POSENC_NUM_THREADS: expected an integer of at least 1 or 'auto', got {text!r}")
    if len(text.lstrip("0")) > len(str(MOST)) or int(text) > MOST:
        raise ValueError(f"POSENC_NUM_THREADS: expected at most {MOST}, or 'auto', got {text!r}")
    return int(text)


def _available() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return min(allowed, max(1, int(quota + 0.5))) if quota else allowed


def _quota() -> float:
    """How many CPUs' time the control group may use; 0 for no limit."""
    try:
        quota, period = _read("/sys/fs/cgroup/cpu.max").split()
    except (OSError, ValueError):
        try:
            quota = _read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
            period = _read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
        except OSError:
            return 0.0
    try:
        return max(0.0, float(quota) / float(period))
    except ValueError:  # "max"
        return 0.0


def _read(path: str) -> str:
    with open(path) as file:  # pathlib is slow to import
        return file.read()
