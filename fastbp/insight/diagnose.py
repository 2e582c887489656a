"""`diagnose`: measure what goes wrong in a net's training, and say what to do."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks, inspection
from fastbp.fit.data import (
    LEAST_WEIGHT,
    Examples,
    check_trainable,
    rows_and_targets,
    scaled_to_mean_1,
    weights_of,
)
from fastbp.fit.history import History
from fastbp.fit.warn import DivergenceWarning
from fastbp.insight.findings import Diagnosis, LayerReport
from fastbp.insight.symptoms import Measurements, all_findings
from fastbp.inspection import twin_of, with_schedule
from fastbp.kernels.layout import weight_views
from fastbp.mlp import MLP
from fastbp.model.activations import traits_of
from fastbp.model.schedules import ScaledSchedule, counts_epochs, rate_in_updates

MOST_ROWS = 2000
"""Rows that are examined; from a larger data set this many are drawn at random."""
TRIAL_UPDATES = 100
"""Updates of a trial with a learning rate."""
RATIO_UPDATES = 10
"""Updates over which the median ratio of update to weight is taken."""
FACTORS = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4)
"""Multiples of the learning rate that the trials use."""
MOST_OF_THE_ROWS = 0.9
"""A unit counts as saturated when its output is at an end for this share of the rows."""


class _Sample(NamedTuple):
    """Checked rows: inputs in the net's dtype, targets as given, sample weights or None."""

    X: npt.NDArray[np.floating]
    y: npt.NDArray[Any]
    sample_weight: npt.NDArray[np.float64] | None


@checks.explained
def diagnose(
    net: MLP,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    *,
    validation_data: tuple[npt.ArrayLike, ...] | None = None,
    history: History | None = None,
    batch_size: int = 32,
    seed: int | None = 0,
) -> Diagnosis:
    """Look for the usual faults in a net's training, with one line of advice for each.

    Copies of the net are trained for a few hundred updates; the net itself is not changed.

    Parameters
    ----------
    net : MLP
        Trained or untrained.
    X, y : array-like
    sample_weight : array-like, optional
        The training rows, as in `MLP.fit`. From more than 2000, 2000 are drawn at random.
    validation_data : (X, y) or (X, y, sample_weight), optional
        Rows that are not used for training, to find overfitting.
    history : History, optional
        The history of its training; by default ``net.history``. Underfitting is only looked for
        when there are finished epochs. Its "val_loss" may also show overfitting.
    batch_size : int, default=32
        The batch size it is trained with.
    seed : int or None, default=0
        Seed for the choice and the order of the rows; None draws a new one.

    Returns
    -------
    Diagnosis
        Its findings by name:

        "unscaled inputs"
            A column with a root mean square above 10, or all columns below 0.01.
        "unscaled targets"
            Targets with a root mean square above 100 or below 0.001, where the output activation
            has no bounds.
        "unreachable targets"
            At least 1 % of the targets lie outside the range of the output activation. Not asked
            of losses in Python, nor of those whose targets are checked: the cross-entropies,
            poisson and gamma.
        "identical units"
            In a hidden layer, at least 20 % of the units are copies of others, with the same
            weights from below and to above. They get the same gradients and stay copies.
        "dead units"
            In a layer with ReLU, at least 20 % of the units are 0 for every row; outputs only
            where the targets are not 0.
        "saturated units"
            In a layer with sigmoid, hard_sigmoid or tanh, at least 20 % of the units are at an end
            of their range for 90 % of the rows; outputs only where a tenth of the targets lie
            elsewhere, and where the loss is not computed from net inputs.
        "vanishing gradient"
            The norm of the gradient with respect to a layer's weights is below a thousandth of the
            largest such norm of any layer's weights or biases, or the whole gradient is exactly 0
            although there is a loss. Not checked if a layer is dead.
        "exploding gradient"
            The norm of the gradient with respect to a layer's weights is more than ten times the
            norm of the weights, or not finite.
        "large updates"
            In a layer, the median update changes the weights by more than a tenth of their norm.
        "small updates"
            In all layers, the median update changes the weights by less than 1e-5 of their norm,
            or not at all, and the loss is above half the loss of a constant prediction. Frozen
            weights do not count.
        "learning rate too large"
            The history ended in divergence. Or 100 updates of a copy diverge; or its loss rises by
            a fifth (plus 2 % of the loss of a constant) but does not at a tenth of the rate; or it
            falls less than half as far below the loss of a constant as at a tenth of the rate.
        "learning rate too small"
            In 100 updates of a copy the loss falls by less than 2 %, but at 10 to 10,000 times the
            rate by more than 10 % (plus 2 % of the loss of a constant) and ten times as far.
        "underfitting"
            After training, the loss is above 80 % of the loss of predicting the mean of the
            targets, or what comes nearest to it in the range of the outputs. Not reported where
            half of the targets are unreachable.
        "overfitting"
            The validation data lose more than 30 % of what the training loss has gained on a
            constant prediction; or "val_loss" has risen from its minimum by more than a tenth of
            its fall, while "loss" fell.

    Raises
    ------
    ValueError, TypeError
        Bad input.

    Notes
    -----
    Bengio, "Practical recommendations for gradient-based training of deep architectures", 2012,
    sections 3 and 4; Glorot and Bengio, AISTATS 2010, for saturation and gradients by layer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, diagnose
    >>> X = np.random.default_rng(0).normal(50, 20, size=(300, 2))  # not scaled
    >>> found = diagnose(MLP((2, 16, 1), seed=0), X, X[:, 0] > X[:, 1])
    >>> "unscaled inputs" in found
    True
    """
    check_trainable(inspection.check_net(net).activations)
    batch_size = checks.count("batch_size", batch_size)
    generator = checks.generator(seed)
    history = net.history if history is None else history
    if not isinstance(history, History):
        raise TypeError(f"history must be a History, as returned by fit; got {history!r}")
    sample = _sample(net, Examples(X, y, sample_weight), generator)
    shown = repr(net)
    net = _counting_updates(net, math.ceil(len(checks.numbers("y", y)) / batch_size))
    held_out = None
    if validation_data is not None:
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            raise TypeError(
                "validation_data must be (X, y) or (X, y, sample_weight); got "
                f"{type(validation_data).__name__} {validation_data!r}"
            )
        held_out = _sample(net, Examples(*validation_data), generator)
    loss = net.loss(*sample)
    measured = Measurements(
        net=net,
        inputs=sample.X,
        targets=np.asarray(sample.y, np.float64),
        layers=_layers(net, sample, batch_size, generator),
        bias_norms=_norms(inspection.layer_gradients(net, *sample)[1]),
        loss=loss,
        constant_loss=_constant_loss(net, sample),
        validation_loss=None if held_out is None else net.loss(*held_out),
        trials={factor: _trial(net, sample, batch_size, factor) for factor in FACTORS},
        history=history,
    )
    return Diagnosis(all_findings(measured), measured.layers, loss, shown)


def _counting_updates(net: MLP, updates_an_epoch: int) -> MLP:
    """The net, or where its rate counts epochs a copy whose rate counts updates.

    The epochs are those of all rows: a sample has fewer updates.
    """
    rate = net.optimizer.learning_rate
    if not counts_epochs(rate):
        return net
    twin = twin_of(net)
    twin.optimizer = with_schedule(net.optimizer, rate_in_updates(rate, updates_an_epoch))
    return twin


def _sample(net: MLP, examples: Examples, generator: np.random.Generator) -> _Sample:
    """All rows, checked, or MOST_ROWS of them drawn."""
    checks.refuse_sparse("X", examples.X, "diagnose")
    data, rows = rows_and_targets(*examples, net)
    X = data.inputs.reshape(rows, -1)
    y = checks.numbers("y", examples.y)
    given = weights_of(data)
    weights = None if given is None else scaled_to_mean_1(given)  # as a fit takes them
    if rows > MOST_ROWS:
        chosen = np.sort(generator.choice(rows, MOST_ROWS, replace=False))
        X = X[chosen]
        y = y[chosen]
        weights = None if weights is None else weights[chosen]
    return _Sample(X, y, weights)


def _norms(arrays: tuple[npt.NDArray[np.floating], ...]) -> list[float]:
    return [float(np.linalg.norm(array.astype(np.float64))) for array in arrays]


def _layers(
    net: MLP, sample: _Sample, batch_size: int, generator: np.random.Generator
) -> list[LayerReport]:
    """Measurements of each layer."""
    outputs = inspection.layer_outputs(net, sample.X)
    gradients = _norms(inspection.layer_gradients(net, *sample)[0])
    ratios = _update_ratios(net, sample, batch_size, generator)
    last = len(outputs) - 1
    reports = []
    for layer, (name, norm) in enumerate(zip(net.activations, _norms(net.weights), strict=True)):
        table = outputs[layer]
        traits = traits_of(name)
        dead = 0.0
        saturated = 0.0
        targets = _columns(net, sample.y) if layer == last else None
        if traits.dies:
            silent = (table == 0).all(axis=0)
            if targets is not None:
                silent &= (targets != 0).any(axis=0)
            dead = float(silent.mean())
        if traits.saturated is not None:
            low, high = traits.saturated
            share = ((table <= low) | (table >= high)).mean(axis=0)
            ended = share >= MOST_OF_THE_ROWS
            if targets is not None:
                ended &= _astray(table, targets, traits.bounds) > 1 - MOST_OF_THE_ROWS
                ended &= not net.spec.loss.from_logits
            saturated = float(ended.mean())
        reports.append(
            LayerReport(
                layer, str(name), net.layer_sizes[layer + 1], norm, gradients[layer],
                ratios[layer],
                dead, saturated,
            )
        )  # fmt: skip
    return reports


def _columns(net: MLP, y: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Targets as columns: one per output, or one for all of them."""
    if net.loss_name == "cross_entropy" and y.ndim == 1:
        return np.eye(net.layer_sizes[-1])[y.astype(np.int64)]
    return y.reshape(len(y), -1).astype(np.float64)


def _astray(
    outputs: npt.NDArray[np.floating], targets: npt.NDArray[np.float64], bounds: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Share of the rows in which an output is far from its target, one per output."""
    reach = (bounds[1] - bounds[0]) / 4
    share: npt.NDArray[np.float64] = (np.abs(outputs - targets) > reach).mean(axis=0)
    return share


def _update_ratios(
    net: MLP, sample: _Sample, batch_size: int, generator: np.random.Generator
) -> list[float]:
    """Median ratio of update norm to weight norm, one per layer; 0 for a frozen layer.

    NaN where no batch had any weight.
    """
    twin = twin_of(net)
    ratios = []
    for _ in range(RATIO_UPDATES):
        chosen = generator.choice(len(sample.X), min(batch_size, len(sample.X)), replace=False)
        before = twin.params.copy()
        weight = None if sample.sample_weight is None else sample.sample_weight[chosen]
        if weight is not None and not weight.any():
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DivergenceWarning)  # the trials report it
            twin.step(sample.X[chosen], sample.y[chosen], weight)
        changes = _norms(weight_views(twin.params - before, net.layer_table)[0])
        norms = _norms(weight_views(before, net.layer_table)[0])
        ratios.append([c / max(n, 1e-12) for c, n in zip(changes, norms, strict=True)])
    return np.median(ratios, axis=0).tolist() if ratios else [math.nan] * len(net.weights)


def _trial(net: MLP, sample: _Sample, batch_size: int, factor: float) -> float:
    """The loss after some updates at a multiple of the learning rate; infinite on divergence."""
    twin = twin_of(net)
    scaled = ScaledSchedule(net.optimizer.learning_rate, factor)
    twin.optimizer = with_schedule(net.optimizer, scaled)
    updates_an_epoch = math.ceil(len(sample.X) / batch_size)
    epochs = math.ceil(TRIAL_UPDATES / updates_an_epoch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)  # the history tells it
        warnings.filterwarnings("ignore", "the mean loss of the first epoch")  # the report does
        history = twin.fit(
            sample.X, sample.y, sample_weight=sample.sample_weight, epochs=epochs,
            batch_size=batch_size,
        )  # fmt: skip
    return math.inf if history.stop_reason else twin.loss(*sample)


def _constant_loss(net: MLP, sample: _Sample) -> float:
    """The loss, by the kernels, of a net that predicts the mean of the targets for every row.

    Where that is out of the range of the outputs, it is the nearest that they can be.
    """
    n_out = net.layer_sizes[-1]
    loss = net.spec.loss
    constant = MLP(
        (1, n_out), loss=loss, output_activation=None if loss.from_logits else "identity",
        dtype=net.dtype, weight_init="zeros", optimizer="sgd", seed=0,
        missing_targets=net.missing_targets,
    )  # fmt: skip
    columns = np.nan_to_num(_columns(net, sample.y))  # a missing target has no weight
    weights = np.ones(len(columns)) if sample.sample_weight is None else sample.sample_weight
    weights = weights.reshape(len(columns), -1)
    mean = (weights * columns).sum(axis=0) / np.maximum(weights.sum(axis=0), LEAST_WEIGHT)
    if loss.from_logits:
        constant.biases[0][...] = _net_input(net.activations[-1], mean)
    else:
        constant.biases[0][...] = np.clip(mean, *traits_of(net.activations[-1]).bounds)
    return constant.loss(np.zeros((len(sample.y), 1)), sample.y, sample.sample_weight)


def _net_input(activation: Any, outputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Net inputs for which sigmoid, softmax or exp has these outputs, or nearly."""
    if activation == "sigmoid":
        share = np.clip(outputs, 1e-6, 1 - 1e-6)
        return np.log(share / (1 - share))
    return np.log(np.maximum(outputs, 1e-6))
