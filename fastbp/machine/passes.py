"""Numba's passes, those that kernels need: half of the time that all of them take.

Kernels have no closures, comprehensions, overloads, literals, generators or array expressions.
Nothing in them is counted by references, so that nothing has to be deleted, and nobody needs to
know where variables live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from numba import types
from numba.core import cgutils, lowering
from numba.core.analysis import dead_branch_prune
from numba.core.base import BaseContext
from numba.core.ir_utils import build_definitions, check_and_legalize_ir
from numba.core.rewrites import rewrite_registry
from numba.core.ssa import reconstruct_ssa
from numba.core.transforms import canonicalize_cfg
from numba.core.typed_passes import (
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.typing.context import BaseContext as TypingContext
from numba.core.untyped_passes import FixupArgs, RewriteDynamicRaises, TranslateByteCode

from fastbp.machine.internals import require

require(PreLowerStripPhis, "_strip_phi_nodes")
require(lowering.Lower, "_alloca_var _singly_assigned_vars alloca_lltype getvar storevar")
require(BaseContext, "_registries refresh")
require(TypingContext, "resolve_function_type")


class _NotNone(NamedTuple):
    """The type of an argument, as `dead_branch_prune` knows those that are not None."""

    literal_type: Any


def _prune_by_none(state: Any) -> None:
    """Keep one branch of ``if x is None`` for an argument x, by its type.

    Numba does so only where x is None; without it the other branch would be typed too.
    """
    args = [a if isinstance(a, types.NoneType) else _NotNone(a) for a in state.args]
    dead_branch_prune(state.func_ir, args)


def _rewrite(state: Any) -> None:
    """Rewrite indices and powers that are constants, and what is raised."""
    blocks = state.func_ir.blocks
    for kind in rewrite_registry.rewrites["before-inference"]:
        rewrite = kind(state)
        left = list(blocks.items())
        while left:
            label, block = left.pop()
            if rewrite.match(state.func_ir, block, state.typemap, state.calltypes):
                blocks[label] = rewrite.apply()
                left.append((label, blocks[label]))
    RewriteDynamicRaises().run_pass(state)


def _define_anew(func_ir: Any) -> None:
    func_ir._definitions = build_definitions(func_ir.blocks)


class _Lower(lowering.Lower):  # type: ignore[misc]
    """Writes LLVM's code of a function; asks LLVM for sizes of variables for a debugger alone."""

    def alloca_lltype(self, name: str, lltype: Any, datamodel: Any = None) -> Any:
        """Room for a variable."""
        if self.context.enable_debuginfo:
            return super().alloca_lltype(name, lltype, datamodel)
        return cgutils.alloca_once(self.builder, lltype, name=name, zfill=False)

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        """Store a variable, or an argument where it has a number."""
        if argidx is None or self.context.enable_debuginfo or name in self._singly_assigned_vars:
            super().storevar(value, name, argidx)
        else:
            self._alloca_var(name, self.typeof(name))
            self.builder.store(value, self.getvar(name))


class _Lowering(NativeLowering):  # type: ignore[misc]
    @property
    def lowering_class(self) -> type:
        return _Lower


class Passes:
    """What Numba calls a pipeline, of the passes that kernels need, without timers and checks."""

    pipeline_name = "linked"

    def __init__(self) -> None:
        self.exec_times: dict[str, Any] = {}

    def run(self, state: Any) -> None:
        """Compile a function."""
        TranslateByteCode().run_pass(state)
        FixupArgs().run_pass(state)
        _prune_by_none(state)
        state.func_ir.blocks = canonicalize_cfg(state.func_ir.blocks)
        _rewrite(state)
        state.func_ir = reconstruct_ssa(state.func_ir)
        _define_anew(state.func_ir)
        NopythonTypeInference().run_pass(state)
        state.func_ir = PreLowerStripPhis()._strip_phi_nodes(state.func_ir)
        _define_anew(state.func_ir)
        if state.flags.nrt:  # something may be counted
            check_and_legalize_ir(state.func_ir, flags=state.flags)
        _Lowering().run_pass(state)
        NoPythonBackend().run_pass(state)


@contextmanager
def looking_once(typing: Any, target: Any) -> Iterator[None]:
    """Let Numba's contexts look for what was registered, and for what a call means, only once.

    They look for new functions before each function and each operator, 3,000 times in a first
    compilation. And what an operator or function is for its arguments is found by trying all that
    have its name, 7,700 times; most are sums and products of a few types. Remembering that takes a
    ninth of the time away.

    Parameters
    ----------
    typing, target
        Numba's contexts for types and for code.
    """
    if "refresh" in vars(typing):  # a compilation within another
        yield
        return
    contexts = typing, target
    for context in contexts:
        context.refresh = _refresher(context, contexts)
    typing.resolve_function_type = _remembering(typing)
    try:
        yield
    finally:
        for context in contexts:
            del context.refresh
        del typing.resolve_function_type


def _remembering(typing: Any) -> Callable[..., Any]:
    """Numba's `resolve_function_type`, which is asked once for each call it finds a meaning of."""
    known: dict[Any, Any] = {}

    def resolve(func: Any, args: Any, kws: Any) -> Any:
        key = func, tuple(args), tuple(dict(kws).items())
        found = known.get(key)
        if found is None:  # what has no meaning yet may have one later
            found = type(typing).resolve_function_type(typing, func, args, kws)
            known[key] = found
        return found

    return resolve


def _refresher(context: Any, contexts: tuple[Any, ...]) -> Callable[[], None]:
    seen = -1

    def refresh() -> None:
        nonlocal seen
        if seen != _registered(contexts):
            type(context).refresh(context)
            seen = _registered(contexts)

    return refresh


def _registered(contexts: tuple[Any, ...]) -> int:
    """How many functions, types and the like were registered with Numba."""
    registries = [registry for context in contexts for registry in context._registries]
    return sum(len(x) for one in registries for x in vars(one).values() if isinstance(x, list))
