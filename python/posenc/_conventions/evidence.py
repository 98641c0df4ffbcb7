"""How each name was established."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple


class Evidence(NamedTuple):
    grade: str
    where: str


EVIDENCE: dict[str, Evidence] = defaultdict(lambda: Evidence("read", "x"))
