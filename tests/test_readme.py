"""The README: its Python blocks run, and its error texts are the real ones."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.neural_network
from helpers import long_uncompiled

import fastbp.sklearn

README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def run(code: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(code, str(README), "exec"), names)
    return names


@long_uncompiled
def test_shortest_use_learns(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(blocks("python")[0])
    assert names["accuracy"] >= 0.95
    assert len(names["history"]) == 100
    assert capsys.readouterr().out.startswith("History(100 epochs in ")


def test_second_block_fits_the_plane(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(blocks("python")[1])
    assert names["loss"] < 0.05
    assert np.array_equal(names["gradient"].shape, names["net"].params.shape)
    assert not names["net"].frozen.any()
    assert float(capsys.readouterr().out.split()[0]) == names["loss"]


def test_third_block_explains_derives_and_diagnoses() -> None:
    names = run(blocks("python")[2])
    assert names["step"].losses.total > 0
    at = {"W": 3, "X": 3, "y": 1}
    assert names["L"].gradient(at)["W"] == pytest.approx(-0.00037018372, rel=1e-7)
    predicted = names["net"].predict(names["X"]).ravel() > 0.5
    assert (predicted == names["y"]).mean() > 0.95


def test_fourth_block_imports_the_estimators() -> None:
    names = run(blocks("python")[3])
    assert {"MLPClassifier", "MLPRegressor"} < names.keys()


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor", "Perceptron"])
def test_the_keys_that_scikit_learn_lacks_are_listed(name: str) -> None:
    (line,) = re.findall(r"^- `get_params\(\)` has these keys more: .*$", TEXT, re.MULTILINE)
    ours = getattr(fastbp.sklearn, name)()
    theirs = next(t for t in (sklearn.neural_network, sklearn.linear_model) if hasattr(t, name))
    more = ours.get_params().keys() - getattr(theirs, name)().get_params().keys()
    assert more <= set(re.findall(r"`(\w+)`", line.partition(";")[0]))
    if name == "MLPClassifier":
        requests = ours.get_metadata_routing().fit.requests.keys() - {"sample_weight"}
        more = {*more, *requests, "get_params", "missing_targets"}
        assert more == set(re.findall(r"`(\w+)", line)) - {"fit"}


def test_every_python_block_is_one_of_those() -> None:
    assert len(blocks("python")) == 4
    assert len(blocks("pycon")) == 1
    assert len(re.findall(r"^```\w", TEXT, re.MULTILINE)) == 5


def test_error_texts() -> None:
    session = doctest.DocTestParser().get_doctest(blocks("pycon")[0], {}, "README", "README.md", 0)
    assert sum(bool(example.exc_msg) for example in session.examples) == 6
    report: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(session, out=report.append)
    assert result.failed == 0, "".join(report)
    assert result.attempted == len(session.examples)


def test_what_it_names_is_there() -> None:
    assert "make demo" in TEXT
    assert "make test" in TEXT
    assert 0 < TEXT.find("<!-- compare:begin -->") < TEXT.find("<!-- compare:end -->")
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([\w-]+)", TEXT)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"(?:fastbp|asv_benchmarks|examples)/[\w/.]*", TEXT):
        assert (README.parent / path).exists(), path
