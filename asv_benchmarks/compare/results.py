"""What a comparison has measured, and a file of JSON that tables and picture are made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from compare.measure import Measured
from compare.startup import Run, Startup
from compare.tables import Row
from workloads import WORKLOADS


class Results(NamedTuple):
    """All of a comparison.

    Attributes
    ----------
    head : str
        The machine, the threads and the versions.
    measured : sequence of Measured
        The workloads, one dtype after the other.
    startup : Startup or None
        Fresh processes, if they were measured.
    further : mapping of str to sequence of Row
        Further figures, by title.
    """

    head: str
    measured: Sequence[Measured]
    startup: Startup | None
    further: Mapping[str, Sequence[Row]]


def save(results: Results, path: Path) -> None:
    """Write results to a file; a workload is written by its name."""
    startup = results.startup
    content = {
        "head": results.head,
        "measured": [m._asdict() | {"workload": m.workload.name} for m in results.measured],
        "startup": startup and startup._asdict(),
        "further": results.further,
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read what `save` wrote.

    Raises
    ------
    ValueError
        If it is another file, or has a workload that there no longer is.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        measured = [
            Measured(**(m | {"workload": WORKLOADS[m["workload"]]})) for m in content["measured"]
        ]
        startup = content["startup"]
        if startup is not None:
            runs = [
                {name: Run(*run) for name, run in startup[part].items()}
                for part in ("cold", "warm")
            ]
            startup = Startup(*runs, startup["failures"])
        further = {title: [Row(*row) for row in rows] for title, rows in content["further"].items()}
        return Results(content["head"], measured, startup, further)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} has no results of a comparison ({error!r})") from error
