"""The command line, and what is written where. The measurements are made up."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import SMALL, HalfRate, OtherOutputs, measured, startup

from compare import __main__ as compare
from compare import all_cores, estimators, further, measure, pages, sparse, streaming, timing
from compare import startup as fresh
from compare.peer_base import CannotRunError
from compare.peer_numpy import NumPy
from compare.peers import FastBP
from compare.tables import FURTHER, Machine, Row
from compare.timing import DisagreementError, check_same_work

pytestmark = pytest.mark.slow


class Uncompilable(NumPy):
    """A library that finds no compiler."""

    name = "torch_compile"

    def epoch(self, shuffle: bool = True) -> None:
        raise CannotRunError("InvalidCxxCompiler: no g++")


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    """A folder with a README and a page of its own, and the path of the picture."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "asv_benchmarks").mkdir()
    paths = {
        "README": (tmp_path / "README.md", [pages.README_BLOCK]),
        "PAGE": (tmp_path / "docs" / "performance.md", pages.PAGE_BLOCKS),
    }
    for what, (path, blocks) in paths.items():
        parts = [f"before {name}\n{pages.begin(name)}\nold\n{pages.end(name)}" for name in blocks]
        path.write_text("\n".join([*parts, "after\n"]), encoding="utf-8")
        monkeypatch.setattr(pages, what, path)
    monkeypatch.setattr(pages, "PICTURE", tmp_path / "asv_benchmarks" / "compare.png")
    return tmp_path


@pytest.fixture
def made_up(monkeypatch) -> list[tuple[str, str]]:
    """Replace whatever takes time or changes the process; return what was measured."""
    calls = []

    def one(workload, dtype, libraries, *, rounds, seconds):
        calls.append((workload.name, dtype))
        return measured(workload, dtype, {"torch": "no"})

    monkeypatch.setattr(compare, "one_thread", lambda core: 0)
    monkeypatch.setattr(compare, "machine_of", lambda core, m: Machine("A processor", core, {}))
    monkeypatch.setattr(compare, "further_goals", lambda args, seconds, startup, peers: {})
    monkeypatch.setattr(compare, "libraries_of", lambda names, whole: [FastBP])
    monkeypatch.setattr(measure, "measure", one)
    monkeypatch.setattr(fresh, "measure", lambda names, rounds: startup())
    return calls


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--docs", "--quick"], "--docs takes everything"),
        (["--docs", "--dtype", "float32"], "--docs takes everything"),
        (["--docs", "--rounds", "2"], "--docs takes everything"),
        (["--from", "x.json", "--json", "y.json"], "--from measures nothing"),
        (["--from", "x.json", "--peers", "jax"], "--from measures nothing"),
        (["--json", "no/such/folder/x.json"], "there is no folder"),
        (["--picture", "no/such/folder/x.png"], "there is no folder"),
        (["--markdown", "no/such/folder/x.md"], "there is no folder"),
        (["--picture", "ratios.txt"], "a picture ends in one of .png, .svg, .pdf"),
        (["--rounds", "many"], "invalid int value"),
        (["--colour"], "unrecognized arguments"),
    ],
)
def test_bad_options_are_errors(argv, message, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        compare.parse(argv)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--workloads", "--dtype"])
def test_unknown_names_are_errors(option, made_up) -> None:
    with pytest.raises(SystemExit, match=r"unknown \w+ 'huge'; there are (tiny|float32), "):
        compare.main([option, "huge"])
    assert made_up == []


def test_unknown_and_missing_peers(monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit, match="unknown peer 'theano'; there are sklearn, torch, "):
        compare.libraries_of("sklearn,theano", whole=False)
    monkeypatch.setattr(NumPy, "package", "no_such_package")
    libraries = compare.libraries_of("sklearn,numpy", whole=False)
    assert [library.name for library in libraries] == ["fastbp", "sklearn"]
    assert "numpy: not installed, left out" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="takes every peer, but numpy is not installed"):
        compare.libraries_of("numpy", whole=True)


def test_a_picture_without_matplotlib_is_an_error(monkeypatch, capsys) -> None:
    monkeypatch.setattr(compare.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        compare.parse(["--picture", "x.png"])
    assert "needs matplotlib, which is not installed" in capsys.readouterr().err


def test_quick_is_one_round_in_float32_unless_told() -> None:
    args = compare.parse(["--quick"])
    assert (args.rounds, args.dtype) == (1, "float32")
    assert compare.parse(["--quick", "--dtype", "float64"]).dtype == "float64"


@pytest.mark.parametrize("name", [pages.README_BLOCK, *pages.PAGE_BLOCKS])
def test_pages_without_markers_are_an_error(name, project, capsys) -> None:
    for path in (pages.README, pages.PAGE):
        text = path.read_text(encoding="utf-8").replace(pages.end(name), "")
        path.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit):
        compare.parse(["--docs"])
    path = pages.README if name == pages.README_BLOCK else pages.PAGE
    assert f"{path.name} has no <!-- {name}:begin -->" in capsys.readouterr().err


def test_the_pages_have_their_markers() -> None:
    assert pages.lacking() is None


def test_pages_are_written_between_the_markers(project, made_up, capsys) -> None:
    assert compare.main(["--docs"]) == 0
    assert len(made_up) == 16 and len(set(made_up)) == 16
    readme, page = (p.read_text(encoding="utf-8") for p in (pages.README, pages.PAGE))
    assert readme.startswith("before compare\n<!-- compare:begin -->\n![How many times")
    assert "](asv_benchmarks/compare.png)" in readme and "](../asv_benchmarks/compare.png)" in page
    assert "| tiny 2-16-16-1, 32 | 10.0 µs | 8.00x / fails / 2.50x |" in readme
    assert readme.count("\n| ") == 10 and "A processor, one thread for every library" in readme
    for text in (readme, page):
        assert "old" not in text and text.endswith(":end -->\nafter\n")
    places = [page.index(part) for part in (
        "before compare-summary", "8.00x / fails / 2.50x", "before compare-tables",
        "### Training, float32", "10,000 rows, float64", "### Fresh processes",
        "before compare-goals", "goals are met", "Missed:")]  # fmt: skip
    assert places == sorted(places)
    assert pages.PICTURE.stat().st_size > 10_000


def test_pages_from_a_file_measure_nothing(project, made_up, capsys) -> None:
    assert compare.main(["--docs", "--json", str(project / "x.json")]) == 0
    before = [path.read_text(encoding="utf-8") for path in (pages.README, pages.PAGE)]
    printed = capsys.readouterr().out
    pages.put(pages.README, pages.README_BLOCK, "another")
    pages.put(pages.PAGE, pages.PAGE_BLOCKS[1], "another")
    made_up.clear()
    assert compare.main(["--docs", "--from", str(project / "x.json")]) == 0
    assert before == [path.read_text(encoding="utf-8") for path in (pages.README, pages.PAGE)]
    assert capsys.readouterr().out == printed
    assert made_up == []


def test_a_file_that_is_not_whole_makes_no_pages(project, made_up) -> None:
    path = project / "x.json"
    argv = ["--workloads", "tiny", "--json", str(path), "--no-further"]
    assert compare.main(argv) == 0
    with pytest.raises(SystemExit, match=r"x\.json online in float32 was not measured"):
        compare.main(["--docs", "--from", str(path)])
    assert compare.main(["--from", str(path), "--markdown", str(project / "x.md")]) == 0
    assert "| tiny 2-16-16-1, 32 |" in (project / "x.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match=r"No such file.*y\.json"):
        compare.main(["--from", str(project / "y.json")])


def test_goals_of_fresh_processes_stand_with_the_further_goals(monkeypatch) -> None:
    row = Row("a", "1", "2", True)
    monkeypatch.setattr(further, "further_rows", lambda rounds, seconds: [row])
    monkeypatch.setattr(estimators, "estimator_rows", lambda rounds, seconds: [row, row])
    monkeypatch.setattr(sparse, "sparse_rows", lambda rounds, seconds: [row])
    monkeypatch.setattr(
        streaming, "streaming_rows", lambda peers, rounds, seconds: [row] * len(peers)
    )
    monkeypatch.setattr(all_cores, "all_core_rows", lambda peers, rounds, seconds: [row])
    args = compare.parse([])
    title = "`fastbp.sklearn` beside scikit-learn, in its own dtypes"
    assert compare.further_goals(args, 0.1, None, ["torch", "jax"]) == {
        FURTHER: [row],
        "A training loop of your own, one update a call: `net.step`": [row, row],
        "As many threads as cores, for every library": [row],
        title: [row, row],
        "`fastbp.sklearn` on sparse rows beside scikit-learn": [row],
    }
    rows = compare.further_goals(args, 0.1, startup(), [])[FURTHER]
    assert [r.what for r in rows][:2] == ["a", "import and first fit, empty cache"]


def test_markdown_refers_to_the_picture_beside_it(tmp_path, made_up, capsys) -> None:
    (tmp_path / "pictures").mkdir()
    markdown = tmp_path / "report.md"
    drawn = tmp_path / "pictures" / "ratios.png"
    argv = ["--workloads", "tiny,deep", "--dtype", "float64", "--no-further"]
    assert compare.main([*argv, "--markdown", str(markdown), "--picture", str(drawn)]) == 0
    text = markdown.read_text(encoding="utf-8")
    assert "trains than other libraries, net by net](pictures/ratios.png)" in text
    assert drawn.exists()
    assert made_up == [("tiny", "float64"), ("deep", "float64")]
    assert "### Training, float64" in text and "Fresh" not in text
    assert "### Training, float64" in capsys.readouterr().out


def test_disagreement_ends_in_an_error(monkeypatch, made_up, capsys) -> None:
    def different(workload, dtype, libraries, **_):
        check_same_work({"fastbp": FastBP(SMALL), "half": HalfRate(SMALL)})

    monkeypatch.setattr(measure, "measure", different)
    assert compare.main(["--no-further"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "did not do the same work" in printed.err and "half: loss " in printed.err


def test_fresh_processes_that_disagree_end_in_an_error(monkeypatch, made_up, capsys) -> None:
    found = startup()
    found.warm["sklearn"] = found.warm["sklearn"]._replace(loss=1.6)
    monkeypatch.setattr(fresh, "measure", lambda names, rounds: found)
    assert compare.main([]) == 1
    assert "sklearn: loss 1.6" in capsys.readouterr().err
    assert made_up == []


def test_a_library_that_cannot_is_named_and_left_out(capsys) -> None:
    X = FastBP(SMALL).X
    peers, failures = measure.tried(SMALL, "float32", [FastBP, Uncompilable, NumPy], [X])
    assert list(peers) == ["fastbp", "numpy"]
    assert failures == {"torch_compile": "InvalidCxxCompiler: no g++"}
    assert "small, float32: torch_compile fails: InvalidCxxCompiler" in capsys.readouterr().err
    assert peers["numpy"].updates == 0


def test_measure_checks_and_times_all_kinds(monkeypatch, capsys) -> None:
    """Times are made up by the round: 4, then 2, a repetition."""

    def rounds(actions, *, rounds, seconds, before=None):
        for name in actions:
            if before is not None:
                before(name)
            actions[name](1)
        return {name: [4.0, 2.0] for name in actions}

    def flops_at_peak(work, dtype):
        work()
        return 2.0 * SMALL.step_flops * SMALL.steps

    for module in (measure, timing):
        monkeypatch.setattr(module, "rounds_of_calls", rounds)
    monkeypatch.setattr(measure, "flops_at_peak", flops_at_peak)
    found = measure.measure(SMALL, "float64", [FastBP, NumPy], rounds=2, seconds=0.1)
    assert found.training == {"fastbp": 0.5, "numpy": 0.5}  # four updates an epoch
    assert found.share == 0.5  # of one epoch, which takes 2 s
    assert found.one == found.many == {"fastbp": 2.0, "numpy": 2.0}
    assert found.failures == {} and found.dtype == "float64"
    with pytest.raises(DisagreementError):
        measure.measure(SMALL, "float64", [FastBP, HalfRate], rounds=2, seconds=0.1)
    with pytest.raises(DisagreementError, match="predict different outputs"):
        measure.measure(SMALL, "float64", [FastBP, OtherOutputs], rounds=2, seconds=0.1)
