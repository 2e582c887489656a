"""The gate around its judgement: commits, passes of asv, exit statuses."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from made_up import repository_of, write_results

import asv_calls
import gate
from asv_calls import Key, TroubleError
from gate import Commits
from judgement import FAILED, NEW, REPORTED, SAME, SLOW, Row, Sides

TIME = "room.A.time_a"
SHARE = "room.A.track_share_of_peak"
COUNT = "room.B.track_count"
WIDTHS = {"room.A": [["8", "64"]]}
SUITE = {name: {"unit": unit} for name, unit in
         {TIME: "seconds", SHARE: "of FMA peak", COUNT: "instructions"}.items()}  # fmt: skip
COMMITS = Commits("a" * 40, "b" * 40)
BASE = {TIME: [[1.0], [1.0]], SHARE: [0.8, 0.8], COUNT: [7.0]}
SLOW_TIME = {TIME: [[1.0], [1.3]], SHARE: [0.8, 0.6]}


def leave(folder: Path, heads: dict[str, list], base: dict[str, list] = BASE) -> None:
    """Write what asv leaves in `folder` after a pass."""
    for commit, values in zip(COMMITS, (base, heads), strict=True):
        write_results(folder / "results", commit, values, WIDTHS)
    listed = json.dumps(SUITE | {"version": 2})
    (folder / "results" / "benchmarks.json").write_text(listed, encoding="utf-8")


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "BUILD", tmp_path)
    return tmp_path


def test_passes_add_up(tmp_path) -> None:
    found: dict = {}
    for turn, counted in enumerate((3.0, None)):
        base = {TIME: [[1.0, 2.0], None], COUNT: [7.0]}
        leave(tmp_path / str(turn), {TIME: [[5.0], None], COUNT: [counted]}, base)
        gate.add(found, tmp_path / str(turn), COMMITS)
    assert found == {
        Key(TIME, ("8",)): Sides((1.0, 2.0, 1.0, 2.0), (5.0, 5.0)),
        Key(TIME, ("64",)): Sides(),
        Key(COUNT): Sides((7.0, 7.0), (3.0,)),
    }


def test_nothing_is_written_that_git_would_see() -> None:
    if not (asv_calls.ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    command = ["git", "check-ignore", "-q", str(gate.BUILD / "x")]
    assert subprocess.run(command, cwd=asv_calls.ROOT).returncode == 0


# ---- passes -------------------------------------------------------------------------------------


@pytest.fixture
def passes(build, monkeypatch):
    """Passes without asv: each takes the next values of the head; returns what asv was asked."""
    asked = []

    def run(heads, base=BASE):
        following = iter(heads)

        def run_asv(folder, commits, patterns):
            asked.append(list(patterns))
            leave(folder, base | next(following), base)

        monkeypatch.setattr(gate, "run_asv", run_asv)
        return gate.measure(COMMITS, ["room"]), asked

    return run


def test_one_pass_does_where_instructions_are_counted(passes) -> None:
    rows, asked = passes([SLOW_TIME | {COUNT: [8.0]}])
    assert [row.verdict for row in rows] == [REPORTED] * 4 + [SLOW]
    assert asked == [["room"]]


def test_what_looks_slow_is_measured_again_with_what_stands_beside_it(passes) -> None:
    base = BASE | {COUNT: [None]}
    rows, asked = passes([SLOW_TIME, SLOW_TIME, SLOW_TIME | {SHARE: [0.8, 0.7]}], base)
    assert len(asked) == 1 + gate.AGAIN
    (again,) = asked[1]
    assert all(re.search(again, f"{name}(64)") for name in (TIME, SHARE))
    for key in (f"{TIME}(8)", f"{TIME}(640)", f"x{TIME}(64)", COUNT, "room.Ab.time_a(64)"):
        assert not re.search(again, key)
    assert [row.verdict for row in rows] == [SAME, SLOW, REPORTED, REPORTED]
    assert rows[3].head == 0.6  # the median of three


def test_what_was_noise_in_the_first_pass_is_no_alarm(passes) -> None:
    rows, asked = passes([SLOW_TIME, {TIME: [[1.0], [1.0, 1.0]]}], BASE | {COUNT: [None]})
    assert len(asked) == 2
    assert [row.verdict for row in rows][:2] == [SAME, SAME]


# ---- asv itself ---------------------------------------------------------------------------------


@pytest.fixture
def asv(build, monkeypatch):
    """Run `run_asv` with a program instead of asv; its output is what it was told."""

    def run(status: int, written: bool = True):
        def stand_in(configuration, *arguments, stdout, **options):
            stdout.write(" ".join(arguments))
            if written:
                leave(configuration.parent, BASE)
            return status

        monkeypatch.setattr(asv_calls, "asv", stand_in)
        gate.run_asv(build / "pass-1", COMMITS, ["one", "-two"])
        return (build / "pass-1" / "asv.log").read_text(encoding="utf-8")

    return run


@pytest.mark.parametrize("status", [0, 1, 2])
def test_rounds_are_interleaved_and_the_status_of_asv_ignored(asv, build, status) -> None:
    words = asv(status).split()
    assert words[0] == "continuous" and tuple(words[-2:]) == COMMITS
    assert {"--interleave-rounds", "--machine=local", "--bench=one", "--bench=-two"} <= set(words)
    configuration = json.loads((build / "pass-1" / "asv.conf.json").read_text())
    assert configuration["env_dir"] == str(build / "env")  # of all passes
    assert configuration["results_dir"] == str(build / "pass-1" / "results")


@pytest.mark.parametrize(("status", "written"), [(1, False), (-9, True)])
def test_no_results_are_trouble_with_what_asv_said(asv, status, written) -> None:
    with pytest.raises(TroubleError, match=r"(?s)measured nothing.*--interleave-rounds"):
        asv(status, written)


# ---- commits ------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with two commits."""
    root = repository_of(tmp_path / "made up", {"fastbp/a.py": ""}, {"b.py": ""})
    monkeypatch.setattr(gate, "git", lambda *arguments: asv_calls.git(*arguments, root=root))
    commit_of = asv_calls.commit_of
    monkeypatch.setattr(asv_calls, "commit_of", lambda name: commit_of(name, root))
    return root


def test_the_base_is_compared_with_head(repository) -> None:
    commits = gate.commits_of("HEAD~1")
    assert commits == (gate.git("rev-parse", "HEAD~1"), gate.git("rev-parse", "HEAD"))
    assert re.fullmatch("[0-9a-f]{40}", commits.base)


@pytest.mark.parametrize(
    ("base", "why"),
    [
        ("", "say what to compare"),
        ("nothing", "BASE=nothing is no commit"),
        ("--all", "BASE=--all is no commit"),
        ("HEAD", "HEAD itself"),
    ],
)
def test_a_base_that_will_not_do(repository, base, why) -> None:
    with pytest.raises(TroubleError, match=re.escape(why)):
        gate.commits_of(base)


def test_uncommitted_changes_are_trouble_where_they_would_not_be_measured(repository) -> None:
    (repository / "notes.txt").write_text("not part of the package")
    gate.commits_of("HEAD~1")
    for name, text in (("new.py", ""), ("a.py", "1\n")):
        (repository / "fastbp" / name).write_text(text)
        with pytest.raises(TroubleError, match=rf"(?s)commit them first.*fastbp/{name}"):
            gate.commits_of("HEAD~1")
        (repository / "fastbp" / name).write_text("")
        gate.git("add", "--all")


# ---- from the first step to the exit status -----------------------------------------------------


def test_the_first_steps_with_an_empty_home(repository, build, monkeypatch, capsys) -> None:
    """Nobody can answer asv's questions: it must find the machine that it is told to use."""
    home = build / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (build / "pass-3").mkdir()

    def asv(configuration, *arguments, **options):
        from asv.config import Config
        from asv.machine import Machine

        (name,) = (word.partition("=")[2] for word in arguments if word.startswith("--machine="))
        assert Machine.load(machine_name=name, interactive=False).machine == name
        assert Path(Config.load(str(configuration)).benchmark_dir, "bench_training.py").is_file()
        commits = Commits(*arguments[-2:])
        for commit in commits:
            write_results(configuration.parent / "results", commit, BASE, WIDTHS)
        listed = configuration.parent / "results" / "benchmarks.json"
        listed.write_text(json.dumps(SUITE), encoding="utf-8")
        return 0

    monkeypatch.setattr(asv_calls, "asv", asv)
    assert gate.main(["--base", "HEAD~1"]) == 0
    assert "0 of 1 are slower" in capsys.readouterr().out
    assert sorted(path.name for path in build.glob("pass-*")) == ["pass-1"]


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([SAME, REPORTED], 0),
        ([SAME, SLOW], 1),
        ([SAME, NEW], 0),
        ([SAME, FAILED], 2),
        ([SLOW, FAILED], 2),
        ([NEW, REPORTED], 2),
        ([], 2),
    ],
)
def test_the_exit_status(capsys, verdicts, status) -> None:
    rows = [
        Row(Key("room.time", (str(i),)), "seconds", 1.0, 1.2, 1.2, verdict)
        for i, verdict in enumerate(verdicts)
    ]
    assert gate.report(rows) == status
    lines = capsys.readouterr().out.splitlines()
    for row in rows:
        assert (f"{row.verdict}: {row.key}" in lines) == (row.verdict in (SLOW, FAILED))


def test_trouble_is_printed_and_ends_with_2(repository, capsys) -> None:
    assert gate.main(["--base", "nothing"]) == 2
    assert "trouble: BASE=nothing is no commit" in capsys.readouterr().err
