"""The workflows of .github: actions are pinned by hash, permissions are the least there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
NAMES = ("performance.yml", "tests.yml")
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
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 60
    assert workflow["concurrency"]["cancel-in-progress"] is True
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
    assert len(job["strategy"]["matrix"]["python"]) > 1
    assert "3.11" in job["strategy"]["matrix"]["python"]


def test_the_gate_runs_on_pull_requests_with_the_whole_history() -> None:
    assert parsed("performance.yml")[True] == {"pull_request": None}
    assert runs_of("performance.yml") == ["make perf BASE=HEAD^1"]
    assert steps_of("performance.yml")[0]["with"]["fetch-depth"] == 0
    assert re.search(r"^perf: .*\n\t.*gate\.py", (ROOT / "Makefile").read_text(), re.MULTILINE)
