"""`Net`: the flat buffers of a network and the tables with which kernels are called on them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.activations import ACTIVATIONS, CALLABLE, STORED_SLOPE
from fastbp.kernels.layout import (
    ACTIVATION,
    CAPACITY,
    DROPOUT,
    DROPS_OUT,
    Workspace,
    table_of_layers,
    weight_views,
    workspace_for,
)
from fastbp.kernels.optimizers import N_SCALARS
from fastbp.kernels.state import Network
from fastbp.kernels.updates import OptimizerState
from fastbp.model.activations import Activation
from fastbp.model.losses import CallableLoss, Loss
from fastbp.model.optimizers import Optimizer, as_optimizer
from fastbp.model.regularization import Regularization

FloatArray = npt.NDArray[np.floating]

PASS_ROWS = 256
"""Rows of a pass when a batch is cut into several: their activations fit the second cache."""
WHOLE_BATCH = 512
"""Batches up to this size go through in one pass."""
SECONDS_A_CALL = 0.1
"""About how long one compiled call lasts: Ctrl-C and progress are seen between calls."""


def own_array(value: Any) -> Any:
    """A copy of an array that is mapped from a file or not writable, as joblib makes them."""
    if isinstance(value, np.ndarray) and (type(value) is not np.ndarray or not value.flags.carray):
        return np.array(value)
    return value


class InPython(NamedTuple):
    """What of a net is computed in Python.

    Attributes
    ----------
    loss : CallableLoss or None
        None for a compiled one.
    activations : dict of int to Activation
        By the number of the layer; the others are compiled.
    """

    loss: CallableLoss | None
    activations: dict[int, Activation]


def in_python(loss: Loss, activations: Sequence[str | Activation]) -> InPython | None:
    """The parts of a net that are in Python; None where all is compiled."""
    own = {i: a for i, a in enumerate(activations) if isinstance(a, Activation)}
    own_loss = loss if isinstance(loss, CallableLoss) else None
    return InPython(own_loss, own) if own or own_loss is not None else None


class Net:
    """What `MLP` consists of: buffers, views of them, and what the kernels need to know.

    Attributes
    ----------
    layer_sizes : tuple of int
    activations : tuple of str or Activation
        Of each layer, the outputs included.
    dtype : numpy.dtype
    bias : bool
    """

    layer_sizes: tuple[int, ...]
    activations: tuple[str | Activation, ...]
    dtype: np.dtype[Any]
    bias: bool
    history: Any  # a History, which `MLP` makes: the fit is not below this room
    _loss: Loss
    _own_parts: InPython | None
    _regularization: Regularization

    def _assemble(
        self, layer_sizes: tuple[int, ...], activations: Sequence[str | Activation], loss: Loss,
        dtype: np.dtype[Any], bias: bool, regularization: Regularization, optimizer: Optimizer,
    ) -> None:  # fmt: skip
        """Make the buffers, of parts that were checked before.

        The parameters and the random stream are zeros, the optimiser stands at its beginning.
        """
        self.layer_sizes, self.activations = layer_sizes, tuple(activations)
        self.dtype, self.bias = dtype, bias
        self._loss, self._regularization = loss, regularization
        self._own_parts = in_python(loss, self.activations)
        codes = [ACTIVATIONS[a] if isinstance(a, str) else CALLABLE for a in self.activations]
        self._layers, n_params = table_of_layers(layer_sizes, codes, bias)
        self._params = np.zeros(n_params, dtype)
        self._views = weight_views(self._params, self._layers)
        self._random = np.zeros(1, np.uint64)
        self._frozen = np.zeros(n_params, np.bool_)
        self._optimizer = optimizer
        self._rules = regularization.rules(optimizer, len(self._layers))
        self._dropout = regularization.dropout_rates(len(self._layers))
        self._scalars = np.zeros(N_SCALARS)
        self._slots = np.zeros(optimizer.n_slots * n_params, dtype)
        optimizer.reset(self._scalars)
        self._no_numbers = np.empty(0, dtype)
        self._spaces = threading.local()
        # At 20 GFLOP/s, which most processors exceed: they come back sooner.
        n_weights = sum(int(weights.size) for weights in self.weights)
        passes = int(SECONDS_A_CALL * 20e9 / (6 * n_weights * PASS_ROWS))
        self._rows_in_a_call = min(max(1, passes), 4096) * PASS_ROWS

    @property
    def params(self) -> FloatArray:
        """All parameters, (n_params,); change them in place."""
        return self._params

    @property
    def weights(self) -> tuple[FloatArray, ...]:
        """Live views of the weights of each layer, (n_in, n_out)."""
        return self._views[0]

    @property
    def biases(self) -> tuple[FloatArray, ...]:
        """Live views of the biases of each layer, (n_out,); empty with ``bias=False``."""
        return self._views[1]

    @property
    def frozen(self) -> npt.NDArray[np.bool_]:
        """Parameters that training leaves alone, (n_params,); change it in place."""
        return self._frozen

    @property
    def optimizer(self) -> Optimizer:
        """The optimiser. Another of the same kind keeps the state, a new kind starts afresh."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: str | Optimizer) -> None:
        new = as_optimizer(optimizer)
        rules = self._regularization.rules(new, len(self._layers))
        if type(new) is type(self._optimizer):
            new.write(self._scalars)
        else:
            self._slots = np.zeros(new.n_slots * self._params.size, self.dtype)
            new.reset(self._scalars)
        self._optimizer, self._rules = new, rules

    @property
    def loss_name(self) -> str:
        """Name of the loss."""
        return self._loss.name

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the workspaces and the views, which are made again."""
        state = self.__dict__.copy()
        for name in ("_views", "_spaces"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update((name, own_array(value)) for name, value in state.items())
        self._spaces = threading.local()
        self._views = weight_views(self._params, self._layers)

    def freeze(
        self, *, weights: bool = True, biases: bool = True, layers: Iterable[int] | None = None
    ) -> None:
        """Mark parameters that training is to leave alone.

        Parameters
        ----------
        weights, biases : bool, default=True
            Which kinds to freeze; the others stay as they are.
        layers : iterable of int, optional
            Which layers, counted from 0 at the inputs; all by default.
        """
        self._mark(True, weights, biases, layers)

    def unfreeze(
        self, *, weights: bool = True, biases: bool = True, layers: Iterable[int] | None = None
    ) -> None:
        """Undo `freeze`; parameters as there."""
        self._mark(False, weights, biases, layers)

    def _mark(self, value: bool, weights: bool, biases: bool, layers: Iterable[int] | None) -> None:
        weights, biases = checks.flag("weights", weights), checks.flag("biases", biases)
        chosen = checks.layer_indices(layers, len(self._layers))
        weight_masks, bias_masks = weight_views(self._frozen, self._layers)
        for layer in chosen:
            if weights:
                weight_masks[layer][...] = value
            if biases and self.bias:
                bias_masks[layer][...] = value

    def _space(self, rows: int, training: bool) -> tuple[Network, Workspace]:
        """Network and workspace for batches of `rows` rows, kept for this thread's next call."""
        spaces: dict[str, tuple[Network, Workspace]] = self._spaces.__dict__
        use = "training" if training else "prediction"
        found = spaces.get(use)
        whole = rows <= WHOLE_BATCH or (training and self._own_parts is not None)
        capacity = rows if whole else PASS_ROWS
        if found is not None and found[1].places[CAPACITY] == capacity:
            return found
        layers = self._layers.copy()
        if training and self._loss.from_logits:
            layers[-1, ACTIVATION] = ACTIVATIONS["identity"]  # the loss takes the net inputs
        shares = [min(round(rate * 2**32), 2**32 - 1) for rate in self._dropout]
        layers[:-1, DROPOUT] = shares[1:]
        slopes = {
            i for i, a in enumerate(self.activations) if a in STORED_SLOPE or not isinstance(a, str)
        }
        slopes |= {i for i, rate in enumerate(self._dropout[1:]) if rate > 0}
        layers, work = workspace_for(layers, capacity, self.dtype, training, slopes, shares[0])
        work.places[DROPS_OUT] = any(shares)
        network = Network(
            params=self._params,
            layers=layers.reshape(-1),
            n_params=self._params.size,
            n_layers=len(layers),
            loss=self._loss.code,
            loss_numbers=self._loss.numbers(self.layer_sizes[-1]),
        )
        spaces[use] = network, work
        return network, work

    def _state(self) -> OptimizerState:
        """The optimiser as the kernels take it, without a schedule."""
        frozen = self._frozen if self._frozen.any() else self._frozen[:0]
        return OptimizerState(
            code=self._optimizer.code,
            scalars=self._scalars,
            slots=self._slots,
            frozen=frozen.view(np.uint8),
            rules=self._rules,
            n_frozen=frozen.size,
        )

    def _restart_optimizer(self) -> None:
        self._optimizer.reset(self._scalars)
        self._slots[:] = 0
