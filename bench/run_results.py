"""Measure the judged cases on this machine and write bench/results/<processor>.json: `python bench/run_results.py`.

Medians stay for bench/history.py in <processor>/<commit>.json beside it, unless the run is a --quick one.

Everything is measured by `posenc bench`: the core cases by every backend at every level on 1 and 2 threads, the others
by the default backend as it is. Arguments go there too (--quick, --no-peers, ...). The installed posenc is what is
timed: install the checkout first.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from posenc import info
from posenc.cli import machine, main
from posenc.cli.cases import GROUPS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import history  # noqa: E402  # not installed

RESULTS = ROOT / "bench" / "results"
SECONDS = "0.15"  # for each implementation in each case: all of it is to take less than six minutes


def file_name(record: dict[str, Any]) -> str:
    """The processor's name and model as a file's: amd-epyc-9r14-25-17-1-linux.json. Nobody else's is overwritten."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"\((r|tm)\)|\bcpu\b|@.*", " ", record["cpu"].lower()))
    model = [record["cpu_model"]] if record.get("cpu_model") else []
    return "-".join([*words, *model, platform.system().lower()]) + ".json"


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
    others = ",".join(group for group in GROUPS if group != "core")
    documents: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, choice in enumerate(
            (
                ["--cases", "core", "--isa", "all", "--threads", "1,2"],
                ["--cases", others, "--backend", info()["backend"]],
            )
        ):
            part = Path(scratch, f"{number}.json")
            print(f"part {number + 1} of 2, some two or three minutes", file=sys.stderr, flush=True)
            effort = [] if "--quick" in arguments or "--seconds" in arguments else ["--seconds", SECONDS]
            status = main(["bench", *choice, "--verbose", *effort, "--json", str(part), *arguments])
            if status not in (0, 1) or not part.exists():
                return status
            documents.append(json.loads(part.read_text(encoding="utf-8")))
    document = documents[0]
    document["machine"]["commit"] = commit()
    document["ok"] = all(part["ok"] for part in documents)
    document["rows"] = [row for part in documents for row in part["rows"]]
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if not document["quick"]:
        history.write(history.record(document), path.with_suffix(""))
    print(f"\nWritten to {path.name} in {RESULTS.name}; next: python bench/update_readme.py")
    return 0 if document["ok"] else 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
