"""The processor that Numba compiles for decides the vectors and tiles; each case in a process."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

import fastbp
from fastbp.machine import processor

pytestmark = pytest.mark.slow

ROOT = Path(fastbp.__file__).parents[1]
SHOW = """
import json
from fastbp.machine import peak, processor
names = "VECTOR_BITS VECTOR_REGISTERS TILE_ROWS TILE_VECTORS".split()
out = {name: getattr(processor, name) for name in names}
out.update(estimates=processor.HAS_RECIPROCAL_ESTIMATES, cpu=processor.target_cpu())
out.update(lanes=[peak.lanes("float32"), peak.lanes("float64")])
print(json.dumps(out))
"""
x86 = pytest.mark.skipif(
    platform.machine().lower() not in {"x86_64", "amd64"}, reason="names x86-64 processors"
)


def of(cpu: str | None = None, features: str | None = None) -> dict[str, object]:
    """What processor.py finds in a process with this setting."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_CPU_")}
    given = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features, "PYTHONPATH": str(ROOT)}
    environment = kept | {name: value for name, value in given.items() if value is not None}
    command = [sys.executable, "-c", SHOW]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@x86
@pytest.mark.parametrize(
    ("cpu", "bits", "registers", "rows"),
    [
        ("generic", 128, 16, 6),
        ("nehalem", 128, 16, 6),
        ("haswell", 256, 16, 6),
        ("znver3", 256, 16, 6),
        pytest.param(
            "znver4",
            512,
            32,
            12,
            marks=pytest.mark.skipif(llvm.llvm_version_info < (16,), reason="LLVM 16 has it"),
        ),
    ],
)
def test_named_processors(cpu: str, bits: int, registers: int, rows: int) -> None:
    found = of(cpu)
    assert found["cpu"] == [cpu, ""]
    assert (found["VECTOR_BITS"], found["VECTOR_REGISTERS"]) == (bits, registers)
    assert (found["TILE_ROWS"], found["TILE_VECTORS"]) == (rows, 2)
    assert found["lanes"] == [bits // 32, bits // 64]
    assert found["estimates"] is (bits == 512)


@x86
@pytest.mark.parametrize(
    ("cpu", "features", "bits"),
    [("generic", "+avx2,+fma", 256), ("generic", "+avx512f,-prefer-256-bit", 512)],
)
def test_features_count_as_well(cpu: str, features: str, bits: int) -> None:
    found = of(cpu, features)
    assert found["cpu"] == [cpu, features]
    assert found["VECTOR_BITS"] == bits


def test_this_processor_is_the_default() -> None:
    found = of()
    assert found == of("host")
    assert found["cpu"][0] == llvm.get_host_cpu_name()


def test_accumulators_and_operands_fit_the_registers() -> None:
    accumulators = processor.TILE_ROWS * processor.TILE_VECTORS
    assert 8 <= accumulators  # chains that hide the latency of a multiply-add
    assert accumulators + processor.TILE_VECTORS + 1 <= processor.VECTOR_REGISTERS
