"""Uncompiled, only what reaches the kernels through doors of its own runs here."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import COMPILED

HERE = Path(__file__).parent
UNCOMPILED = ("test_losses", "test_networks", "test_optimizers", "test_same_model", "test_targets")


def pytest_collection_modifyitems(items) -> None:
    slow = pytest.mark.skip(reason="takes minutes in all with NUMBA_DISABLE_JIT=1")
    for item in items:
        if not COMPILED and item.path.parent == HERE and item.path.stem not in UNCOMPILED:
            item.add_marker(slow)
