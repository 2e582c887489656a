"""Warns of subclasses that override what scikit-learn calls inside and fastbp does not."""

from __future__ import annotations

from collections.abc import Callable

from fastbp.fit.warn import warn

CALLED = {"_check_solver", "_fit", "_init_coef", "_validate_input"}
"""Private methods of scikit-learn's networks that fastbp calls under the same names."""

OWN_LOSS = "loss= takes your own loss (MLPRegressor), alpha= and l1_ratio= penalties"
INSTEAD = {
    "_backprop": OWN_LOSS,
    "_compute_loss_grad": OWN_LOSS,
    "_fit_stochastic": "optimizer= takes your own steps, callbacks= sees each epoch",
    "_forward_pass": "activation= takes your own activations",
    "_forward_pass_fast": "override predict, predict_proba and transform",
    "_initialize": "override _init_coef, or pass weight_init=",
    "_loss_grad_lbfgs": OWN_LOSS,
    "_predict": "override predict",
    "_score": "scoring= is the criterion of early stopping",
    "_score_with_function": "scoring= is the criterion of early stopping",
    "_unpack": "assign coefs_ and intercepts_",
    "_update_no_improvement_count": "scoring= and callbacks= decide when to stop",
}


def private_methods(kind: type) -> set[str]:
    """The names of the private methods of one of scikit-learn's estimators, and of its bases."""
    package = kind.__module__.rpartition(".")[0]
    return {
        name
        for base in kind.__mro__
        if base.__module__.startswith(f"{package}.")
        for name, value in vars(base).items()
        if callable(value) and name.startswith("_") and not name.startswith("__")
    }


def warn_of_ignored(cls: type, their: Callable[[type], type], called: set[str]) -> None:
    """Warn if a class defines private methods that scikit-learn would call and fastbp never does.

    Parameters
    ----------
    cls : type
        A subclass of one of fastbp's estimators.
    their : callable
        Gives scikit-learn's class in whose place it stands.
    called : set of str
        The names that fastbp does call.
    """
    if cls.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return
    ignored = sorted((vars(cls).keys() & private_methods(their(cls))) - called)
    if ignored:
        ways = "; ".join(f"for {n}, {INSTEAD[n]}" for n in ignored if n in INSTEAD)
        warn(
            f"fastbp does not call {', '.join(ignored)} of {cls.__name__}, as scikit-learn would."
            + (f" Instead: {ways}." if ways else "")
        )
