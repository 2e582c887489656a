"""Does the gate work? `make perf-selftest` plants a slowdown of 15 % and sees that it is found.

In a scratch clone the product of the input gradient does a part of its sums twice, and the gate
must name that benchmark, in each size, and no other kernel's. Then it runs five times on two
commits with the same code, and must raise no alarm. The clone has the benchmarks and the gate of
the working tree, and the last commit's fastbp.

Exit status: 0, or 1 if a step fails.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import judgement

SUITE = Path(__file__).resolve().parent
ROOT = SUITE.parent
NOT_COPIED = ("build", "env", "html", "results", "__pycache__")
IDENTICAL_RUNS = 5

#: The file that is changed, what stands there once, and what takes its place: a seventh of the
#: terms of each sum are added up and stored, and then overwritten by the whole sum: with the stores
#: about 15 % of the time.
PATCHED = "fastbp/kernels/dense.py"
OLD = "            multiply_rows(rows, product, columns)\n"
NEW = """\
            part = Product(
                product.c, product.c_stride, product.a, product.a_row, product.a_step, product.b,
                product.b_step, product.b_wide, product.k // 7, FROM_ZERO, delta, finish, product.y,
            )  # fmt: skip
            multiply_rows(rows, part, columns)
            multiply_rows(rows, product, columns)
"""
#: The benchmark of the kernel that has been changed, and all that are measured: each kernel's in
#: one or two sizes, float32 alone.
PLANTED = "bench_kernels.InputGradient.time_product"
BENCH = (
    r"^bench_kernels\.(Forward|InputGradient|WeightGradient)\..*\((128|256), 'float32'\)",
    r"^bench_kernels\.Activation\..*\('tanh', 'float32'\)",
    r"^bench_kernels\.Loss\..*\('cross_entropy', 'float32'\)",
    r"^bench_kernels\.Update\..*\('adam', 'float32'\)",
)


class SelfTestError(Exception):
    """What the gate should have done and has not."""


def planted(source: str) -> str:
    """Return the source with the slowdown.

    Raises
    ------
    SelfTestError
        If the text that is replaced does not stand there exactly once.
    """
    if source.count(OLD) != 1:
        raise SelfTestError(
            f"the line to replace stands {source.count(OLD)} times in {PATCHED}: "
            "choose another in selftest.py"
        )
    return source.replace(OLD, NEW)


def git(clone: Path, *arguments: str) -> None:
    """Run git in the clone.

    Raises
    ------
    subprocess.CalledProcessError
        If git fails; what it said stands on standard error.
    """
    settings = ["user.name=self-test", "user.email=self-test@localhost", "commit.gpgsign=false"]
    options = [word for setting in settings for word in ("-c", setting)]
    subprocess.run(["git", *options, *arguments], cwd=clone, check=True, stdout=subprocess.DEVNULL)


def make_clone(folder: Path) -> Path:
    """Clone the repository, with the working tree's benchmarks, and plant the slowdown in it.

    The branches `original`, `planted` and `identical` are what the gate will compare.
    """
    clone = folder / "clone"
    git(folder, "clone", "--quiet", str(ROOT), str(clone))
    shutil.rmtree(clone / SUITE.name)
    shutil.copytree(SUITE, clone / SUITE.name, ignore=shutil.ignore_patterns(*NOT_COPIED))
    git(clone, "branch", "original")
    git(clone, "checkout", "--quiet", "-b", "identical")
    git(clone, "commit", "--quiet", "--no-verify", "--allow-empty", "-m", "Change nothing")
    git(clone, "checkout", "--quiet", "-b", "planted", "original")
    source = (clone / PATCHED).read_text(encoding="utf-8")
    (clone / PATCHED).write_text(planted(source), encoding="utf-8")
    git(clone, "commit", "--quiet", "--no-verify", "-m", "Slow the input gradient down", PATCHED)
    return clone


def run_gate(clone: Path, branch: str) -> tuple[int, list[dict]]:
    """Compare `original` with another branch of the clone.

    Returns
    -------
    int
        The gate's exit status.
    list of dict
        Its rows, as in verdicts.json.

    Raises
    ------
    SelfTestError
        If the gate was in trouble.
    """
    git(clone, "checkout", "--quiet", branch)
    command = [sys.executable, str(clone / SUITE.name / "gate.py"), "--base", "original"]
    done = subprocess.run([*command, *(f"--bench={pattern}" for pattern in BENCH)], cwd=clone)
    if done.returncode not in (0, 1):
        raise SelfTestError(f"the gate ended with exit status {done.returncode}")
    verdicts = clone / SUITE.name / "build" / "gate" / "verdicts.json"
    return done.returncode, json.loads(verdicts.read_text(encoding="utf-8"))


def find_planted(clone: Path) -> str:
    """See that the gate names the benchmark of the slow kernel and no other; return its figures."""
    status, rows = run_gate(clone, "planted")
    slow = [row["key"] for row in rows if row["verdict"] == judgement.SLOW]
    expected = [row["key"] for row in rows if row["key"].startswith(f"{PLANTED}(")]
    if status != 1 or not expected or slow != expected:
        raise SelfTestError(f"exit status {status}; slower should be {expected}, is {slow}")
    return "; ".join(figures(row) for row in rows if row["key"] in expected)


def find_nothing(clone: Path) -> str:
    """See that the gate finds two commits with the same code alike; return the worst figures."""
    status, rows = run_gate(clone, "identical")
    slow = [row["key"] for row in rows if row["verdict"] == judgement.SLOW]
    if status != 0 or slow:
        raise SelfTestError(f"a false alarm, exit status {status}: {slow}")
    worst = max(rows, key=lambda row: min(row["ratio"], row["beside_ratio"]))
    return f"nearest to an alarm {figures(worst)}"


def figures(row: dict) -> str:
    """Return the ratios of a row: over 1 is worse."""
    return f"{row['key']} {row['ratio']:.3f}, share {row['beside_ratio']:.3f}"


def main() -> int:
    """Run all steps and print what each has found; return the exit status."""
    lines, failed = [], False
    with tempfile.TemporaryDirectory(prefix="fastbp-selftest-") as folder:
        clone = make_clone(Path(folder))
        names = ["a planted slowdown of 15 %"]
        names += [f"identical commits, {i + 1} of {IDENTICAL_RUNS}" for i in range(IDENTICAL_RUNS)]
        for name in names:
            print(f"\n== {name}", flush=True)
            begin = time.monotonic()
            try:
                found = find_planted(clone) if name == names[0] else find_nothing(clone)
                result = "passed"
            except SelfTestError as error:
                failed, result, found = True, "FAILED", str(error)
            lines.append(f"{result}  {name}, {time.monotonic() - begin:.0f} s: {found}")
            print(lines[-1], flush=True)
    print("\n" + "\n".join(["== the self-test of the gate", *lines]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
