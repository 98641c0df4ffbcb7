"""Measure the judged cases on this machine and write bench/results/<machine>.json: `python bench/run_results.py`.

Everything is measured by `posenc bench --isa all --threads 1,2`; arguments go there too (--quick, --no-peers, ...). The
installed posenc is what is timed: install the checkout first.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from posenc.cli import machine, main

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"


def file_name(record: dict[str, Any]) -> str:
    """The processor's name as a file's: amd-epyc-9r14-linux.json."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"\((r|tm)\)|\bcpu\b|@.*", " ", record["cpu"].lower()))
    return "-".join([*words, platform.system().lower()]) + ".json"


def commit() -> str | None:
    """The commit of the checkout, "-dirty" if it has been changed since."""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def run(arguments: list[str]) -> int:
    path = RESULTS / file_name(machine.record())
    RESULTS.mkdir(exist_ok=True)
    status = main(["bench", "--isa", "all", "--threads", "1,2", "--json", str(path), *arguments])
    if status not in (0, 1) or not path.exists():
        return status
    document = json.loads(path.read_text(encoding="utf-8"))
    document["machine"]["commit"] = commit()
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"\nWritten to {path.relative_to(ROOT)}; next: python bench/update_readme.py")
    return status


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
