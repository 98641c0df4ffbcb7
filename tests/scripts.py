"""Programs of this repository that belong to no package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def script(path: str) -> Any:
    """The program at a path within the repository; what asks for it is skipped where only the tests are."""
    place = ROOT / path
    if not place.exists():
        pytest.skip(f"the repository's {place.parent.name}/ is not here", allow_module_level=True)
    spec = importlib.util.spec_from_file_location(f"script_{place.stem}", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module
