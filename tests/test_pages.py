"""Not one byte is read or written outside an array: at its edges lie pages that may not be touched (tests/pages.py).

In a process of its own, which a touch ends. What lies between an array's elements is test_memory.py's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from . import backends

pytestmark = pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no mprotect here")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.pages", *arguments],
        cwd=Path(__file__).parent.parent,
        env={name: value for name, value in os.environ.items() if not name.startswith("POSENC_")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_touch_ends_the_process() -> None:
    assert re.search("Segmentation fault|Bus error|SEGV", run("overrun").stderr)


@pytest.mark.parametrize("case", [*backends.OTHERS, pytest.param(("numpy", None), id="numpy")])
def test_no_page_beside_an_array_is_touched(case: tuple[str, str | None]) -> None:
    done = run(*filter(None, case))
    last = (done.stdout.splitlines() or [""])[-1]
    assert done.returncode == 0, f"{last}\n{done.stderr[-3000:]}"
    assert last.endswith("cases passed")
    assert int(last.split()[0]) > 1000
