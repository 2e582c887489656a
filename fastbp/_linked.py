"""Compile inner kernels only into the code that calls them.

Numba optimises every function together with all that it calls, and emits machine code for it,
and does both again for each caller: over seven levels of kernels that took 16 s. A kernel that
Python never calls needs neither. Here its LLVM code is kept as it is and linked into the
entry point, which is optimised once, as a whole (3 s).
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.core.types.misc import unliteral


class _NoEnvironment:
    """Stands in for the code generator where a finished function would be registered."""

    def set_env(self, name: str, env: Any) -> None:
        """Do nothing: what is not emitted has no environment."""


class _LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is optimised and emitted in its callers."""

    @property
    def codegen(self) -> Any:
        return _NoEnvironment()

    def _optimize_final_module(self) -> None:
        """Leave it to the callers."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """No address: nothing was emitted."""
        return 0


class LinkedCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, but the result can only be linked into other compiled functions."""

    def compile_extra(self, func: Any) -> Any:
        """Compile `func` into a library of linked code."""
        codegen = self.state.targetctx.codegen()
        self.state.library = _LinkedLibrary(codegen, func.__qualname__)
        return super().compile_extra(func)


class LinkedDispatcher(CPUDispatcher):  # type: ignore[misc]
    """A kernel that compiled functions can call and Python cannot."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Compile for ``int``, not for ``Literal[int](1)``: one version serves all constants."""
        return super().get_call_template(
            tuple(unliteral(a) for a in args),
            {name: unliteral(a) for name, a in dict(kws).items()},
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: there is no machine code to run."""
        raise TypeError(
            f"{self.__name__} is an inner kernel: call it from a compiled function, or set "
            "NUMBA_DISABLE_JIT=1 to call it from Python"
        )
