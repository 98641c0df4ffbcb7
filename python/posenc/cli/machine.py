"""What a figure depends on besides the code: the machine record that goes with every measurement."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import posenc

PACKAGES = ("numpy", "numba", "torch")


def record() -> dict[str, Any]:
    """Processor, operating system, versions, and how the compiled core was built."""
    info, cpu = posenc.info(), _cpuinfo()
    model = map(cpu.get, ("cpu family", "model", "stepping"))  # virtual machines give different processors one name
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu.get("model name") or _brand() or platform.processor() or platform.machine(),
        "cpu_model": "-".join(filter(None, model)) or None,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "os": platform.platform(),
        "python": platform.python_version(),
        **{name: next((found.version for found in distributions(name=name)), None) for name in PACKAGES},
        "posenc": info["version"],
        "threads": posenc.get_num_threads(),
        **{name: info[name] for name in ("isa_levels", "compiler", "flags")},
    }


def readable(machine: dict[str, Any]) -> str:
    """The record in two lines."""
    names = ("posenc", "python", "numpy", "numba")
    versions = ", ".join(f"{name} {machine[name]}" for name in names if machine[name])
    built = f"core built by {machine['compiler']}" if machine["compiler"] else "no compiled core"
    threads = f"{machine['threads']} thread{'s' if machine['threads'] != 1 else ''}"
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['os']}\n{versions}, {built}, {threads}"


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor."""
    lines: list[str] = []
    with contextlib.suppress(OSError):  # another system, or a sandbox that hides it
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _brand() -> str:
    """What macOS says of it."""
    if platform.system() != "Darwin":
        return ""
    command = ["sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
