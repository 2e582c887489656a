"""What is made of many fits: the best of several initialisations, and cross-validation."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit import data
from fastbp.many.fit_many import fit_many
from fastbp.mlp import MLP
from fastbp.model.initializers import check_init, draw


class Restarts(NamedTuple):
    """What `restarts` returns.

    Attributes
    ----------
    net : MLP
        The best one, trained.
    losses : array of float64, shape (k,)
        The loss by which they are judged; infinite for nets that diverged in their first epoch.
    nets : list of MLP
        All of them.
    """

    net: MLP
    losses: npt.NDArray[np.float64]
    nets: list[MLP]


def restarts(
    net: MLP, X: Any, y: Any, k: int = 10, *, sample_weight: Any = None,
    validation_fraction: float | None = 0.2, **options: Any,
) -> Restarts:  # fmt: skip
    """Train k nets that differ in their initial weights, and choose the best.

    Gradient descent ends in a minimum near its start, which may be a poor one; several starts are
    the remedy (Bishop, "Pattern Recognition and Machine Learning", 2006, section 5.2.1).

    Parameters
    ----------
    net : MLP
        What they are copies of but for the weights, which are drawn by `weight_init` and seeds that
        follow from this net's; frozen parameters have the values of this net. It stays as it is.
    X, y : array-like
        As in `MLP.fit`.
    k : int, default=10
        How many nets.
    sample_weight : array-like, optional
        As in `MLP.fit`.
    validation_fraction : float or None, default=0.2
        The share of the rows, the same ones for all nets, by whose loss they are judged. None is
        for so few rows that none can be spared: then it is the loss of all rows.
    **options : object
        `epochs`, `batch_size`, `shuffle`, `patience` and `threads`, as in `fit_many`.

    Returns
    -------
    Restarts

    Raises
    ------
    ValueError, TypeError
        As `fit_many`; and for a net whose weights were given, or drawn by a function.

    Examples
    --------
    Two hidden units can learn exclusive or, but from many starts they do not:

    >>> from fastbp import MLP, Adam, restarts
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = MLP((2, 2, 1), activation="leaky_relu", optimizer=Adam(0.05), seed=0)
    >>> found = restarts(net, X, y, 10, validation_fraction=None, epochs=1000)
    >>> bool(found.losses.min() < 1e-6), bool(found.losses.max() > 0.05)
    (True, True)
    >>> found.net.predict(X).round().ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    k = checks.count("k", k)
    seeds = np.random.default_rng(net.split_seed).integers(2**63, size=k).tolist()
    nets = [drawn_anew(net, seed) for seed in seeds]
    histories = fit_many(
        nets, X, y, sample_weights=sample_weight, validation_fraction=validation_fraction, **options
    )
    losses = np.full(k, math.inf)
    for i, (one, history) in enumerate(zip(nets, histories, strict=True)):
        if not validation_fraction:
            losses[i] = one.loss(X, y, sample_weight)
        elif len(history):
            losses[i] = history["val_loss"][(history.restored_epoch or len(history)) - 1]
    losses[np.isnan(losses)] = math.inf
    return Restarts(nets[int(losses.argmin())], losses, nets)


def drawn_anew(net: MLP, seed: int) -> MLP:
    """The net that ``MLP(..., seed=seed)`` with the same options makes, but for what is frozen.

    It holds out the same rows for validation as this net.
    """
    if "own" in net.weight_init:
        raise ValueError(
            "restarts draws weights by the names of weight_init, and those of this net were given, "
            "or drawn by a function, or come from a file. Make the nets yourself and pass them to "
            "fit_many"
        )
    made = MLP.from_spec(net.spec, net.optimizer)
    pairs = list(zip(net.layer_sizes, net.layer_sizes[1:], strict=False))
    draw(made, check_init(net.weight_init, pairs, net.dtype), checks.generator(seed))
    made.weight_init = net.weight_init
    made.missing_targets = net.missing_targets
    made.threads = net.threads
    made.split_seed = net.split_seed
    made.frozen[:] = net.frozen
    made.params[net.frozen] = net.params[net.frozen]
    return made


class CrossValidation(NamedTuple):
    """What `cross_validate` returns.

    Attributes
    ----------
    losses : array of float64, shape (n_folds,)
        The loss of each fold, by the net that was not trained on it.
    predictions : array, shape (rows, n_out)
        Outputs for each row, by that net; NaN for rows that are in no fold.
    folds : list of array of int
        The rows of each fold.
    nets : list of MLP
        Each trained on all rows but those of its fold; their histories are ``net.history``.
    """

    losses: npt.NDArray[np.float64]
    predictions: npt.NDArray[np.floating]
    folds: list[npt.NDArray[np.intp]]
    nets: list[MLP]


def cross_validate(
    net: MLP, X: Any, y: Any, folds: int | Iterable[Any] = 5, *, sample_weight: Any = None,
    shuffle: bool = True, **options: Any,
) -> CrossValidation:  # fmt: skip
    """Train a copy of the net for each fold, on the other rows, and test it on those of the fold.

    Parameters
    ----------
    net : MLP
        Copies of it are trained, from its current weights; the net itself is unchanged.
    X, y : array-like
        As in `MLP.fit`.
    folds : int or iterable of array of int, default=5
        How many, of about the same size: with `shuffle` drawn by the net's seed, else in the order
        of the rows; ``len(X)`` is leave-one-out. Or the row numbers of each fold, such as
        ``[test for _, test in StratifiedKFold(5).split(X, y)]`` by scikit-learn.
    sample_weight : array-like, optional
    shuffle : bool, default=True
        As in `MLP.fit`.
    **options : object
        `epochs`, `batch_size`, `validation_fraction`, `patience` and `threads`, as in `fit_many`.

    Returns
    -------
    CrossValidation

    Raises
    ------
    ValueError, TypeError
        As `fit_many`, and for folds that are empty, or all rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, SGD, cross_validate
    >>> X = np.linspace(-1, 1, 20).reshape(-1, 1)
    >>> found = cross_validate(MLP((1, 1), optimizer=SGD(0.1), seed=0), X, 2 * X, 20, epochs=300)
    >>> bool(found.losses.mean() < 1e-6), found.predictions.shape, len(found.nets)
    (True, (20, 1), 20)
    """
    shuffle = checks.flag("shuffle", shuffle)
    rows, count = data.rows_to_train_on(X, y, sample_weight, net)
    whole = data.examples_of(rows, y, net)
    parts = _parts(folds, count, net.split_seed if shuffle else None)
    others = [whole.take(np.delete(np.arange(count), part)) for part in parts]
    nets = [copy.deepcopy(net) for _ in parts]
    fit_many(
        nets, [some.X for some in others], [some.y for some in others],
        sample_weights=None if whole.sample_weight is None else [w for *_, w in others],
        shuffle=shuffle, **options,
    )  # fmt: skip
    losses = np.empty(len(parts))
    predictions = np.full((count, net.layer_sizes[-1]), np.nan, net.dtype)
    for i, (one, part) in enumerate(zip(nets, parts, strict=True)):
        held = whole.take(part)
        losses[i] = one.loss(*held)
        predictions[part] = one.predict(held.X)
    return CrossValidation(losses, predictions, parts, nets)


def _parts(folds: Any, count: int, seed: int | None) -> list[npt.NDArray[np.intp]]:
    """The rows of each fold."""
    if isinstance(folds, Iterable) and not isinstance(folds, str):
        parts = [np.asarray(part) for part in folds]
        for i, part in enumerate(parts):
            if part.ndim != 1 or part.dtype.kind not in "iu" or not 0 < len(part) < count:
                raise ValueError(
                    f"each of the folds must be an array of the numbers of some rows, and not of "
                    f"all; fold {i} is {checks.described(folds if part.ndim == 0 else part)}"
                )
            if part.min() < 0 or part.max() >= count or len(np.unique(part)) < len(part):
                raise ValueError(
                    f"fold {i} must have different numbers from 0 to {count - 1}; it has "
                    f"{part.min()} to {part.max()}, {len(np.unique(part))} of {len(part)} different"
                )
        if not parts:
            raise ValueError("folds must be at least one; got none")
        return parts
    number = checks.count("folds", folds, 2, count)
    order = np.arange(count) if seed is None else np.random.default_rng(seed).permutation(count)
    return [np.sort(part) for part in np.array_split(order, number)]
