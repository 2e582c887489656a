"""Histograms by layer: their heights are the shares of what the kernels computed."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP
from fastbp.inspection import layer_gradients, layer_outputs
from fastbp.plot import activation_histograms, axes, gradient_histograms

RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(50, 3)), RNG.integers(4, size=50)


def net():
    return MLP((3, 8, 6, 4), activation=["relu", "tanh"], loss="cross_entropy", seed=0)


def assert_drawn(ax, values, bins):
    heights, edges = np.histogram(np.asarray(values, np.float64).reshape(-1), bins)
    assert len(ax.patches) == bins
    assert np.allclose([bar.get_height() for bar in ax.patches], heights / values.size)
    assert np.allclose([bar.get_x() for bar in ax.patches], edges[:-1])


def test_activations() -> None:
    drawn = activation_histograms(net(), X, bins=12)
    outputs = layer_outputs(net(), X)
    for ax, values in zip(drawn, outputs, strict=True):
        assert_drawn(ax, values, 12)
        assert ax.get_xlabel() == "Output"
    zeros = f"{(outputs[0] == 0).mean():.0%} zeros"
    assert drawn[0].get_title() == f"Layer 0\nrelu, {zeros}"
    assert [ax.get_title() for ax in drawn[1:]] == ["Layer 1\ntanh", "Layer 2, outputs\nsoftmax"]
    assert drawn[0].get_ylabel() == "Share"


def test_gradients_on_given_axes() -> None:
    given = axes(ncols=3)
    drawn = gradient_histograms(net(), X, Y, axes=given, bins=9)
    assert list(drawn) == list(given)
    for ax, values in zip(drawn, layer_gradients(net(), X, Y)[0], strict=True):
        assert_drawn(ax, values, 9)
        assert ax.get_title().endswith(f"norm {np.linalg.norm(values):.2g}")
        assert ax.get_xlabel() == "Derivative"


def test_a_power_of_ten_is_written_once() -> None:
    targets = np.tile(Y[:, None] % 2, (1, 2))
    (ax,) = gradient_histograms(MLP((3, 2), weight_init="zeros"), 1e-5 * X, targets)
    low, high = ax.get_xlim()
    assert 1e-7 < max(-low, high) < 1e-5
    ax.figure.canvas.draw()
    power = int(ax.get_xlabel().removeprefix("Derivative, in $10^{").removesuffix("}$"))
    shown = [float(text.get_text().replace("−", "-")) for text in ax.get_xticklabels()]
    assert np.allclose(np.array(shown) * 10.0**power, ax.get_xticks())
    assert 1 <= np.abs(shown).max() < 20 and power in (-6, -7)


def test_axes_for_each_layer() -> None:
    with pytest.raises(ValueError, match="one for each of the 3 layers; got 1"):
        activation_histograms(net(), X, axes=axes())
    with pytest.raises(TypeError, match="net must be an MLP"):
        activation_histograms(3, X)
