"""One step of training in C: forward, backward and plain SGD by one row, as `MLP.step` does it."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastbp import checks
from fastbp.files.c.losses import STATEMENTS, add_loss
from fastbp.files.c.parts import Parts, Scratch, scratch_of
from fastbp.files.c.text import real
from fastbp.kernels.activations import ACTIVATIONS, DENSITY_AT_ZERO
from fastbp.mlp import MLP
from fastbp.model.losses import Loss
from fastbp.model.optimizers import SGD

LOSSES = (*STATEMENTS, "cross_entropy")
COPY = """\
static void NAME_copy(REAL *to, const REAL *from, int n)
{
    for (int i = 0; i < n; i++) {
        to[i] = from[i];
    }
}
"""
BACK = """\
/* the derivative by the inputs of a layer, from that by its net inputs */
static void NAME_back(const REAL *w, const REAL *d, int n_in, int n_out, REAL *below)
{
    for (int k = 0; k < n_in; k++) {
        below[k] = 0.0_F;
    }
    for (int i = 0; i < n_out; i++) {
        for (int k = 0; k < n_in; k++) {
            below[k] += w[k] * d[i];
        }
        w += n_in;
    }
}
"""
UPDATE = """\
/* a step of SGD on weights; d is the derivative by the net inputs, x the inputs */
static void NAME_update_weights(
    REAL *w, const REAL *d, const REAL *x, int n_in, int n_out, REAL rate)
{
    for (int i = 0; i < n_out; i++) {
        for (int k = 0; k < n_in; k++) {
            w[k] -= rate * GRADIENT;
        }
        w += n_in;
    }
}
"""
UPDATE_BIASES = """\
static void NAME_update_biases(REAL *b, const REAL *d, int n, REAL rate)
{
    for (int i = 0; i < n; i++) {
        b[i] -= rate * GRADIENT;
    }
}
"""
CUT = """\
static REAL NAME_cut(REAL g)
{
    return g > LIMIT ? LIMIT : g < -LIMIT ? -LIMIT : g;
}
"""
PENALTY = """\
/* the penalties on some weights */
static REAL NAME_penalty(const REAL *w, int n)
{
    REAL sum = 0.0_F;

    for (int i = 0; i < n; i++) {
        sum += TERMS;
    }
    return sum;
}
"""
SLOPES = {
    "sigmoid": "y[i] - y[i] * y[i]",
    "tanh": "(1.0_F - y[i]) * (1.0_F + y[i])",
    "relu": "y[i] > 0.0_F ? 1.0_F : 0.0_F",
    "leaky_relu": "y[i] > 0.0_F ? 1.0_F : LEAK",
    "elu": "y[i] > 0.0_F ? 1.0_F : y[i] + 1.0_F",
    "selu": "y[i] > 0.0_F ? SELU_SCALE : y[i] + SELU_DEPTH",
    "softplus": "-expm1_F(-y[i])",
    "hard_sigmoid": "y[i] > 0.0_F && y[i] < 1.0_F ? 1.0_F / 6.0_F : 0.0_F",
    "exp": "y[i]",
}
"""Derivatives of activations by their outputs."""
STORED = {
    "gelu": f"""\
/* Phi(z) + z phi(z), with the normal distribution Phi and its density phi */
static REAL NAME_gelu_slope(REAL z)
{{
    const REAL a = fabs_F(z) > GELU_MOST ? GELU_MOST : fabs_F(z);
    const REAL tail = 0.5_F * erfc_F(a * SQRT_HALF);
    const REAL steep = a * {DENSITY_AT_ZERO}_F * exp_F(-0.5_F * a * a);

    return z > 0.0_F ? 1.0_F - tail + steep : tail - steep;
}}
""",
    "silu": """\
/* s (1 + z (1 - s)) with s = 1 / (1 + exp(-z)) */
static REAL NAME_silu_slope(REAL z)
{
    const REAL s = 1.0_F / (1.0_F + NAME_exp(-z));
    const REAL rest = 1.0_F / (1.0_F + NAME_exp(z));

    return s + z * s * rest;
}
""",
}
"""Derivatives of activations by their net inputs."""
THROUGH = """\
static void NAME_{function}_through(REAL *d, const REAL *{given}, int n)
{{
    for (int i = 0; i < n; i++) {{
        d[i] *= {slope};
    }}
}}
"""
STORE = """\
static void NAME_{function}_slopes(const REAL *z, REAL *s, int n)
{{
    for (int i = 0; i < n; i++) {{
        s[i] = NAME_{function}_slope(z[i]);
    }}
}}
"""
SOFTMAX_THROUGH = """\
static void NAME_softmax_through(REAL *d, const REAL *y, int n)
{
    REAL sum = 0.0_F;

    for (int i = 0; i < n; i++) {
        sum += d[i] * y[i];
    }
    for (int i = 0; i < n; i++) {
        d[i] = y[i] * (d[i] - sum);
    }
}
"""
SCALE_TARGETS = """\
static void NAME_scale_targets(const REAL *t, REAL *scaled)
{
    for (int i = 0; i < UPPER_OUTPUTS; i++) {
        scaled[i] = (t[i] - NAME_output_means[i]) / NAME_output_scales[i];
    }
}
"""


class Training(NamedTuple):
    """How a net is trained further.

    Attributes
    ----------
    loss : Loss
    l1, l2 : float
    clip_value : float or None
    frozen : tuple of tuple of bool
        Whether the weights and whether the biases of each layer are.
    """

    loss: Loss
    l1: float
    l2: float
    clip_value: float | None
    frozen: tuple[tuple[bool, bool], ...]


def training_of(net: Any) -> Training:
    """How a net is trained, if it can be in C.

    Parameters
    ----------
    net : MLP

    Raises
    ------
    ValueError, TypeError
        For what only fastbp does.
    """
    if not isinstance(net, MLP):
        raise TypeError(
            f"training=True needs an MLP, whose loss it takes; got {checks.described(net)}. Export "
            "a fitted estimator without it"
        )
    loss = net.spec.loss
    if loss.name not in LOSSES:
        raise ValueError(
            f"training=True takes the losses {', '.join(LOSSES)}; the net has {loss!r}"
        )
    optimizer = net.optimizer
    plain = type(optimizer) is SGD and optimizer.momentum == 0.0 and optimizer.weight_decay == 0.0
    if not plain or optimizer.groups:
        raise ValueError(
            f"training=True makes steps of plain SGD; the net's optimizer is {optimizer!r}. Set "
            "net.optimizer = fastbp.SGD(), whose learning rate each step in C is passed anew"
        )
    regularization = net.regularization
    refused = {
        "dropout": any(regularization.dropout_rates(len(net.weights))),
        "clip_norm": regularization.clip_norm is not None,
        "max_norm": regularization.max_norm is not None,
        "missing_targets": net.missing_targets,
    }
    for what, found in refused.items():
        if found:
            raise ValueError(
                f"training=True does without {what}, which the net has; l1, l2 and clip_value are "
                f"exported. Make a net without {what} and copy the parameters"
            )
    for i, activation in enumerate(net.activations):
        if isinstance(activation, str) and not ACTIVATIONS[activation].trainable:
            raise ValueError(
                f"training=True needs derivatives; layer {i} has the activation {activation!r}"
            )
    return Training(
        loss, regularization.l1, regularization.l2, regularization.clip_value, _frozen(net)
    )


def _frozen(net: MLP) -> tuple[tuple[bool, bool], ...]:
    """Which arrays are frozen as a whole."""
    found = []
    first = 0
    for i, weights in enumerate(net.weights):
        pair = []
        for what, size in (("weights", weights.size), ("biases", weights.shape[1] * net.bias)):
            some = net.frozen[first : first + size]
            if some.any() and not some.all():
                raise ValueError(
                    f"training=True needs the {what} of a layer frozen as a whole or not at all; "
                    f"layer {i} has {int(some.sum())} of {size} frozen. Use net.freeze(layers=...)"
                )
            pair.append(bool(some.all()) if size else True)
            first += size
        found.append((pair[0], pair[1]))
    if all(all(pair) for pair in found):
        raise ValueError("training=True needs parameters to train; all of the net are frozen")
    return tuple(found)


def add_struct(parts: Parts, training: Training) -> None:
    """Add the struct of what is trained, and the function that fills it."""
    chain = parts.chain
    for number, (layer, frozen) in enumerate(zip(chain.layers, training.frozen, strict=True)):
        if not frozen[0]:
            parts.trained[f"weights_{number}"] = layer.weight.size
        if layer.bias is not None and not frozen[1]:
            parts.trained[f"biases_{number}"] = layer.bias.size
    fields = "\n".join(f"    REAL {name}[{size}];" for name, size in parts.trained.items())
    constants = sum(2 - (layer.bias is None) for layer in chain.layers)
    kept = "; what is frozen stays constant" * (len(parts.trained) < constants)
    parts.declarations.append(
        f"/* What training changes: weights by unit, and biases{kept}. */\n"
        f"typedef struct {{\n{fields}\n}} NAME_parameters;\n"
    )
    parts.functions.append(COPY)
    parts.function(
        "void NAME_init(NAME_parameters *net)",
        [],
        [f"NAME_copy(net->{name}, NAME_{name}, {size});" for name, size in parts.trained.items()],
        "The parameters that were exported.",
    )


class TrainingStep:
    """The function that makes a step, and those that it calls.

    Parameters
    ----------
    parts : Parts
    training : Training
    caller : bool or None
        As in `fastbp.files.c.parts.scratch_of`.
    """

    def __init__(self, parts: Parts, training: Training, caller: bool | None) -> None:
        self.parts = parts
        self.training = training
        self.layers = parts.chain.layers
        self.lowest = min(i for i, pair in enumerate(training.frozen) if not all(pair))
        self.units = [layer.weight.shape[1] for layer in self.layers]
        self.scratch = self._scratch(caller)

    @property
    def from_logits(self) -> bool:
        """Whether the loss takes the net inputs of the last layer."""
        return self.training.loss.from_logits

    def _passed_through(self) -> list[int]:
        """The layers whose activation the backward pass goes through."""
        return list(range(self.lowest, len(self.layers) - self.from_logits))

    def _stores_slope(self, layer: int) -> bool:
        activation = self.layers[layer].activation
        return not isinstance(activation, str) or activation in STORED

    def _scratch(self, caller: bool | None) -> Scratch:
        """Outputs of all layers, slopes, and the derivatives by the net inputs of two layers."""
        arrays = {"scaled": self.parts.chain.n_in * (self.parts.chain.input_scaling is not None)}
        for i, n in enumerate(self.units):
            arrays[f"y{i}"] = n
        for i in self._passed_through():
            arrays[f"s{i}"] = self.units[i] * self._stores_slope(i)
        deltas = self.units[self.lowest :][::-1]
        arrays["d"] = max(deltas[0::2])
        arrays["e"] = max(deltas[1::2], default=0)
        return scratch_of(arrays, "REAL", self.parts.chain.dtype.itemsize, caller)

    def add_functions(self) -> None:
        """Add what the step calls, before the functions of the activations are added."""
        parts = self.parts
        add_loss(parts, self.training.loss)
        if self.lowest < len(self.layers) - 1:
            parts.late.append(BACK)
        single = parts.single
        limit = self.training.clip_value
        weight_gradient = "d[i] * x[k]"
        terms = []
        if self.training.l2:
            l2 = real(self.training.l2, single)
            weight_gradient += f" + {l2} * w[k]"
            terms.append(f"0.5_F * {l2} * w[i] * w[i]")
        if self.training.l1:
            l1 = real(self.training.l1, single)
            weight_gradient += f" + (w[k] > 0.0_F ? {l1} : w[k] < 0.0_F ? -{l1} : 0.0_F)"
            terms.append(f"{l1} * fabs_F(w[i])")
            parts.math = True
        if terms:
            parts.late.append(PENALTY.replace("TERMS", " + ".join(terms)))
        if limit is not None:
            parts.late.append(CUT.replace("LIMIT", real(limit, single)))
            gradients = f"NAME_cut({weight_gradient})", "NAME_cut(d[i])"
        else:
            gradients = f"({weight_gradient})", "d[i]"
        names = {name.partition("_")[0] for name in parts.trained}
        if "weights" in names:
            parts.late.append(UPDATE.replace("GRADIENT", gradients[0]))
        if "biases" in names:
            parts.late.append(UPDATE_BIASES.replace("GRADIENT", gradients[1]))
        for i in self._passed_through():
            self._add_slope(i)

    def _add_slope(self, layer: int) -> None:
        """Add the function that multiplies by the slopes of a layer, and what it needs."""
        functions = self.parts.activations
        activation: Any = self.layers[layer].activation
        if activation == "identity":
            return
        name = self._function(layer)
        if activation == "softmax":
            functions.add("softmax_through", SOFTMAX_THROUGH)
            return
        if not self._stores_slope(layer):
            functions.math = functions.math or activation == "softplus"
            text = THROUGH.format(function=name, given="y", slope=f"({SLOPES[activation]})")
            functions.add(f"{name}_through", text)
            return
        if isinstance(activation, str):
            functions.add(f"{name}_slope", STORED[activation])
        else:
            functions.add_graph(f"{name}_slope", activation.expression, True)
        functions.add(f"{name}_slopes", STORE.format(function=name))
        functions.add("stored_through", THROUGH.format(function="stored", given="s", slope="s[i]"))

    def _function(self, layer: int) -> str:
        """What the functions of a layer's activation begin with."""
        activation: Any = self.layers[layer].activation
        if isinstance(activation, str):
            return activation
        return self.parts.activations.graph(activation.expression)

    def add(self) -> None:
        """Add the step itself."""
        parts = self.parts
        scratch = self.scratch
        if parts.chain.output_scaling is not None:
            parts.functions.append(SCALE_TARGETS)
        if scratch.caller:
            parts.declarations.append(f"#define UPPER_TRAINING_SCRATCH {scratch.length}\n")
        parts.step = scratch.length * scratch.itemsize
        parts.struct = sum(parts.trained.values()) * scratch.itemsize
        parts.about += [
            f"What training changes takes {parts.struct} bytes of the caller's, a step arrays of "
            f"{parts.step} bytes",
            f"{scratch.place}.",
        ]
        parts.function(
            "REAL NAME_train_step(NAME_parameters *net, const REAL *x, const REAL *t, "
            f"REAL learning_rate{scratch.parameter})",
            [*scratch.lines, "REAL loss;"],
            [*self._forward(), *self._backward(), "return loss;"],
            "Makes a step of SGD by one row of inputs x and targets t; returns the loss before\n"
            "the step. A loss that is not finite changes nothing.",
        )

    def _forward(self) -> list[str]:
        """The statements up to the loss."""
        parts = self.parts
        scaled = parts.chain.input_scaling is not None
        lines = ["NAME_scale_inputs(x, scaled);"] * scaled
        for i, layer in enumerate(self.layers):
            y = f"y{i}"
            lines.append(net_inputs(parts, i, self._inputs(i), y))
            if i == len(self.layers) - 1 and self.from_logits:
                break
            if i in self._passed_through() and self._stores_slope(i):
                lines.append(f"NAME_{self._function(i)}_slopes({y}, s{i}, {self.units[i]});")
            function = parts.activations.layer(layer.activation)
            if function:
                lines.append(f"NAME_{function}({y}, {self.units[i]});")
        targets = "t"
        if parts.chain.output_scaling is not None:
            lines.append("NAME_scale_targets(t, d);")
            targets = "d"
        lines.append(f"loss = NAME_loss(y{len(self.layers) - 1}, {targets}, d);")
        if self.training.l1 or self.training.l2:
            for number, layer in enumerate(self.layers):
                weights = parts.place(f"weights_{number}")
                lines.append(f"loss += NAME_penalty({weights}, {layer.weight.size});")
        return [*lines, "if (!(loss - loss < 1.0_F)) {", "    return loss;", "}"]

    def _inputs(self, layer: int) -> str:
        """The inputs of a layer."""
        if layer > 0:
            return f"y{layer - 1}"
        return "x" if self.parts.chain.input_scaling is None else "scaled"

    def _backward(self) -> list[str]:
        """The statements of deltas and updates, from the last layer down."""
        parts = self.parts
        lines = []
        d = "d"
        other = "e"
        through = self._passed_through()
        for i in range(len(self.layers) - 1, self.lowest - 1, -1):
            n_in, n_out = self.layers[i].weight.shape
            if i in through and self.layers[i].activation != "identity":
                if self._stores_slope(i):
                    lines.append(f"NAME_stored_through({d}, s{i}, {n_out});")
                else:
                    lines.append(f"NAME_{self._function(i)}_through({d}, y{i}, {n_out});")
            if i > self.lowest:
                weights = parts.place(f"weights_{i}")
                lines.append(f"NAME_back({weights}, {d}, {n_in}, {n_out}, {other});")
            if f"weights_{i}" in parts.trained:
                lines.append(
                    f"NAME_update_weights(net->weights_{i}, {d}, {self._inputs(i)}, {n_in}, "
                    f"{n_out}, learning_rate);"
                )
            if f"biases_{i}" in parts.trained:
                lines.append(f"NAME_update_biases(net->biases_{i}, {d}, {n_out}, learning_rate);")
            d, other = other, d
        return lines


def net_inputs(parts: Parts, number: int, x: str, y: str) -> str:
    """The statement that computes the net inputs of a layer, counted from 0.

    Parameters
    ----------
    parts : Parts
    number : int
    x, y : str
        Its inputs; where its net inputs go.
    """
    layer = parts.chain.layers[number]
    n_in, n_out = layer.weight.shape
    weights = parts.place(f"weights_{number}")
    if layer.bias is None:
        return f"NAME_product({weights}, {n_in}, {n_out}, {x}, {y});"
    return f"NAME_dense({weights}, {parts.place(f'biases_{number}')}, {n_in}, {n_out}, {x}, {y});"
