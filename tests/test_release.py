"""tools/release.py: files of one version, a tag that says it, and a wheel for everybody."""

from __future__ import annotations

import re

import pytest

from .scripts import ROOT, script

release = script("tools/release.py")

TAGS = ["cp311", "cp314", "cp314t"]
PLATFORMS = [  # as auditwheel, delocate and pip call them
    "manylinux_2_27_x86_64.manylinux_2_28_x86_64",
    "manylinux_2_27_aarch64.manylinux_2_28_aarch64",
    "musllinux_1_2_x86_64",
    "musllinux_1_2_aarch64",
    "macosx_10_15_x86_64",
    "macosx_11_0_arm64",
    "win_amd64",
    "win_arm64",
]
WHEELS = [f"posenc-1.2.3-{tag.rstrip('t')}-{tag}-{platform}.whl" for tag in TAGS for platform in PLATFORMS]
FILES = ["posenc-1.2.3.tar.gz", *WHEELS]
DATED, UNDATED = "# Changelog\n\n## [1.2.3] - 2026-11-26\n", "# Changelog\n\n## [1.2.3] - unreleased\n"


def test_a_release() -> None:
    assert release.problems(FILES, "1.2.3", DATED, "v1.2.3", TAGS) == []
    assert release.problems(FILES[:2], "1.2.3", UNDATED, "", []) == []


@pytest.mark.parametrize("wheel", WHEELS)
def test_a_wheel_is_missing(wheel: str) -> None:
    (problem,) = release.problems([name for name in FILES if name != wheel], "1.2.3", DATED, "v1.2.3", TAGS)
    assert re.match(r"there is no wheel for (cp\d+t?)-", problem)
    assert f"-{problem.split()[-1].partition('-')[0]}-" in wheel


@pytest.mark.parametrize(
    ("names", "version", "changes", "tag", "problem"),
    [
        (FILES[1:], "1.2.3", DATED, "", "no source distribution"),
        (FILES[:1], "1.2.3", DATED, "", "no wheel"),
        ([*FILES, "posenc-1.2.2.tar.gz"], "1.2.3", DATED, "", "posenc-1.2.2.tar.gz: expected posenc-1.2.3"),
        ([*FILES, "other-1.2.3-cp311-cp311-win_amd64.whl"], "1.2.3", DATED, "", "other-1.2.3"),
        (FILES, "1.2.3", DATED, "v1.2.4", "expected v1.2.3"),
        (FILES, "1.2.3", UNDATED, "v1.2.3", "expected a date"),
        (FILES, "1.2.3", "# Changelog\n", "", "expected a section"),
    ],
)
def test_what_is_wrong(names: list[str], version: str, changes: str, tag: str, problem: str) -> None:
    (found,) = release.problems(names, version, changes, tag, [])
    assert problem in found


def test_this_version() -> None:
    config = release.project()
    version = config["project"]["version"]
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    classifiers = [text.rpartition(" ")[2] for text in config["project"]["classifiers"] if ":: Python :: 3." in text]
    tags = release.wheel_tags(config)
    assert [f"cp{text.replace('.', '')}" for text in classifiers] == [tag for tag in tags if not tag.endswith("t")]
    assert config["project"]["requires-python"] == f">={classifiers[0]}"
