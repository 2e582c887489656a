"""Run every benchmark of a file once, at its first parameters, as asv would; print JSON.

A process of its own: the benchmarks pin themselves to one core and one thread.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path

from asv_runner.benchmarks.mark import SkipNotImplemented
from asv_runner.discovery import disc_benchmarks

BENCHMARKS = Path(__file__).resolve().parents[2] / "asv_benchmarks" / "benchmarks"


def once(benchmark, cache):
    """The result of one benchmark, or why it was skipped."""
    benchmark.set_param_idx(0)
    if benchmark.setup_cache_key is not None:
        if benchmark.setup_cache_key not in cache:
            cache[benchmark.setup_cache_key] = benchmark.do_setup_cache()
        benchmark.set_cache(cache[benchmark.setup_cache_key])
    if hasattr(benchmark, "repeat"):  # once, not as often as asv needs to judge the noise
        for source in benchmark._attr_sources:
            if hasattr(source, "repeat"):
                source.repeat = 1
    try:
        if benchmark.do_setup():
            return "skipped"
        result = benchmark.do_run()
    except SkipNotImplemented as reason:
        return str(reason)
    finally:
        benchmark.do_teardown()
    return result["samples"][0] if benchmark.type == "time" else float(result)


def main(room: str) -> None:
    sys.path.insert(0, str(BENCHMARKS.parent))
    module = importlib.import_module(f"benchmarks.{room}")
    if room == "bench_training":  # valgrind takes a minute for all
        module.COUNTED = ["tiny"]
    found = {}
    cache = {}
    for benchmark in disc_benchmarks(str(BENCHMARKS)):
        if benchmark.name.startswith(f"{room}."):
            benchmark.check(str(BENCHMARKS))
            value = once(benchmark, cache)
            unit = benchmark.unit if isinstance(benchmark.unit, str) else None
            finite = not isinstance(value, float) or math.isfinite(value)
            found[benchmark.name] = [value if finite else None, unit, benchmark.version]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
