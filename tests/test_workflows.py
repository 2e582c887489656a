"""The workflows of .github: actions are pinned by hash, permissions are the least there are."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from fastbp.commands import build

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
NAMES = ("docs.yml", "performance.yml", "release.yml", "tests.yml")
each_workflow = pytest.mark.parametrize("name", NAMES)


def parsed(name: str) -> dict:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def steps_of(name: str) -> list[dict]:
    return [step for job in parsed(name)["jobs"].values() for step in job["steps"]]


def runs_of(name: str) -> list[str]:
    return [step["run"] for step in steps_of(name) if "run" in step]


def test_every_workflow_is_tested() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(NAMES)


@each_workflow
def test_actions_are_pinned_by_hash_with_their_version(name) -> None:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    uses = [line for line in lines if "uses:" in line]
    assert len(uses) == sum("uses" in step for step in steps_of(name)) > 0
    for line in uses:
        assert re.fullmatch(r" *(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


@each_workflow
def test_permissions_are_minimal(name) -> None:
    workflow = parsed(name)
    assert workflow["permissions"] == {"contents": "read"}
    for title, job in workflow["jobs"].items():
        assert (title == "publish") is ("permissions" in job)
        assert 0 < job["timeout-minutes"] <= 60
    cancelled = "${{ github.ref_type != 'tag' }}" if name == "release.yml" else True
    assert workflow["concurrency"]["cancel-in-progress"] == cancelled
    checkouts = [s for s in steps_of(name) if s.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@each_workflow
def test_no_text_of_a_pull_request_becomes_code(name) -> None:
    assert "pull_request_target" not in (FOLDER / name).read_text(encoding="utf-8")
    assert not any("${{" in run for run in runs_of(name))


def test_the_tests_run_on_every_push_and_pull_request() -> None:
    triggers = parsed("tests.yml")[True]  # YAML 1.1 reads `on` as true
    assert triggers == {"push": None, "pull_request": None}
    assert runs_of("tests.yml") == ["bash .ci/run"]
    (job,) = parsed("tests.yml")["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]


def test_the_site_is_built_and_kept() -> None:
    assert parsed("docs.yml")[True] == {"push": None, "pull_request": None}
    assert runs_of("docs.yml") == ["make docs"]
    kept = steps_of("docs.yml")[-1]["with"]["path"].split()
    assert kept == ["build/docs/html", "build/docs/external_links.txt"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^docs: .*installed-docs.*\n\t.*build_site\.py$", makefile, re.MULTILINE)


def oldest() -> dict[str, Version]:
    """The versions of .ci/oldest.txt by package."""
    lines = (ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {name: Version(pinned) for name, pinned in pins}


def lower_bounds() -> dict[str, set[Version]]:
    """Lower bounds in pyproject.toml by package, of fastbp and of all its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, set[Version]] = {}
    for text in sum(project["optional-dependencies"].values(), project["dependencies"]):
        requirement = Requirement(text)
        bounds = [Version(s.version) for s in requirement.specifier if s.operator == ">="]
        found.setdefault(requirement.name, set()).update(bounds)
    return found


def test_the_oldest_packages_are_tested_with_the_oldest_python() -> None:
    (job,) = parsed("tests.yml")["jobs"].values()
    matrix = job["strategy"]["matrix"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (old,) = matrix["include"]
    assert matrix["packages"] == ["newest"]
    assert old == {"python": "3.11", "packages": "oldest"}
    assert project["requires-python"] == ">=3.11"
    constraint = job["env"]["PIP_CONSTRAINT"]
    assert "matrix.packages == 'oldest' && format('{0}/.ci/oldest.txt'," in constraint
    assert constraint.endswith("|| '' }}")


def test_the_bounds_are_what_is_tested() -> None:
    bounds = lower_bounds()
    pins = oldest()
    assert {"numba", "numpy", "scikit-learn", "scipy", "matplotlib"} <= set(pins)
    for name in set(pins) - {"pyparsing"}:
        assert bounds[name] == {pins[name]}, name


@pytest.mark.skipif(not os.environ.get("PIP_CONSTRAINT"), reason="only with the oldest packages")
def test_the_oldest_packages_are_installed() -> None:
    for name, pinned in oldest().items():
        assert Version(version(name)) == pinned


def test_the_gate_runs_on_pull_requests_with_the_whole_history() -> None:
    assert parsed("performance.yml")[True] == {"pull_request": None}
    valgrind, gate = runs_of("performance.yml")
    assert valgrind.endswith(" valgrind")
    assert gate == "make perf BASE=HEAD^1"
    assert steps_of("performance.yml")[0]["with"]["fetch-depth"] == 0
    assert re.search(r"^perf: .*\n\t.*gate\.py", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_a_release_is_published_by_a_tag_and_by_hand() -> None:
    workflow = parsed("release.yml")
    triggers = workflow[True]
    assert triggers["push"] == {"tags": ["v*"]}
    assert all(list(ROOT.glob(path)) for path in triggers["pull_request"]["paths"])
    publish = workflow["jobs"]["publish"]
    assert publish["if"] == "github.event_name == 'push' && github.ref_type == 'tag'"
    assert publish["environment"] == "pypi"
    assert publish["needs"] == "wheels"
    assert workflow["jobs"]["wheels"]["needs"] == "sdist"
    # What it may do serves no code of ours: it runs none, and it has no password.
    assert publish["permissions"] == {"attestations": "write", "id-token": "write"}
    used = [step["uses"].partition("@")[0] for step in publish["steps"]]
    assert used == [
        "actions/download-artifact",
        "actions/attest-build-provenance",
        "pypa/gh-action-pypi-publish",
    ]
    assert "secrets." not in (FOLDER / "release.yml").read_text(encoding="utf-8")


def test_a_tag_is_held_against_the_version(tmp_path) -> None:
    (step,) = (s for s in parsed("release.yml")["jobs"]["sdist"]["steps"] if "if" in s)
    assert step["if"] == "github.ref_type == 'tag'"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    current = f"v{project['version']}"
    for tag, status in ((current, 0), ("v0.0.1", 1), (project["version"], 1)):
        environment = {**os.environ, "GITHUB_REF_NAME": tag}
        done = subprocess.run(["bash", "-c", step["run"]], cwd=ROOT, env=environment)
        assert done.returncode == status


def test_wheels_are_built_and_tested_on_each_system() -> None:
    wheels = parsed("release.yml")["jobs"]["wheels"]
    runners = wheels["strategy"]["matrix"]["include"]
    assert [runner["runner"] for runner in runners] == [
        "ubuntu-24.04", "ubuntu-24.04-arm", "macos-15", "macos-15-intel", "windows-2025",
        "windows-11-arm",
    ]  # fmt: skip
    # An object in each wheel whose system can link it, and one wheel of each name that is kept.
    for runner in runners:
        system = {"ubuntu": "linux", "macos": "darwin"}.get(runner["runner"].partition("-")[0])
        assert runner["objects"] == ("1" if system in build.LINKED else "0")
    without = [runner["keep"] for runner in runners if runner["objects"] == "0"]
    assert sorted(without) == [False, True]
    assert all(runner["keep"] for runner in runners if runner["objects"] == "1")
    unpack, make, test = (step["run"] for step in wheels["steps"] if "run" in step)
    assert "fastbp-*.tar.gz" in unpack
    assert make == "python -m pip wheel --no-deps --wheel-dir wheels ./source"
    assert test == "bash source/.ci/test-wheel wheels/*.whl"
    script = (ROOT / ".ci" / "test-wheel").read_text(encoding="utf-8")
    assert script.splitlines()[-2:] == [
        'python -P -m pytest -m "not slow" --ignore tests/asv_benchmarks',
        "python -P -m pytest -m slow tests/machine/test_objects.py",
    ]
