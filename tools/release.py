"""Is what lies in a folder one release, and which one? `python tools/release.py dist [--tag v1.2.3] [--all]`

The version stands in pyproject.toml and nowhere else. Files of another version are an error, and so are a tag that does
not say it, a section of CHANGELOG.md without a date where there is a tag, and with --all a wheel that is missing.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# What every Python has a wheel for, by how its tags end.
PLATFORMS = (
    "manylinux*_x86_64",
    "manylinux*_aarch64",
    "musllinux*_x86_64",
    "musllinux*_aarch64",
    "macosx*_x86_64",
    "macosx*_arm64",
    "win_amd64",
    "win_arm64",
)


def project() -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return document


def wheel_tags(config: dict[str, Any]) -> list[str]:
    """Tags of Pythons for which cibuildwheel is to build: "cp314t" of "cp314t-*"."""
    return [pattern.removesuffix("-*") for pattern in config["tool"]["cibuildwheel"]["build"].split()]


def missing(names: Sequence[str], tags: Sequence[str]) -> list[str]:
    """What is not among the names of wheels, of all Pythons and platforms."""
    return [
        f"{tag}-{platform}"
        for tag in tags
        for platform in PLATFORMS
        if not fnmatch.filter(names, f"*-{tag}-{platform}.whl")
    ]


def problems(names: Sequence[str], version: str, changes: str, tag: str, tags: Sequence[str]) -> list[str]:
    """What is wrong with a release of files of these names; `tags` of Pythons that must be there."""
    found = [
        f"{name}: expected posenc-{version}, a source distribution or a wheel"
        for name in names
        if name != f"posenc-{version}.tar.gz" and not re.fullmatch(rf"posenc-{re.escape(version)}-.*\.whl", name)
    ]
    if f"posenc-{version}.tar.gz" not in names:
        found.append("there is no source distribution")
    if not any(name.endswith(".whl") for name in names):
        found.append("there is no wheel")
    if not re.search(rf"^## \[{re.escape(version)}\] - (\d{{4}}-\d\d-\d\d|unreleased)$", changes, re.M):
        found.append(f"CHANGELOG.md: expected a section [{version}] with a date, or unreleased")
    if tag:
        if tag != f"v{version}":
            found.append(f"tag {tag}: expected v{version}, which pyproject.toml says")
        if f"## [{version}] - unreleased" in changes:
            found.append(f"CHANGELOG.md: expected a date in the section [{version}], got unreleased")
    return found + [f"there is no wheel for {wanted}" for wanted in missing(names, tags)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tag", default="", help="of git, which must be the version's; empty for none")
    parser.add_argument("--all", action="store_true", help="demand a wheel for every Python and platform")
    args = parser.parse_args(argv)
    config = project()
    version = config["project"]["version"]
    names = sorted(path.name for path in args.folder.iterdir() if path.is_file())
    tags = wheel_tags(config) if args.all or args.tag else []
    found = problems(names, version, (ROOT / "CHANGELOG.md").read_text("utf-8"), args.tag, tags)
    print(*names, *(f"ERROR {text}" for text in found), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
