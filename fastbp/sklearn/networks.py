"""The network of an estimator: its layers, penalties and initial weights, as in scikit-learn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.kernels.state import PENALTIES_SHARED
from fastbp.mlp import MLP
from fastbp.model.losses import Loss
from fastbp.model.net import Spec
from fastbp.model.optimizers import Optimizer
from fastbp.model.regularization import Regularization

ALIASES = {"logistic": "sigmoid"}
"""scikit-learn's names of activations that have another name in fastbp."""
ACTIVATION_NAMES = {*ALIASES} | {
    name for name, traits in ACTIVATIONS.items() if traits.hidden and traits.trainable
}
"""Names of the activations that hidden layers of an estimator may have."""

Arrays = list[npt.NDArray[Any]]


@dataclass(frozen=True)
class SummedRegularization(Regularization):
    """Penalties on the sum of the losses of all rows: each batch takes its share of them."""

    def settings(self, optimizer: Optimizer, n_layers: int) -> npt.NDArray[np.float64]:
        """The settings that the kernels read, with the optimiser's groups, without a schedule."""
        settings = super().settings(optimizer, n_layers)
        settings[PENALTIES_SHARED] = 1.0
        return settings


def hidden_sizes(estimator: Any) -> list[int]:
    """Widths of the hidden layers, checked."""
    given = estimator.hidden_layer_sizes
    sizes = list(given) if isinstance(given, Iterable) else [given]
    for i, size in enumerate(sizes):
        if isinstance(size, bool | np.bool_) or not isinstance(size, int | np.integer):
            checks.count(f"hidden_layer_sizes[{i}]", size)  # raises: not a whole number
    if np.any(np.array(sizes) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return sizes


def hidden_activations(estimator: Any, n_hidden: int) -> list[str]:
    """fastbp's name of the activation of each hidden layer."""
    given = estimator.activation
    names = [given] * n_hidden if isinstance(given, str) else list(given)
    if len(names) != n_hidden:
        raise ValueError(
            f"activation must be one name or one for each of the {n_hidden} hidden layers, got "
            f"{len(names)}: {names}."
        )
    for name in names:
        if name not in ACTIVATION_NAMES:
            raise ValueError(f"activation must be among {sorted(ACTIVATION_NAMES)}, got {name!r}.")
    return [ALIASES.get(name, name) for name in names]


def build(
    estimator: Any, sizes: Sequence[int], loss: Loss, dtype: npt.DTypeLike, optimizer: Optimizer
) -> MLP:
    """A network with an estimator's parameters; its weights are zeros.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    sizes : sequence of int
        Inputs, hidden layers, outputs.
    loss : Loss
    dtype : dtype
    optimizer : Optimizer
    """
    alpha, share = float(estimator.alpha), float(estimator.l1_ratio)
    regularization = SummedRegularization(
        l1=alpha * share,
        l2=alpha * (1.0 - share),
        dropout=estimator.dropout,
        clip_norm=estimator.clip_norm,
    )
    activations = *hidden_activations(estimator, len(sizes) - 2), loss.activation
    # Without `MLP.__init__`: the estimator has checked the other arguments, and nothing is drawn.
    sizes = checks.layer_sizes(sizes)
    spec = Spec(sizes, tuple(activations), loss, regularization, np.dtype(dtype), True)
    net = MLP.from_spec(spec, optimizer)
    net.missing_targets = estimator.missing_targets
    return net


def draw_initial(net: MLP, estimator: Any, random_state: np.random.RandomState) -> None:
    """Draw weights and biases: uniform with Glorot's bound, with scikit-learn's random numbers.

    The bound depends on the layer's activation; for the output layer, on that of the last hidden
    layer. The seed of dropout is drawn last.
    """
    names = [*net.activations[:-1], *net.activations[-2:-1]] or hidden_activations(estimator, 1)
    for name, weights, biases in zip(names, net.weights, net.biases, strict=True):
        scale = 2.0 if name == "sigmoid" else 6.0
        bound = np.sqrt(scale / sum(weights.shape))
        weights[...] = random_state.uniform(-bound, bound, weights.shape)
        biases[...] = random_state.uniform(-bound, bound, biases.shape)
    draw_dropout(net, random_state)


def draw_dropout(net: MLP, random_state: np.random.RandomState) -> None:
    """Draw the seed of dropout; without dropout nothing is drawn."""
    if any(net.regularization.dropout_rates(len(net.layer_table))):
        net.state.random[:] = random_state.randint(2**31 - 1)


def load(net: MLP, coefs: Arrays, intercepts: Arrays) -> None:
    """Copy parameters into a network; the shapes must fit."""
    for to, given in zip((*net.weights, *net.biases), (*coefs, *intercepts), strict=True):
        to[...] = given
