"""Warns of subclasses that override what scikit-learn calls inside and fastbp does not."""

from __future__ import annotations

from fastbp.fit.warn import warn

CALLED = {"_check_solver", "_fit", "_init_coef", "_validate_input"}
"""Private methods of scikit-learn's networks that fastbp calls under the same names."""

INSTEAD = {
    "_backprop": "loss= takes your own loss (MLPRegressor), l1_ratio= and alpha= penalties",
    "_compute_loss_grad": "loss= takes your own loss (MLPRegressor), l1_ratio= and alpha= penalties",
    "_fit_lbfgs": "callbacks= sees each epoch of the other solvers",
    "_fit_stochastic": "optimizer= takes your own steps, callbacks= sees each epoch",
    "_forward_pass": "dropout= and activation= change the layers, fastbp.MLP takes your own ones",
    "_forward_pass_fast": "override predict, predict_proba and transform",
    "_initialize": "override _init_coef, or pass weight_init=",
    "_loss_grad_lbfgs": "loss= takes your own loss (MLPRegressor)",
    "_predict": "override predict",
    "_score": "scoring= is the criterion of early stopping",
    "_score_with_function": "scoring= is the criterion of early stopping",
    "_unpack": "coefs_ and intercepts_ may be assigned",
    "_update_no_improvement_count": "scoring= and callbacks= decide when to stop",
}


def theirs() -> set[str]:
    """The names of the private methods of scikit-learn's networks."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    return {
        name
        for kind in (*MLPClassifier.__mro__, *MLPRegressor.__mro__)
        if kind.__module__ == MLPClassifier.__module__
        for name, value in vars(kind).items()
        if callable(value) and name.startswith("_") and not name.startswith("__")
    }


def warn_of_ignored(cls: type) -> None:
    """Warn if a class defines private methods that scikit-learn would call and fastbp never does.

    Parameters
    ----------
    cls : type
        A subclass of fastbp's estimators.
    """
    if cls.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return
    ignored = sorted((vars(cls).keys() & theirs()) - CALLED)
    if ignored:
        ways = "; ".join(f"instead of {name}: {INSTEAD.get(name, 'fastbp.MLP')}" for name in ignored)
        warn(f"fastbp does not call {', '.join(ignored)} of {cls.__name__}. {ways}.")
