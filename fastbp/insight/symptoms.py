"""The rules by which `diagnose` finds faults in what it has measured; its docstring lists them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastbp.fit.history import History
from fastbp.insight.findings import Finding, LayerReport
from fastbp.kernels.layout import weight_views
from fastbp.mlp import MLP
from fastbp.model.activations import traits_of
from fastbp.model.elementwise import ElementwiseLoss
from fastbp.model.losses import CallableLoss

LARGE_INPUT = 10.0
SMALL_INPUT = 0.01
"""Root mean squares of an input column above which, and of all below which, inputs are unscaled."""
LARGE_TARGET = 100.0
SMALL_TARGET = 1e-3
"""Root mean squares of the targets above and below which they are unscaled."""
SHARE_OF_TARGETS = 0.01
"""Share of the targets that must lie outside the range of the outputs."""
MOST_TARGETS = 0.5
"""Share of unreachable targets from which nothing else explains the loss."""
SHARE_OF_UNITS = 0.2
"""Share of a layer's units that must be dead, saturated or copies of others."""
VANISHED = 1e-3
"""Share of the largest gradient norm below which a layer's gradient has vanished."""
EXPLODED = 10.0
"""Multiple of the weight norm above which a layer's gradient has exploded."""
LARGE_UPDATE = 0.1
SMALL_UPDATE = 1e-5
"""Ratios of update to weight above and below which updates are large and small."""
ROSE = 0.2
"""Share of the loss by which it must rise, for the learning rate to be too large."""
GAIN = 0.1
"""Share of the loss, or of the fall of val_loss, that is worth a finding."""
ROUNDING = 1e-6
"""Share of a target by which it may miss the range of the outputs."""
LITTLE = 0.02
"""Share of a loss within which it has not changed."""
UNDERFIT = 0.8
"""Share of the loss of a constant above which a trained net underfits."""
LOST = 0.3
"""Share of the gain on a constant that, lost on validation data, is overfitting."""


@dataclass(frozen=True)
class Measurements:
    """What the rules judge.

    Attributes
    ----------
    net : MLP
    inputs : array, shape (rows, n_in)
    targets : array of float64
        As given: labels or columns.
    layers : list of LayerReport
    bias_norms : list of float
        Norms of the gradient with respect to the biases, one per layer.
    loss, constant_loss : float
        The loss of the net, and the loss of predicting the mean of the targets.
    validation_loss : float or None
    trials : dict of float to float
        The loss after some updates at multiples of the learning rate, by the factor; infinite on
        divergence.
    history : History
    """

    net: MLP
    inputs: npt.NDArray[np.floating]
    targets: npt.NDArray[np.float64]
    layers: list[LayerReport]
    bias_norms: list[float]
    loss: float
    constant_loss: float
    validation_loss: float | None
    trials: dict[float, float]
    history: History


def all_findings(measured: Measurements) -> list[Finding]:
    """Every fault that the rules find."""
    rules = (scales, reach, copies, units, gradients, updates, learning_rate, fit)
    return [found for rule in rules for found in rule(measured)]


def scales(m: Measurements) -> Iterator[Finding]:
    """Unscaled inputs and targets."""
    sizes = np.sqrt(np.mean(np.square(m.inputs, dtype=np.float64), axis=0))
    large = sizes > LARGE_INPUT
    if large.any() or 0 < sizes.max() < SMALL_INPUT:
        seen = (
            f"{int(large.sum())} of {len(sizes)} columns have a root mean square above "
            f"{LARGE_INPUT:g}; the largest is {sizes.max():.3g}, in column {int(sizes.argmax())}"
            if large.any()
            else f"the root mean square of every column is at most {sizes.max():.3g}"
        )
        yield Finding(
            "unscaled inputs", "warning", seen,
            "Scale the inputs: subtract each column's mean and divide by its standard deviation.",
            {"largest": float(sizes.max()), "columns": float(large.sum())},
        )  # fmt: skip
    if np.isfinite(traits_of(m.net.activations[-1]).bounds).all():
        return
    size = math.sqrt(float(np.mean(m.targets**2)))
    if size > LARGE_TARGET or 0 < size < SMALL_TARGET:
        yield Finding(
            "unscaled targets", "warning", f"their root mean square is {size:.3g}",
            "Scale the targets in the same way, and undo it in the predictions.", {"size": size},
        )  # fmt: skip


def reach(m: Measurements) -> Iterator[Finding]:
    """Targets that the outputs cannot have."""
    share = _unreachable(m)
    if share < SHARE_OF_TARGETS:
        return
    name = m.net.activations[-1]
    low, high = traits_of(name).bounds
    least, most = float(m.targets.min()), float(m.targets.max())
    yield Finding(
        "unreachable targets", "error" if share >= MOST_TARGETS else "warning",
        f"{share:.0%} of the targets, which go from {least:.3g} to {most:.3g}, lie outside the "
        f"range of {name} outputs, {low:.3g} to {high:.3g}",
        "Take output_activation='identity', or scale the targets into that range and undo it in "
        "the predictions.",
        {"share": share, "least": least, "most": most},
    )  # fmt: skip


def _unreachable(m: Measurements) -> float:
    """Share of the targets that lie outside the range of the outputs."""
    loss = m.net.spec.loss
    if loss.from_logits or isinstance(loss, CallableLoss | ElementwiseLoss):
        return 0.0
    low, high = traits_of(m.net.activations[-1]).bounds
    slack = ROUNDING * np.abs(m.targets)  # bounds and targets are rounded
    outside = (m.targets < low - slack) | (m.targets > high + slack)
    return float(outside.mean())


def copies(m: Measurements) -> Iterator[Finding]:
    """Hidden units that are copies of others."""
    net = m.net
    found = {}
    for layer, units in enumerate(net.layer_sizes[1:-1]):
        table = [net.weights[layer], net.weights[layer + 1].T]
        table += [net.biases[layer][None]] if net.bias else []
        columns = np.vstack(table).T + 0.0  # -0.0 is 0.0
        copied = units - len({column.tobytes() for column in columns})
        if copied >= SHARE_OF_UNITS * units:
            found[layer] = copied, units
    if found:
        where = ", ".join(f"{n} of {units} units of layer {i}" for i, (n, units) in found.items())
        alone = any(n == units - 1 for n, units in found.values())
        yield Finding(
            "identical units", "error" if alone else "warning",
            f"{where} are copies of others",
            "Start with random weights (weight_init='auto'): equal units get equal gradients and "
            "stay equal.",
            {f"layer {i}": float(n) for i, (n, _) in found.items()},
        )  # fmt: skip


def units(m: Measurements) -> Iterator[Finding]:
    """Dead and saturated units."""
    for name, what, advice in (
        (
            "dead", "are 0 for every row",
            "Lower the learning rate and start again, or use leaky_relu or elu; check the scale "
            "of the inputs and the biases.",
        ),
        (
            "saturated", "are at an end of their range for nearly every row",
            "Scale the inputs, start with smaller weights (weight_init='glorot') or a smaller "
            "learning rate, or use relu.",
        ),
    ):  # fmt: skip
        share = {layer.number: getattr(layer, name) for layer in m.layers}
        found = [layer for layer in m.layers if share[layer.number] >= SHARE_OF_UNITS]
        if found:
            where = ", ".join(
                f"{round(share[layer.number] * layer.units)} of {layer.units} units of layer "
                f"{layer.number} ({layer.activation})"
                for layer in found
            )
            worst = max(share.values())
            if found[-1].number == len(m.layers) - 1:
                advice = f"For the outputs take output_activation='identity'. {advice}"
            yield Finding(
                f"{name} units", "error" if worst == 1.0 else "warning", f"{where} {what}", advice,
                {f"layer {layer.number}": share[layer.number] for layer in found},
            )  # fmt: skip


def gradients(m: Measurements) -> Iterator[Finding]:
    """Vanishing and exploding gradients of the layers that are trained."""
    frozen = [bool(mask.all()) for mask in weight_views(m.net.frozen, m.net.layer_table)[0]]
    trained = [layer for layer, still in zip(m.layers, frozen, strict=True) if not still]
    if not trained:
        return
    norms = {layer.number: layer.gradient_norm for layer in trained}
    exploded = [
        layer for layer in trained
        if not layer.gradient_norm <= EXPLODED * max(layer.weight_norm, 1e-3)
    ]  # fmt: skip
    if exploded:
        yield Finding(
            "exploding gradient", "warning",
            f"the gradient of layer {exploded[0].number} has a norm of "
            f"{exploded[0].gradient_norm:.3g}, its weights {exploded[0].weight_norm:.3g}",
            "Scale inputs and targets, start with smaller weights (weight_init='auto'), or limit "
            "the gradient with clip_norm=1.",
            {f"layer {layer.number}": layer.gradient_norm for layer in exploded},
        )  # fmt: skip
    if any(layer.dead == 1.0 for layer in m.layers):  # reported already; no gradient passes it
        return
    largest = max([*norms.values(), *m.bias_norms])
    least = min(trained, key=_gradient_norm)
    if largest == 0 and m.loss > 0 and m.loss > m.constant_loss / 2:
        yield Finding(
            "vanishing gradient", "error",
            f"the gradient of every layer is exactly 0, though the loss is {m.loss:.3g}",
            "Start with other weights (weight_init='auto'), scale inputs and targets, and take an "
            "output activation that can reach the targets: no update can change this net.",
            {f"layer {number}": norm for number, norm in norms.items()},
        )  # fmt: skip
    if math.isfinite(largest) and largest > 0 and least.gradient_norm < VANISHED * largest:
        yield Finding(
            "vanishing gradient", "warning",
            f"the gradient of layer {least.number} has a norm of {least.gradient_norm:.2g}, the "
            f"largest is {largest:.2g}",
            "Use relu with weight_init='he' or selu instead of sigmoid or tanh, fewer layers, "
            "or larger initial weights (weight_init='auto').",
            {f"layer {number}": norm for number, norm in norms.items()},
        )  # fmt: skip


def _gradient_norm(layer: LayerReport) -> float:
    return layer.gradient_norm


def updates(m: Measurements) -> Iterator[Finding]:
    """The ratio of update to weight."""
    worst = max(m.layers, key=lambda layer: layer.update_ratio)
    values = {f"layer {layer.number}": layer.update_ratio for layer in m.layers}
    if worst.update_ratio > LARGE_UPDATE:
        yield Finding(
            "large updates", "warning",
            f"an update changes the weights of layer {worst.number} by {worst.update_ratio:.2g} of "
            "their norm; about 0.001 is usual",
            "Lower the learning rate; find_learning_rate suggests one.", values,
        )  # fmt: skip
    small = worst.update_ratio < SMALL_UPDATE and m.loss > m.constant_loss / 2
    if small and (worst.update_ratio > 0 or _ought_to_move(m)):
        most = f"by at most {worst.update_ratio:.2g} of their norm"
        yield Finding(
            "small updates", "warning",
            f"an update changes the weights {most if worst.update_ratio > 0 else 'not at all'}; "
            "about 0.001 of their norm is usual",
            "Raise the learning rate, or look where its schedule has come to; find_learning_rate "
            "suggests one.",
            values,
        )  # fmt: skip


def _ought_to_move(m: Measurements) -> bool:
    """Whether updates of exactly 0 are a fault of their own.

    They are none where weights are frozen, the gradient is 0 or the trial diverges: a step that is
    not finite is undone.
    """
    masks = weight_views(m.net.frozen, m.net.layer_table)[0]
    moves = [
        layer.gradient_norm > 0 and not mask.all()
        for layer, mask in zip(m.layers, masks, strict=True)
    ]
    return any(moves) and math.isfinite(m.trials[1.0])


def learning_rate(m: Measurements) -> Iterator[Finding]:
    """A learning rate that is too large or too small, found by trials."""
    values = {f"loss at {factor:g} x": loss for factor, loss in m.trials.items()}
    here, lower = m.trials[1.0], m.trials[0.1]
    noise = LITTLE * abs(m.constant_loss)  # what a trained net's loss may rise and fall by
    diverged = m.history.stop_reason.startswith("diverged")
    fails = math.isinf(here)
    rise = ROSE * abs(m.loss) + noise
    rises = here > m.loss + rise and lower < here - rise
    # The fall of an untrained net to the loss of a constant happens at any rate: it does not count.
    start = min(m.loss, m.constant_loss)
    far = ROSE * max(abs(start), abs(m.constant_loss))
    slower = start - lower > far and start - here < (start - lower) / 2
    if diverged or fails or rises or slower:
        seen = (
            f"a copy {'diverges' if fails else f'goes from a loss of {m.loss:.3g} to {here:.3g}'}, "
            f"at a tenth of the rate to {lower:.3g}"
        )
        yield Finding(
            "learning rate too large", "error" if diverged or fails else "warning",
            f"training {m.history.stop_reason}" if diverged else seen,
            "Lower the learning rate, first to a tenth; find_learning_rate suggests one.", values,
        )  # fmt: skip
    better = min((factor for factor in m.trials if factor > 1), key=m.trials.__getitem__)
    fell = m.loss - here
    could = m.loss - m.trials[better]
    if abs(fell) < LITTLE * abs(m.loss) and could > max(GAIN * abs(m.loss) + noise, 10 * fell):
        yield Finding(
            "learning rate too small", "hint",
            f"a copy goes from a loss of {m.loss:.3g} to {here:.3g}, at {better:g} times the rate "
            f"to {m.trials[better]:.3g}",
            "Raise the learning rate; find_learning_rate suggests one.", values,
        )  # fmt: skip


def fit(m: Measurements) -> Iterator[Finding]:
    """Over- and underfitting."""
    if len(m.history) and _underfits(m) and _unreachable(m) < MOST_TARGETS:
        where = "above" if m.loss > m.constant_loss else "hardly below"
        yield Finding(
            "underfitting", "warning",
            f"the loss {m.loss:.3g} is {where} that of a constant prediction, "
            f"{m.constant_loss:.3g}",
            "Train longer, at a larger learning rate, with more units or less regularisation; or "
            "the inputs do not determine the targets.",
            {"loss": m.loss, "constant": m.constant_loss},
        )  # fmt: skip
    advice = "Stop early (patience=10), add l2, dropout or training data, or use fewer units."
    learned = m.constant_loss - m.loss
    gap = 0.0 if m.validation_loss is None else m.validation_loss - m.loss
    if m.validation_loss is not None and learned > 0 and gap > LOST * learned:
        yield Finding(
            "overfitting", "warning",
            f"the loss is {m.loss:.3g} in training and {m.validation_loss:.3g} in validation; that "
            f"of a constant prediction is {m.constant_loss:.3g}",
            advice, {"loss": m.loss, "validation": m.validation_loss},
        )  # fmt: skip
        return
    found = _risen(m.history)
    if found is not None:
        best, least, last = found
        yield Finding(
            "overfitting", "warning",
            f"val_loss was lowest, {least:.3g}, after epoch {best + 1} and is {last:.3g} now, "
            "while the loss fell",
            advice, {"best epoch": best + 1, "least": least, "last": last},
        )  # fmt: skip


def _underfits(m: Measurements) -> bool:
    """Whether the loss is hardly better than that of a constant."""
    if m.constant_loss > 0:
        return m.loss > UNDERFIT * m.constant_loss
    # The targets are constant, or the loss is one in Python that may be negative.
    scale = float(np.mean(m.targets**2))
    return m.loss > m.constant_loss + LITTLE * max(1.0, scale)


def _risen(history: History) -> tuple[int, float, float] | None:
    """Index of the lowest val_loss, the lowest and the last one, if it has risen since."""
    if "val_loss" not in history or not len(history):
        return None
    losses = np.array(history.loss)
    values = np.array(history["val_loss"])
    if not np.isfinite(values).all():
        return None
    best = int(values.argmin())
    fell = values[0] - values[best]
    rose = values[-1] - values[best]
    if rose > GAIN * fell and rose > LITTLE * abs(values[best]) and losses[-1] < losses[best]:
        return best, float(values[best]), float(values[-1])
    return None
