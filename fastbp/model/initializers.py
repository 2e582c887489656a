"""Initial weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.model.activations import Activation, traits_of

Weights = npt.NDArray[np.float64]
InitFunction = Callable[[np.random.Generator, tuple[int, int]], npt.ArrayLike]
LayerInit = str | InitFunction | npt.NDArray[Any]
Init = str | InitFunction | Sequence[LayerInit]

SCHEMES = {"glorot": (2.0, 1), "he": (2.0, 0), "lecun": (1.0, 0)}
"""a and b of the variance a / (n_in + b n_out)."""
WEIGHT_INITS = (
    "auto",
    *(f"{name}{ending}" for name in SCHEMES for ending in ("", "_uniform", "_normal")),
    "orthogonal",
    "zeros",
)


def draw_weights(
    generator: np.random.Generator,
    shape: tuple[int, int],
    weight_init: str,
    activation: str | Activation,
) -> Weights:
    """Draw the weights of a layer in float64, so that both dtypes get the same net.

    Parameters
    ----------
    generator : numpy.random.Generator
    shape : (n_in, n_out)
    weight_init : str
        By variance: 2 / (n_in + n_out) for "glorot" (Glorot and Bengio, AISTATS 2010, section
        4.2.1), 2 / n_in for "he" (He et al., ICCV 2015, section 2.2), 1 / n_in for "lecun"
        (LeCun et al. 1998, section 4.6). With "_normal" the distribution is normal, with
        "_uniform" or nothing added uniform: in +-sqrt(6 / (n_in + n_out)) for "glorot".
        "orthogonal": a random matrix with orthonormal columns or, where there are more columns
        than rows, rows (Saxe et al., ICLR 2014). "zeros". "auto" takes `init` of the activation's
        traits.
    activation : str or Activation
        The activation of the units that the weights enter.
    """
    if weight_init == "auto":
        weight_init = traits_of(activation).init
    if weight_init == "zeros":
        return np.zeros(shape)
    if weight_init == "orthogonal":
        return _orthogonal(generator, *shape)
    scheme, _, distribution = weight_init.partition("_")
    n_in, n_out = shape
    scale, with_outputs = SCHEMES[scheme]
    fan = n_in + with_outputs * n_out
    if distribution == "normal":
        return generator.normal(0.0, np.sqrt(scale / fan), size=shape)
    limit = np.sqrt(3.0 * scale / fan)
    return generator.uniform(-limit, limit, size=shape)


def _orthogonal(generator: np.random.Generator, n_in: int, n_out: int) -> Weights:
    long = max(n_in, n_out)
    short = min(n_in, n_out)
    q, r = np.linalg.qr(generator.normal(size=(long, short)))
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)  # else not uniform over such matrices
    return q if n_in >= n_out else q.T


def check_init(weight_init: Any, shapes: Sequence[tuple[int, int]], dtype: np.dtype) -> Init:
    """Check `weight_init`: a name, a function, or for each layer a name, a function or an array.

    Parameters
    ----------
    weight_init : str, callable or sequence of str, callable or array
    shapes : sequence of (n_in, n_out)
        The shape of each layer's weights; arrays must have it.
    dtype : numpy.dtype
        The net's dtype, in which all values must be finite.

    Raises
    ------
    ValueError, TypeError
        For anything else.
    """
    if isinstance(weight_init, str) or callable(weight_init):
        return _name_or_function("weight_init", weight_init)
    if not isinstance(weight_init, Sequence | np.ndarray):
        raise TypeError(
            f"weight_init must be one of {', '.join(map(repr, WEIGHT_INITS))}, a function of "
            f"(generator, (n_in, n_out)) or a list of one array for each layer; got "
            f"{weight_init!r}"
        )
    if len(weight_init) != len(shapes):
        raise ValueError(
            f"weight_init must hold one array for each of the {len(shapes)} layers, of shapes "
            f"{', '.join(map(str, shapes))}; got {len(weight_init)}"
        )
    return [
        _name_or_function(f"weight_init[{i}]", given)
        if isinstance(given, str) or callable(given)
        else checks.weights(f"weight_init[{i}]", given, shape, dtype)
        for i, (given, shape) in enumerate(zip(weight_init, shapes, strict=True))
    ]


def _name_or_function(name: str, value: str | InitFunction) -> str | InitFunction:
    if isinstance(value, str) and value not in WEIGHT_INITS:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, WEIGHT_INITS))}; got {value!r}"
            f"{checks.instead('weight_init', value, WEIGHT_INITS)}"
        )
    return value


def init_names(init: Init) -> str | tuple[str, ...]:
    """The name of an initialisation, the names of all layers, or "own" for functions and arrays.

    A net keeps these instead of functions or arrays, so that it can be copied.
    """
    if isinstance(init, str):
        return init
    if callable(init):
        return "own"
    names = tuple(name for name in init if isinstance(name, str))
    return names if len(names) == len(init) else "own"


def initial_weights(
    generator: np.random.Generator,
    shape: tuple[int, int],
    init: Init,
    layer: int,
    activation: str | Activation,
    dtype: np.dtype,
) -> npt.NDArray[np.floating]:
    """The weights of a layer, drawn, made by a function or given.

    Parameters
    ----------
    generator : numpy.random.Generator
    shape : (n_in, n_out)
    init : str, callable or list of str, callable or array
        From `check_init`.
    layer : int
        Counted from 0.
    activation : str or Activation
        The activation of the units that the weights enter.
    dtype : numpy.dtype
        The net's dtype.

    Raises
    ------
    ValueError, TypeError
        When a function returns another shape, NaN, infinity or something that is not numeric.
    """
    own = init if isinstance(init, str) or callable(init) else init[layer]
    if isinstance(own, str):
        return draw_weights(generator, shape, own, activation)
    if callable(own):
        made = own(generator, shape)
        return checks.weights(f"weight_init for layer {layer}", made, shape, dtype)
    return own


def draw(net: Any, init: Any, generator: np.random.Generator) -> None:
    """Draw the initial weights of a net whose parameters are 0, and what it draws from later.

    Parameters
    ----------
    net : Net
    init : list
        From `check_init`.
    generator : numpy.random.Generator
    """
    pairs = zip(net.layer_sizes, net.layer_sizes[1:], strict=False)
    for layer, (pair, units) in enumerate(zip(pairs, net.activations, strict=True)):
        weights = initial_weights(generator, pair, init, layer, units, net.dtype)
        net.weights[layer][...] = weights
    net.state.random[:] = generator.integers(2**64, size=1, dtype=np.uint64)
    net.split_seed = int(net.state.random[0])
