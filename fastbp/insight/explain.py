"""`explain`: one backpropagation step for one sample, number by number."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy.typing as npt

from fastbp import checks
from fastbp.insight.markup import as_html, as_latex
from fastbp.insight.quantities import Step, take_step
from fastbp.insight.tables import as_text
from fastbp.mlp import MLP

MOST = 12
"""Rows per layer that are shown of a wide net."""
MOST_TARGETS = 4
"""Targets in the title of a drawing."""


class Explanation(Step):
    """What `explain` returns: the quantities of one step, and how they are shown.

    It prints as text and is shown as tables in a notebook.

    Attributes
    ----------
    before, after : MLP
        The net before and after the step.
    inputs : array, shape (n_in,)
    targets : array, shape (n_out,)
        After label smoothing, labels as one-hot rows.
    layers : tuple of LayerStep
        Hidden layers first. Each has its ``inputs``, net inputs ``net``, ``output``, ``d_output``
        (dE/dout), ``slope`` (dout/dnet), ``delta`` (dE/dnet), ``weights`` and ``biases``; the last
        two have the arrays ``old``, ``new``, ``gradient``, ``penalty``, ``used`` and ``frozen``.
    losses : Losses
        ``by_output``, ``penalty``, ``total`` before the step and ``after`` it.
    learning_rate : float
        The rate of this update.
    number : int
        Number of updates the optimiser had made before.
    drops_out : bool
        Whether the net has dropout, which is off here.

    Examples
    --------
    >>> import fastbp
    >>> net = fastbp.MLP((2, 1), optimizer=fastbp.SGD(0.1), bias=False, weight_init="zeros")
    >>> step = fastbp.explain(net, [1.0, 2.0], 3.0)
    >>> step
    Explanation(2-1, loss 4.5 -> 1.125)
    >>> step.after.weights[0].ravel().round(1).tolist()
    [0.30000001192092896, 0.6000000238418579]
    """

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.before.layer_sizes))
        losses = self.losses
        return f"Explanation({sizes}, loss {losses.total:.6g} -> {losses.after:.6g})"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return as_html(self, None, MOST)

    def _repr_latex_(self) -> str:
        return f"$$\n{self.to_latex()}\n$$"

    def to_text(self, *, decimals: int | None = None, most: int = MOST) -> str:
        """The step as aligned text.

        Parameters
        ----------
        decimals : int, optional
            Digits after the point. None writes 10 significant digits of float64 and 7 of float32.
        most : int, default=12
            Units and weights shown per layer, at least 2: the first and the last ones.

        Returns
        -------
        str
        """
        return as_text(self, _digits(decimals), checks.count("most", most, 2))

    def to_html(self, *, decimals: int | None = None, most: int = MOST) -> str:
        """The step as HTML tables.

        Parameters
        ----------
        decimals : int, optional
        most : int, default=12
            As in `to_text`.

        Returns
        -------
        str
        """
        return as_html(self, _digits(decimals), checks.count("most", most, 2))

    def to_latex(self, *, decimals: int | None = None, most: int = MOST) -> str:
        r"""The step as equations.

        Parameters
        ----------
        decimals : int, optional
        most : int, default=12
            As in `to_text`.

        Returns
        -------
        str
            ``\begin{aligned} ... \end{aligned}``, for display mathematics: LaTeX with amsmath,
            MathJax or KaTeX.
        """
        return as_latex(self, _digits(decimals), checks.count("most", most, 2))

    def plot(self, *, ax: Any = None, **options: Any) -> Any:
        """Draw the net with matplotlib: outputs in the units, old and new weights on the lines.

        The title says the target, the loss before and after the step, and the learning rate.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        **options : object
            Passed to `fastbp.plot.network`.

        Returns
        -------
        matplotlib Axes
        """
        from fastbp.plot.network import network

        outputs = [self.inputs, *(layer.output for layer in self.layers)]
        drawn = network(self.before, ax=ax, after=self.after, outputs=outputs, **options)
        shown = ", ".join(f"{target:.3g}" for target in self.targets[:MOST_TARGETS])
        more = ", ..." if self.targets.size > MOST_TARGETS else ""
        drawn.set_title(
            f"target {shown}{more}; loss {self.losses.total:.5g} → {self.losses.after:.5g} "
            f"in one step at learning rate {self.learning_rate:g}",
            fontsize="medium",
        )
        return drawn


def _digits(decimals: int | None) -> int | None:
    return None if decimals is None else checks.count("decimals", decimals, 0, 20)


@checks.explained
def explain(net: MLP, x: npt.ArrayLike, y: npt.ArrayLike) -> Explanation:
    """Show every quantity of one backpropagation step for one sample.

    For each unit: net input, output and delta = dE/dnet. For each weight and bias: the factors of
    its gradient dE/dw = dE/dout dout/dnet dnet/dw, the gradient, and the value before and after
    the step. For each output and in total: the loss. All values come from the kernels that train,
    and the step is the one that ``net.step([x], [y])`` would take, with the net's optimiser, its
    state and schedule, frozen parameters, penalties, clipping and groups. The net is not changed.

    Parameters
    ----------
    net : MLP
        With any loss and activations that can be trained, also in Python.
    x : array-like, shape (n_in,) or (1, n_in)
        One sample.
    y : array-like
        Its target: shape (n_out,) or (1, n_out), a single number for one output, or a class label
        for cross_entropy.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError, TypeError
        Bad input, as in `MLP.fit`; more than one row; not a net.

    Warns
    -----
    DivergenceWarning
        When the step is not finite, as `MLP.step` does; the parameters then stay as they were.

    Notes
    -----
    Dropout is off: the step is that of the whole net. The text says so.

    With softmax, delta_j is the sum over all outputs i of dE/dout_i dout_i/dnet_j. The
    cross-entropies, poisson and gamma with their matching outputs are computed from net inputs:
    delta = out - target (gamma: 1 - target / out) in one formula. Their dE/dout is shown for
    comparison only; no kernel computes it.

    The chain rule through a net: Rumelhart, Hinton and Williams, Nature 323, 1986.

    Examples
    --------
    >>> import fastbp
    >>> net = fastbp.MLP((2, 1), optimizer=fastbp.SGD(0.1), bias=False, weight_init="zeros")
    >>> step = fastbp.explain(net, [1.0, 2.0], 3.0)
    >>> step.layers[0].delta.tolist(), step.layers[0].weights.gradient.ravel().tolist()
    ([-3.0], [-3.0, -6.0])
    """
    if not isinstance(net, MLP):
        raise TypeError(f"net must be an MLP; got {type(net).__name__} {net!r}")
    step = take_step(net, x, y)
    return Explanation(**{item.name: getattr(step, item.name) for item in fields(step)})
