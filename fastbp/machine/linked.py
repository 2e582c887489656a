"""Compile inner kernels only into the code that calls them.

Numba optimises every function together with all that it calls, and emits machine code for it,
and does both again for each caller: over seven levels of kernels that took 16 s. A kernel that
Python never calls needs neither. Here its LLVM code is kept as it is and linked into the
entry point, which is optimised once, as a whole (3 s), and by passes chosen for these kernels.

This leans on Numba's internals. Where they are others, importing this file fails, and ``jit.py``
compiles inner kernels as Numba does by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from graphlib import TopologicalSorter
from typing import Any

import numba
from llvmlite import binding
from llvmlite.binding import Linkage
from numba.core import cgutils
from numba.core.codegen import CodeLibrary, CPUCodegen, JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.sigutils import normalize_signature
from numba.core.types.misc import unliteral

from fastbp.machine.internals import has, require
from fastbp.machine.passes import Passes, looking_once
from fastbp.machine.processor import usable_cores

require(
    JITCodeLibrary,
    "_codegen _ensure_finalized _final_module _finalize_dynamic_globals _finalized "
    "_get_module_for_linking _linking_libraries _optimize_final_module _optimize_functions "
    "_raise_if_finalized _shared_module codegen enable_object_caching finalize "
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
"""Whether libraries list what is to be called when they are loaded: Numba has it from 0.63 on."""


_helpers: list[ThreadPoolExecutor] = []
"""Who runs LLVM beside Numba: at most one, while an entry point compiles."""


@contextmanager
def _helped() -> Iterator[None]:
    """Run LLVM's passes on kernels in a thread of their own, where a second core may be free.

    LLVM lets other threads run meanwhile, but asks for its turn a dozen times a kernel, for which
    Python lets it wait 5 ms: longer than all else takes.
    """
    if usable_cores() == 1:
        yield
        return
    interval = sys.getswitchinterval()
    with ThreadPoolExecutor(1, "fastbp LLVM") as helper:
        _helpers.append(helper)
        sys.setswitchinterval(_TURN)
        try:
            yield
        finally:
            sys.setswitchinterval(interval)
            _helpers.remove(helper)
            helper.shutdown(wait=True, cancel_futures=True)


_TURN = 5e-4
"""Seconds that Numba and LLVM let each other wait."""


_TAKES_A_MODULE = CPUCodegen._function_pass_manager.__code__.co_argcount > 1
"""Whether Numba makes passes on functions for a module: before 0.62."""


def _simplified(text: str, names: list[str], library: Any) -> Any:
    """The module of a text, after Numba's passes on the functions of these names."""
    module = binding.parse_assembly(text)
    if _TAKES_A_MODULE:
        library._optimize_functions(module)
        return module
    passes, builder = library._codegen._function_pass_manager()
    for name in names:
        passes.run(module.get_function(name), builder)
    return module


class _LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is optimised and emitted in its callers.

    It does not contain what it calls: that is linked when an entry point asks for it. Linked at
    every level, the innermost kernels were copied dozens of times.
    """

    _shared_module: Any
    _module: Any
    _coming: Future[Any] | None = None  # the module, while a helper works on it

    @property
    def codegen(self) -> Any:
        return _NoEnvironment()

    @property
    def _final_module(self) -> Any:
        if self._coming is not None:
            self._module = self._coming.result()
            self._coming = None
        return self._module

    @_final_module.setter
    def _final_module(self, module: Any) -> None:
        self._module = module

    def add_ir_module(self, ir_module: Any) -> None:
        """Take the code of the function, the only one.

        LLVM's passes run on it, and not on the functions that it only declares, for each of which
        Numba makes a pipeline of its own. It is verified where it is linked in. With a helper, they
        run while Numba goes on with the next function.
        """
        self._raise_if_finalized()
        defined = [function for function in ir_module.functions if not function.is_declaration]
        for function in defined:
            function.linkage = "linkonce_odr"
        names = [function.name for function in defined]
        text = cgutils.normalize_ir_text(str(ir_module))
        if _helpers:
            self._coming = _helpers[-1].submit(_simplified, text, names, self)
        else:
            self._module = _simplified(text, names, self)

    def finalize(self) -> None:
        """Close the module as it is."""
        self._raise_if_finalized()
        self._finalized = True

    def _callees(self) -> list[CodeLibrary]:
        """All libraries that this one calls, directly or not, each after all that call it.

        LLVM drops what it links in when nothing calls it yet. So a function that a dead branch and
        a later library call would be missing, had it come after the dead branch alone.
        """
        calls: dict[CodeLibrary, list[CodeLibrary]] = {}
        left: list[CodeLibrary] = [self]
        while left:
            library = left.pop()
            if library not in calls:
                inner = isinstance(library, _LinkedLibrary)
                calls[library] = list(library._linking_libraries) if inner else []
                left += calls[library]
        order = list(TopologicalSorter(calls).static_order())
        return order[-2::-1]  # the last is this library itself

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


_OPT = 3
"""Numba's level of optimisation where NUMBA_OPT sets no other."""

_CHOOSES_PASSES = hasattr(binding, "create_pass_builder") and has(JITCodeLibrary, "_tm")
"""Whether LLVM's passes can be chosen: llvmlite has them from 0.44 (Numba 0.61) on."""


class _EntryLibrary(JITCodeLibrary):  # type: ignore[misc]
    """An entry point with all that it calls, optimised once, as a whole."""

    _interleaves = True

    def _optimize_final_module(self) -> None:
        """Optimise; what is linked in is called by nobody else, so it need not stay.

        It is private, not internal: the loader finds internal functions by their names, and those
        of another object that calls a kernel of the same name would call this one, whose arguments
        may have been optimised away.

        The passes are LLVM's O2 without unrolling, where Numba has O3: the tiles hold as much in
        registers as they can, and where the loops around tiles are unrolled, they take longer to
        compile and a step of 2-16-16-1 a fifth longer on Zen 4. Another NUMBA_OPT is left to Numba.
        """
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = "private"
        if not _CHOOSES_PASSES or int(numba.config.OPT) != _OPT:
            super()._optimize_final_module()
            return
        optimize(self._final_module, self._codegen._tm, self._interleaves)


def optimize(module: Any, machine: Any, interleaves: bool = True) -> None:
    """Run the passes on a module that holds all that it calls.

    Parameters
    ----------
    module : ModuleRef
    machine : TargetMachine
    interleaves : bool, default=True
        Whether a loop may take several vectors in a turn.
    """
    options = binding.create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = False
    if not interleaves:
        options.loop_interleaving = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


class EntryCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, for the functions that Python calls."""

    def compile_extra(self, func: Any) -> Any:
        """Compile `func` into a library that is optimised as a whole."""
        codegen = self.state.targetctx.codegen()
        self.state.library = _EntryLibrary(codegen, func.__qualname__)
        self.state.library.enable_object_caching()  # Numba does so where it makes the library
        with _helped(), looking_once(cpu_target.typing_context, cpu_target.target_context):
            return super().compile_extra(func)


class _LoopLibrary(_EntryLibrary):
    """A loop that is called for runs of whole vectors: several at once would leave a rest."""

    _interleaves = False


class LoopCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, for loops that kernels call by address."""

    def compile_extra(self, func: Any) -> Any:
        """Compile `func` into a library that is optimised as a whole."""
        codegen = self.state.targetctx.codegen()
        self.state.library = _LoopLibrary(codegen, func.__qualname__)
        return super().compile_extra(func)


class LinkedCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, but the result can only be linked into other compiled functions."""

    def compile_extra(self, func: Any) -> Any:
        """Compile `func` into a library of linked code."""
        codegen = self.state.targetctx.codegen()
        self.state.library = _LinkedLibrary(codegen, func.__qualname__)
        return super().compile_extra(func)

    def define_pipelines(self) -> list[Passes]:
        """Only the passes that kernels need."""
        return [Passes()]


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


def type_of(function: Any) -> Any:
    """The type of a function in compiled code."""
    context = cpu_target.typing_context
    try:
        return context.resolve_value_type(function)
    except ValueError:  # it was made while Numba compiles what calls it
        context.refresh()
        return context.resolve_value_type(function)
