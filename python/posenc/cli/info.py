"""Show what is installed, which backend runs, and why."""

from __future__ import annotations

import argparse
import json
from typing import Any

import posenc

HELP = "what is installed, which backend runs, and why"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    info = posenc.info()
    print(json.dumps(info, indent=2) if args.json else readable(info))
    return 0


def readable(info: dict[str, Any]) -> str:
    """One line for each entry, and one for each entry of a dictionary."""
    width = max(map(len, info)) + 2
    lines = []
    for key, value in info.items():
        if isinstance(value, dict):
            inner = max(map(len, value)) + 2
            parts = [f"{name:<{inner}}{text}" for name, text in value.items()]
        elif isinstance(value, (list, tuple)):
            parts = [", ".join(map(str, value)) or "-"]
        else:
            parts = ["-" if value is None else str(value)]
        lines += [f"{label:<{width}}{part}" for label, part in zip([key] + [""] * (len(parts) - 1), parts, strict=True)]
    return "\n".join(lines)
