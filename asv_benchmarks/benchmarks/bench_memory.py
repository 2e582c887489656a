"""Memory: the peak of a process, and what a fit allocates beside the net and the data."""

from __future__ import annotations

import os
import tracemalloc

from compare.peers import FastBP
from compare.startup import DATA, FIT, fresh_run
from workloads import WORKLOADS


class Process:
    """Import and fit 500 rows for 20 epochs with a warm cache, in a process of its own."""

    version = "1"
    timeout = 300

    def setup_cache(self):
        fresh_run(FIT, os.environ)  # fills the cache
        scripts = {"data": DATA, "fit": FIT}
        return {name: fresh_run(script, os.environ).memory for name, script in scripts.items()}

    setup_cache.timeout = 300

    def track_peak_rss(self, found):
        return found["fit"]

    def track_peak_rss_beyond_numpy(self, found):
        return found["fit"] - found["data"]

    track_peak_rss.unit = "MiB"
    track_peak_rss_beyond_numpy.unit = "MiB"


class Fit:
    """What a fit allocates at its peak, and how many times the parameters that is."""

    version = "1"
    params = [list(WORKLOADS)]
    param_names = ["workload"]

    def setup(self, workload):
        self.peer = FastBP(WORKLOADS[workload])
        self.peer.train(1)  # compiles
        self.peer.reset()

    def allocated(self):
        """Bytes at the peak of a first fit beyond what there was before it."""
        tracemalloc.start()
        try:
            self.peer.train(1)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def track_bytes_allocated(self, workload):
        return self.allocated()

    def track_bytes_allocated_of_parameters(self, workload):
        return self.allocated() / self.peer.net.params.nbytes

    track_bytes_allocated.unit = "bytes"
    track_bytes_allocated_of_parameters.unit = "x the parameters"
