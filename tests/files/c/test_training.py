"""Steps of training in C beside `MLP.step`, a hundred of them; and what is refused."""

from __future__ import annotations

import ctypes
import subprocess

import numpy as np
import pytest
from c_code import Library, address, needs_gcc, unit
from helpers import DTYPES, counts

from fastbp import (
    MLP,
    SGD,
    BinaryCrossEntropy,
    CallableLoss,
    CrossEntropy,
    Group,
    Huber,
    Quantile,
    graph,
)
from fastbp.files import to_c
from fastbp.kernels.activations import ACTIVATIONS

SEED = 17
RATE = 0.02
STEPS = counts(100, 1000, 10)
z = graph.variable("z")
GRAPHS = {
    "swish": z * graph.sigmoid(1.5 * z),
    "corners": graph.max(z, 0.1 * z, -0.3 - 0.5 * z, z),
    "roots": graph.tanh(z) ** 3 + graph.sqrt(graph.abs(z) + 1) / (graph.exp(z) + 3),
    "powers": graph.log(1 + graph.exp(z)) ** 0.5 / 2**z - graph.relu(-z) * graph.cos(1 + 0 * z),
    "sums": 0.3 * graph.dot([graph.sin(z), 2, z], [graph.cos(z), z, 1.0])
    + graph.sum([z, 1]) ** 2 / 9,
}
LOSSES = {
    "squared_error": "squared_error", "absolute_error": "absolute_error", "huber": Huber(0.3),
    "quantile": Quantile([0.1, 0.5, 0.9]), "poisson": "poisson", "gamma": "gamma",
    "hinge": "hinge", "binary_cross_entropy": "binary_cross_entropy",
    "smoothed": BinaryCrossEntropy(label_smoothing=0.1), "cross_entropy": "cross_entropy",
    "smoothed_classes": CrossEntropy(label_smoothing=0.2),
}  # fmt: skip
TRAINABLE = [name for name, traits in ACTIVATIONS.items() if traits.trainable]
MEANS, SCALES = np.array([1.0, 1000.0, -2.0, 101_325.0]), np.array([1.0, 20.0, 0.1, 500.0])
OUTPUTS = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0])


def cases(dtype: str) -> dict[str, tuple[MLP, dict]]:
    """Nets, and how they are exported."""

    def net(sizes=(4, 7, 3), **options) -> MLP:
        return MLP(sizes, dtype=dtype, optimizer=SGD(RATE), seed=SEED, **options)

    made = {name: (net(activation="tanh", loss=loss), {}) for name, loss in LOSSES.items()}
    for name in TRAINABLE:
        output = None if name == "identity" else name
        made[f"out_{name}"] = net(activation="tanh", output_activation=output), {}
        if ACTIVATIONS[name].hidden:
            made[f"in_{name}"] = net((4, 7, 5, 3), activation=name), {}
    for name, expression in GRAPHS.items():
        made[f"graph_{name}"] = net(activation=expression, output_activation=expression), {}
    made["line"] = net((4, 3), loss="cross_entropy"), {"class_labels": [1, 2, 3]}
    made["penalties"] = net((4, 7, 5, 3), l1=0.01, l2=0.1, clip_value=0.05), {}
    made["without"] = net((4, 7, 5, 3), l2=0.1, bias=False), {"scratch": "caller"}
    made["fma"] = net((4, 7, 5, 3)), {"fma": True}
    scalers = {"input_scaler": (MEANS, SCALES), "output_scaler": OUTPUTS}
    made["scaled"] = net((4, 6, 3)), scalers
    made["bare"] = net((4, 6, 3), bias=False), {"input_scaler": (MEANS, SCALES)}
    mixed = net((4, 7, 5, 3), activation="gelu")
    mixed.freeze(layers=[0])
    mixed.freeze(layers=[1], weights=False)
    mixed.freeze(layers=[2], biases=False)
    made["mixed"] = mixed, {}
    top = net((4, 7, 5, 3), activation="silu")
    top.freeze(layers=[0, 1])
    made["top"] = top, {}
    return made


def name_of(case: str, dtype: str) -> str:
    return f"{case}_{dtype}"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    names = []
    written = {}
    for dtype in DTYPES:
        for case, (net, options) in cases(dtype).items():
            name = name_of(case, dtype)
            written[name] = to_c(net, folder, name=name, training=True, **options)
            names.append(name)
    sizes = "".join(
        f"unsigned long {name}_size(void);\n"
        f"unsigned long {name}_size(void) {{ return sizeof({name}_parameters); }}\n"
        for name in names
    )
    return Library(folder, names, sizes, "-O0"), written


def targets(net: MLP) -> np.ndarray:
    uniform = np.random.default_rng(SEED).uniform(size=(STEPS, 3))
    made = {
        "poisson": np.floor(4 * uniform),
        "gamma": uniform + 0.1,
        "hinge": np.sign(uniform - 0.5),
        "binary_cross_entropy": uniform,
        "cross_entropy": uniform / uniform.sum(axis=1, keepdims=True),
    }
    return made.get(net.loss_name, 1.6 * uniform - 0.8).astype(net.dtype)


@needs_gcc
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", cases("float32"))
def test_a_hundred_steps(compiled, case, dtype) -> None:
    library, written = compiled
    name = name_of(case, dtype)
    net, options = cases(dtype)[case]
    t = targets(net)
    x = np.random.default_rng(SEED).normal(size=(STEPS, 4))
    means, scales = options.get("input_scaler", (0.0, 1.0))
    given = (x * scales + means).astype(dtype)
    x = (given.astype(np.float64) - means) / scales
    shift, factor = options.get("output_scaler", (0.0, 1.0))
    real = ctypes.c_float if dtype == "float32" else ctypes.c_double
    functions = library.functions
    parameters = np.zeros(getattr(functions, f"{name}_size")(), np.uint8)
    getattr(functions, f"{name}_init")(address(parameters))
    step = getattr(functions, f"{name}_train_step")
    step.restype = real
    scratch = np.zeros(1000)
    got, want = [], []
    for i in range(STEPS):
        arguments = address(parameters), address(given[i]), address(t[i])
        got.append(step(*arguments, real(RATE), address(scratch)))
        want.append(net.step(x[i : i + 1], (t[i : i + 1].astype(np.float64) - shift) / factor))
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    assert np.abs(np.subtract(got, want)).max() <= tolerance * max(1.0, np.abs(want).max())
    assert max(want) - min(want) > 0.01
    outputs = net.predict(x).astype(np.float64) * factor + shift
    predicted = library.predict(name, given, 3, address(parameters))
    assert np.abs(predicted - outputs).max() <= tolerance * max(1.0, np.abs(outputs).max())
    assert parameters.nbytes == (~net.frozen).sum() * net.dtype.itemsize
    assert written[name].ram > parameters.nbytes


@needs_gcc
def test_a_loss_that_is_not_finite_changes_nothing(compiled) -> None:
    library, _ = compiled
    functions = library.functions
    parameters = np.zeros(functions.squared_error_float32_size(), np.uint8)
    functions.squared_error_float32_init(address(parameters))
    before = parameters.copy()
    step = functions.squared_error_float32_train_step
    step.restype = ctypes.c_float
    for bad in (np.nan, np.inf, 3e38):
        t = np.full(3, bad, np.float32)
        loss = step(address(parameters), address(np.ones(4, np.float32)), address(t),
                    ctypes.c_float(0.1))  # fmt: skip
        assert not np.isfinite(loss)
        assert (parameters == before).all()


@needs_gcc
def test_classes_while_training(compiled) -> None:
    library, _ = compiled
    parameters = np.zeros(library.functions.line_float64_size(), np.uint8)
    library.functions.line_float64_init(address(parameters))
    x = np.random.default_rng(SEED).normal(size=(50, 4))
    net = cases("float64")["line"][0]
    want = net.predict(x).argmax(axis=1).tolist()
    assert library.classes("line_float64", x, address(parameters)) == want


def test_layers_below_the_lowest_that_trains_cost_nothing(tmp_path) -> None:
    net = MLP((4, 50, 40, 3), optimizer=SGD(), seed=0)
    whole = to_c(net, tmp_path, name="whole", training=True)
    net.freeze(layers=[0, 1])
    top = to_c(net, tmp_path, name="top", training=True)
    assert top.ram == 4 * (41 * 3 + 50 + 40 + 3 + 3)
    assert whole.ram == 4 * (net.params.size + 50 + 40 + 3 + 50 + 40)
    assert "top_back" not in top.source.read_text()
    assert "static top_parameters net;" in top.header.read_text()


def own_loss(p, y):
    return float(np.square(p - y).mean()), 2 * (p - y) / p.size


REFUSED = {
    "adam": ({}, "plain SGD.*Set net.optimizer = fastbp.SGD"),
    "momentum": ({"optimizer": SGD(momentum=0.9)}, "plain SGD"),
    "decay": ({"optimizer": SGD(weight_decay=0.1)}, "plain SGD"),
    "groups": ({"optimizer": SGD(groups=[Group([0], learning_rate=0.1)])}, "plain SGD"),
    "dropout": ({"optimizer": "sgd", "dropout": 0.1}, "without dropout"),
    "input dropout": ({"optimizer": "sgd", "input_dropout": 0.1}, "without dropout"),
    "clip_norm": ({"optimizer": "sgd", "clip_norm": 1.0}, "without clip_norm"),
    "max_norm": ({"optimizer": "sgd", "max_norm": 1.0}, "without max_norm"),
    "missing": ({"optimizer": "sgd", "missing_targets": True}, "without missing_targets"),
    "step": ({"optimizer": "sgd", "activation": "step"}, "layer 0 has the activation 'step'"),
    "own loss": ({"optimizer": "sgd", "loss": CallableLoss(own_loss)}, "takes the losses squared"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_only_fastbp_does_is_refused(case, tmp_path) -> None:
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        to_c(MLP((2, 3, 1), **options), tmp_path / "new", training=True)
    assert not (tmp_path / "new").exists()


def test_frozen_parts_and_other_dtypes_are_refused(tmp_path) -> None:
    net = MLP((2, 3, 1), optimizer="sgd")
    with pytest.raises(ValueError, match="training=True is for floats"):
        to_c(net, tmp_path, training=True, dtype="int8", calibration=np.ones((2, 2)))
    net.frozen[1] = True
    with pytest.raises(ValueError, match="layer 0 has 1 of 6 frozen"):
        to_c(net, tmp_path, training=True)
    net.freeze()
    with pytest.raises(ValueError, match="all of the net are frozen"):
        to_c(net, tmp_path, training=True)
    assert not list(tmp_path.iterdir())


def test_estimators_are_refused(tmp_path) -> None:
    pytest.importorskip("sklearn")
    from fastbp.sklearn import MLPRegressor

    x = np.random.default_rng(SEED).normal(size=(20, 2))
    regressor = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(x, x[:, 0])
    to_c(regressor, tmp_path, name="fine")
    with pytest.raises(TypeError, match="needs an MLP"):
        to_c(regressor, tmp_path, training=True)


MAIN = r"""
static float sum_float(const float *y, int n)
{
    return n == 0 ? 0.0f : y[n - 1] + sum_float(y, n - 1);
}

int main(void)
{
    float x[4] = {1.0f, -2.0f, 0.5f, 0.25f};
    float t[3] = {0.1f, 0.2f, 0.3f};
    float y[3];
    float scratch[FIRST_SCRATCH];
    int8_t numbers[SMALL_SCRATCH];
    float work[FIRST_TRAINING_SCRATCH];
    first_parameters first;
    second_parameters second;

    first_init(&first);
    second_init(&second);
    for (int i = 0; i < 3; i++) {
        first_train_step(&first, x, t, 0.1f, work);
        second_train_step(&second, x, t, 0.1f);
    }
    first_predict(&first, x, y, scratch);
    if (!(sum_float(y, 3) > -1e9f)) {
        return 1;
    }
    second_predict(&second, x, y);
    small_predict(x, y, numbers);
    return small_class(x, numbers) > 2;
}
"""


@needs_gcc
def test_no_array_is_left(tmp_path) -> None:
    scalers = {"input_scaler": (0.5, 2.0), "output_scaler": (1.0, 2.0)}
    sizes = (4, 9, 5, 11, 3)
    for name, scratch in (("first", "caller"), ("second", "stack")):
        net = MLP(sizes, activation=["gelu", "relu", "silu"], optimizer="sgd", seed=0)
        to_c(net, tmp_path, name=name, training=True, scratch=scratch, **scalers)
    net = MLP(sizes, activation=["gelu", "relu", "silu"], loss="cross_entropy", seed=0)
    x = np.random.default_rng(SEED).normal(size=(50, 4))
    to_c(net, tmp_path, name="small", dtype="int8", calibration=x, scratch="caller")
    source = unit(tmp_path, ["first", "second", "small"], MAIN)
    program = tmp_path / "main"
    options = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = ["gcc", "-std=c99", *options, str(source), "-o", str(program), "-lm"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"needs gcc's sanitizers: {made.stderr[-200:]}")
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]
