"""What a net cannot do in compiled code, and why."""

from __future__ import annotations

from fastbp.model.activations import traits_of
from fastbp.model.net import Net


def refusals(net: Net) -> dict[str, str]:
    """The methods that a net does not have in compiled code, and why."""
    found: dict[str, str] = {}
    if not net.spec.loss.takes_labels:
        found["labels"] = (
            f"y must hold targets of the net's dtype: {net.loss_name} does not take class labels; "
            "got integers"
        )
    updates = ("step", "apply_gradient")
    if callable(net.optimizer.learning_rate):
        found |= dict.fromkeys(
            updates,
            "a learning rate that is a schedule is a function in Python, which compiled code "
            "cannot call. Set net.optimizer to one with a number",
        )
    losses = ("loss_and_grad", "step")
    if net.in_python is not None:
        found |= dict.fromkeys(
            losses,
            "a loss in Python cannot be called from compiled code. Take a built-in one, or vjp "
            "with the derivative of your loss by the outputs, and apply_gradient",
        )
    if net.missing_targets:
        found |= dict.fromkeys(losses, "a net whose targets may be missing is trained by net.fit")
    if not all(traits_of(activation).trainable for activation in net.activations):
        found |= dict.fromkeys(
            ("vjp", *losses, *updates),
            "a net with step units has no derivatives. Take sigmoid, tanh or relu",
        )
    return found
