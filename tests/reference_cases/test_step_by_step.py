"""Cases 1 and 2, each quantity of the decks' steps through `explain`.

Decks: TJ = TJ Machine Learning Club, Neural Networks II; MC886 = Unicamp MC886/MO444, Artificial
Neural Networks (after M. Mazur); ID2223 = A. Payberah, Deep Feedforward Networks.
"""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP, SGD, explain


def printed(value, digits):
    """Rounded to the digits that the deck prints."""
    return np.round(np.asarray(value, np.float64), digits).tolist()


# ---- case 1: linear 2-3-1 network, one step (TJ) ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_case_1_linear_2_3_1_explained(dtype) -> None:
    net = MLP((2, 3, 1), activation="identity", bias=False, dtype=dtype, optimizer=SGD(0.1))
    net.weights[0][...] = [[1, 4, 3], [3, 2, -2]]
    net.weights[1][...] = [[-1], [-3], [2]]
    step = explain(net, [3, -2], 9)
    hidden, output = step.layers
    assert hidden.net.tolist() == hidden.output.tolist() == [-3, 8, 13]
    assert output.output.tolist() == [5]
    assert step.losses.total == 8
    assert step.losses.by_output.tolist() == [8]
    assert output.d_output.tolist() == output.delta.tolist() == [-4]
    assert hidden.delta.tolist() == [4, 12, -8]
    assert output.weights.gradient.ravel().tolist() == [12, -32, -52]  # dE/dW36 = 12
    assert hidden.weights.gradient.tolist() == [[12, 36, -24], [-8, -24, 16]]  # dE/dW13 = 12
    assert printed(output.weights.new.ravel(), 5) == [-2.2, 0.2, 7.2]
    assert printed(hidden.weights.new, 5) == [[-0.2, 0.4, 5.4], [3.8, 4.4, -3.6]]
    assert hidden.biases is output.biases is None


# ---- case 2: sigmoid 2-2-2 network (MC886, ID2223) ----


def test_case_2_sigmoid_2_2_2_explained() -> None:
    net = MLP((2, 2, 2), activation="sigmoid", output_activation="sigmoid", dtype="float64",
              optimizer=SGD(0.5))  # fmt: skip
    net.weights[0][...] = np.array([[0.15, 0.20], [0.25, 0.30]]).T
    net.weights[1][...] = np.array([[0.40, 0.45], [0.50, 0.55]]).T
    net.biases[0][...], net.biases[1][...] = 0.35, 0.60
    net.freeze(weights=False, biases=True)
    step = explain(net, [0.05, 0.10], [0.01, 0.99])
    hidden, output = step.layers

    assert printed(hidden.net[0], 4) == 0.3775
    assert printed(hidden.output, 9) == [0.593269992, 0.596884378]
    assert printed(output.net[0], 9) == 1.105905967
    assert printed(output.output[0], 8) == 0.75136507
    assert printed(output.output[1], 9) == 0.772928465
    assert printed(step.losses.by_output, 9) == [0.274811083, 0.023560026]
    assert printed(step.losses.total, 9) == 0.298371109

    assert printed(output.d_output[0], 8) == 0.74136507
    assert printed(output.slope[0], 9) == 0.186815602
    assert printed(output.delta[0], 9) == 0.138498562
    assert printed(output.weights.gradient[0, 0], 9) == 0.082167041
    through = output.delta * output.weights.old[0]
    assert printed(through[0], 9) == 0.055399425
    assert through[1] == pytest.approx(-0.019049119, abs=1e-9)  # of rounded numbers in the deck
    assert printed(hidden.d_output[0], 9) == 0.036350306
    assert printed(hidden.slope[0], 9) == 0.241300709
    assert printed(hidden.weights.gradient[0, 0], 9) == 0.000438568

    w = np.concatenate([hidden.weights.new.T.ravel(), output.weights.new.T.ravel()])
    assert printed(w[0], 9) == 0.149780716
    assert printed(w[1:5], 8) == [0.19956143, 0.24975114, 0.29950229, 0.35891648]
    assert printed(w[5:], 9) == [0.408666186, 0.511301270, 0.561370121]
    assert hidden.biases.new.tolist() == [0.35, 0.35]  # held fixed
    assert output.biases.new.tolist() == [0.60, 0.60]
    assert printed(step.losses.after, 8) == 0.29102777
    assert net.weights[0][0, 0] == 0.15  # the net has not moved
