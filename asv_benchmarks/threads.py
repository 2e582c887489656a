"""One thread on one core: to be settled before NumPy or anything like it is imported."""

from __future__ import annotations

import os

THREADS = ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA")


def one_thread(core: int | None = None) -> None:
    """Pin this process to one core, and every library imported from now on to one thread.

    Parameters
    ----------
    core : int, optional
        The core; by default the first that the process may use. Ignored where the system cannot
        pin.
    """
    for library in THREADS:
        os.environ[f"{library}_NUM_THREADS"] = "1"
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    os.environ["JAX_PLATFORMS"] = "cpu"
    if hasattr(os, "sched_setaffinity"):
        chosen = min(os.sched_getaffinity(0)) if core is None else core
        os.sched_setaffinity(0, {chosen})
