"""The heart data of the lecture, and what happens without it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from urllib.error import URLError

import numpy as np
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled
from reference_data import HEART, heart, needs

NAME = "lectures/09_logistic_regression.py"


@long_uncompiled
@needs("heart.csv")
def test_logistic_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out = run(NAME, capsys, "--data", str(HEART), "--folder", str(tmp_path))
    odds, line, curve = out.splitlines()
    assert numbers(odds.partition("=")[2]) == [6.3249, -0.04341]
    assert numbers(line)[0] == 0.59555
    assert numbers(curve.partition("loss")[2])[0] < 0.593
    assert numbers(line)[1] < 1e-12
    assert (tmp_path / "09_logistic_regression.png").read_bytes().startswith(b"\x89PNG")


@long_uncompiled
@needs("heart.csv")
def test_the_copy_of_openml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rates, disease = heart()
    found = SimpleNamespace(
        data=np.column_stack([np.zeros(303), rates]).astype(object),
        feature_names=["age", "thalach"],
        target=np.where(disease, ">50_1", "<50"),
    )
    with mock.patch("sklearn.datasets.fetch_openml", return_value=found) as fetch:
        names, out = run(NAME, capsys, "--folder", str(tmp_path))
    assert fetch.call_args.args == ("heart-c",)
    assert np.array_equal(names["rate"], rates)
    assert np.array_equal(names["y"], disease)
    assert "6.3249" in out


def test_no_network(capsys: pytest.CaptureFixture[str]) -> None:
    failure = URLError("no route")
    with (
        mock.patch("sklearn.datasets.fetch_openml", side_effect=failure),
        pytest.raises(SystemExit, match=r"No network \(<urlopen error no route>\).*--data heart"),
    ):
        run(NAME, capsys)
