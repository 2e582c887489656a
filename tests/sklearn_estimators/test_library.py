"""What is said where scikit-learn is missing."""

from __future__ import annotations

import importlib
import sys

import pytest

import fastbp.sklearn


def test_without_the_library(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match="needs scikit-learn: pip install scikit-learn"):
        importlib.reload(fastbp.sklearn)
