"""``python -m fastbp warmup``: compile, or load from the cache, all that Python calls.

With an empty cache that is about half a minute of one core for each dtype; ``--dtype float32``
leaves the other out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastbp.augment.images import ImageRotation, ImageShift
from fastbp.augment.kernels import shift_images, warp_images
from fastbp.checks import SparseRows
from fastbp.commands import DTYPES
from fastbp.commands.info import cache_lines
from fastbp.graph import variable
from fastbp.graph.kernels import gradient, jvp, local_derivatives, value
from fastbp.kernels import entry
from fastbp.kernels.jacobian import jacobian
from fastbp.machine.jit import cache_info, is_shipped
from fastbp.machine.notice import silent
from fastbp.machine.peak import fma_loop, fma_peak
from fastbp.methods.kernels import dot, rprop
from fastbp.mlp import MLP

ABOUT = (
    "Compiles training and prediction on dense and sparse rows, full-batch methods, Jacobians, "
    "image augmentation and graphs, so that the first fit does not have to. With an empty cache "
    "each dtype takes about half a minute of one core; a second call takes seconds. Nets of all "
    "shapes, activations, losses and optimisers share this code."
)
"""What the command does and how long that takes, for its help."""


class FirstCall(NamedTuple):
    """What the first call of a compiled function took.

    Attributes
    ----------
    name, dtype : str
        The function, and the dtype that it was called for.
    how : str
        "compiled", "loaded" (from the cache), "ready" (called before in this process) or "shipped"
        (compiled beforehand: see `fastbp.machine.objects`).
    seconds : float
        Wall-clock time of the call.
    """

    name: str
    dtype: str
    how: str
    seconds: float


def first_call(function: Any, dtype: str, call: Callable[[], object]) -> FirstCall:
    """Carry out `call`, which is to call `function`, and say what that took.

    Parameters
    ----------
    function : callable
        One of fastbp's entry points; not with ``NUMBA_DISABLE_JIT=1``.
    dtype : str
        For the report.
    call : callable
        Without arguments.
    """

    def counts() -> tuple[int, int]:
        if is_shipped(function):
            return 0, 0
        stats = function.stats
        return sum(stats.cache_misses.values()), sum(stats.cache_hits.values())

    before = counts()
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    after = counts()
    how = "compiled" if after[0] > before[0] else "loaded" if after[1] > before[1] else "ready"
    if is_shipped(function):
        how = "shipped"
    return FirstCall(function.__name__, dtype, how, seconds)


def warm_up(dtypes: Sequence[str] = DTYPES) -> Iterator[FirstCall]:
    """Call every entry point for every dtype on a tiny net; yields what each call took.

    One version of the code serves nets of all shapes, activations, losses and optimisers, and one
    more those on sparse rows. Graphs have one, in float64 only.

    Parameters
    ----------
    dtypes : sequence of {"float32", "float64"}
    """
    rng = np.random.default_rng(0)
    z = variable("z")
    at = {"z": 0.0}
    graphs: tuple[tuple[Any, Callable[[], object]], ...] = (
        (value, lambda: z.value(at)),
        (gradient, lambda: z.gradient(at)),
        (jvp, lambda: z.jvp(at, at)),
        (local_derivatives, lambda: z.backward_table(at)),
    )
    for function, call in graphs:
        yield first_call(function, "float64", call)
    for dtype in dtypes:
        X = np.zeros((4, 2), dtype)
        y = np.zeros((4, 1), dtype)
        entries = np.ones(4, dtype), np.zeros(4, np.int32), np.arange(5)
        sparse: Any = SparseRows(*entries, 2)
        net = MLP((2, 3, 1), dtype=dtype, seed=0)
        calls: tuple[tuple[Any, Callable[[], object]], ...] = (
            (fma_loop, lambda: fma_peak(dtype)),  # noqa: B023 - called before the next round
            (entry.train_and_predict, lambda: net.fit(X, y, epochs=1)),  # noqa: B023
            (dot, lambda: net.fit(X, y + 1, method="conjugate_gradient")),  # noqa: B023
            (rprop, lambda: net.fit(X, y - 1, epochs=1, method="rprop")),  # noqa: B023
            (jacobian, lambda: net.jacobian(X)),  # noqa: B023
            (shift_images, lambda: ImageShift((1, 2))(X, rng)),  # noqa: B023
            (warp_images, lambda: ImageRotation((1, 2))(X, rng)),  # noqa: B023
            (entry.train_and_predict_sparse, lambda: net.fit(sparse, y, epochs=1)),  # noqa: B023
        )
        for function, call in calls:
            yield first_call(function, dtype, call)


def run(dtypes: Sequence[str]) -> int:
    """Compile into the cache whatever is missing there; print what was done.

    Parameters
    ----------
    dtypes : sequence of {"float32", "float64"}

    Returns
    -------
    int
        The exit status: 1 when nothing could be stored.
    """
    start = time.perf_counter()
    empty = not cache_info().entries
    print(
        f"compiling kernels for {' and '.join(dtypes)}"
        + (": about half a minute for each" if empty else ", unless they are in the cache"),
        flush=True,
    )
    with silent():  # each has a line here
        for function, dtype, how, seconds in warm_up(dtypes):
            print(f"{function:<26}{dtype:<9}{how:<10}{seconds:7.2f} s", flush=True)
    print(f"{'':<35}{'in all':<10}{time.perf_counter() - start:7.2f} s")
    directory, state = cache_lines()
    print(f"cache: {directory}\n       {state}")
    if not cache_info().entries:
        print("nothing was stored: each new process compiles again", file=sys.stderr)
        return 1
    return 0
