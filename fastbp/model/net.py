"""`Net`: the flat buffers of a network and the tables with which kernels are called on them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.activations import CALLABLE, IDENTITY
from fastbp.kernels.layout import ACTIVATION, DROPOUT, table_of_layers, weight_views
from fastbp.kernels.losses import CALLABLE as CALLABLE_LOSS
from fastbp.kernels.optimizers import N_SCALARS
from fastbp.kernels.state import CLIP_NORM, Network, OptimizerState
from fastbp.kernels.table import Table
from fastbp.kernels.workspace import DROPS_OUT, workspaces_for
from fastbp.model.activations import Activation, code_of, traits_of
from fastbp.model.losses import CallableLoss, Loss
from fastbp.model.optimizers import Optimizer, as_optimizer
from fastbp.model.pickles import FORMAT, checked_spec, checked_state
from fastbp.model.regularization import Regularization
from fastbp.older import PickleError, check_format

FloatArray = npt.NDArray[np.floating]

PASS_ROWS = 256
"""Rows of a pass when a batch is cut into several: their activations fit the second cache."""
WHOLE_BATCH = 512
"""Batches up to this size go through in one pass."""
SPARSE_PASS_ROWS = 4096
"""Both of these for sparse rows: each pass reads all weights of the first layer."""
NONE_FROZEN = np.empty(0, np.uint8)
"""Always the same, so that a table has it already."""
SECONDS_A_CALL = 0.1
"""About how long one compiled call lasts: Ctrl-C and progress are seen between calls."""


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


def in_python(
    loss: Loss, activations: Sequence[str | Activation], explaining: bool
) -> InPython | None:
    """The parts of a net that are in Python; None where all is compiled.

    Those that are compiled and explain their NaN are among them where they are wanted.
    """
    own = {
        i: a for i, a in enumerate(activations)
        if isinstance(a, Activation) and (not a.compiled or (explaining and a.explains))
    }  # fmt: skip
    own_loss = loss if isinstance(loss, CallableLoss) else None
    if own_loss is not None and own_loss.compiled and not (explaining and own_loss.explains):
        own_loss = None
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


class Training(NamedTuple):
    """An optimiser with all that kernels need beside it: exchanged together or not at all.

    A thread that steps while another exchanges the optimiser must not meet the code of one with the
    slots of another.

    Attributes
    ----------
    optimizer : Optimizer
    state : State
    settings : array of float64
        Penalties, clipping and groups as the kernels take them.
    """

    optimizer: Optimizer
    state: State
    settings: npt.NDArray[np.float64]


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
    in_python : InPython or None
        What of the net is computed in Python.
    explaining : InPython or None
        What is compiled, and where that finds no number is computed once more in Python, which
        raises an error or knows better. None beside anything that is in Python anyway.
    rows_in_a_call : int
        Rows that one compiled call of some tenths of a second may take.
    split_seed : int
        What validation rows are drawn with: the same in each fit, unlike the random stream.
    missing_targets : bool
        Whether NaN in the targets stands for those that are missing.
    threads : int or "auto"
        How many threads share a fit, or calls with many rows, where these are not told.
    """

    missing_targets: bool = False
    threads: int | str = 1

    def __init__(self, spec: Spec, optimizer: Optimizer) -> None:
        self.spec = spec
        self.in_python = in_python(spec.loss, spec.activations, False)
        self.explaining = in_python(spec.loss, spec.activations, True)
        if self.in_python is not None:  # then all in Python that could be
            self.in_python = self.explaining
            self.explaining = None
        codes = [self._code(i, self.in_python) for i in range(len(spec.activations))]
        self.layer_table, n_params = table_of_layers(spec.layer_sizes, codes, spec.bias)
        state = State(
            params=np.zeros(n_params, spec.dtype),
            slots=np.zeros(optimizer.n_slots * n_params, spec.dtype),
            scalars=np.zeros(N_SCALARS),
            random=np.zeros(1, np.uint64),
            frozen=np.zeros(n_params, np.bool_),
        )
        self.split_seed = 0
        self._views = weight_views(state.params, self.layer_table)
        settings = spec.regularization.settings(optimizer, len(self.layer_table))
        self._training = Training(optimizer, state, settings)
        optimizer.reset(state.scalars)
        self._spaces = threading.local()
        self._compiled: weakref.WeakSet[Any] = weakref.WeakSet()
        # At 20 GFLOP/s; most processors are faster, so that their calls are shorter.
        n_weights = sum(int(weights.size) for weights in self.weights)
        passes = int(SECONDS_A_CALL * 20e9 / (6 * n_weights * PASS_ROWS))
        self.rows_in_a_call = min(max(1, passes), 4096) * PASS_ROWS

    def _code(self, layer: int, own: InPython | None) -> int:
        """By which the kernels know the activation of a layer, some being in Python."""
        if own is not None and layer in own.activations:
            return CALLABLE
        return code_of(self.spec.activations[layer], self.dtype)

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
    def state(self) -> State:
        """What training changes."""
        return self._training.state

    @state.setter
    def state(self, state: State) -> None:
        before = self._training.state
        for name, old, new in zip(State._fields, before, state, strict=True):
            if new.shape != old.shape or new.dtype != old.dtype:
                raise ValueError(
                    f"{name} must have shape {old.shape} and dtype {old.dtype}; got shape "
                    f"{new.shape} and dtype {new.dtype}"
                )
        self._training = self._training._replace(state=state)
        self._refresh_compiled()

    def _refresh_compiled(self) -> None:
        """Let what `compiled` has made find the buffers again (`fastbp.embed`)."""
        for compiled in self._compiled:
            compiled.refresh()

    def share_parameters(self, other: Net) -> None:
        """Train the parameters of another net, of the same layers, in place."""
        self.state = self.state._replace(params=other.state.params)
        self._views = other._views
        self._spaces = threading.local()

    @property
    def settings(self) -> npt.NDArray[np.float64]:
        """Penalties, clipping and groups as the kernels take them."""
        return self._training.settings

    @property
    def params(self) -> FloatArray:
        """All parameters, (n_params,); change them in place."""
        return self.state.params

    @property
    def n_params(self) -> int:
        """How many parameters there are, frozen ones included."""
        return self.state.params.size

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
        return self._training.optimizer

    @optimizer.setter
    def optimizer(self, optimizer: str | Optimizer) -> None:
        new = as_optimizer(optimizer)
        settings = self.spec.regularization.settings(new, len(self.layer_table))
        old, state, _ = self._training
        if type(new) is type(old):
            new.write(state.scalars)
        else:
            slots = np.zeros(new.n_slots * state.params.size, self.dtype)
            state = state._replace(slots=slots, scalars=np.zeros(N_SCALARS))
            new.reset(state.scalars)
        self._training = Training(new, state, settings)
        self._refresh_compiled()

    @property
    def regularization(self) -> Regularization:
        """Penalties, dropout, clipping and max-norm."""
        return self.spec.regularization

    @regularization.setter
    def regularization(self, regularization: Regularization) -> None:
        self.spec = self.spec._replace(regularization=regularization)
        settings = regularization.settings(self.optimizer, len(self.layer_table))
        self._training = self._training._replace(settings=settings)
        self._spaces = threading.local()
        self._refresh_compiled()

    @property
    def loss_name(self) -> str:
        """Name of the loss."""
        return self.spec.loss.name

    def __getstate__(self) -> dict[str, Any]:
        """Sizes, names, numbers, and what was added to a net; tables and buffers are made again."""
        made = vars(Net(self.spec, self.optimizer))
        return {
            "format": FORMAT,
            "spec": self.spec._asdict(),
            "optimizer": self.optimizer,
            "state": self.state._asdict(),
            "split_seed": self.split_seed,
            "others": {name: value for name, value in vars(self).items() if name not in made},
        }

    def __setstate__(self, given: dict[str, Any]) -> None:
        check_format(f"an {type(self).__name__}", given.get("format"), FORMAT)
        optimizer = given["optimizer"]
        if not isinstance(optimizer, Optimizer):
            raise PickleError(f"optimizer of a saved net must be an Optimizer; got {optimizer!r}")
        if not isinstance(given["split_seed"], int):
            raise PickleError(
                f"split_seed of a saved net must be an int; got {given['split_seed']!r}"
            )
        spec = Spec(**checked_spec(given["spec"]))
        state = checked_state(given["state"], spec.layer_sizes, spec.bias, spec.dtype, optimizer)
        made = vars(Net(spec, optimizer))
        self.__dict__.update({**given["others"], **made})
        self.state = State(**state)
        self.split_seed = given["split_seed"]
        self._views = weight_views(self.state.params, self.layer_table)

    @checks.explained
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

        Examples
        --------
        >>> from fastbp import MLP
        >>> net = MLP((2, 3, 1), seed=0)
        >>> net.freeze(layers=[0])
        >>> int(net.frozen.sum()), net.n_params
        (9, 13)
        """
        self._mark(True, weights, biases, layers)

    @checks.explained
    def unfreeze(
        self, *, weights: bool = True, biases: bool = True, layers: Iterable[int] | None = None
    ) -> None:
        """Let training change parameters again: undo `freeze`.

        Parameters
        ----------
        weights, biases : bool, default=True
        layers : iterable of int, optional
            As in `freeze`.

        Examples
        --------
        >>> from fastbp import MLP
        >>> net = MLP((2, 3, 1), seed=0)
        >>> net.freeze()
        >>> net.unfreeze(layers=[1])
        >>> int(net.frozen.sum()), net.n_params
        (9, 13)
        """
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
        self, rows: int, training: bool, logits: bool = False, sparse: bool = False,
        activated: bool = False,
    ) -> Table:  # fmt: skip
        """Network and workspace for batches of `rows` rows, kept for this thread's next call.

        With `logits`, not for training, the net's outputs are the net inputs of its last layer.
        In training they are so for a loss that takes those, unless they are to be `activated`.
        """
        kept: dict[str, tuple[int, Table]] = self._spaces.__dict__
        use = "training" if training else "logits" if logits else "prediction"
        if activated:
            use = "activated"
        most = WHOLE_BATCH
        pass_rows = PASS_ROWS
        if sparse:
            use = f"sparse {use}"
            most = pass_rows = SPARSE_PASS_ROWS
        found = kept.get(use)
        whole = rows <= most or (training and self.in_python is not None)
        capacity = rows if whole else pass_rows
        if found is not None and found[0] == capacity:
            return found[1]
        made = self.new_workspace(capacity, training, logits, sparse, activated)
        kept[use] = capacity, made
        return made

    def new_workspace(
        self, capacity: int, training: bool, logits: bool = False, sparse: bool = False,
        activated: bool = False, explaining: bool = False,
    ) -> Table:  # fmt: skip
        """The net as the kernels take it, and buffers for a pass of so many rows.

        What is `explaining` is in Python where that is wanted.
        """
        return self._workspaces(capacity, training, logits, sparse, activated, explaining)[0]

    def team_workspaces(self, rows: int, members: int) -> list[Table]:
        """For training by a team: a table for each member, on buffers that they share."""
        return self._workspaces(self.capacity_for(rows), True, members=members)

    def capacity_for(self, rows: int, sparse: bool = False) -> int:
        """Rows of a pass of compiled code on batches of so many rows."""
        if sparse:
            return min(rows, SPARSE_PASS_ROWS)
        return rows if rows <= WHOLE_BATCH else PASS_ROWS

    def network_on(self, layers: npt.NDArray[np.int64], loss_in_python: bool = False) -> Network:
        """The net as the kernels take it, with the table of layers of a workspace."""
        spec = self.spec
        return Network(
            params=self.state.params,
            layers=layers.reshape(-1),
            n_params=self.state.params.size,
            n_layers=len(self.layer_table),
            loss=CALLABLE_LOSS if loss_in_python else spec.loss.code_for(spec.dtype),
            loss_parameters=spec.loss.parameters(spec.layer_sizes[-1]),
        )

    def _workspaces(
        self, capacity: int, training: bool, logits: bool = False, sparse: bool = False,
        activated: bool = False, explaining: bool = False, members: int = 0,
    ) -> list[Table]:  # fmt: skip
        """One table, or one for each member of a team.

        The table of layers is the net's own with what only a workspace knows: where outputs, deltas
        and slopes stand, and the shares of dropout.
        """
        spec = self.spec
        layers = self.layer_table.copy()
        own = self.in_python
        if explaining and self.explaining is not None:
            own = self.explaining
            for layer in own.activations:
                layers[layer, ACTIVATION] = CALLABLE
        if logits or (training and spec.loss.from_logits and not activated):
            layers[-1, ACTIVATION] = IDENTITY  # the caller, or the loss, takes the net inputs
        dropout = spec.regularization.dropout_rates(len(layers))  # of the inputs, then of layers
        shares = [min(round(rate * 2**32), 2**32 - 1) for rate in dropout]
        layers[:-1, DROPOUT] = shares[1:]
        # What the outputs alone do not tell, or a mask is multiplied into, is stored.
        slopes = {i for i, a in enumerate(spec.activations) if traits_of(a).stores_slope}
        slopes |= {i for i, rate in enumerate(dropout[1:]) if rate > 0}
        layers, works = workspaces_for(
            layers, capacity, spec.dtype, training, slopes, shares[0], sparse, members
        )
        for work in works:
            work.places[DROPS_OUT] = any(shares)
        network = self.network_on(layers, own is not None and own.loss is not None)
        return [Table(network, work, spec) for work in works]

    def needs_gradient(self, batch_size: int, capacity: int) -> bool:
        """Whether training needs a buffer for the whole gradient.

        Parameters
        ----------
        batch_size : int
        capacity : int
            Rows that the workspace takes in one pass.
        """
        return batch_size > capacity or bool(self.settings[CLIP_NORM] > 0)

    def optimizer_state(self) -> OptimizerState:
        """The optimiser as the kernels take it, without a schedule."""
        optimizer, state, settings = self._training
        frozen = NONE_FROZEN
        if np.logical_or.reduce(state.frozen):
            frozen = state.frozen.view(np.uint8)
        return OptimizerState(
            code=optimizer.code,
            scalars=state.scalars,
            slots=state.slots,
            frozen=frozen,
            settings=settings,
            n_params=state.params.size,
            n_frozen=frozen.size,
        )

    def restart_optimizer(self) -> None:
        """Put the optimiser back to where it was before its first update."""
        optimizer, state, _ = self._training
        optimizer.reset(state.scalars)
        state.slots[:] = 0
