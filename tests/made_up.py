"""Made-up peers, figures, repositories and files of asv: nothing is timed."""

from __future__ import annotations

from pathlib import Path

from asv.results import Results
from asv.runner import BenchmarkResult

from asv_calls import git
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


def repository_of(root: Path, *commits: dict[str, str]) -> Path:
    """Write files by path and commit them, each time; the repository is made if there is none."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / ".git").exists():
        git("init", "--quiet", "--initial-branch=main", root=root)
    for files in commits:
        for path, text in files.items():
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        git("add", "--all", root=root)
        identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
        commit = ("-c", "commit.gpgsign=false", "commit", "--quiet", "--no-verify", "-m", "x")
        git(*identity, *commit, root=root)
    return root


def write_results(
    folder: Path, commit: str, values: dict[str, list], axes: dict[str, list] | None = None, **named
) -> list[Path]:
    """Write a file as asv does, lists of samples for times, and return all of the commit.

    `axes` are the parameters of a class of benchmarks; `named` may have the `date`, in ms, and
    the environment, `env`.
    """
    env = named.get("env", "py3.11-numpy")
    results = Results({"machine": "box"}, {}, commit, named.get("date", 0), "3.11", env, {})
    for name, of_name in values.items():
        times = [isinstance(value, list) for value in of_name]
        params = (axes or {}).get(name.rpartition(".")[0], [])
        result = BenchmarkResult(
            result=[True if time else value for time, value in zip(times, of_name, strict=True)],
            samples=[value if time else None for time, value in zip(times, of_name, strict=True)],
            number=[1 if time else None for time in times],
            errcode=0,
            stderr="",
            profile=None,
        )
        benchmark = {"name": name, "version": "1", "params": params}
        results.add_result(benchmark, result, record_samples=True)
    results.save(str(folder))
    return sorted(folder.glob(f"*/{commit[:8]}-*.json"))
