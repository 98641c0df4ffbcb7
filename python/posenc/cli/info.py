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
    width, lines = max(map(len, info)) + 2, []
    for key, value in info.items():
        text = ", ".join(value) if isinstance(value, list) else value
        if isinstance(value, dict):
            inner = max(map(len, value)) + 2
            text = "\n".join(f"{name:<{inner}}{what}" for name, what in value.items())
        lines.append(f"{key:<{width}}{text or '-'}".replace("\n", "\n" + " " * width))
    return "\n".join(lines)
