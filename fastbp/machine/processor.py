"""The processor that code is compiled for: vector width, registers, tile sizes.

Where the code was compiled beforehand (`objects.py`), its level says so. Else LLVM itself is asked,
by compiling two lines for the CPU name and features that Numba uses (``NUMBA_CPU_NAME`` and
``NUMBA_CPU_FEATURES`` included), so the answer holds for the processor that code is compiled for
and not for the machine fastbp was written on.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

from fastbp.machine import objects

_PROBE = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define <16 x float> @probe(<16 x float> %x, <16 x float> %y) {
  %s = fadd <16 x float> %x, %y
  %t = call <16 x float> @llvm.fma.v16f32(<16 x float> %s, <16 x float> %y, <16 x float> %x)
  ret <16 x float> %t
}
"""


def target_cpu() -> tuple[str, str]:
    """CPU name and feature string that Numba compiles for.

    Returns
    -------
    name, features : str
        As LLVM writes them: "znver4", "+avx2,-avx512f,...".
    """
    from numba import config

    name = config.CPU_NAME
    features = config.CPU_FEATURES
    if name in (None, "host"):
        import llvmlite.binding as llvm

        name = llvm.get_host_cpu_name()
        features = _host_features() if features is None else features
    return name, features or ""


def _host_features() -> str:
    """Features of this processor, without AVX where NUMBA_ENABLE_AVX=0 forbids it."""
    import llvmlite.binding as llvm
    from numba import config

    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM cannot tell them
        return ""
    if not config.ENABLE_AVX:
        for name in features:
            features[name] = features[name] and not name.startswith("avx")
    return str(features.flatten())


def versions() -> dict[str, str]:
    """Versions of the compilers, by name."""
    import llvmlite
    import numba

    return {"Numba": numba.__version__, "llvmlite": llvmlite.__version__}


def _second_cache_bytes() -> int:
    """Size of the second-level cache as Linux reports it, else 1 MiB."""
    try:
        path = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
        text = path.read_text(encoding="ascii").strip()
        return int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20}[text[-1]]
    except (OSError, ValueError, KeyError, IndexError):
        return 1 << 20


class _Vectors(NamedTuple):
    """What there is to know of vectors."""

    bits: int
    registers: int
    is_x86: bool
    has_fma: bool


def _asked() -> _Vectors:
    """What LLVM says."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = target_cpu()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=1
    )
    assembly = str(machine.emit_assembly(llvm.parse_assembly(_PROBE)))
    bits = 512 if "zmm" in assembly else 256 if "ymm" in assembly else 128
    registers = 16 if bits == 256 or "xmm" in assembly else 32
    is_x86 = llvm.get_default_triple().startswith(("x86", "i386", "i686"))
    return _Vectors(bits, registers, is_x86, "fmaf" not in assembly)


def _known(level: objects.Level) -> _Vectors:
    """What code of a level is compiled for."""
    return _Vectors(level.vector_bits, level.registers, level.is_x86, level.has_fma)


_VECTORS = _asked() if objects.FOUND is None else _known(objects.FOUND.level)
VECTOR_BITS: int = _VECTORS.bits
"""Width of a vector register."""
VECTOR_REGISTERS: int = _VECTORS.registers
"""Number of vector registers (AVX-512 and NEON have 32, SSE and AVX2 16)."""
IS_X86: bool = _VECTORS.is_x86
"""Whether it is an x86 processor."""
HAS_FMA: bool = _VECTORS.has_fma
"""Whether it multiplies and adds in one instruction: to round only once takes a function else."""
IS_ARM: bool = platform.machine().lower() in ("aarch64", "arm64")
"""Whether it is a 64-bit ARM processor."""
HAS_RECIPROCAL_ESTIMATES: bool = VECTOR_BITS == 512
"""AVX-512's 14-bit estimates of 1/x and 1/sqrt(x)."""
TILE_VECTORS: int = 2
"""Vectors in a row of the largest tile."""
TILE_ROWS: int = 12 if VECTOR_REGISTERS == 32 else 6
"""Rows of the largest tile: rows x vectors accumulators leave registers for the operands."""
SECOND_CACHE_BYTES: int = _second_cache_bytes()
"""Size of the second-level cache. It decides in which order blocks are taken, not the sums."""


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
