"""`Net`: the flat buffers of a network and the tables with which kernels are called on them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.activations import IDENTITY
from fastbp.kernels.layout import ACTIVATION, DROPOUT, table_of_layers, weight_views
from fastbp.kernels.optimizers import N_SCALARS
from fastbp.kernels.state import Network, OptimizerState
from fastbp.kernels.workspace import DROPS_OUT, Workspace, workspace_for
from fastbp.model.activations import Activation, traits_of
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


class Spec(NamedTuple):
    """What a net is, apart from what training changes: all that its buffers are made of.

    Attributes
    ----------
    layer_sizes : tuple of int
        Inputs, hidden layers, outputs.
    activations : tuple of str or Activation
        One for each layer, the outputs included.
    loss : Loss
    regularization : Regularization
    dtype : numpy.dtype
    bias : bool
    """

    layer_sizes: tuple[int, ...]
    activations: tuple[str | Activation, ...]
    loss: Loss
    regularization: Regularization
    dtype: np.dtype[Any]
    bias: bool


class State(NamedTuple):
    """What training changes of a net.

    Attributes
    ----------
    params : array of the net's dtype, shape (n_params,)
    slots : array of the net's dtype, shape (n_slots x n_params,)
        What the optimiser keeps for each parameter, such as Adam's moments.
    scalars : array of float64, shape (N_SCALARS,)
        The optimiser's hyper-parameters, and what it counts.
    random : array of uint64, shape (1,)
        The random stream: orders of rows, dropout, augmentation.
    frozen : array of bool, shape (n_params,)
        Parameters that training leaves alone.
    """

    params: FloatArray
    slots: FloatArray
    scalars: npt.NDArray[np.float64]
    random: npt.NDArray[np.uint64]
    frozen: npt.NDArray[np.bool_]

    def copy(self) -> State:
        """The same values in new arrays."""
        return State._make(array.copy() for array in self)


class Net:
    """What `MLP` consists of: buffers, views of them, and what the kernels need to know.

    The parts were checked before. The parameters and the random stream are zeros, and the optimiser
    stands at its beginning.

    Parameters
    ----------
    spec : Spec
    optimizer : Optimizer

    Attributes
    ----------
    spec : Spec
    state : State
        Assigned as a whole where one of its arrays is exchanged, so that no thread sees half of it.
    layer_table : array of int64, shape (n_layers, N_COLUMNS)
        See `fastbp.kernels.layout`.
    settings : array of float64
        Penalties, clipping and groups as the kernels take them.
    in_python : InPython or None
        What of the net is computed in Python.
    rows_in_a_call : int
        Rows that one compiled call of some tenths of a second may take.
    """

    def __init__(self, spec: Spec, optimizer: Optimizer) -> None:
        self.spec = spec
        self.in_python = in_python(spec.loss, spec.activations)
        codes = [traits_of(activation).code for activation in spec.activations]
        self.layer_table, n_params = table_of_layers(spec.layer_sizes, codes, spec.bias)
        self.state = State(
            params=np.zeros(n_params, spec.dtype),
            slots=np.zeros(optimizer.n_slots * n_params, spec.dtype),
            scalars=np.zeros(N_SCALARS),
            random=np.zeros(1, np.uint64),
            frozen=np.zeros(n_params, np.bool_),
        )
        self._views = weight_views(self.state.params, self.layer_table)
        self._optimizer = optimizer
        self.settings = spec.regularization.settings(optimizer, len(self.layer_table))
        optimizer.reset(self.state.scalars)
        self._spaces = threading.local()
        # At 20 GFLOP/s; most processors are faster, so that their calls are shorter.
        n_weights = sum(int(weights.size) for weights in self.weights)
        passes = int(SECONDS_A_CALL * 20e9 / (6 * n_weights * PASS_ROWS))
        self.rows_in_a_call = min(max(1, passes), 4096) * PASS_ROWS

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Inputs, hidden layers, outputs."""
        return self.spec.layer_sizes

    @property
    def activations(self) -> tuple[str | Activation, ...]:
        """The activation of each layer, the outputs included."""
        return self.spec.activations

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the parameters and all arithmetic."""
        return self.spec.dtype

    @property
    def bias(self) -> bool:
        """Whether units have biases."""
        return self.spec.bias

    @property
    def params(self) -> FloatArray:
        """All parameters, (n_params,); change them in place."""
        return self.state.params

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
        return self.state.frozen

    @property
    def optimizer(self) -> Optimizer:
        """The optimiser. Another of the same class keeps the state, a new class starts afresh."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: str | Optimizer) -> None:
        new = as_optimizer(optimizer)
        settings = self.spec.regularization.settings(new, len(self.layer_table))
        if type(new) is type(self._optimizer):
            new.write(self.state.scalars)
        else:
            slots = np.zeros(new.n_slots * self.state.params.size, self.dtype)
            self.state = self.state._replace(slots=slots)
            new.reset(self.state.scalars)
        self._optimizer = new
        self.settings = settings

    @property
    def regularization(self) -> Regularization:
        """Penalties, dropout, clipping and max-norm."""
        return self.spec.regularization

    @regularization.setter
    def regularization(self, regularization: Regularization) -> None:
        self.spec = self.spec._replace(regularization=regularization)
        self.settings = regularization.settings(self._optimizer, len(self.layer_table))
        self._spaces = threading.local()

    @property
    def loss_name(self) -> str:
        """Name of the loss."""
        return self.spec.loss.name

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the workspaces and the views, which are made again."""
        state = self.__dict__.copy()
        for name in ("_views", "_spaces"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update((name, own_array(value)) for name, value in state.items())
        self.state = State._make(map(own_array, self.state))
        self._spaces = threading.local()
        self._views = weight_views(self.state.params, self.layer_table)

    def freeze(
        self, *, weights: bool = True, biases: bool = True, layers: Iterable[int] | None = None
    ) -> None:
        """Mark parameters that training is to leave alone.

        Parameters
        ----------
        weights, biases : bool, default=True
            Which of the two to freeze; the other stays as it is.
        layers : iterable of int, optional
            Which layers, counted from 0 at the inputs; all by default.
        """
        self._mark(True, weights, biases, layers)

    def unfreeze(
        self, *, weights: bool = True, biases: bool = True, layers: Iterable[int] | None = None
    ) -> None:
        """Undo `freeze`, whose parameters it has."""
        self._mark(False, weights, biases, layers)

    def _mark(self, value: bool, weights: bool, biases: bool, layers: Iterable[int] | None) -> None:
        weights = checks.flag("weights", weights)
        biases = checks.flag("biases", biases)
        chosen = checks.layer_indices(layers, len(self.layer_table))
        weight_masks, bias_masks = weight_views(self.state.frozen, self.layer_table)
        for layer in chosen:
            if weights:
                weight_masks[layer][...] = value
            if biases and self.bias:
                bias_masks[layer][...] = value

    def workspace(
        self, rows: int, training: bool, logits: bool = False
    ) -> tuple[Network, Workspace]:
        """Network and workspace for batches of `rows` rows, kept for this thread's next call.

        With `logits`, not for training, the net's outputs are the net inputs of its last layer.
        """
        kept: dict[str, tuple[int, tuple[Network, Workspace]]] = self._spaces.__dict__
        use = "training" if training else "logits" if logits else "prediction"
        found = kept.get(use)
        whole = rows <= WHOLE_BATCH or (training and self.in_python is not None)
        capacity = rows if whole else PASS_ROWS
        if found is not None and found[0] == capacity:
            return found[1]
        made = self._new_workspace(capacity, training, logits)
        kept[use] = capacity, made
        return made

    def _new_workspace(
        self, capacity: int, training: bool, logits: bool
    ) -> tuple[Network, Workspace]:
        """The net as the kernels take it, and buffers for a pass of so many rows.

        The table of layers is the net's own with what only a workspace knows: where outputs, deltas
        and slopes stand, and the shares of dropout.
        """
        spec = self.spec
        layers = self.layer_table.copy()
        if logits or (training and spec.loss.from_logits):
            layers[-1, ACTIVATION] = IDENTITY  # the caller, or the loss, takes the net inputs
        dropout = spec.regularization.dropout_rates(len(layers))  # of the inputs, then of layers
        shares = [min(round(rate * 2**32), 2**32 - 1) for rate in dropout]
        layers[:-1, DROPOUT] = shares[1:]
        # What the outputs alone do not tell, or a mask is multiplied into, is stored.
        slopes = {i for i, a in enumerate(spec.activations) if traits_of(a).stores_slope}
        slopes |= {i for i, rate in enumerate(dropout[1:]) if rate > 0}
        layers, work = workspace_for(layers, capacity, spec.dtype, training, slopes, shares[0])
        work.places[DROPS_OUT] = any(shares)
        network = Network(
            params=self.state.params,
            layers=layers.reshape(-1),
            n_params=self.state.params.size,
            n_layers=len(layers),
            loss=spec.loss.code,
            loss_parameters=spec.loss.parameters(spec.layer_sizes[-1]),
        )
        return network, work

    def optimizer_state(self) -> OptimizerState:
        """The optimiser as the kernels take it, without a schedule."""
        state = self.state
        frozen = state.frozen if state.frozen.any() else state.frozen[:0]
        return OptimizerState(
            code=self._optimizer.code,
            scalars=state.scalars,
            slots=state.slots,
            frozen=frozen.view(np.uint8),
            settings=self.settings,
            n_params=state.params.size,
            n_frozen=frozen.size,
        )

    def restart_optimizer(self) -> None:
        """Put the optimiser back to where it was before its first update."""
        self._optimizer.reset(self.state.scalars)
        self.state.slots[:] = 0
