"""The processor that Numba compiles for: vector width, registers, tile sizes.

LLVM itself is asked, by compiling two lines for the CPU name and features that Numba uses
(``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` included), so the answer holds for the processor
that code is compiled for and not for the machine fastbp was written on.
"""

from __future__ import annotations

from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numba
from numba import config

_PROBE = """
define <16 x float> @probe(<16 x float> %x, <16 x float> %y) {
  %s = fadd <16 x float> %x, %y
  ret <16 x float> %s
}
"""


def target_cpu() -> tuple[str, str]:
    """CPU name and feature string that Numba compiles for.

    Returns
    -------
    name, features : str
        As LLVM writes them: "znver4", "+avx2,-avx512f,...".
    """
    name = config.CPU_NAME
    features = config.CPU_FEATURES
    if name in (None, "host"):
        name = llvm.get_host_cpu_name()
        features = _host_features() if features is None else features
    return name, features or ""


def _host_features() -> str:
    """Features of this processor, without AVX where NUMBA_ENABLE_AVX=0 forbids it."""
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
    return {"Numba": numba.__version__, "llvmlite": llvmlite.__version__}


def _second_cache_bytes() -> int:
    """Size of the second-level cache as Linux reports it, else 1 MiB."""
    try:
        path = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
        text = path.read_text(encoding="ascii").strip()
        return int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20}[text[-1]]
    except (OSError, ValueError, KeyError, IndexError):
        return 1 << 20


def _probe_assembly() -> str:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = target_cpu()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=1
    )
    return str(machine.emit_assembly(llvm.parse_assembly(_PROBE)))


_ASSEMBLY = _probe_assembly()
VECTOR_BITS: int = 512 if "zmm" in _ASSEMBLY else 256 if "ymm" in _ASSEMBLY else 128
"""Width of a vector register."""
VECTOR_REGISTERS: int = 16 if VECTOR_BITS == 256 or "xmm" in _ASSEMBLY else 32
"""Number of vector registers (AVX-512 and NEON have 32, SSE and AVX2 16)."""
IS_X86: bool = llvm.get_default_triple().startswith(("x86", "i386", "i686"))
"""Whether it is an x86 processor."""
IS_ARM: bool = llvm.get_default_triple().startswith(("aarch64", "arm64"))
"""Whether it is a 64-bit ARM processor."""
HAS_RECIPROCAL_ESTIMATES: bool = VECTOR_BITS == 512
"""AVX-512's 14-bit estimates of 1/x and 1/sqrt(x)."""
TILE_VECTORS: int = 2
"""Vectors in a row of the largest tile."""
TILE_ROWS: int = 12 if VECTOR_REGISTERS == 32 else 6
"""Rows of the largest tile: rows x vectors accumulators leave registers for the operands."""
SECOND_CACHE_BYTES: int = _second_cache_bytes()
"""Size of the second-level cache. It decides in which order blocks are taken, not the sums."""
