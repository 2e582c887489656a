"""The picture of the history, from made-up results."""

from __future__ import annotations

import json
import math

import pytest
from made_up import write_results

import history_picture as picture
from history_picture import PANELS, SHARE, WORKLOAD_COLORS
from workloads import WORKLOADS

EMPTY = "bench_cold.Cold.track_first_fit_empty_cache"
DAY = 86_400_000


@pytest.fixture
def results(tmp_path):
    """Three commits in one environment, one of them in another, and the machine."""
    axes = {SHARE.rpartition(".")[0]: [["'tiny'", "'deep'"]]}
    for commit, env, day, values in (
        ("b", "py3.11-numpy", 2, {SHARE: [0.25, 0.75], EMPTY: [7.5]}),
        ("a", "py3.11-numpy", 3, {SHARE: [0.5, None], EMPTY: [None]}),
        ("c", "py3.11-numpy", 1, {SHARE: [math.nan, 0.5]}),
        ("c", "py3.12-numpy", 1, {SHARE: [0.1, 0.1]}),
    ):
        write_results(tmp_path, commit * 40, values, axes, date=day * DAY, env=env)
    (tmp_path / "box" / "machine.json").write_text(json.dumps({"cpu": "A Processor"}))
    return tmp_path / "box"


def test_results_are_read_by_date_from_one_environment(results) -> None:
    found = picture.history(results)
    assert [m.commit[0] for m in found] == ["c", "b", "a"]
    assert [f"{m.date:%Y-%m-%d}" for m in found] == ["1970-01-02", "1970-01-03", "1970-01-04"]
    assert found[0].values == {(SHARE, ("'deep'",)): 0.5}
    assert found[1].values == {
        (SHARE, ("'tiny'",)): 0.25,
        (SHARE, ("'deep'",)): 0.75,
        (EMPTY, ()): 7.5,
    }
    assert found[2].values == {(SHARE, ("'tiny'",)): 0.5}


def test_what_was_not_measured_is_a_gap(results) -> None:
    found = picture.history(results)
    training, start, *_ = PANELS.values()
    lines = {line.label: line.values(found) for line in (*training, *start)}
    assert lines["tiny"] == pytest.approx([math.nan, 25, 50], nan_ok=True)
    assert lines["empty cache"] == pytest.approx([math.nan, 7.5, math.nan], nan_ok=True)
    assert all(map(math.isnan, lines["warm cache"]))


def test_lines_stand_where_they_belong_with_names_at_their_ends(results) -> None:
    figure = picture.draw(picture.history(results), {"cpu": "A Processor"})
    training, start, memory, quality = figure.axes
    drawn = {line.get_color(): list(line.get_ydata()) for line in training.lines}
    assert drawn == {
        WORKLOAD_COLORS["deep"]: pytest.approx([50, 75, math.nan], nan_ok=True),
        WORKLOAD_COLORS["tiny"]: pytest.approx([math.nan, 25, 50], nan_ok=True),
    }
    assert [text.get_text() for text in training.texts] == ["deep 75", "tiny 50"]
    assert [text.get_text() for text in start.texts] == ["empty cache 7.5"]
    assert not memory.lines and not quality.lines
    labels = [label.get_text() for label in training.get_xticklabels()]
    assert labels == ["ccccccc  01-02 00:00", "bbbbbbb  01-03 00:00", "aaaaaaa  01-04 00:00"]
    title = figure.get_suptitle()
    assert title == "fastbp, 1970-01-02 to 1970-01-04: 3 commits, one thread of A Processor"


def test_names_are_moved_apart_as_little_as_can_be() -> None:
    assert picture.apart([5.0, 1.0, 5.2], 1.0) == pytest.approx([4.6, 1.0, 5.6])
    assert picture.apart([2.0, 2.0, 2.0], 1.0) == pytest.approx([1.0, 2.0, 3.0])
    assert picture.apart([1.0, 9.0], 1.0) == [1.0, 9.0]
    assert picture.apart([], 1.0) == []


def test_colors_are_one_a_workload() -> None:
    assert set(WORKLOAD_COLORS) == set(WORKLOADS)
    assert len(set(WORKLOAD_COLORS.values())) == len(WORKLOADS)


def test_a_file_is_written_or_the_reason_said(results, tmp_path, capsys) -> None:
    target = tmp_path / "picture.png"
    assert picture.main([str(target), "--results", str(results)]) == 0
    assert target.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.main([str(target), "--results", str(tmp_path / "none")]) == 1
    assert "trouble: there are no results in" in capsys.readouterr().err
