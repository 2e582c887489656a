"""Types of the parameters and fitted attributes that the networks share, for type checkers.

Parameters are stored all at once and many attributes by name, which no type checker follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.fit.callbacks import Callback
from fastbp.mlp import OneActivation
from fastbp.model.initializers import Init
from fastbp.model.losses import Loss, LossFunction, MakesLoss
from fastbp.model.optimizers import Optimizer

Arrays = list[npt.NDArray[Any]]
Sizes = int | Sequence[int] | npt.NDArray[np.integer]
Activations = OneActivation | Sequence[OneActivation]
RandomState = int | np.random.RandomState | None
ClassWeight = Mapping[Any, float] | str | None
Losses = str | Loss | MakesLoss | LossFunction
Scoring = str | Callable[..., float] | None
Callbacks = Sequence[Callback] | None
Rates = float | Sequence[float]


class NetAttributes:
    """What `MLPClassifier` and `MLPRegressor` document; it holds nothing itself."""

    hidden_layer_sizes: Sizes
    activation: Activations
    solver: str
    alpha: float
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: RandomState
    tol: float
    verbose: bool | int | str
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    optimizer: str | Optimizer | None
    l1_ratio: float
    weight_decay: float
    dropout: Rates
    clip_norm: float | None
    scoring: Scoring
    callbacks: Callbacks
    dtype: str | None
    weight_init: Init | None
    as_transformer: bool
    n_threads: int | str

    coefs_: Arrays
    intercepts_: Arrays
    n_features_in_: int
    feature_names_in_: npt.NDArray[Any]
    n_iter_: int
    t_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    loss_: np.float64
    loss_curve_: list[np.float64]
    best_loss_: np.float64 | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    validation_loss_curve_: list[np.float64] | None
