"""Compile, or load from the cache, every function that Python calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastbp import checks
from fastbp.augment import kernels as images
from fastbp.augment.images import ImageRotation, ImageShift
from fastbp.checks import arrays
from fastbp.graph import kernels as tape
from fastbp.graph import variable
from fastbp.kernels import evaluation, finite, training
from fastbp.kernels import in_python as stepwise
from fastbp.machine.peak import fma_loop, fma_peak
from fastbp.methods import kernels as descent
from fastbp.mlp import MLP


class FirstCall(NamedTuple):
    """What the first call of a compiled function took.

    Attributes
    ----------
    name, dtype : str
        The function, and the dtype that it was called for.
    how : str
        "compiled", "loaded" (from the cache) or "ready" (called before in this process).
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
    function : Numba dispatcher
        Any of fastbp's; not with ``NUMBA_DISABLE_JIT=1``.
    dtype : str
        For the report.
    call : callable
        Without arguments.
    """

    def counts() -> tuple[int, int]:
        stats = function.stats
        return sum(stats.cache_misses.values()), sum(stats.cache_hits.values())

    before, start = counts(), time.perf_counter()
    call()
    seconds, after = time.perf_counter() - start, counts()
    how = "compiled" if after[0] > before[0] else "loaded" if after[1] > before[1] else "ready"
    return FirstCall(function.__name__, dtype, how, seconds)


def _no_loss(y_pred: Any, y: Any) -> tuple[float, Any]:
    return 0.0, 0.0 * y_pred


def _no_activation(z: Any) -> tuple[Any, Any]:
    return z, 0.0 * z


def warm_up(dtypes: Sequence[str] = ("float32", "float64")) -> Iterator[FirstCall]:
    """Call every entry point for every dtype on a tiny net; yields what each call took.

    One version of the code serves nets of all shapes, activations, losses and optimisers; losses
    and activations in Python have their own, and graphs theirs, which is in float64 alone.

    Parameters
    ----------
    dtypes : sequence of {"float32", "float64"}
    """
    rng = np.random.default_rng(0)
    z, at = variable("z"), {"z": 0.0}
    graphs: tuple[tuple[Any, Callable[[], object]], ...] = (
        (tape.value, lambda: z.value(at)),
        (tape.gradient, lambda: z.gradient(at)),
        (tape.jvp, lambda: z.jvp(at, at)),
        (tape.local_derivatives, lambda: z.backward_table(at)),
    )
    for function, call in graphs:
        yield first_call(function, "float64", call)
    for dtype in dtypes:
        X, y = np.zeros((4, 2), dtype), np.zeros((4, 1), dtype)
        many = np.zeros((arrays.FEW_NUMBERS + 1, 1), dtype)
        net = MLP((2, 3, 1), dtype=dtype, seed=0)
        ours = MLP((2, 3, 1), loss=_no_loss, dtype=dtype, seed=0)
        units = MLP((2, 3, 1), activation=_no_activation, dtype=dtype, seed=0)
        calls: tuple[tuple[Any, Callable[[], object]], ...] = (
            (fma_loop, lambda: fma_peak(dtype)),  # noqa: B023 - called before the next round
            (finite.first_not_finite, lambda: checks.finite("X", many, many)),  # noqa: B023
            (evaluation.predict, lambda: net.predict(X)),  # noqa: B023
            (evaluation.evaluate, lambda: net.loss(X, y)),  # noqa: B023
            (training.train, lambda: net.fit(X, y, epochs=1)),  # noqa: B023
            (stepwise.outputs, lambda: ours.loss(X, y)),  # noqa: B023
            (stepwise.descend, lambda: ours.fit(X, y, epochs=1, batch_size=2)),  # noqa: B023
            (descent.dot, lambda: net.fit(X, y + 1, method="conjugate_gradient")),  # noqa: B023
            (descent.rprop, lambda: net.fit(X, y - 1, epochs=1, method="rprop")),  # noqa: B023
            (images.shift_images, lambda: ImageShift((1, 2))(X, rng)),  # noqa: B023
            (images.warp_images, lambda: ImageRotation((1, 2))(X, rng)),  # noqa: B023
            (stepwise.built_in_loss, lambda: units.loss(X, y)),  # noqa: B023
        )
        for function, call in calls:
            yield first_call(function, dtype, call)
