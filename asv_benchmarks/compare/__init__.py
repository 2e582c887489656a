"""fastbp beside other libraries: what is compared, timed and written in tables and a picture.

This file imports the standard library only: `one_thread` must run before NumPy is imported.
"""

from __future__ import annotations

import os

THREADS = ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA")


def one_thread(core: int | None = None) -> int | None:
    """Pin this process to one core, and every library imported from now on to one thread.

    Parameters
    ----------
    core : int, optional
        The core; by default the first that the process may use. Ignored where the system cannot
        pin.

    Returns
    -------
    int or None
        The core, if the system can pin.
    """
    for library in THREADS:
        os.environ[f"{library}_NUM_THREADS"] = "1"
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # else it starts a process for each core
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = min(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {chosen})
    return chosen
