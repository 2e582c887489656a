"""Every quantity of one backpropagation step for one sample, from the kernels that train.

A net is taken apart into small nets, each of which shows one quantity with the same kernels. The
trick: a layer whose weights are 0 and whose biases are x feeds exactly x into the layers above it,
and the gradient of those biases is dE/dx.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit.data import check_trainable, rows_and_targets
from fastbp.fit.history import History
from fastbp.kernels.layout import weight_views
from fastbp.kernels.optimizers import UPDATES
from fastbp.mlp import MLP
from fastbp.model.activations import Activation
from fastbp.model.losses import CallableLoss, CrossEntropy, Loss, Quantile
from fastbp.model.optimizers import SGD
from fastbp.model.schedules import rates_of

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Change:
    """The weights or the biases of a layer in one step; all arrays have the same shape.

    Attributes
    ----------
    old, new : array
        Values before and after the step.
    gradient : array
        dE/dw as in `MLP.loss_and_grad`, penalties included.
    penalty : array
        The share of L1 and L2 in it.
    used : array
        The gradient that the optimiser gets: clipped, and 0 for frozen parameters.
    frozen : array of bool
        Parameters that the step does not change.
    """

    old: FloatArray
    new: FloatArray
    gradient: FloatArray
    penalty: FloatArray
    used: FloatArray
    frozen: BoolArray


@dataclass(frozen=True, eq=False)
class LayerStep:
    """One layer in one step.

    Attributes
    ----------
    activation : str
    inputs : array, shape (n_in,)
        Outputs of the layer below, which are dnet/dw; dnet/db is 1.
    net : array, shape (n_out,)
        Net inputs.
    output : array, shape (n_out,)
    d_output : array, shape (n_out,)
        dE/dout. NaN where the loss is computed from the net inputs and dout/dnet rounds to 0: the
        kernels only need the product, `delta`.
    slope : array, shape (n_out,), or None
        dout/dnet; None for softmax, where each output depends on all net inputs.
    delta : array, shape (n_out,)
        dE/dnet.
    weights : Change
        With arrays (n_in, n_out).
    biases : Change or None
        With arrays (n_out,); None without biases.
    """

    activation: str
    inputs: FloatArray
    net: FloatArray
    output: FloatArray
    d_output: FloatArray
    slope: FloatArray | None
    delta: FloatArray
    weights: Change
    biases: Change | None

    @property
    def jacobian(self) -> FloatArray:
        """dout_i/dnet_j, shape (n_out, n_out): diagonal, except for softmax."""
        if self.slope is not None:
            return np.diag(self.slope)
        return np.diag(self.output) - np.outer(self.output, self.output)


@dataclass(frozen=True, eq=False)
class Losses:
    """The loss of the sample.

    Attributes
    ----------
    by_output : array of float64, shape (n_out,), or None
        None for a loss in Python, which need not be a sum over the outputs.
    penalty : float
        The share of L1 and L2 in the loss.
    total, after : float
        The loss before and after the step.
    """

    by_output: npt.NDArray[np.float64] | None
    penalty: float
    total: float
    after: float


def one_sample(net: MLP, x: Any, y: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """One row of inputs and its targets, in the shapes that `MLP.fit` takes."""
    row = checks.numbers("x", x)
    if row.ndim == 1:
        row = row[np.newaxis]
    if row.ndim == 2 and row.shape[0] != 1:
        raise ValueError(
            f"explain takes one sample, x of shape ({net.layer_sizes[0]},); got {row.shape[0]} "
            "rows. Pass one of them: explain(net, X[i], y[i])"
        )
    target = checks.numbers("y", y)
    outputs = net.layer_sizes[-1]
    if target.ndim == 0 or (target.ndim == 1 and outputs > 1 and target.shape == (outputs,)):
        target = target[np.newaxis]
    return row, target


def twin_with(net: MLP, **changes: Any) -> MLP:
    """A copy of a net with other regularisation and an empty history."""
    # The loss and the optimiser are not changed, and a user's own need not have copies.
    shared = {id(part): part for part in (net.spec.loss, net.optimizer)}
    twin = copy.deepcopy(net, {**shared, id(net.history): History()})
    twin.regularization = replace(net.regularization, **changes)
    return twin


def beginning_with(net: MLP, layer: int, values: FloatArray, activation: str | Activation) -> MLP:
    """The layers of a net from one on, fed with net inputs of that layer, with its activation."""
    names = (activation, *net.activations[layer + 1 :])
    part = MLP(
        (1, *net.layer_sizes[layer + 1 :]), activation=names[:-1], output_activation=names[-1],
        loss=net.spec.loss, dtype=net.dtype, weight_init="zeros", seed=0,
    )  # fmt: skip
    part.biases[0][...] = values
    for index in range(layer + 1, len(net.weights)):
        part.weights[index - layer][...] = net.weights[index]
        if net.bias:
            part.biases[index - layer][...] = net.biases[index]
    return part


def first_gradient(net: MLP, y: Any) -> FloatArray:
    """The gradient of the first biases of a net made by `beginning_with`."""
    grad = net.loss_and_grad(np.zeros((1, 1)), y)[1]
    return weight_views(grad, net.layer_table)[1][0].copy()


def net_inputs(net: MLP, layer: int, inputs: FloatArray) -> FloatArray:
    """The net inputs of a layer, from the outputs of the layer below."""
    part = MLP(
        net.layer_sizes[layer : layer + 2], bias=net.bias, dtype=net.dtype, weight_init="zeros",
        seed=0,
    )  # fmt: skip
    part.weights[0][...] = net.weights[layer]
    if net.bias:
        part.biases[0][...] = net.biases[layer]
    (out,) = part.predict(inputs[np.newaxis])
    return cast(FloatArray, out)


def activated(values: FloatArray, activation: str | Activation) -> FloatArray:
    """Outputs of units with these net inputs."""
    part = MLP(
        (1, values.size), output_activation=activation, dtype=values.dtype, weight_init="zeros",
        seed=0,
    )  # fmt: skip
    part.biases[0][...] = values
    (out,) = part.predict(np.zeros((1, 1)))
    return cast(FloatArray, out)


def slopes(
    values: FloatArray, outputs: FloatArray, activation: str | Activation
) -> FloatArray | None:
    """dout/dnet of units with these net inputs; None for softmax.

    With a loss of slope 1 for each output, this is the gradient of the biases.
    """
    if activation == "softmax":
        return None
    part = MLP(
        (1, values.size), output_activation=activation, loss="absolute_error", dtype=values.dtype,
        weight_init="zeros", seed=0,
    )  # fmt: skip
    part.biases[0][...] = values
    below = 2 * np.minimum(outputs, 0) - 1
    return first_gradient(part, below[np.newaxis])


def targets_of(net: MLP, row: Any, target: Any) -> FloatArray:
    """The targets, (n_out,); a label becomes a one-hot row."""
    data, _ = rows_and_targets(row, target, None, net)
    if data.n_weights:
        raise ValueError(f"explain needs all targets of a sample; got {target}, with NaN")
    if not data.n_labels:
        return data.targets.copy()
    targets = np.zeros(net.layer_sizes[-1], net.dtype)
    targets[data.labels] = 1
    return targets


def smoothed(loss: Loss, targets: FloatArray) -> FloatArray:
    """The targets that the loss compares with, after label smoothing."""
    if not hasattr(loss, "label_smoothing"):
        return targets
    share, rest = loss.parameters(targets.size)[:2]
    return cast(FloatArray, (targets * share + rest).astype(targets.dtype))


def losses_by_output(net: MLP, last: LayerStep, targets: FloatArray) -> Any:
    """The loss of each output, (n_out,); None for a loss in Python."""
    loss = net.spec.loss
    if isinstance(loss, CallableLoss):
        return None
    if isinstance(loss, CrossEntropy):
        z = last.net.astype(np.float64) - last.net.max()
        return smoothed(loss, targets) * (np.log(np.exp(z).sum()) - z)
    out = np.empty(targets.size)
    values = last.net if loss.from_logits else last.output
    levels = loss.parameters(targets.size)
    for k, (value, target) in enumerate(zip(values, targets, strict=True)):
        single = Quantile(float(levels[k])) if isinstance(loss, Quantile) else loss
        part = MLP((1, 1), loss=single, dtype=net.dtype, weight_init="zeros", seed=0)
        part.biases[0][...] = value
        out[k] = part.loss(np.zeros((1, 1)), [[target]])
    return out


def derivatives_of_outputs(net: MLP, layer: LayerStep, target: Any, index: int) -> FloatArray:
    """dE/dout of a layer."""
    last = index == len(net.weights) - 1
    if not (last and net.spec.loss.from_logits):
        values = layer.output
        if last:  # the loss alone, as a function of the outputs
            loss = MLP(
                (1, values.size), loss=net.spec.loss, output_activation="identity", dtype=net.dtype,
                weight_init="zeros", seed=0,
            )  # fmt: skip
            loss.biases[0][...] = values
            return first_gradient(loss, target)
        return first_gradient(beginning_with(net, index, values, "identity"), target)
    with np.errstate(divide="ignore", invalid="ignore"):
        if layer.slope is None:
            shares = smoothed(
                net.spec.loss, targets_of(net, np.zeros((1, net.layer_sizes[0])), target)
            )
            return np.where(shares == 0, shares, -shares / layer.output)
        return np.where(layer.slope == 0, np.nan, layer.delta / layer.slope)


def given_to_optimizer(net: MLP, row: Any, target: Any) -> FloatArray:
    """The gradient after penalties and clipping, which a first momentum step keeps as velocity."""
    probe = twin_with(net, dropout=0.0, input_dropout=0.0, max_norm=None)
    probe.optimizer = "adam"  # so that SGD starts afresh
    probe.optimizer = SGD(1e-30, momentum=0.5)
    probe.step(row, target)
    return probe.state.slots


def changes(
    twin: MLP, old: FloatArray, grad: FloatArray, penalty: FloatArray, used: FloatArray
) -> tuple[list[Change], list[Change | None]]:
    """The weights and the biases of each layer in a step, from flat arrays."""
    flat = (old, twin.params.copy(), grad, penalty, used, twin.frozen.copy())
    views = [weight_views(values, twin.layer_table) for values in flat]
    weights = [Change(*parts) for parts in zip(*(view[0] for view in views), strict=True)]
    if not twin.bias:
        return weights, [None] * len(weights)
    return weights, [Change(*parts) for parts in zip(*(view[1] for view in views), strict=True)]


@dataclass(frozen=True, eq=False)
class Step:
    """One step: the net before and after it, without dropout, and all quantities in between.

    Attributes
    ----------
    before, after : MLP
    inputs : array, shape (n_in,)
    targets : array, shape (n_out,)
        After label smoothing, labels as one-hot rows.
    layers : tuple of LayerStep
    losses : Losses
    learning_rate : float
        The rate of this update.
    number : int
        Number of updates the optimiser had made before.
    drops_out : bool
        Whether the net has dropout, which is off here.
    """

    before: MLP
    after: MLP
    inputs: FloatArray
    targets: FloatArray
    layers: tuple[LayerStep, ...]
    losses: Losses
    learning_rate: float
    number: int
    drops_out: bool

    @property
    def is_clipped(self) -> bool:
        """Whether the net clips gradients."""
        rules = self.before.regularization
        return rules.clip_value is not None or rules.clip_norm is not None

    @property
    def is_penalized(self) -> bool:
        """Whether the net has penalties."""
        return bool(self.before.regularization.l1 or self.before.regularization.l2)

    def is_direct(self, index: int) -> bool:
        """Whether the delta of a layer is not computed as a product of two factors.

        Parameters
        ----------
        index : int
            The layer, counted from 0.

        Returns
        -------
        bool
        """
        last = index == len(self.layers) - 1
        return (last and self.before.spec.loss.from_logits) or self.layers[index].slope is None


def take_step(net: MLP, x: Any, y: Any) -> Step:
    """Carry out one step on copies of a net; the net is not changed."""
    check_trainable(net.activations)
    row, target = one_sample(net, x, y)
    targets = targets_of(net, row, target)
    before = twin_with(net, dropout=0.0, input_dropout=0.0)
    total, grad = before.loss_and_grad(row, target)
    penalty = np.zeros_like(grad)
    unpenalized = total
    if before.regularization.l1 or before.regularization.l2:
        plain = twin_with(before, l1=0.0, l2=0.0)
        unpenalized, plain_grad = plain.loss_and_grad(row, target)
        with np.errstate(invalid="ignore"):  # where gradients are not finite
            penalty = grad - plain_grad
    used = given_to_optimizer(net, row, target)
    after = twin_with(before)
    after.step(row, target)
    weights, biases = changes(after, before.params.copy(), grad, penalty, used)

    inputs = checks.matrix("x", row, net.layer_sizes[0], net.dtype, "one column per input")[0]
    inputs = inputs.copy()
    layers = []
    below = inputs
    for index, activation in enumerate(net.activations):
        z = net_inputs(before, index, below)
        out = activated(z, activation)
        layer = LayerStep(
            str(activation), below, z, out, out, slopes(z, out, activation),
            first_gradient(beginning_with(before, index, z, activation), target),
            weights[index], biases[index],
        )  # fmt: skip
        layer = replace(layer, d_output=derivatives_of_outputs(before, layer, target, index))
        layers.append(layer)
        below = out
    by_output = losses_by_output(before, layers[-1], targets)
    losses = Losses(by_output, total - unpenalized, total, after.loss(row, target))
    number = int(before.state.scalars[UPDATES])
    rate = float(rates_of(net.optimizer.learning_rate, number, 1)[0])
    return Step(
        before, after, inputs, smoothed(net.spec.loss, targets), tuple(layers), losses, rate,
        number, any(net.regularization.dropout_rates(len(net.layer_table))),
    )  # fmt: skip
