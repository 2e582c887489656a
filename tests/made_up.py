"""Made-up peers and figures: nothing is timed, and nothing large is imported."""

from __future__ import annotations

from compare.measure import Measured
from compare.peer_numpy import NumPy
from compare.startup import Run, Startup
from workloads import Goals, Workload

SMALL = Workload("small", (3, 5, 4, 2), 24, 6)
GOALS = Workload("goals", (4, 8, 1), 32, 32, goals=Goals(10.0, 4.0, 2.0, 0.5))


class HalfRate(NumPy):
    """A library that takes steps of half the length."""

    name = "half"

    def adam(self) -> None:
        before = self.flat.copy()
        super().adam()
        self.flat += before
        self.flat *= 0.5


class OtherOutputs(NumPy):
    """A library that predicts something else."""

    name = "other"

    def predict(self, X):
        return super().predict(X) * 1.01


def measured(workload: Workload, dtype: str, failures: dict[str, str] | None = None) -> Measured:
    """scikit-learn 8 and JAX 2.5 times slower in training, and so on; half of the peak."""
    times = {"fastbp": 1e-5, "sklearn": 8e-5, "jax": 2.5e-5}
    one = {"fastbp": 2e-6, "sklearn": 9e-5, "jax": 1e-5}
    many = {"fastbp": 4e-3, "sklearn": 6e-3, "jax": 3e-3}
    return Measured(workload, dtype, times, 0.504, one, many, failures or {})


def startup() -> Startup:
    """A first run with fastbp of 7 s; scikit-learn takes twice as long and less memory."""
    cold = {"fastbp": Run(7.0, 200.0, 1.5)}
    warm = {"fastbp": Run(0.5, 130.0, 1.5), "sklearn": Run(1.0, 104.0, 1.5001)}
    return Startup(cold, warm, {"torch_compile": "InvalidCxxCompiler: no compiler"})
