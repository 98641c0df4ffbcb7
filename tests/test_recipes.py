"""The pages of docs/recipes are programs that run: the code of each, in an empty folder and a process of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = sorted(path for path in (Path(__file__).parent.parent / "docs/recipes").glob("*.md") if path.stem != "README")
LIBRARIES = {"dask", "datasets", "h5py", "pandas", "pyarrow", "ray", "torch", "xarray", "zarr", "distributed"}
TIMEOUT = 600


def code(page: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs(page: Path, tmp_path: Path) -> None:
    text = code(page)
    needed = set(re.findall(r"^(?:import|from) (\w+)", text, re.M)) & LIBRARIES
    needed |= {"dask"} if "posenc.dask" in text else set()
    needed |= {"distributed"} if "dask.distributed" in text else set()
    missing = sorted(name for name in needed if importlib.util.find_spec(name) is None)
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    (tmp_path / "recipe.py").write_text(text)
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "recipe.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.skipif(not PAGES, reason="docs are not here")
def test_every_page_is_listed() -> None:
    listed = re.findall(r"\]\((\w+\.md)\)", (PAGES[0].parent / "README.md").read_text("utf-8"))
    assert sorted(listed) == [page.name for page in PAGES]
    assert all(code(page) for page in PAGES)
