"""The gate around its judgement: commits, passes of asv, its files of results, exit statuses."""

from __future__ import annotations

import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from asv import util
from asv.config import Config
from asv.results import Results
from asv.runner import BenchmarkResult

import gate
from gate import Commits, TroubleError
from judgement import FAILED, SAME, SKIPPED, SLOW, Figures, Key, Row

pytestmark = pytest.mark.slow

TIME, SHARE, COUNT = "room.A.time_a", "room.A.track_share_of_peak", "room.B.track_count"
WIDTHS = ["8", "64"]
SUITE = {
    TIME: {"unit": "seconds", "params": [WIDTHS]},
    SHARE: {"unit": "of FMA peak", "params": [WIDTHS]},
    COUNT: {"unit": "instructions", "params": []},
}
COMMITS = Commits("a" * 40, "b" * 40)


def add_result(results: Results, name: str, values: list) -> None:
    """Add a result as asv does: lists of samples for times, numbers for all else."""
    number = [1 if isinstance(value, list) else None for value in values]
    benchmark = {"name": name, "version": "1", "params": SUITE[name]["params"]}
    result = BenchmarkResult(
        result=[True if isinstance(value, list) else value for value in values],
        samples=[value if isinstance(value, list) else None for value in values],
        number=number,
        errcode=0,
        stderr="",
        profile=None,
    )
    results.add_result(benchmark, result, record_samples=True)


def write_results(folder: Path, commit: str, values: dict[str, list], env: str = "env") -> None:
    """Write what asv leaves in `folder` after a pass."""
    results = Results({"machine": "box"}, {}, commit, 0, "3.11", env, {})
    for name, of_name in values.items():
        add_result(results, name, of_name)
    results.save(str(folder / "results"))
    util.write_json(str(folder / "results" / "benchmarks.json"), SUITE, 2)


# ---- asv's files --------------------------------------------------------------------------------


def test_figures_are_read_from_the_files_of_asv(tmp_path) -> None:
    samples = [2.0, 1.0, 4.0]
    values = {TIME: [samples, math.nan], SHARE: [None, 0.5], COUNT: [7.0]}
    write_results(tmp_path, COMMITS.head, values)
    assert gate.figures_in(tmp_path, COMMITS.head, ["room"]) == {
        Key(TIME, ("8",)): Figures(tuple(samples)),
        Key(TIME, ("64",)): Figures(),
        Key(SHARE, ("8",)): Figures(failed=True),
        Key(SHARE, ("64",)): Figures((0.5,)),
        Key(COUNT): Figures((7.0,)),
    }
    assert gate.units_in(tmp_path)[SHARE] == "of FMA peak"


def test_a_benchmark_that_fails_everywhere_is_read_as_such(tmp_path) -> None:
    write_results(tmp_path, COMMITS.head, {TIME: [None, None], COUNT: [None]})
    failed = Figures(failed=True)
    expected = {Key(TIME, ("8",)): failed, Key(TIME, ("64",)): failed, Key(COUNT): failed}
    assert gate.figures_in(tmp_path, COMMITS.head, ["room"]) == expected


def test_what_was_not_chosen_is_left_out(tmp_path) -> None:
    """Of a commit that cannot be built asv says that everything has failed."""
    write_results(tmp_path, COMMITS.head, {TIME: [None, None], COUNT: [None]})
    figures = gate.figures_in(tmp_path, COMMITS.head, [r"A\..*\(8\)$", "C"])
    assert figures == {Key(TIME, ("8",)): Figures(failed=True)}


def test_two_environments_are_trouble(tmp_path) -> None:
    for env in ("env", "other"):
        write_results(tmp_path, COMMITS.head, {COUNT: [7.0]}, env)
    with pytest.raises(TroubleError, match="2 environments"):
        gate.figures_in(tmp_path, COMMITS.head, ["room"])


def test_passes_add_up(tmp_path) -> None:
    found: dict = {}
    for turn, failing in enumerate((3.0, None)):
        folder = tmp_path / str(turn)
        write_results(folder, COMMITS.base, {TIME: [[1.0, 2.0], math.nan], COUNT: [7.0]})
        write_results(folder, COMMITS.head, {TIME: [[5.0], math.nan], COUNT: [failing]})
        gate.add(found, folder, COMMITS, [r"\(8\)", "count"])
    assert list(found) == [Key(TIME, ("8",)), Key(COUNT)]
    assert found[Key(TIME, ("8",))].base == Figures((1.0, 2.0, 1.0, 2.0))
    assert found[Key(TIME, ("8",))].head == Figures((5.0, 5.0))
    assert found[Key(COUNT)].head == Figures((3.0,), failed=True)


# ---- the configuration --------------------------------------------------------------------------


def test_the_configuration_keeps_all_but_the_folders(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gate, "BUILD", tmp_path)
    path = gate.configure(tmp_path / "pass-1")
    ours, theirs = Config.load(str(path)), Config.load(str(gate.SUITE / "asv.conf.json"))
    changed = {name for name in vars(ours) if getattr(ours, name) != getattr(theirs, name)}
    assert {"repo", "branches", "benchmark_dir", "env_dir"} <= changed
    assert changed <= {"repo", "branches", "benchmark_dir", "env_dir", "pythons"}
    assert (Path(ours.repo) / "fastbp").is_dir()
    assert (Path(ours.benchmark_dir) / "bench_training.py").is_file()
    assert Path(ours.env_dir) == tmp_path / "env"
    assert ours.pythons == [f"{sys.version_info.major}.{sys.version_info.minor}"]
    assert ours.results_dir == "results"  # relative to the folder of the pass


def test_nothing_is_written_that_git_would_see() -> None:
    done = subprocess.run(["git", "check-ignore", "-q", str(gate.BUILD / "x")], cwd=gate.ROOT)
    if not (gate.ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    assert done.returncode == 0


# ---- passes -------------------------------------------------------------------------------------


@pytest.fixture
def passes(tmp_path, monkeypatch):
    """Passes without asv: each takes the next values of the head; returns what asv was asked."""
    asked = []
    base = {TIME: [[1.0], [1.0]], SHARE: [0.8, 0.8], COUNT: [7.0]}

    def run(heads):
        heads = iter(heads)

        def run_asv(folder, commits, patterns):
            asked.append((commits, list(patterns)))
            write_results(folder, COMMITS.base, base)
            write_results(folder, COMMITS.head, base | next(heads))

        monkeypatch.setattr(gate, "run_asv", run_asv)
        return gate.measure(COMMITS, ["room"], 2), asked

    monkeypatch.setattr(gate, "BUILD", tmp_path)
    return run


def test_one_pass_does_where_nothing_is_suspected(passes, capsys) -> None:
    rows, asked = passes([{}])
    assert [row.verdict for row in rows] == [SAME] * 3
    assert asked == [(COMMITS, ["room"])]
    assert "0 of 3 are in doubt" in capsys.readouterr().out


def test_suspects_alone_are_measured_again_in_turn(passes) -> None:
    slow = {TIME: [[1.0], [1.3]]}
    unbuilt = {COUNT: [None]}  # not chosen then
    rows, asked = passes([slow | {SHARE: [0.8, 0.7]}, slow | {SHARE: [0.8, 0.6]}, slow | unbuilt])
    assert [commits for commits, _ in asked] == [COMMITS, COMMITS[::-1], COMMITS]
    assert asked[1][1] == asked[2][1]
    for key in (f"{TIME}(64)", f"{SHARE}(64)"):
        assert any(re.search(pattern, key) for pattern in asked[1][1])
    for key in (f"{TIME}(8)", f"{TIME}(640)", f"x{TIME}(64)", COUNT):
        assert not any(re.search(pattern, key) for pattern in asked[1][1])
    assert [row.verdict for row in rows] == [SAME, SLOW, SAME]
    assert rows[1].beside_ratio == pytest.approx(0.8 / 0.7)  # the median of three


def test_who_is_cleared_is_measured_no_more(passes) -> None:
    first = {TIME: [[1.08], [1.3]], SHARE: [0.8, 0.6]}
    rows, asked = passes([first, {TIME: [[1.0], [1.3]], SHARE: [0.8, 0.6]}, {}])
    assert [len(patterns) for _, patterns in asked] == [1, 4, 2]
    assert [row.verdict for row in rows] == [SAME, SLOW, SAME]


def test_what_was_noise_in_the_first_pass_is_no_alarm(passes) -> None:
    rows, asked = passes([{TIME: [[1.0], [1.3]], SHARE: [0.8, 0.6]}, {}, {}])
    assert len(asked) == 3
    assert [row.verdict for row in rows] == [SAME] * 3


# ---- asv itself ---------------------------------------------------------------------------------


@pytest.fixture
def asv(tmp_path, monkeypatch):
    """Run `run_asv` with a program in place of asv; its output is the command it was given."""

    def run(status: int, commits=COMMITS, written=COMMITS):
        folder = tmp_path / "pass-1"
        script = f"import sys; print(sys.argv[1:]); sys.exit({status})"
        start = subprocess.run

        def stand_in(command, **options):
            assert command[:3] == [sys.executable, "-m", "asv"]
            for commit in written:
                write_results(folder, commit, {COUNT: [7.0]})
            return start([sys.executable, "-c", script, *command[3:]], **options)

        monkeypatch.setattr(gate.subprocess, "run", stand_in)
        gate.run_asv(folder, commits, ["one", "-two"])
        return (folder / "asv.log").read_text(encoding="utf-8")

    return run


@pytest.mark.parametrize("status", [0, 1, 2])
def test_rounds_are_interleaved_and_the_status_of_asv_ignored(asv, status) -> None:
    words = asv(status)
    for word in ("continuous", "--interleave-rounds", "--bench=one", "--bench=-two"):
        assert f"'{word}'" in words
    assert words.index(COMMITS.base) < words.index(COMMITS.head)


@pytest.mark.parametrize(("status", "written"), [(1, ()), (0, COMMITS[:1]), (-9, COMMITS)])
def test_no_results_are_trouble_with_what_asv_said(asv, status, written) -> None:
    with pytest.raises(TroubleError, match=r"(?s)measured nothing.*--interleave-rounds"):
        asv(status, written=written)


# ---- commits ------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with two commits; returns a function that runs git in it."""
    (tmp_path / "fastbp").mkdir()
    (tmp_path / "fastbp" / "a.py").write_text("")
    monkeypatch.setattr(gate, "ROOT", tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "tester")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "tester@localhost")
    gate.git("init", "--quiet")
    for message in ("one", "two"):
        gate.git("add", "--all")
        gate.git("-c", "commit.gpgsign=false", "commit", "--quiet", "--allow-empty", "-m", message)
    return tmp_path


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
    (repository / "fastbp" / "new.py").write_text("")
    with pytest.raises(TroubleError, match=r"(?s)commit them first.*fastbp/new\.py"):
        gate.commits_of("HEAD~1")
    (repository / "fastbp" / "new.py").unlink()
    (repository / "fastbp" / "a.py").write_text("1\n")
    with pytest.raises(TroubleError, match=r"(?s)commit them first.*fastbp/a\.py"):
        gate.commits_of("HEAD~1")


# ---- the exit status ----------------------------------------------------------------------------


def row(verdict: str, name: str = TIME) -> Row:
    return Row(Key(name, ("8",)), "seconds", 1.0, 1.2, 1.2, Key(SHARE, ("8",)), 1.2, verdict)


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([SAME, SAME], 0),
        ([SAME, SLOW], 1),
        ([SAME, SKIPPED], 0),
        ([SAME, FAILED], 2),
        ([SLOW, FAILED], 2),
        ([SKIPPED, SKIPPED], 2),
        ([], 2),
    ],
)
def test_the_exit_status(tmp_path, monkeypatch, capsys, verdicts, status) -> None:
    monkeypatch.setattr(gate, "BUILD", tmp_path)
    names = (f"room.{letter}.time_a" for letter in itertools.count())
    rows = [row(verdict, name) for verdict, name in zip(verdicts, names, strict=False)]
    assert gate.report(rows) == status
    lines = capsys.readouterr().out.splitlines()
    for each in rows:
        named = f"{each.verdict}: {each.key}" in lines
        assert named == (each.verdict in (SLOW, FAILED))
    written = json.loads((tmp_path / "verdicts.json").read_text())
    assert [line["verdict"] for line in written] == verdicts


def test_trouble_is_printed_and_ends_with_2(repository, monkeypatch, capsys) -> None:
    monkeypatch.setattr(gate, "BUILD", repository / "build")
    assert gate.main(["--base", "nothing"]) == 2
    assert "trouble: BASE=nothing is no commit" in capsys.readouterr().err


def test_the_last_results_are_cleared_but_not_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gate, "BUILD", tmp_path)
    for folder in ("pass-1", "pass-2", "env"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_text("")
    (tmp_path / "verdicts.json").write_text("")
    gate.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["env"]
