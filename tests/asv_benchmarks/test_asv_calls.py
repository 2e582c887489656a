"""What gate, history and page share: commits, the configuration, this machine, asv's files."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from asv.config import Config
from asv.results import Results
from made_up import repository_of, write_results

import asv_calls
from asv_calls import SUITE, Key, TroubleError


def test_git_says_what_is_wrong(tmp_path) -> None:
    root = repository_of(tmp_path, {"a.txt": "1"}, {"a.txt": "2"})
    assert asv_calls.commit_of("HEAD~1", root) == asv_calls.git("rev-parse", "HEAD~1", root=root)
    for name in ("nothing", "--all", ""):
        assert asv_calls.commit_of(name, root) == ""
    with pytest.raises(TroubleError, match="git show nothing: fatal"):
        asv_calls.git("show", "nothing", root=root)


def test_main_is_found_where_there_is_no_such_branch(tmp_path) -> None:
    root = repository_of(tmp_path / "one", {"a.txt": "1"})
    assert asv_calls.main_branch(root) == "main"
    other = tmp_path / "clone"
    asv_calls.git("clone", "--quiet", str(root), str(other), root=root)
    asv_calls.git("checkout", "--quiet", "--detach", root=other)
    asv_calls.git("branch", "--quiet", "--delete", "--force", "main", root=other)
    assert asv_calls.main_branch(other) == "origin/main"
    asv_calls.git("remote", "remove", "origin", root=other)
    assert asv_calls.main_branch(other) == "HEAD"


def test_the_configuration_keeps_all_but_the_folders(tmp_path) -> None:
    path = asv_calls.configure(tmp_path / "pass-1", env_dir="elsewhere", branches=["HEAD"])
    ours = Config.load(str(path))
    theirs = Config.load(str(SUITE / "asv.conf.json"))
    changed = {name for name in vars(ours) if getattr(ours, name) != getattr(theirs, name)}
    folders = {"repo", "benchmark_dir", "env_dir", "results_dir", "html_dir"}
    assert changed == folders | {"branches"}
    assert (ours.repo, ours.env_dir) == (str(SUITE.parent), "elsewhere")
    assert ours.results_dir == str(SUITE / "results")


@pytest.mark.slow
def test_asv_runs_on_a_machine_that_never_ran_it(tmp_path, monkeypatch) -> None:
    """In an environment that is there, and with a pattern that no benchmark's name matches."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    configuration = asv_calls.configure(tmp_path, results_dir=str(tmp_path / "results"))

    def run() -> bool:
        """Whether asv has come as far as writing down what machine this is."""
        asv_calls.asv(
            configuration, "run", f"--environment=existing:{sys.executable}", "--machine=local",
            "--dry-run", "--bench=^nothing$", cwd=tmp_path, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return (tmp_path / "results" / "local" / "machine.json").exists()

    assert not run()
    asv_calls.declare_machine("local")
    assert run()


def test_a_machine_has_a_neutral_name_and_one_processor(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    asv_calls.declare_machine("reference", tmp_path)
    info = json.loads((tmp_path / ".asv-machine.json").read_text())["reference"]
    assert info["machine"] == "reference" and info["cpu"]
    assert info["os"] in ("Linux", "Darwin", "Windows")
    (tmp_path / "reference").mkdir()
    known = tmp_path / "reference" / "machine.json"
    known.write_text(json.dumps(info))
    asv_calls.declare_machine("reference", tmp_path)
    known.write_text(json.dumps(info | {"cpu": "another"}))
    with pytest.raises(TroubleError, match="'reference' are those of another.*--machine"):
        asv_calls.declare_machine("reference", tmp_path)


def test_figures_are_read_from_the_files_of_asv(tmp_path) -> None:
    values = {"A.time_a": [[2.0, 1.0], math.nan], "A.track_b": [None, 0.5], "B.track_c": [7.0]}
    (file,) = write_results(tmp_path, "a" * 40, values, {"A": [["8", "'x'"]]})
    assert asv_calls.figures(Results.load(str(file))) == {
        Key("A.time_a", ("8",)): (2.0, 1.0),
        Key("A.time_a", ("'x'",)): (),
        Key("A.track_b", ("8",)): (),
        Key("A.track_b", ("'x'",)): (0.5,),
        Key("B.track_c"): (7.0,),
    }
    assert [str(Key("A.b")), str(Key("A.b", ("8", "'x'")))] == ["A.b", "A.b(8, 'x')"]
