"""Prediction, called from Python: one row, and many."""

from __future__ import annotations

import numpy as np

from compare.peers import FastBP, NumPy
from compare.timing import repeated
from measured import Measured, check_close, tolerance_of
from workloads import WORKLOADS, Workload

SMALL = Workload("one row", (10, 32, 32, 1), 32, 32)
MANY = 10_000


def checked(workload: Workload, X: np.ndarray) -> FastBP:
    """Return a net whose predictions are those of NumPy."""
    net = FastBP(workload)
    check_close(
        "the prediction", net.predict(X), NumPy(workload).predict(X), tolerance_of("float32")
    )
    return net


class OneRow(Measured):
    """A row of a 10-32-32-1 net: what is seen is the call from Python to the kernel and back."""

    def setup(self):
        rng = np.random.default_rng(2)
        row = rng.standard_normal((1, SMALL.layer_sizes[0])).astype("float32")
        work = repeated(checked(SMALL, row).net.predict, row)
        self.measure(work, flops=SMALL.forward_flops, cost=4e5)

    def time_predict(self):
        self.again()

    def track_flops_at_peak(self):
        return self.flops_at_peak()

    track_flops_at_peak.unit = "flops at the FMA peak"


class Rows(Measured):
    """Ten thousand rows of each workload's net."""

    params = [list(WORKLOADS)]
    param_names = ["workload"]
    net = None

    def setup(self, workload):
        job = WORKLOADS[workload]
        if self.net is None:
            rng = np.random.default_rng(2)
            self.X = rng.standard_normal((MANY, job.layer_sizes[0])).astype("float32")
            self.net = checked(job, self.X).net
        work = repeated(self.net.predict, self.X)
        self.measure(work, flops=job.forward_flops, units=MANY)

    def time_row(self, workload):
        self.again()

    def track_share_of_peak(self, workload):
        return self.share_of_peak()

    track_share_of_peak.unit = "of FMA peak"
