"""Initial weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WEIGHT_INITS = ("auto", "glorot", "he")
HE_ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")
"""Units in front of which "auto" takes he."""


def draw_weights(
    generator: np.random.Generator, shape: tuple[int, ...], weight_init: str, activation: str
) -> npt.NDArray[np.float64]:
    """Draw the weights of a layer in float64, so that both dtypes get the same net.

    Parameters
    ----------
    generator : numpy.random.Generator
    shape : (n_in, n_out)
    weight_init : {"auto", "glorot", "he"}
        Uniform in +-sqrt(6 / (n_in + n_out)) (Glorot and Bengio, AISTATS 2010, section 4.2.1) or
        +-sqrt(6 / n_in) (He et al., ICCV 2015, section 2.2); "auto" takes he for
        HE_ACTIVATIONS, else glorot.
    activation : str
        Of the units that the weights enter.
    """
    n_in, n_out = shape
    he = weight_init == "he" or (weight_init == "auto" and activation in HE_ACTIVATIONS)
    limit = np.sqrt(6.0 / (n_in if he else n_in + n_out))
    return generator.uniform(-limit, limit, size=shape)
