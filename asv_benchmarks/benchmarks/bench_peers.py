"""How many times faster than other libraries, both measured in turn in one process."""

from __future__ import annotations

from compare.peers import PEERS, FastBP
from compare.timing import check_same_work, rounds_of_steps
from workloads import WORKLOADS

ROUNDS = 3
SECONDS = 0.1


class Peers:
    """A step of another library over one of fastbp's, the best of three turns each."""

    params = [list(WORKLOADS), list(PEERS)]
    param_names = ["workload", "peer"]
    version = "1"
    timeout = 300

    def setup(self, workload, peer):
        if not PEERS[peer].installed():
            raise NotImplementedError(f"{peer} is not installed")
        job = WORKLOADS[workload]
        self.peers = {peer: PEERS[peer](job), "fastbp": FastBP(job)}
        check_same_work(self.peers)

    def track_times_faster(self, workload, peer):
        found = rounds_of_steps(self.peers, rounds=ROUNDS, seconds=SECONDS)
        return min(found[peer]) / min(found["fastbp"])

    track_times_faster.unit = "x faster"
