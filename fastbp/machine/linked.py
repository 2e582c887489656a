"""Compile inner kernels only into the code that calls them.

Numba optimises every function together with all that it calls, and emits machine code for it,
and does both again for each caller: over seven levels of kernels that took 16 s. A kernel that
Python never calls needs neither. Here its LLVM code is kept as it is and linked into the
entry point, which is optimised once, as a whole (3 s).

This leans on Numba's internals. Where they are others, importing this file fails, and ``jit.py``
compiles inner kernels as Numba does by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite.binding import Linkage
from numba.core.codegen import CodeLibrary, JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.registry import CPUDispatcher
from numba.core.sigutils import normalize_signature
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.types.misc import unliteral
from numba.core.untyped_passes import (
    FixupArgs,
    GenericRewrites,
    IRProcessing,
    ReconstructSSA,
    RewriteDynamicRaises,
    TranslateByteCode,
)

from fastbp.machine.internals import has, require

require(
    JITCodeLibrary,
    "_ensure_finalized _final_module _finalize_dynamic_globals _finalized _get_module_for_linking "
    "_linking_libraries _raise_if_finalized _shared_module codegen finalize "
    "get_pointer_to_function",
)
require(Compiler, "compile_extra define_pipelines state")
require(
    CPUDispatcher, "_compiler _compiling_counter add_overload compile get_call_template overloads"
)


class _NoEnvironment:
    """Stands in for the code generator where a finished function would be registered."""

    def set_env(self, name: str, env: Any) -> None:
        """Do nothing: what is not emitted has no environment."""


_RELOADS = has(JITCodeLibrary, "_reload_init")
"""Numba 0.62 does not yet have it: what is to be called when code is loaded from a cache."""


class _LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is optimised and emitted in its callers.

    It does not contain what it calls: that is linked when an entry point asks for it. Linked at
    every level, the innermost kernels were copied dozens of times.
    """

    _shared_module: Any

    @property
    def codegen(self) -> Any:
        return _NoEnvironment()

    def finalize(self) -> None:
        """Close the module as it is."""
        self._raise_if_finalized()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "linkonce_odr"
        self._finalize_dynamic_globals()
        self._finalized = True

    def _callees(self) -> Iterator[CodeLibrary]:
        """All libraries that this one calls, directly or not, each once."""
        left = [self]
        seen = {self}
        while left:
            library = left.pop()
            if library is not self:
                yield library
            new = getattr(library, "_linking_libraries", ()) if type(library) is type(self) else ()
            left += dict.fromkeys(each for each in new if each not in seen)
            seen.update(new)

    def _get_module_for_linking(self) -> Any:
        """The code together with all that it calls."""
        self._ensure_finalized()
        if self._shared_module is None:
            whole = self._final_module.clone()
            for library in self._callees():
                if _RELOADS:
                    self._reload_init.update(library._reload_init)
                linked = isinstance(library, _LinkedLibrary)
                module = library._final_module if linked else library._get_module_for_linking()
                whole.link_in(module, preserve=True)
            self._shared_module = whole
        return self._shared_module

    def get_pointer_to_function(self, name: str) -> int:
        """No address: nothing was emitted."""
        return 0


_PASSES = (
    TranslateByteCode, FixupArgs, IRProcessing, GenericRewrites, RewriteDynamicRaises,
    ReconstructSSA, NopythonTypeInference, PreLowerStripPhis, IRLegalization, NativeLowering,
    NoPythonBackend,
)  # fmt: skip


class LinkedCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, but the result can only be linked into other compiled functions."""

    def compile_extra(self, func: Any) -> Any:
        """Compile `func` into a library of linked code."""
        codegen = self.state.targetctx.codegen()
        self.state.library = _LinkedLibrary(codegen, func.__qualname__)
        return super().compile_extra(func)

    def define_pipelines(self) -> list[PassManager]:
        """Only the passes that kernels need.

        They have no closures, comprehensions, overloads, literals or array expressions, for
        which Numba takes a tenth of the time of a first compilation.
        """
        passes = PassManager("linked")
        for step in _PASSES:
            passes.add_pass(step, step.__name__)
        passes.finalize()
        return [passes]


class LinkedDispatcher(CPUDispatcher):  # type: ignore[misc]
    """A kernel that compiled functions can call and Python cannot."""

    def compile(self, sig: Any) -> Any:
        """Compile as Numba does, without its timers: each listens to all that is compiled below."""
        args, return_type = normalize_signature(sig)
        with global_compiler_lock, self._compiling_counter:
            if tuple(args) not in self.overloads:
                self.add_overload(self._compiler.compile(args, return_type))
            return self.overloads[tuple(args)].entry_point

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
