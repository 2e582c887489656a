"""What a fresh process takes to import and to fit for the first time: a table, as Markdown.

fastbp from objects that were compiled beforehand (a wheel, or after ``python -m fastbp build``),
from a cache that an earlier process has filled, and from an empty one; scikit-learn beside it. The
processes take turns; the best of several counts, since other programs only ever add to it. Each
fits 500 rows of 10 features for 20 epochs; an empty cache compiles, with `predict` and `evaluate`
after it, and is measured once, in processor seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import fastbp

#: Processes for each figure.
ROUNDS = 7
DATA = """
import resource, time
start = time.perf_counter()
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(500, 10))
y = (X[:, 0] > 0).astype(float)
"""
FASTBP = """
from fastbp import MLP
net = MLP((10, 32, 32, 1), loss="binary_cross_entropy", seed=0)
net.fit(X, y, epochs=20)
"""
REST = """
net.predict(X)
net.evaluate(X, y)
"""
PEER = """
from sklearn.neural_network import MLPClassifier
MLPClassifier((32, 32), batch_size=32, max_iter=20, tol=0, random_state=0).fit(X, y)
"""
SHOW = """
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(seconds, time.process_time(), peak)
"""


def measured(program: str, **settings: str) -> tuple[float, float, float]:
    """Wall-clock seconds from the first import on, processor seconds in all, and peak MB."""
    path = os.pathsep.join([str(Path(fastbp.__file__).parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "FASTBP_QUIET": "1", **settings}
    command = [sys.executable, "-P", "-W", "ignore", "-c", DATA + program + SHOW]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    wall, processor, peak = map(float, done.stdout.split())
    return wall, processor, peak


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as never, tempfile.TemporaryDirectory() as filled:
        without = {"FASTBP_OBJECTS": "0"}
        _, cold, cold_peak = measured(FASTBP + REST, FASTBP_CACHE_DIR=filled, **without)
        kinds = {
            "fastbp, from objects": (FASTBP, {"FASTBP_CACHE_DIR": never}),
            "fastbp, from a filled cache": (FASTBP, {"FASTBP_CACHE_DIR": filled, **without}),
            "scikit-learn": (PEER, {}),
        }
        found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
        for _ in range(ROUNDS):
            for kind, (program, settings) in kinds.items():
                found[kind].append(measured(program, **settings))
        written = any(Path(never).iterdir())
    from_objects = fastbp.machine.objects.FOUND is not None and not written
    print(f"objects: {fastbp.machine.objects.STATE}\n")
    print("| import and fit of 500 rows, 20 epochs | seconds | processor s | peak memory |")
    print("| --- | ---: | ---: | ---: |")
    for kind, figures in found.items():
        wall, processor, peak = (min(column) for column in zip(*figures, strict=True))
        print(f"| {kind} | {wall:.3f} | {processor:.3f} | {peak:.0f} MB |")
    print(f"| fastbp, empty cache, with predict and evaluate | | {cold:.1f} | {cold_peak:.0f} MB |")
    if not from_objects:
        print("\nNumba made the first line: `python -m fastbp build` makes objects")


if __name__ == "__main__":
    main()
