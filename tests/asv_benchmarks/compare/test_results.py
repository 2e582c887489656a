"""Results in a file: what is read is what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up import measured, startup

from compare import results
from compare.results import Results
from compare.tables import Row
from workloads import WORKLOADS

MEASURED = [measured(WORKLOADS[name], "float32", {"jax": "no"}) for name in ("tiny", "wide")]


@pytest.mark.parametrize("fresh", [startup(), None])
def test_what_is_read_is_what_was_written(tmp_path: Path, fresh) -> None:
    further = {"More": [Row("a µs", "1", "2", False)], "None": []}
    written = Results("head", MEASURED, fresh, further)
    results.save(written, tmp_path / "x.json")
    read = results.read(tmp_path / "x.json")
    assert read == written
    assert read.measured[0].workload is WORKLOADS["tiny"]
    assert isinstance(read.further["More"][0], Row)
    assert read.measured[0].ratios("training") == MEASURED[0].ratios("training")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("head"),
        lambda content: content["measured"][0].update(workload="gone"),
        lambda content: content["measured"][0].pop("share"),
        lambda content: content["further"].update(More=[[1]]),
        lambda content: content.update(startup={"cold": {}}),
    ],
)
def test_another_file_is_an_error(tmp_path: Path, change) -> None:
    path = tmp_path / "x.json"
    results.save(Results("head", MEASURED, startup(), {}), path)
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.json has no results of a comparison"):
        results.read(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "7"])
def test_no_json_is_an_error(tmp_path: Path, text) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="has no results"):
        results.read(tmp_path / "x.json")
