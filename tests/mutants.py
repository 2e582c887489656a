"""Break fastbp on purpose, one place at a time, and see the tests fail: `make test-mutants`.

Each mutant is applied to a copy of the package in a temporary folder, never to the checkout, and
the tests named beside it run there. They must pass on the unbroken copy, and fail on the mutant.
The exit status is 1 when a mutant survives, when its code is no longer found, or when its tests
end otherwise than by failing. Words after the script's name choose mutants by their names.

A mutant names code by what it is and not as it is written, so that it does not break when lines
are wrapped, commented or moved within their function.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("fastbp", "tests", "pyproject.toml")


class Mutant(NamedTuple):
    """A break: `code`, which `function` of `file` has once, becomes `replacement`.

    Both are expressions, or else both are statements: one, or several that follow each other. The
    function may be a method, as in "Net.__init__"; "" is the whole file. At least one of the tests
    must fail.
    """

    name: str
    file: str
    function: str
    code: str
    replacement: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "matmul: a row's last vector is stored whole",
        "kernels/matmul.py",
        "multiply_row",
        "vstore(x.c, total, tail)",
        "vstore(x.c, total, lanes(x.c))",
        ("kernels/test_matmul.py::test_net_input", "kernels/test_matmul.py::test_weight_gradient"),
    ),
    Mutant(
        "derivatives: the delta of the layer below is left out where no gradient is wanted",
        "kernels/derivatives.py",
        "deltas_below",
        "range(network.n_layers - 1, 0, -1)",
        "range(network.n_layers - 1, 1, -1)",
        ("derivatives/test_gradients.py::test_input_gradient_of_every_loss",),
    ),
    Mutant(
        "derivatives: each pass overwrites the gradient of the one before",
        "kernels/derivatives.py",
        "derive_rows",
        "0 if apart > 0 else first + done",
        "0",
        ("derivatives/test_gradients.py::test_passes_and_calls_add_up",),
    ),
    Mutant(
        "derivatives: by the inputs, each pass writes where the first one did",
        "kernels/derivatives.py",
        "derive_rows",
        "advance(dx, done * n_inputs(first_layer))",
        "dx",
        ("derivatives/test_gradients.py::test_passes_and_calls_add_up",),
    ),
    Mutant(
        "derivatives: all passes take the first rows of what is handed in",
        "kernels/derivatives.py",
        "derive_rows",
        "advance(dy, done * n_units(last))",
        "dy",
        ("derivatives/test_gradients.py::test_passes_and_calls_add_up",),
    ),
    Mutant(
        "derivatives: gradients of single rows overwrite each other",
        "kernels/derivatives.py",
        "derive_rows",
        "to = advance(to, apart)",
        "to = advance(to, 0)",
        ("derivatives/test_gradients.py::test_sample_gradients_are_those_of_single_rows",),
    ),
    Mutant(
        "losses of a batch: rows are not looked at",
        "kernels/entry.py",
        "takes",
        "not are_good(t, network_at(t, x), work_at(t, x), x, y, rows)",
        "rows < 0",
        ("fit/test_one_step.py::test_bad_rows_are_refused_and_change_nothing",),
    ),
    Mutant(
        "curvature: the second derivative of tanh has the wrong sign",
        "kernels/curvature.py",
        "second_slope",
        "-(y + y) * s",
        "(y + y) * s",
        ("derivatives/test_curvature.py::test_every_hidden_activation",),
    ),
    Mutant(
        "curvature: gelu's second derivative has z^2 too often",
        "kernels/curvature.py",
        "second_slope_of_net_input",
        "one + one - square",
        "one + one - square - square",
        ("derivatives/test_curvature.py::test_every_hidden_activation",),
    ),
    Mutant(
        "curvature: the slope does not move",
        "kernels/curvature.py",
        "deltas_through",
        "rg * first + g * vload(advance(q, at), width)",
        "rg * first",
        ("derivatives/test_curvature.py::test_every_hidden_activation",),
    ),
    Mutant(
        "curvature: softmax's own outputs do not move",
        "kernels/curvature.py",
        "softmax_deltas",
        "vload(advance(ry, at), tail) * g + out * rg",
        "out * rg",
        ("derivatives/test_curvature.py::test_every_output_activation",),
    ),
    Mutant(
        "curvature: huber's ends are curved too",
        "kernels/curvature.py",
        "loss_curvature",
        "vwhere_greater(splat(y, load(a, i)), vabs(out - target), one, zero)",
        "one",
        ("derivatives/test_curvature.py::test_every_loss",),
    ),
    Mutant(
        "curvature: cross_entropy forgets the mean of the moves",
        "kernels/curvature.py",
        "cross_entropy_curvature",
        "vload(advance(ry, at), tail) - dot",
        "vload(advance(ry, at), tail)",
        ("derivatives/test_curvature.py::test_every_loss",),
    ),
    Mutant(
        "curvature: weights of outputs are those of the first",
        "kernels/curvature.py",
        "loss_curvature",
        "i * apart + b",
        "b",
        ("derivatives/test_curvature.py::test_penalties_weights_of_outputs_and_missing_targets",),
    ),
    Mutant(
        "curvature: Gauss and Newton keep the delta",
        "kernels/curvature.py",
        "output_deltas",
        "gauss_newton != 0",
        "gauss_newton > 1",
        ("derivatives/test_curvature.py::test_gauss_newton_is_a_product_with_jacobians",),
    ),
    Mutant(
        "curvature: V has no share in the delta below",
        "kernels/curvature.py",
        "both_backward",
        "product_below(both, rg, stride, 0, batch, AS_IT_IS, rg, None)",
        "product_below(layer, rg, stride, 0, batch, AS_IT_IS, rg, None)",
        ("derivatives/test_curvature.py::test_shapes",),
    ),
    Mutant(
        "curvature: each pass overwrites the one before",
        "kernels/curvature.py",
        "multiply_rows_by_hessian",
        "FROM_ZERO if first == 0 else FROM_OUTPUT",
        "FROM_ZERO",
        ("derivatives/test_curvature.py::test_passes_and_calls_add_up",),
    ),
    Mutant(
        "Jacobian: shares instead of their square roots",
        "kernels/jacobian.py",
        "fetch_roots",
        "math.sqrt(load(s, i * stride + b))",
        "load(s, i * stride + b)",
        ("kernels/test_jacobian.py::test_squares_are_products_of_the_jacobian",),
    ),
    Mutant(
        "Jacobian: the deltas of the other outputs stay",
        "kernels/jacobian.py",
        "seed_delta",
        "range(0, n_units(last) * stride, lanes(d))",
        "range(0, stride, lanes(d))",
        ("methods/test_jacobian.py::test_nets",),
    ),
    Mutant(
        "Jacobian: parameters behind a frozen one keep their places",
        "kernels/jacobian.py",
        "put_layer",
        "row = load(where, index)",
        "row = index",
        ("kernels/test_jacobian.py::test_squares_are_products_of_the_jacobian",),
    ),
    Mutant(
        "Jacobian: biases have the derivative of the unit before",
        "kernels/jacobian.py",
        "put_layer",
        "load(where, load(layer.row, BIASES) + j)",
        "load(where, load(layer.row, BIASES) + max(0, j - 1))",
        ("methods/test_jacobian.py::test_nets",),
    ),
    Mutant(
        "Jacobian: the last vector of a row is left out",
        "kernels/jacobian.py",
        "put_product",
        "range(0, batch, width)",
        "range(0, batch - width + 1, width)",
        ("kernels/test_jacobian.py::test_squares_are_products_of_the_jacobian",),
    ),
    Mutant(
        "Jacobian: by the inputs, the second block stands on the first",
        "kernels/jacobian.py",
        "put_inputs",
        "advance(jt, done * stride)",
        "jt",
        ("methods/test_jacobian.py::test_many_inputs_come_in_blocks",),
    ),
    Mutant(
        "J^T J: blocks end before the diagonal",
        "kernels/jacobian.py",
        "add_squares",
        "(columns + vector - 1) // vector * vector",
        "columns // vector * vector",
        ("kernels/test_jacobian.py::test_squares_are_products_of_the_jacobian",),
    ),
    Mutant(
        "J^T J: rows of H overlap",
        "kernels/jacobian.py",
        "add_squares",
        "advance(h, done * h_stride)",
        "advance(h, done * (h_stride - 1))",
        ("kernels/test_jacobian.py::test_squares_are_products_of_the_jacobian",),
    ),
    Mutant(
        "J^T J: each output overwrites the one before",
        "kernels/jacobian.py",
        "differentiate",
        "start = FROM_OUTPUT",
        "start = start",
        ("kernels/test_jacobian.py::test_squares_are_products_of_the_jacobian",),
    ),
    Mutant(
        "J^T J: pairs of inputs are taken from the row before",
        "kernels/jacobian.py",
        "spread_pair",
        "at += j + 1",
        "at += j",
        ("kernels/test_jacobian.py::test_layers_by_pairs",),
    ),
    Mutant(
        "J^T J: a bias has no product with weights of later units",
        "kernels/jacobian.py",
        "spread_pairs",
        "copy(advance(of_biases, b * h_stride + a * k), with_bias, k)",
        "copy(advance(of_biases, a * h_stride + b * k), with_bias, k)",
        ("kernels/test_jacobian.py::test_layers_by_pairs",),
    ),
    Mutant(
        "J^T J: the pairs of units do not go on",
        "kernels/jacobian.py",
        "add_pairs",
        "j > i",
        "j > i + 1",
        ("kernels/test_jacobian.py::test_layers_by_pairs",),
    ),
    Mutant(
        "J^T J: large inputs have pairs, too",
        "methods/jacobian.py",
        "_are_moderate",
        "float(np.finfo(inputs.dtype).max) ** 0.25",
        "float(np.finfo(inputs.dtype).max)",
        ("kernels/test_jacobian.py::test_large_inputs_have_no_pairs",),
    ),
    Mutant(
        "residuals: the weights of their penalties are no square roots",
        "derivatives/residuals.py",
        "Residuals.__init__",
        "np.sqrt(held[self._held])",
        "held[self._held]",
        ("derivatives/test_residuals.py::test_half_of_their_squares_is_the_loss",),
    ),
    Mutant(
        "transpose: one column too many is written",
        "kernels/transposes.py",
        "transpose_small",
        "range(n)",
        "range(n + 1)",
        ("test_memory_safety.py::test_random_shapes",),
    ),
    Mutant(
        "graph: a node's adjoint is overwritten, not added to",
        "graph/kernels.py",
        "add_adjoint",
        "load(adjoints, below) + step",
        "step",
        ("graph/test_expression.py::test_what_is_used_twice_adds_up",),
    ),
    Mutant(
        "graph: in blocks of rows too",
        "graph/kernels.py",
        "adjoints_of_block",
        "load(adjoints, at) + up * load(d, r)",
        "up * load(d, r)",
        ("graph/test_expression.py::test_random_graphs_agree_with_complex_step",),
    ),
    Mutant(
        "graph: the derivative of tanh loses its digits",
        "graph/operations.py",
        "slope_of_one",
        "4.0 * e / ((1.0 + e) * (1.0 + e))",
        "1.0 - y * y",
        ("graph/test_kernels.py::test_derivatives_keep_their_digits_where_values_end",),
    ),
    Mutant(
        "in Python: an activation in Python stores no slope",
        "fit/in_python.py",
        "_activate",
        "matrix(SLOPE)[...] = slope.T",
        "matrix(SLOPE)[...] = 1.0",
        ("model/test_activations.py::test_gradcheck",),
    ),
    Mutant(
        "in Python: outputs of Python's activation are not dropped out",
        "kernels/in_python.py",
        "outputs",
        "done >= 0 and key != 0",
        "done > network.n_layers and key != 0",
        ("model/test_activations.py::test_a_function_beside_the_built_in",),
    ),
    Mutant(
        "relu: the derivative is 1 where it is 0",
        "kernels/activations.py",
        "activate_backward_run",
        "vwhere_greater(out, zero, vload(p, width), zero)",
        "vload(p, width)",
        ("test_gradients.py",),
    ),
    Mutant(
        "exp: a coefficient of the series is off by a millionth",
        "kernels/elementary.py",
        "exp_series",
        "1.0 / 6.0",
        "1.000001 / 6.0",
        ("kernels/test_elementary.py::test_accuracy",),
    ),
    Mutant(
        "cross_entropy: the delta is not averaged",
        "kernels/losses.py",
        "cross_entropy",
        "vstore(advance(d, at), delta * row_weight, tail)",
        "vstore(advance(d, at), delta, tail)",
        ("test_gradients.py",),
    ),
    Mutant(
        "Adam: the first moment's bias is not corrected",
        "kernels/updates.py",
        "begin_update",
        "store(s, STEP_SIZE, root / weights_1)",
        "store(s, STEP_SIZE, root * (1.0 - load(s, BETA_1)))",
        ("model/test_optimizers.py::test_ten_updates_agree_with_pytorch_or_optax",),
    ),
    Mutant(
        "SGD: Nesterov's step is the plain one",
        "kernels/optimizers.py",
        "sgd_vector",
        "step = grad + velocity * c.momentum if nesterov else velocity",
        "step = velocity",
        ("model/test_optimizers.py::test_ten_updates_agree_with_pytorch_or_optax",),
    ),
    Mutant(
        "frozen parameters are trained",
        "kernels/updates.py",
        "update",
        "after < count and load(frozen, after) == 0",
        "after < count",
        ("test_mlp.py::test_frozen_parameters_keep_their_bits",),
    ),
    Mutant(
        "shuffling: no row stays in its place",
        "kernels/sampling.py",
        "insert_row",
        "bits * np.uint64(i + 1)",
        "bits * np.uint64(max(i, 1))",
        ("kernels/test_sampling.py",),
    ),
    Mutant(
        "divergence: the last finite epoch is not restored",
        "kernels/training.py",
        "end_pass",
        "copy(network.params, advance(snapshot, epoch * apart), network.n_params)",
        "pass",
        (
            "sklearn_estimators/test_training.py::test_after_divergence_the_last_finite_parameters_are_kept",
        ),
    ),
    Mutant(
        "epochs: the running batch's loss is lost between calls",
        "kernels/training.py",
        "end_pass",
        "store(losses, epochs, batch_loss)",
        "pass",
        ("test_determinism.py::test_however_fit_is_called",),
    ),
    Mutant(
        "Ctrl-C: the finished epochs are not written down",
        "fit/log.py",
        "BlockLog.__exit__",
        "self.write()",
        "None",
        ("test_interrupt.py::test_history_has_the_epochs_of_the_interrupted_call",),
    ),
    Mutant(
        "threads: they share one workspace",
        "model/net.py",
        "Net.__init__",
        "self._spaces = threading.local()",
        "self._spaces = type('Shared', (), {})()",
        ("test_mlp.py::test_one_net_predicts_in_several_threads",),
    ),
    Mutant(
        "bad input: infinite targets pass",
        "checks/arrays.py",
        "targets",
        'finite("y", matrix("y", array, outputs, dtype, "one column per output"), array, of_nan)',
        'matrix("y", array, outputs, dtype, "one column per output")',
        ("checks/test_arrays.py::test_bad_targets",),
    ),
    Mutant(
        "dropout: the slopes are not dropped",
        "kernels/dense.py",
        "drop_outputs",
        "drop_out(slope(layer), stride, n, batch, share, key + layer.number, first)",
        "pass",
        ("test_dropout.py::test_step_with_the_masks_of_the_stream",),
    ),
    Mutant(
        "dropout: a single sample is dropped as a batch",
        "kernels/sampling.py",
        "drop_out",
        "batch = n\nn = 1",
        "pass",
        ("kernels/test_sampling.py::test_drop_out_of_a_single_sample",),
    ),
    Mutant(
        "dropout: the rounds of the hash lose one",
        "machine/hashing.py",
        "",
        "((16, 0x21F0AAAD), (15, 0xD35A2D97))",
        "((16, 0x21F0AAAD),)",
        ("machine/test_hashing.py",),
    ),
    Mutant(
        "losses in Python: evaluation drops out",
        "fit/in_python.py",
        "evaluate",
        "calls.NO_RANDOM",
        "np.zeros(1, np.uint64)",
        ("fit/test_in_python.py::test_step_loss_and_gradient",),
    ),
    Mutant(
        "losses in Python: the last finite epoch is not kept",
        "fit/in_python.py",
        "train",
        "snapshot[:] = params",
        "pass",
        ("fit/test_in_python.py::test_what_is_not_finite_is_divergence",),
    ),
    Mutant(
        "losses in Python: the loss of an epoch has no penalties",
        "fit/in_python.py",
        "train",
        "value += _penalties(table, divisor)",
        "pass",
        ("fit/test_in_python.py::test_fit",),
    ),
    Mutant(
        "sources: blocks are taken in their order",
        "fit/sources.py",
        "Mapped.__iter__",
        "next_generator(self.random).shuffle(starts)",
        "next_generator(self.random)",
        ("fit/test_sources.py::test_with_shuffle_every_row_once_an_epoch",),
    ),
    Mutant(
        "sources: pages are not given back",
        "fit/sources.py",
        "Mapped._read",
        "forget(array)",
        "pass",
        ("fit/test_sources.py::test_pages_are_given_back",),
    ),
    Mutant(
        "sources: what was written to a map is dropped",
        "fit/sources.py",
        "forget",
        'mapping is not None and mode != "c" and hasattr(mmap, "MADV_DONTNEED")',
        'mapping is not None and hasattr(mmap, "MADV_DONTNEED")',
        ("fit/test_sources.py::test_what_was_written_to_a_map_is_kept",),
    ),
    Mutant(
        "sources: a bad batch leaves the updates before it",
        "fit/sources.py",
        "Jobs.__iter__",
        "self._before.restore(self.net)",
        "pass",
        ("fit/test_sources.py::test_a_bad_batch_leaves_the_net_as_it_was",),
    ),
    Mutant(
        "sources: divergence undoes one batch only",
        "fit/fit.py",
        "_run",
        "guard.snapshot if source.whole else guard.snapshot.copy()",
        "guard.snapshot",
        ("fit/test_sources.py::test_divergence_within_an_epoch_undoes_its_first_batches",),
    ),
    Mutant(
        "losses in Python: they run under the lock of the generator",
        "fit/epochs.py",
        "Epochs.__init__",
        "self._lock = NO_LOCK",
        "self._lock = bits.lock",
        ("sklearn_estimators/test_training.py",),
    ),
    Mutant(
        "history: the seconds of an epoch hold those of the compiler",
        "fit/fit.py",
        "_run",
        "without_compiling(clock)",
        "clock",
        ("test_mlp.py::test_seconds_leave_out_compiling",),
    ),
    Mutant(
        "predict: logits go through the output activation",
        "model/net.py",
        "Net._workspaces",
        "logits or (training and spec.loss.from_logits and not activated)",
        "training and spec.loss.from_logits and not activated",
        ("test_mlp.py::test_logits_keep_what_probabilities_lose",),
    ),
    Mutant(
        "schedules: the next call begins them again",
        "fit/epochs.py",
        "Epochs._with_rates",
        "rates_of(self.learning_rate, first, count)",
        "rates_of(self.learning_rate, 0, count)",
        ("fit/test_fit.py::test_a_schedule_goes_on_over_calls",),
    ),
    Mutant(
        "validation: held-out rows lose their weights",
        "fit/data.py",
        "Examples.take",
        "None if weights is None else weights[rows]",
        "None",
        ("fit/test_between_epochs.py::test_a_split_splits_the_weights",),
    ),
    Mutant(
        "estimators: epsilon is added after the correction",
        "sklearn/optimizers.py",
        "SolverAdam.write",
        "scalars[EPSILON_UNCORRECTED] = 1.0",
        "pass",
        ("sklearn_estimators/test_optimizers.py::test_adam_is_scikit_learns",),
    ),
    Mutant(
        "estimators: the speed does not follow the learning rate",
        "sklearn/optimizers.py",
        "OptimizerMemory.set_rate",
        "self.slots *= self.scalars[LEARNING_RATE] / used",
        "pass",
        ("sklearn_estimators/test_optimizers.py::test_sgd_keeps_its_speed_when_the_rate_changes",),
    ),
    Mutant(
        "estimators: partial_fit starts the optimiser afresh",
        "sklearn/optimizers.py",
        "OptimizerMemory.attach",
        "net.state = net.state._replace(scalars=self.scalars, slots=slots)",
        "pass",
        ("sklearn_estimators/test_same_model.py::test_random_configurations",),
    ),
    Mutant(
        "estimators: each batch has the penalties of all",
        "kernels/regularization.py",
        "share_penalties",
        "1.0 / divisor if divisor > 0.0 else 0.0",
        "1.0 if divisor > 0.0 else 0.0",
        ("sklearn_estimators/test_networks.py",),
    ),
    Mutant(
        "estimators: epochs weigh their batches",
        "kernels/training.py",
        "end_pass",
        "share = batch * (1.0 / rows)",
        "pass",
        ("sklearn_estimators/test_training.py::test_batches_larger_than_a_pass_are_one_step",),
    ),
    Mutant(
        "estimators: the kernel draws an order of its own",
        "kernels/training.py",
        "begin_pass",
        "next_order(data.order, data.n_order, data.generator, random)",
        "next_order(data.order, data.n_order, 0, random)",
        ("sklearn_estimators/test_training.py::test_orders_are_those_of_scikit_learns_shuffle",),
    ),
    Mutant(
        "matmul: a long row takes panels for neighbours",
        "kernels/matmul.py",
        "multiply_rows",
        "rows == 1 and x.b_wide == TILE_VECTORS * width",
        "rows == 1",
        ("kernels/test_matmul.py::test_weight_gradient",),
    ),
    Mutant(
        "dense: a pair of rows counts as one",
        "kernels/matmul.py",
        "next_row_products",
        "row_products_of_two(out, a, stride, x, advance(x, x_stride), count)",
        "row_products_of_two(out, a, stride, x, x, count)",
        ("test_gradients.py::test_every_way_to_the_gradient_of_weights",),
    ),
    Mutant(
        "dense: later passes overwrite the sums by outputs",
        "kernels/gradient.py",
        "block_by_outputs",
        "total = total + vload(to, inputs)",
        "pass",
        ("test_gradients.py::test_every_way_to_the_gradient_of_weights",),
    ),
    Mutant(
        "estimators: a rejected draw moves on",
        "kernels/sampling.py",
        "shuffle_as_numpy",
        "i -= drawn <= i",
        "i -= 1",
        ("kernels/test_sampling.py::test_shuffles_are_numpys",),
    ),
    Mutant(
        "estimators: epochs run together beyond the end of training",
        "sklearn/training.py",
        "Stopping.patience",
        "estimator.n_iter_no_change + 1 - estimator._no_improvement_count",
        "estimator.n_iter_no_change + 2 - estimator._no_improvement_count",
        ("sklearn_estimators/test_training.py::test_epochs_run_together_until_training_may_stop",),
    ),
    Mutant(
        "weights of outputs: all have those of the first",
        "kernels/losses.py",
        "loss_by_output",
        "advance(s, i * apart + b)",
        "advance(s, b)",
        ("test_output_weights.py::test_loss_and_gradient_agree_with_the_oracle",),
    ),
    Mutant(
        "weights of outputs: in Python their sum is not over the outputs",
        "fit/in_python.py",
        "_batch_loss",
        "float(weights.sum()) / data.n_weights",
        "float(weights.sum())",
        ("test_output_weights.py::test_equal_columns_are_weights_of_the_rows",),
    ),
    Mutant(
        "missing targets: they weigh as much as others",
        "fit/data.py",
        "weights_beside",
        "~gaps.reshape(rows, -1)",
        "np.ones((rows, 1))",
        ("test_output_weights.py::test_missing_terms_are_dropped_by_hand",),
    ),
    Mutant(
        "missing targets: those in a file count for the mean weight",
        "fit/sources.py",
        "factor_to_mean_1",
        "weights_beside(np.isnan(y[part]), some)",
        "some",
        ("test_output_weights.py::test_every_source_trains_the_same",),
    ),
    Mutant(
        "missing targets: the score of an estimator fills them in",
        "sklearn/scores.py",
        "R2._of_known",
        "~np.isnan(target) & (weight > 0)",
        "np.ones(len(target), bool)",
        (
            "sklearn_estimators/test_missing_targets.py::"
            "test_the_score_is_over_the_targets_that_are_there",
        ),
    ),
    Mutant(
        "streams: other parameters than before change nothing",
        "sklearn/streams.py",
        "Stream.goes_on",
        "all((state.get(name) is value for name, value in self.parameters))",
        "True",
        ("sklearn_estimators/test_streams.py::test_what_is_changed_between_two_calls_counts",),
    ),
    Mutant(
        "early stopping: epochs are validated with the last parameters",
        "sklearn/training.py",
        "Trainer._note_all",
        "params[:] = trail[number]",
        "pass",
        ("sklearn_estimators/test_training.py::test_they_are_as_if_validated_one_by_one",),
    ),
    Mutant(
        "estimators: one class has two columns",
        "sklearn/estimators.py",
        "MLPClassifier.predict_proba",
        "of_one and len(state.get('classes_', ())) == 1",
        "False",
        ("sklearn_estimators/test_missing_targets.py::test_one_class_has_one_column",),
    ),
    Mutant(
        "estimators: infinities are ready",
        "sklearn/inputs.py",
        "is_ready",
        "bool(np.isfinite(array.sum()))",
        "True",
        ("sklearn_estimators/test_inputs.py",),
    ),
    Mutant(
        "estimators: losses of impossible classes are not cut off",
        "kernels/losses.py",
        "cross_entropy",
        "vmin(most, loss) * row_weight",
        "loss * row_weight",
        ("sklearn_estimators/test_losses.py",),
    ),
    Mutant(
        "estimators: a refused fit leaves traces",
        "sklearn/base.py",
        "BaseMLP._fit",
        "self._restore(before)\nif drawn is not None:\n    stream.set_state(drawn)",
        "pass",
        ("sklearn_estimators/test_base.py::test_a_refused_fit_changes_nothing",),
    ),
    Mutant(
        "estimators: assigned parameters are written into a network that another may share",
        "sklearn/base.py",
        "BaseMLP._network",
        "net = networks.of_attributes(self)",
        "net = net or networks.of_attributes(self)\n"
        "networks.load(net, self.coefs_, self.intercepts_)",
        ("sklearn_estimators/test_attributes.py::test_an_assigned_network_is_shared_with_nobody",),
    ),
    Mutant(
        "estimators: changed units go unseen",
        "sklearn/networks.py",
        "is_current",
        "units == units_of(estimator, layers)",
        "True",
        ("sklearn_estimators/test_attributes.py",),
    ),
    Mutant(
        "estimators: moments go to layers they are not of",
        "sklearn/optimizers.py",
        "OptimizerMemory.attach",
        "self.layer_sizes == net.layer_sizes",
        "True",
        ("sklearn_estimators/test_attributes.py::test_the_moments_of_other_layers_are_not_taken",),
    ),
    Mutant(
        "estimators: means are taken for sums",
        "sklearn/conversion.py",
        "memory_of",
        "1 / (1 - adam.beta_1)",
        "1.0",
        ("sklearn_estimators/test_conversion.py",),
    ),
    Mutant(
        "estimators: early stopping keeps the last parameters",
        "sklearn/training.py",
        "Stopping.end",
        "self.net.params[:] = self.best",
        "pass",
        ("sklearn_estimators/test_training.py",),
    ),
    Mutant(
        "cache: a damaged entry is run",
        "machine/cache_entries.py",
        "SafeCache.load_overload",
        "_seal(payload) != content[:_SEAL_BYTES]",
        "len(content) < _SEAL_BYTES",
        ("machine/test_cache.py::test_no_flipped_bit_is_loaded",),
    ),
    Mutant(
        "cache: what others could have written is run",
        "machine/trust.py",
        "_check_owner",
        "found.st_mode & WRITABLE_BY_OTHERS",
        "False",
        ("machine/test_cache.py::test_a_planted_file_is_not_unpickled_but_replaced",),
    ),
    Mutant(
        "files: a living writer's file is taken for abandoned",
        "whole_files.py",
        "_remove_if_abandoned",
        "_fcntl.flock(file.fileno(), _fcntl.LOCK_EX | _fcntl.LOCK_NB)",
        "None",
        ("test_whole_files.py::test_a_living_writers_file_stays",),
    ),
    Mutant(
        "files: a file that was removed before it was locked is lost",
        "whole_files.py",
        "_locked",
        "os.fstat(file.fileno()).st_nlink > 0",
        "True",
        ("test_whole_files.py::test_a_file_that_was_removed_before_it_was_locked_is_made_again",),
    ),
    Mutant(
        "pickles: arrays of any size are taken over",
        "model/pickles.py",
        "check_array",
        "found != ((size,), dtype)",
        "False",
        ("model/test_pickles.py::test_parts_that_do_not_fit_each_other_are_refused",),
    ),
    Mutant(
        "estimators: the optimiser's state is of any size",
        "sklearn/optimizers.py",
        "OptimizerMemory.from_dict",
        "optimizer.n_slots * n_params",
        "memory.slots.size",
        ("sklearn_estimators/test_loading.py::test_lies_are_refused_by_name",),
    ),
    Mutant(
        "estimators: a random stream of a file stands anywhere",
        "sklearn/values.py",
        "Reader._random_state",
        'checks.count(f"the position of {what}", given["position"], 0, KEY_WORDS)',
        'checks.count(f"the position of {what}", given["position"], 0)',
        ("sklearn_estimators/test_loading.py::test_lies_are_refused_by_name",),
    ),
)


class MutantError(Exception):
    """A mutant does not name one piece of code."""


class Replace(ast.NodeTransformer):
    """Puts one node where another one stands."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old = old
        self.new = new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def is_expression(code: str) -> bool:
    try:
        ast.parse(code, mode="eval")
    except SyntaxError:
        return False
    return True


def only(found: list, what: str):
    """The one element of a list."""
    if len(found) != 1:
        raise MutantError(f"{what} stands {len(found)} times")
    return found[0]


def replace_expression(scope: ast.AST, mutant: Mutant, where: str) -> None:
    old = ast.unparse(ast.parse(mutant.code, mode="eval"))
    expressions = [node for node in ast.walk(scope) if isinstance(node, ast.expr)]
    same = [node for node in expressions if ast.unparse(node) == old]
    new = ast.parse(mutant.replacement, mode="eval").body
    Replace(only(same, where), new).visit(scope)


def bodies(scope: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every list of statements below a node."""
    for node in ast.walk(scope):
        for value in vars(node).values():
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield value


def replace_statements(scope: ast.AST, mutant: Mutant, where: str) -> None:
    old = ast.parse(mutant.code)
    count = len(old.body)
    runs = [(body, i) for body in bodies(scope) for i in range(len(body))]
    same = [(body, i) for body, i in runs if unparse(body[i : i + count]) == unparse(old.body)]
    body, i = only(same, where)
    body[i : i + count] = ast.parse(mutant.replacement).body


def unparse(body: list[ast.stmt]) -> str:
    return ast.unparse(ast.Module(body, []))


def broken(source: str, mutant: Mutant) -> str:
    """The source with the mutant in it, without comments.

    Raises
    ------
    MutantError
        If the function or the code in it is not there, or more than once.
    """
    module = ast.parse(source)
    scope: ast.AST = module
    for name in mutant.function.split(".") if mutant.function else ():
        named = [node for node in ast.walk(scope) if getattr(node, "name", None) == name]
        scope = only(named, f"{name} in {mutant.file}")
    where = f"{mutant.code!r} in {mutant.function or mutant.file}"
    if is_expression(mutant.code) and is_expression(mutant.replacement):
        replace_expression(scope, mutant, where)
    else:
        replace_statements(scope, mutant, where)
    return ast.unparse(module)


def copy_to(folder: Path) -> None:
    """The package and its tests, as they stand in the checkout."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in the copy, with a cache of its own."""
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "FASTBP_CACHE_DIR": str(folder / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_tests(folder: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Up to the first failure."""
    return run(folder, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
               *(f"tests/{test}" for test in tests))  # fmt: skip


def failed_test(done: subprocess.CompletedProcess[str]) -> str:
    """The name of the test that failed."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return lines[0].removeprefix("FAILED ").split(" - ")[0] if lines else "?"


def verdict(folder: Path, mutant: Mutant) -> tuple[bool, str]:
    """Whether the tests see the mutant, and which one or why not."""
    path = folder / "fastbp" / mutant.file
    sound = path.read_text(encoding="utf-8")
    try:
        path.write_text(broken(sound, mutant), encoding="utf-8")
    except MutantError as error:
        return False, f"ERROR: {error}"
    try:
        done = run_tests(folder, mutant.tests)
    finally:
        path.write_text(sound, encoding="utf-8")
    if "numba.core.errors" in done.stdout:
        return False, f"ERROR: it does not compile\n{done.stdout}"
    if done.returncode == 1:  # some tests failed; not: an error of pytest, or no tests
        return True, f"killed by {failed_test(done)}"
    if done.returncode == 0:
        return False, "SURVIVED"
    return False, f"ERROR: pytest ended with {done.returncode}\n{done.stdout}{done.stderr}"


def main() -> int:
    chosen = [m for m in MUTANTS if all(word in m.name for word in sys.argv[1:])]
    if not chosen:
        print(f"no mutant has all of these words in its name: {sys.argv[1:]}")
        return 1
    with tempfile.TemporaryDirectory(prefix="fastbp-mutants-") as name:
        folder = Path(name).resolve()
        copy_to(folder)
        imported = run(folder, "-c", "import fastbp; print(fastbp.__file__)").stdout.strip()
        if imported != str(folder / "fastbp" / "__init__.py"):
            print(f"the tests would run on {imported} and not on the copy")
            return 1
        tests = tuple(dict.fromkeys(test for mutant in chosen for test in mutant.tests))
        sound = run_tests(folder, tests)
        if sound.returncode != 0:
            print(f"the unbroken copy fails its tests\n{sound.stdout}{sound.stderr}")
            return 1
        print(f"unbroken: {sound.stdout.strip().splitlines()[-1]}\n", flush=True)
        killed = 0
        for mutant in chosen:
            start = time.monotonic()
            seen, what = verdict(folder, mutant)
            killed += seen
            print(f"{mutant.name:<56} {time.monotonic() - start:5.0f} s  {what}", flush=True)
    print(f"\n{len(chosen)} mutants, {killed} killed, {len(chosen) - killed} not")
    return 0 if killed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
