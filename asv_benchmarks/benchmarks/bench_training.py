"""Training: an update of each workload."""

from __future__ import annotations

import instructions
from compare.peers import FastBP, NumPy
from compare.timing import check_same_work
from measured import Measured
from workloads import WORKLOADS


class Training(Measured):
    """Shuffled epochs in float32, every sample from the initial weights."""

    params = [list(WORKLOADS)]
    param_names = ["workload"]
    peer = None

    def setup(self, workload):
        if self.peer is None:  # asv sets up again before each sample
            self.peer = FastBP(WORKLOADS[workload])
            check_same_work({"numpy": NumPy(WORKLOADS[workload]), "fastbp": self.peer})
        self.peer.reset()
        job = self.peer.workload
        self.measure(self.peer.train, flops=job.step_flops, units=job.steps)

    def time_step(self, workload):
        self.again()

    def track_share_of_peak(self, workload):
        return self.share_of_peak()

    track_share_of_peak.unit = "of FMA peak"


#: Whose instructions are counted: small and large layers, one row and many. Valgrind takes half a
#: minute a commit for these, four for all eight workloads, and the others run the same kernels.
COUNTED = ["tiny", "online", "surrogate", "digits"]


class Instructions:
    """Instructions of an update, of the code for one fixed processor: see instructions.py."""

    params = [COUNTED]
    param_names = ["workload"]
    version = "2"

    def setup_cache(self):
        if reason := instructions.unavailable():
            return reason
        return instructions.count(COUNTED)

    setup_cache.timeout = 900

    def setup(self, counts, workload):
        if isinstance(counts, str):
            raise NotImplementedError(counts)

    def track_instructions_of_step(self, counts, workload):
        return counts[workload]

    track_instructions_of_step.unit = "instructions"
