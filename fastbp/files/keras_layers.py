"""Activations that Keras has no layer for. Importing this file imports keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from fastbp.files.graphs import ONE_ARGUMENT, Functions, value_of

BY_NAME: dict[str, Any] = {name: getattr(ops, name) for name in (*ONE_ARGUMENT, "maximum")}


@keras.saving.register_keras_serializable(package="fastbp")
class Step(keras.layers.Layer):
    """1 where z > 0, else 0. Its derivative is 0: nothing in front of it is trained."""

    def call(self, z: Any) -> Any:
        """Outputs, of the dtype and shape of z."""
        return ops.cast(z > 0, z.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the inputs."""
        return input_shape


@keras.saving.register_keras_serializable(package="fastbp")
class Graph(keras.layers.Layer):
    """A graph of one variable (`fastbp.graph`), computed in float64 as in fastbp.

    JAX computes it in float32, unless its option ``jax_enable_x64`` is set.

    Parameters
    ----------
    nodes : list
        As `fastbp.saving.recipe.nodes_of` makes them.
    **options
        Those of ``keras.layers.Layer``.
    """

    def __init__(self, nodes: list[list[Any]], **options: Any) -> None:
        super().__init__(**options)
        self.nodes = nodes

    def get_config(self) -> dict[str, Any]:
        """What Keras saves."""
        return {**super().get_config(), "nodes": self.nodes}

    def call(self, z: Any) -> Any:
        """Outputs, of the dtype and shape of z."""
        x = ops.cast(z, "float64")

        def constant(number: float) -> Any:
            return ops.convert_to_tensor(number, x.dtype)

        return ops.cast(value_of(self.nodes, x, Functions(constant, BY_NAME)), z.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the inputs."""
        return input_shape
