"""Where the data of the reference cases is, and what skips the tests that lack it.

``FASTBP_DATA`` names the folder; by default it is ``shared/data`` beside the checkout.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("FASTBP_DATA", CHECKOUT.parent / "shared" / "data"))
HEART = FOLDER / "heart.csv"


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test where one of these files is missing."""
    missing = [name for name in names if not (FOLDER / name).exists()]
    reason = f"no {', '.join(missing)} in {FOLDER}; FASTBP_DATA names the folder"
    return pytest.mark.skipif(bool(missing), reason=reason)


def heart() -> tuple[np.ndarray, np.ndarray]:
    """MaxHR in beats a minute, and whether there is a heart disease (AHD), of 303 patients."""
    with HEART.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rates = np.array([float(row["MaxHR"]) for row in rows])
    return rates, np.array([row["AHD"] == "Yes" for row in rows])


needs_mnist = needs("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
