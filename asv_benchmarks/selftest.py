"""Does the gate work? `make perf-selftest` plants a slowdown, and the gate must find it.

In a scratch clone, with the benchmarks of the working tree and the last commit's fastbp, the
product of the input gradient is computed twice. The gate must say that training is slower, and
must say nothing of a commit that changes nothing.

Exit status: 0, or 1 if the gate said something else.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from asv_calls import ROOT, SUITE, git

NOT_COPIED = ("build", "env", "html", "results", "__pycache__")
#: The file that is changed, and the line that stands twice in it then.
PATCHED = "fastbp/kernels/dense.py"
LINE = "            multiply_rows(rows, block, columns)\n"
BENCH = r"^bench_training\..*\('surrogate'\)"
#: What is committed, with the exit status that the gate should end with.
EXPECTED = {"a planted slowdown": 1, "identical commits": 0}
SETTINGS = ("user.name=self-test", "user.email=self-test@localhost", "commit.gpgsign=false")


def planted(source: str) -> str:
    """Return the source with the slowdown."""
    if source.count(LINE) != 1:
        raise ValueError(f"{LINE.strip()} does not stand once in {PATCHED}: choose another line")
    return source.replace(LINE, 2 * LINE)


def make_clone(folder: Path) -> Path:
    """Clone the repository, with the working tree's benchmarks; its HEAD is named `original`."""
    clone = folder / "clone"
    git("clone", "--quiet", str(ROOT), str(clone))
    shutil.rmtree(clone / SUITE.name)
    shutil.copytree(SUITE, clone / SUITE.name, ignore=shutil.ignore_patterns(*NOT_COPIED))
    git("branch", "original", root=clone)
    return clone


def main() -> int:
    """Let the gate compare both with the original; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="fastbp-selftest-") as folder:
        clone = make_clone(Path(folder))
        gate = [sys.executable, str(clone / SUITE.name / "gate.py"), "--base=original"]
        found = {}
        for name in EXPECTED:
            git("checkout", "--quiet", "--detach", "original", root=clone)
            if EXPECTED[name]:
                path = clone / PATCHED
                path.write_text(planted(path.read_text(encoding="utf-8")), encoding="utf-8")
            settings = [word for setting in SETTINGS for word in ("-c", setting)]
            commit = ["commit", "--quiet", "--no-verify", "--allow-empty", "-m", name]
            git(*settings, *commit, "--", "fastbp", root=clone)
            print(f"\n== {name}", flush=True)
            found[name] = subprocess.run([*gate, f"--bench={BENCH}"], cwd=clone).returncode
    for name, status in found.items():
        print(f"{name}: the gate ended with {status}, expected {EXPECTED[name]}")
    return 0 if found == EXPECTED else 1


if __name__ == "__main__":
    sys.exit(main())
