"""Which commits are measured, on which machine, and how asv is told: in made-up repositories."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import history
import page
import pythons

pytestmark = pytest.mark.slow

PLAIN = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
IDENTITY = {f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")}  # fmt: skip


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Eight commits: 0 and 1 cannot be measured, 5 changes no code, 7 merges 6 of a branch."""
    for name, value in (PLAIN | IDENTITY).items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "repository"
    (root / "fastbp").mkdir(parents=True)
    history.git("init", "--quiet", "--initial-branch=main", root=root)
    commits = []

    def commit(path: str, text: str) -> None:
        (root / path).write_text(text, encoding="utf-8")
        history.git("add", "--all", root=root)
        history.git("commit", "--quiet", "--message", text, root=root)
        commits.extend(history.git("rev-parse", "HEAD", root=root))

    commit("fastbp/mlp.py", "0")
    commit("fastbp/hardware.py", "1")
    for number in (2, 3, 4):
        commit("fastbp/hardware.py", f"def fma_flops(): {number}")
    commit("README.md", "5")
    history.git("checkout", "--quiet", "-b", "side", root=root)
    commit("fastbp/mlp.py", "6")
    history.git("checkout", "--quiet", "main", root=root)
    history.git("merge", "--quiet", "--no-ff", "--message", "7", "side", root=root)
    commits.extend(history.git("rev-parse", "HEAD", root=root))
    return root, commits


def test_commits_that_change_the_package_along_first_parents(repository) -> None:
    root, commits = repository
    assert history.commits_of("main", root) == [commits[i] for i in (0, 1, 2, 3, 4, 7)]
    assert history.commits_of(f"{commits[2]}..main", root) == [commits[i] for i in (3, 4, 7)]


def test_commits_without_what_the_suite_needs_are_left_out(repository) -> None:
    root, commits = repository
    assert history.measurable(commits, root) == commits[2:]
    assert history.measurable(commits[:2], root) == []
    assert history.measurable([], root) == []


def test_the_choice_is_even_and_has_both_ends(repository, capsys) -> None:
    root, commits = repository
    assert history.choose("main", 3, root) == [commits[i] for i in (2, 4, 7)]
    assert capsys.readouterr().out.startswith("main: 6 commits change fastbp/, 4 of them")
    assert history.choose("main", 1, root) == [commits[7]]
    assert history.choose("main", 12, root) == [commits[i] for i in (2, 3, 4, 7)]
    numbers = [str(i) for i in range(41)]
    assert history.spread(numbers, 5) == ["0", "10", "20", "30", "40"]
    assert len(set(history.spread(numbers, 12))) == 12


def test_commits_that_cannot_be_imported_are_left_out(repository, capsys) -> None:
    root, commits = repository
    package = root / "fastbp" / "__init__.py"
    for text in ("import fastbp.nowhere", ""):
        package.write_text(text, encoding="utf-8")
        history.git("add", "--all", root=root)
        history.git("commit", "--quiet", "--message", "more", root=root)
        commits.extend(history.git("rev-parse", "HEAD", root=root))
    assert [history.runs(commit, root) for commit in commits[-3:]] == [True, False, True]
    assert history.choose("main", 12, root) == [commits[i] for i in (2, 3, 4, 7, 9)]
    assert history.choose(f"{commits[4]}..main~1", 2, root) == [commits[7]]
    assert f"cannot be imported: {commits[8]}\n" in capsys.readouterr().out
    with pytest.raises(history.HistoryError):
        history.choose("main~2..main~1", 2, root)


def test_measured_commits_are_chosen_again_when_main_has_moved_on(repository) -> None:
    numbers = [str(i) for i in range(44)]
    before = history.spread(numbers[:41], 5)
    assert history.spread(numbers, 5) == ["0", "11", "22", "32", "43"]
    assert history.spread(numbers, 5, before) == ["0", "10", "20", "30", "43"]
    assert history.spread(numbers, 5, {"1", "12", "26", "42"}) == [
        "0",
        "12",
        "26",
        "32",
        "43",
    ]
    root, commits = repository
    assert history.choose("main", 3, root, {commits[3]}) == [commits[i] for i in (2, 3, 7)]


def test_an_empty_range_and_an_unknown_one_are_errors(repository) -> None:
    root, commits = repository
    with pytest.raises(history.HistoryError, match="no commit in main..main can be measured"):
        history.choose("main..main", 3, root)
    with pytest.raises(subprocess.CalledProcessError):
        history.choose("nowhere", 3, root)


def test_main_is_found_where_there_is_no_such_branch(repository, tmp_path) -> None:
    root, commits = repository
    assert page.main_branch(root) == "main"
    other = tmp_path / "clone"
    history.git("clone", "--quiet", str(root), str(other), root=root)
    history.git("checkout", "--quiet", "--detach", root=other)
    history.git("branch", "--quiet", "--delete", "--force", "main", root=other)
    assert page.main_branch(other) == "origin/main"
    history.git("remote", "remove", "origin", root=other)
    assert page.main_branch(other) == "HEAD"
    with page.configuration(tmp_path / "results", tmp_path / "html", other) as path:
        values = json.loads(path.read_text(encoding="utf-8"))
    assert values["branches"] == ["HEAD"] and values["repo"] == str(other)
    assert values["results_dir"] == str(tmp_path / "results")
    assert Path(values["benchmark_dir"]) == page.HERE / "benchmarks"
    assert values["matrix"]["req"]["numba"]


def test_results_of_other_commits_alone_cannot_be_published(repository, tmp_path) -> None:
    root, commits = repository
    folder = tmp_path / "results"
    (folder / "machine").mkdir(parents=True)
    (folder / "benchmarks.json").write_text("{}", encoding="utf-8")
    with pytest.raises(page.PageError, match="there are no results"):
        page.check_results(folder, root)
    for commit in ("f" * 40, commits[6]):  # that of a branch is not on main
        (folder / "machine" / "one.json").write_text(json.dumps({"commit_hash": commit}))
        with pytest.raises(page.PageError, match="main has none of the 1 commits.*unshallow"):
            page.check_results(folder, root)
    (folder / "machine" / "two.json").write_text(json.dumps({"commit_hash": commits[7]}))
    page.check_results(folder, root)
    (folder / "other").mkdir()
    (folder / "other" / "one.json").write_text(json.dumps({"commit_hash": commits[4]}))
    (folder / "other" / "machine.json").write_text("{}")
    assert page.measured_commits(folder, "other") == {commits[4]}
    assert page.measured_commits(folder) == {commits[i] for i in (4, 6, 7)}


# ---- how asv is run -------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Put a program in the place of asv that writes down what it is told and ends with 2."""
    program, notes = tmp_path / "asv.py", tmp_path / "notes"
    program.write_text(
        "import json, os, pathlib, sys\n"
        "hashes = pathlib.Path(sys.argv[2].removeprefix('HASHFILE:')).read_text().split()\n"
        "told = json.dumps([sys.argv[1:], hashes, os.environ['PATH']])\n"
        f"pathlib.Path({str(notes)!r}).write_text(told)\n"
        "sys.exit(int(os.environ.get('CODE', '2')))\n"
    )
    monkeypatch.setattr(page, "asv", lambda configuration: [sys.executable, str(program)])
    return notes


def test_asv_is_told_what_to_run(asked, tmp_path) -> None:
    environment = pythons.Environment(["3.11", "3.13"], [tmp_path / "bin"])
    with history.hash_file(["a1", "b2", "c3"]) as commits:
        complete = history.run_suite(
            tmp_path, commits, environment, machine="reference", bench=["cold", "peers"], once=True
        )
    assert complete is False  # some benchmarks failed: there is a history all the same
    arguments, hashes, path = json.loads(asked.read_text())
    assert hashes == ["c3", "b2", "a1"]
    assert arguments[0] == "run" and arguments[2:] == [
        "--machine", "reference", "--skip-existing-successful",
        "--environment=virtualenv:3.11", "--environment=virtualenv:3.13",
        "--bench=cold", "--bench=peers", "--attribute=rounds=1", "--attribute=repeat=1",
    ]  # fmt: skip
    assert path.startswith(f"{tmp_path / 'bin'}:")


def test_a_run_measures_what_is_chosen_and_publishes(asked, tmp_path, monkeypatch, capsys) -> None:
    head = history.git("rev-parse", "HEAD")
    results, steps = tmp_path / "out" / "results", []
    (results / "mine").mkdir(parents=True)
    (results / "mine" / "one.json").write_text(json.dumps({"commit_hash": "known"}))

    def choose(*arguments, **named):
        steps.append((arguments, named))
        return head

    monkeypatch.setattr(history, "choose", choose)
    monkeypatch.setattr(history, "declare_machine", lambda *told: steps.append(told))
    monkeypatch.setattr(page, "publish", lambda *told: steps.append(told))
    monkeypatch.setattr(pythons, "installed", lambda wanted: pythons.Environment(wanted, []))
    options = ["--range", "a..b", "--commits", "11", "--machine", "mine", "--python", "3.11"]
    assert history.main([*options, "--results", str(results)]) == 0
    assert steps == [
        (("a..b", 11), {"known": {"known"}}),
        ("mine", results),
        (results, tmp_path / "out" / "html"),
    ]
    assert json.loads(asked.read_text())[1] == head
    assert "Some benchmarks have no result" in capsys.readouterr().out


@pytest.mark.parametrize("code", [1, 3])
def test_asv_failing_is_an_error(asked, tmp_path, monkeypatch, code) -> None:
    monkeypatch.setenv("CODE", str(code))
    environment = pythons.Environment(["3.11"], [])
    with history.hash_file(["a1"]) as commits, pytest.raises(subprocess.CalledProcessError):
        history.run_suite(tmp_path, commits, environment, machine="m")


def test_a_machine_has_a_neutral_name_and_one_processor(tmp_path, monkeypatch) -> None:
    machine = pytest.importorskip("asv.machine", reason="asv is not installed")
    saved = {}
    monkeypatch.setattr(machine.MachineCollection, "save", saved.__setitem__)
    history.declare_machine("reference", tmp_path)
    info = saved["reference"]
    assert info["machine"] == "reference" and info["cpu"]
    assert info["os"] in ("Linux", "Darwin", "Windows")
    (tmp_path / "reference").mkdir()
    known = tmp_path / "reference" / "machine.json"
    known.write_text(json.dumps(info))
    history.declare_machine("reference", tmp_path)
    known.write_text(json.dumps(info | {"cpu": "another"}))
    with pytest.raises(history.HistoryError, match="'reference' are those of another.*--machine"):
        history.declare_machine("reference", tmp_path)


def test_what_cannot_be_done_is_said_in_a_line(tmp_path, capsys) -> None:
    assert history.main(["--publish-only", "--results", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("error: there are no results in")
    with pytest.raises(SystemExit):
        history.main(["--commits", "0"])


# ---- Pythons --------------------------------------------------------------------------------


def script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="the made-up Pythons are shell scripts")
def test_only_pythons_that_run_count(tmp_path, monkeypatch) -> None:
    shims, real, old = tmp_path / "shims", tmp_path / "real", tmp_path / "old"
    script(shims / "python3.12", "exit 127")  # as pyenv's
    script(shims / "python3.13", "echo 3.12 True")  # another version
    script(real / "python3.12", "echo 3.12 True")
    script(real / "python3.14", "echo 3.14 False")  # of a virtualenv
    script(real / "python3.12-config", "echo 3.12 True")
    script(old / "python3.10", "echo 3.10 True")
    script(old / "python3.15", "echo 3.15 True")
    (real / "python3.16").write_text("no program")
    (real / "python3.16").chmod(0o755)
    monkeypatch.setenv("PATH", f"{shims}:{old}")
    own = f"3.{sys.version_info[1]}"
    folders = [shims, tmp_path / "gone", real, old]
    found = pythons.installed(folders=folders)
    assert found.versions == sorted({own, "3.12", "3.15"})
    assert found.folders == [real]  # before the shim; 3.15 is found on the path
    assert pythons.installed([own], folders).versions == [own]
    assert pythons.installed(["3.15"], folders) == (["3.15"], [])
    with pytest.raises(pythons.NoPythonError, match="Python 3.19 is not installed"):
        pythons.installed(["3.19"], folders)
