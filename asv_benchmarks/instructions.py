"""Instructions of an update, counted by valgrind: the same number on every machine.

A count does not depend on what else a machine does, but it does on the code. So the code is that
for one fixed processor with AVX2, whatever the machine has (valgrind knows no AVX-512 either).
First a process of its own compiles it into fastbp's cache, at full speed; then it runs once more
under valgrind, which is told through requests in the program when to count. Python's share
cancels: what counts is the difference between a long fit and a short one.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fastbp import MLP
from workloads import WORKLOADS, Workload

#: What the code is compiled for.
PROCESSOR = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2,+popcnt,+bmi,+bmi2,+lzcnt,+f16c,+movbe",
    "PYTHONHASHSEED": "0",
}
#: Epochs of the short and of the long fit. A fit of one epoch writes its history by another path
#: in Python, which would count as some hundred instructions an update of a small net.
EPOCHS = (2, 3)
#: Operations of an epoch, about, but at least one and at most a hundred updates: valgrind takes
#: 10 s for 2e8, because it computes multiply-adds value by value.
EPOCH_FLOPS = 2e7
#: Requests to callgrind (callgrind.h) and the instructions that valgrind takes for a request with
#: the address of its arguments in rax (valgrind.h, amd64); a processor does nothing.
DUMP = 0x43540000
START = 0x43540004
STOP = 0x43540005
REQUEST = "4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db c3"


def unavailable() -> str:
    """Say why nothing can be counted here; empty if it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "instructions are counted on x86-64 Linux"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    return ""


def count(names: list[str]) -> dict[str, float]:
    """Count the instructions of an update of each workload.

    Parameters
    ----------
    names : list of str
        The workloads.

    Returns
    -------
    dict of str to float

    Raises
    ------
    subprocess.CalledProcessError
        If a process fails; what it said stands on standard error.
    RuntimeError
        If valgrind has not counted what it should.
    """
    environment = {**os.environ, **PROCESSOR}
    program = [sys.executable, str(Path(__file__).resolve()), *names]
    subprocess.run(program, env=environment, check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"]
        valgrind.append(f"--callgrind-out-file={folder}/out")
        subprocess.run(
            [*valgrind, *program], env=environment, check=True, stdout=subprocess.DEVNULL
        )
        dumps = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        totals = [total_of(path.read_text(encoding="utf-8")) for path in dumps]
    if len(totals) != 2 * len(names):
        raise RuntimeError(f"valgrind made {len(totals)} counts instead of {2 * len(names)}")
    return per_update(names, totals)


def total_of(dump: str) -> int:
    """Return the instructions that a file of callgrind's says it has counted."""
    found = re.search(r"^totals: (\d+)$", dump, re.MULTILINE)
    if found is None:
        raise RuntimeError("a file of callgrind's has no total")
    return int(found.group(1))


def batches_of(job: Workload) -> int:
    """Updates in an epoch."""
    return max(1, min(100, int(EPOCH_FLOPS / job.step_flops)))


def per_update(names: list[str], totals: list[int]) -> dict[str, float]:
    """Turn the counts, a short and a long fit for each workload, into counts per update."""
    return {
        name: (long - short) / (EPOCHS[1] - EPOCHS[0]) / batches_of(WORKLOADS[name])
        for name, short, long in zip(names, totals[::2], totals[1::2], strict=True)
    }


def request(kind: int) -> None:
    """Tell callgrind something, if it is there."""
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(bytes.fromhex(REQUEST))
        code = ctypes.c_char.from_buffer(page)
        call = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(ctypes.addressof(code))
        arguments = (ctypes.c_ulong * 6)(kind)
        call(ctypes.addressof(arguments))
        del code, call  # the page cannot be closed before


def main() -> None:
    """Train each workload given twice, a short and a long fit, and tell callgrind about them."""
    for name in sys.argv[1:]:
        job = WORKLOADS[name]
        batch = job.batch_size
        rows = batches_of(job) * batch
        rng = np.random.default_rng(0)
        X = rng.standard_normal((rows, job.layer_sizes[0])).astype("float32")
        Y = rng.standard_normal((rows, job.layer_sizes[-1])).astype("float32")
        net = MLP(job.layer_sizes, activation=job.activation, optimizer="adam", seed=0)
        net.fit(X, Y, epochs=1, batch_size=batch)  # loads the code, makes the workspace
        for epochs in EPOCHS:
            request(START)
            net.fit(X, Y, epochs=epochs, batch_size=batch)
            request(STOP)
            request(DUMP)


if __name__ == "__main__":
    main()
