"""What `kernels.py` calls with ``NUMBA_DISABLE_JIT=1``, where code has no address."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp.kernels import entry

DENSE, SPARSE = 0, 1
"""Stand for the addresses of the two entry points."""


def call_entry(
    address: int, cells: Any, operation: int, x: Any, rows: int, n_in: int, y: Any, y_rows: int,
    n_out: int,
) -> float:  # fmt: skip
    """As `embedding.call_entry`, for operations without rows of their own."""
    run = entry.train_and_predict_sparse if address == SPARSE else entry.train_and_predict
    blank = np.empty((0, 0), x.dtype)
    call: Any = run
    result: float = call(cells.buffer, operation, blank, blank)
    return result
