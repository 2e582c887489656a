"""Which commits are measured and how asv is told: in a made-up repository."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from made_up import repository_of

import asv_calls
import history
import page
from asv_calls import TroubleError


@pytest.fixture
def repository(tmp_path):
    """Eleven commits of which 5 changes no code; returns the folder and the hashes."""
    files = [{"README.md" if i == 5 else "fastbp/mlp.py": str(i)} for i in range(11)]
    root = repository_of(tmp_path / "repository", *files)
    return root, asv_calls.git("rev-list", "--reverse", "main", root=root).split()


def test_every_nth_commit_that_changes_the_package_is_chosen(repository) -> None:
    root, commits = repository
    assert history.choose("main", 3, root) == [commits[i] for i in (10, 9, 4, 0)]
    assert history.choose("main~1", 3, root) == [commits[i] for i in (9, 7, 3, 0)]
    assert history.choose("main", 1, root) == [commits[i] for i in (10, 0)]
    assert history.choose(f"{commits[3]}..main", 99, root) == [
        commits[i] for i in (10, 9, 8, 7, 6, 4)
    ]
    with pytest.raises(TroubleError, match="no commit in main..main changes"):
        history.choose("main..main", 3, root)
    with pytest.raises(TroubleError, match="git rev-list"):
        history.choose("nowhere", 3, root)


def test_a_branch_counts_as_its_merge(repository) -> None:
    root, commits = repository
    asv_calls.git("checkout", "--quiet", "-b", "side", "main~1", root=root)
    repository_of(root, {"fastbp/other.py": "a"}, {"fastbp/other.py": "b"})
    asv_calls.git("checkout", "--quiet", "main", root=root)
    identity = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    asv_calls.git(*identity, "merge", "--quiet", "--no-ff", "-m", "merge", "side", root=root)
    merge = asv_calls.git("rev-parse", "HEAD", root=root)
    assert history.choose(f"{commits[9]}..main", 99, root) == [merge, commits[10]]


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Call a function instead of asv that takes notes and ends with `status`."""
    notes: dict = {"status": 2, "calls": []}

    def asv(configuration, command, *arguments):
        values = json.loads(Path(configuration).read_text(encoding="utf-8"))
        hashes = [Path(word.partition(":")[2]) for word in arguments if word[:8] == "HASHFILE"]
        texts = [path.read_text().split() for path in hashes]
        notes["calls"].append((command, values, texts, [w for w in arguments if w[0] == "-"]))
        return notes["status"]

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(asv_calls, "asv", asv)
    monkeypatch.setattr(history, "choose", lambda *arguments: [asv_calls.commit_of("HEAD")])
    return notes


def test_a_run_measures_what_is_chosen_and_publishes(asked, tmp_path, monkeypatch, capsys) -> None:
    results = tmp_path / "out" / "results"
    published = []
    monkeypatch.setattr(page, "publish", lambda *told: published.append(told))
    options = ["--machine", "mine", "--bench", "cold", "--bench", "peers", "--python", "3.11"]
    assert history.main([*options, "--results", str(results)]) == 0
    ((command, values, hashes, words),) = asked["calls"]
    assert (command, hashes) == ("run", [[asv_calls.commit_of("HEAD")]])
    assert words == [
        "--machine=mine", "--skip-existing-successful", "--environment=virtualenv:3.11",
        "--bench=cold", "--bench=peers",
    ]  # fmt: skip
    assert values["results_dir"] == str(results)
    assert published == [(results, tmp_path / "out" / "html")]
    assert "Some benchmarks have no result" in capsys.readouterr().out
    assert "mine" in json.loads((tmp_path / ".asv-machine.json").read_text())


def test_this_python_unless_told_and_one_sample_where_it_is_quick(asked, monkeypatch) -> None:
    monkeypatch.setattr(page, "publish", lambda *told: None)
    assert history.main(["--quick"]) == 0
    words = asked["calls"][0][3]
    assert f"--environment=virtualenv:3.{sys.version_info[1]}" in words
    assert words[-2:] == ["--attribute=rounds=1", "--attribute=repeat=1"]


def test_what_cannot_be_done_is_said_in_a_line(asked, tmp_path, capsys) -> None:
    asked["status"] = 3
    assert history.main(["--results", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "trouble: asv ended with exit status 3\n"
    assert history.main(["--publish-only", "--results", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("trouble: there are no results in")
    with pytest.raises(SystemExit):
        history.main(["--commits", "0"])


def test_the_first_commit_is_in_the_history_of_main() -> None:
    if not asv_calls.commit_of(history.FIRST):
        pytest.skip("this is no clone with the whole history of the project")
    branch = asv_calls.main_branch()
    assert history.FIRST in asv_calls.git("rev-list", "--first-parent", branch).split()
