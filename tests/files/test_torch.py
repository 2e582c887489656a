"""`to_torch`, `from_torch`: outputs and gradients are PyTorch's, its own modules or stand-ins.

The stand-ins have the classes' names and attributes as `reference_values/torch_modules.json` has
them of PyTorch's own.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchanged import DTYPES, TOLERANCE, UNITS, by_torch, cases, graph, largest_error

from fastbp import MLP, SGD
from fastbp.files import from_torch, to_torch
from fastbp.graph import variable

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference_values/torch_modules.json").read_text("utf-8")
)
HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="needs PyTorch: pip install torch==2.13.0")
each_case = pytest.mark.parametrize("name", REFERENCE)


def stand_in(spec: dict[str, Any], dtype: str = "float64") -> Any:
    """An object that looks like a module of PyTorch to who has no PyTorch."""

    def forward(self: Any) -> None: ...

    def parts(self: Any) -> Iterator[Any]:
        return iter(self.parts)

    members = {"__module__": spec["module"], "forward": forward, "__iter__": parts}
    module = type(spec["class"], (), members)()
    parameters = {
        key: None if value is None else np.array(value, dtype)
        for key, value in spec.get("parameters", {}).items()
    }
    vars(module).update(spec.get("attributes", {}), **parameters, _parameters=parameters)
    module.parts = [stand_in(part, dtype) for part in spec.get("parts", ())]
    return module


def module_of(name: str, **attributes: Any) -> Any:
    """A stand-in for one of PyTorch's classes."""
    return stand_in({"class": name, "module": "torch.nn.modules", "attributes": attributes})


def sequential(*parts: Any) -> Any:
    module = module_of("Sequential")
    module.parts = list(parts)
    return module


def linear(n_in: int, n_out: int, bias: bool = True) -> Any:
    module = module_of("Linear")
    module.weight = np.linspace(-1.0, 1.0, n_in * n_out).reshape(n_out, n_in)
    module.bias = np.linspace(0.0, 0.5, n_out) if bias else None
    module._parameters = {"weight": module.weight, "bias": module.bias}
    return module


def compare(net: MLP, case: dict[str, Any]) -> None:
    """Outputs, loss and gradient with those of PyTorch."""
    X, outputs = np.array(case["X"]), np.array(case["outputs"])
    assert net.dtype == case["dtype"]
    tolerance = TOLERANCE[case["dtype"]]
    of_gradient = 1e-8 if "hard_sigmoid" in net.activations else 2.0 * tolerance
    logits = bool(case["options"])
    got = net.predict(X, logits=logits)
    if case["spec"].get("parts", [{}])[-1].get("class") == "LogSoftmax":
        got = np.log(got)
    assert np.abs(got - outputs).max() <= tolerance * np.abs(outputs).max()
    loss, gradient = net.loss_and_grad(X, np.array(case["target"]))
    assert loss == pytest.approx(case["loss"], rel=5.0 * tolerance)
    expected = MLP(net.layer_sizes, bias=net.bias, dtype="float64", weight_init="zeros")
    tensors = list(case["gradient"].values())
    for i, weight in enumerate(expected.weights):
        weight[...] = np.array(tensors[2 * i if net.bias else i]).T
        if net.bias:
            expected.biases[i][...] = tensors[2 * i + 1]
    # PyTorch's derivative of Hardsigmoid is 1/6 in float32 for float64, too.
    assert np.abs(gradient - expected.params).max() <= of_gradient


@each_case
def test_modules_become_nets(name: str) -> None:
    case = REFERENCE[name]
    net = from_torch(stand_in(case["spec"], case["dtype"]), **case["options"])
    compare(net, case)


@each_case
def test_state_dicts_become_nets(name: str) -> None:
    case = REFERENCE[name]
    net = from_torch(stand_in(case["spec"], case["dtype"]), **case["options"])
    state = {key: np.array(value, case["dtype"]) for key, value in case["state"].items()}
    *hidden, output = net.activations
    output = None if case["options"] else output
    options = {"activation": hidden, "output_activation": output, **case["options"]}
    again = from_torch(dict(sorted(state.items())), **options)
    np.testing.assert_array_equal(again.params, net.params)
    compare(again, case)


def test_dropout_comes_along() -> None:
    net = from_torch(stand_in(REFERENCE["nested"]["spec"]))
    assert net.regularization.dropout == (0.5, 0.1)
    assert net.regularization.input_dropout == 0.25
    twice = sequential(
        linear(2, 3), module_of("ReLU"), module_of("Dropout", p=0.5), module_of("Dropout", p=0.2),
        linear(3, 1),
    )  # fmt: skip
    assert from_torch(twice).regularization.dropout == pytest.approx((0.6,))


def test_loss_optimizer_and_dtype() -> None:
    module = sequential(linear(2, 3), module_of("Tanh"), linear(3, 2))
    net = from_torch(module, loss="huber", optimizer="sgd", dtype="float32")
    assert (net.spec.loss.name, net.dtype) == ("huber", np.float32)
    assert net.optimizer == SGD()
    assert from_torch(module).spec.loss.name == "squared_error"
    module.parts.append(module_of("Softmax", dim=1))
    assert from_torch(module).spec.loss.name == "cross_entropy"
    module.parts[-1] = module_of("Sigmoid")
    assert from_torch(module).spec.loss.name == "binary_cross_entropy"
    assert from_torch(module, loss="squared_error").activations[-1] == "sigmoid"


def test_layers_without_a_bias_among_others() -> None:
    net = from_torch(sequential(linear(2, 3, bias=False), module_of("Tanh"), linear(3, 1)))
    assert net.bias and not net.biases[0].any()
    net = from_torch(sequential(linear(2, 3, bias=False), linear(3, 1, bias=False)))
    assert not net.bias


def test_state_dicts_in_the_order_of_their_numbers() -> None:
    names = [f"layers.{i}.0" for i in range(12)]
    state = {f"{name}.weight": np.full((1, 1), 1.0 + i) for i, name in enumerate(names)}
    net = from_torch(dict(sorted(state.items())), activation="identity")
    assert [float(weight[0, 0]) for weight in net.weights] == [1.0 + i for i in range(12)]
    state = {"into.weight": np.ones((3, 2)), "hidden.weight": np.ones((4, 3)),
             "out.weight": np.ones((1, 4))}  # fmt: skip
    assert from_torch(state, activation="relu").layer_sizes == (2, 3, 4, 1)


def test_state_dicts_of_half_precision_of_lists_and_with_modules() -> None:
    assert from_torch({"weight": np.ones((1, 2), np.float16)}).dtype == np.float32
    assert from_torch({"weight": [[1.0, 2.0]], "bias": [0.5]}).predict([[1, 1]]) == 3.5
    units = [module_of("Tanh"), module_of("GELU", approximate="none")]
    state = {f"{i}.weight": [[2.0]] for i in range(3)}
    assert from_torch(state, activation=units).activations == ("tanh", "gelu", "identity")
    z = variable("z")
    net = from_torch({"1.weight": [[2.0]], "2.weight": [[1.0]]}, activation=z * z)
    assert net.predict([[3.0]]) == 36.0


GRAPH = graph()
BAD_STATES = {
    "no activation": (
        {"0.weight": np.ones((3, 2)), "1.weight": np.ones((1, 3))}, {},
        "does not say what the 1 hidden layers compute: pass activation=",
    ),
    "missing bias": (
        {"0.weight": np.ones((3, 2)), "0.bias": np.ones(3), "1.weight": np.ones((1, 3))},
        {"activation": "relu"},
        r"has biases, but no 1.bias. If this layer has none, add state\['1.bias'\]",
    ),
    "missing weight": (
        {"0.weight": np.ones((3, 2)), "0.bias": np.ones(3), "2.bias": np.ones(1)},
        {"activation": "relu"}, "has 2.bias but no 2.weight",
    ),
    "wrong order": (
        {"out.weight": np.ones((1, 3)), "hidden.weight": np.ones((3, 2))}, {"activation": "relu"},
        r"layer 'hidden' must have 1 inputs, the outputs of layer 'out'; .* in the order 'out', "
        "'hidden': pass a dict",
    ),
    "nan": ({"weight": [[np.nan]]}, {}, "the weight of layer 0 holds nan"),
    "bias of another size": (
        {"weight": np.ones((3, 2)), "bias": np.ones(2)}, {}, r"got shapes \(2, 3\) and \(2,\)",
    ),
    "batch normalisation": (
        {"0.weight": np.ones((3, 2)), "1.weight": np.ones(3), "1.running_mean": np.ones(3)}, {},
        "names that end in weight or bias, those of Linear; got '1.running_mean'",
    ),
    "layer normalisation": (
        {"0.weight": np.ones((3, 2)), "1.weight": np.ones(3)}, {},
        r"1.weight must have shape \(n_out, n_in\), as that of Linear; got \(3,\)",
    ),
    "a checkpoint": (
        {"model": {"weight": np.ones((1, 1))}, "epoch": 3}, {},
        r"got a mapping at 'model'. If that is the state dict, pass it: state\['model'\]",
    ),
    "nothing": ({}, {}, "must have at least one layer with weights; got none"),
    "softmax inside": (
        {"0.weight": np.ones((3, 2)), "1.weight": np.ones((1, 3))}, {"activation": "softmax"},
        "activation.* must be one of .*; got 'softmax'",
    ),
    "too many activations": (
        {"0.weight": np.ones((3, 2)), "1.weight": np.ones((1, 3))}, {"activation": ["relu"] * 2},
        "one for each of the 1 hidden layers; got 2",
    ),
    "text": ({"weight": [["a"]]}, {}, r"state\['weight'\] must hold real numbers"),
}  # fmt: skip
BAD_MODULES = {
    "slope": (
        [linear(2, 3), module_of("LeakyReLU", negative_slope=0.2), linear(3, 1)],
        r"module\[1\] \(LeakyReLU\) has negative_slope=0.2; fastbp has 0.01. For anything else "
        "pass module.state_dict",
    ),
    "approximate": (
        [linear(2, 3), module_of("GELU", approximate="tanh")], "approximate='tanh'; fastbp has",
    ),
    "another class": (
        [linear(2, 3), module_of("Mish")],
        r"takes nn.Sequential of Linear, .*; got module\[1\] \(Mish\). For anything else",
    ),
    "batch normalisation": (
        [linear(2, 3), module_of("BatchNorm1d")], r"\(BatchNorm1d\). Merge it into the layer",
    ),
    "softmax inside": (
        [linear(2, 3), module_of("Softmax", dim=1), linear(3, 1)],
        r"module\[1\] \(Softmax\) is followed by module\[2\] \(Linear\); fastbp has 'softmax' in",
    ),
    "softmax along the rows": ([linear(2, 3), module_of("Softmax", dim=0)], "dim=0; fastbp has 1"),
    "two activations": (
        [linear(2, 3), module_of("Tanh"), module_of("ReLU")],
        r"module\[2\] \(ReLU\) follows module\[1\] \(Tanh\); fastbp has one activation",
    ),
    "activation of the inputs": (
        [module_of("Tanh"), linear(2, 3)], r"module\[0\] \(Tanh\) stands in front of the first",
    ),
    "dropout in front of an activation": (
        [linear(2, 3), module_of("Dropout", p=0.5), module_of("Tanh"), linear(3, 1)],
        r"module\[1\] \(Dropout\) stands between a layer and module\[2\] \(Tanh\)",
    ),
    "dropout of the outputs": (
        [linear(2, 3), module_of("Dropout", p=0.5)], r"module\[1\] \(Dropout\) follows the last",
    ),
    "dropout of all": (
        [linear(2, 3), module_of("Dropout", p=1.0), linear(3, 1)], "at least 0 and below 1; got 1",
    ),
    "sizes": ([linear(2, 3), linear(4, 1)], "layer 1 must have 3 inputs"),
    "flat rows": ([module_of("Flatten", start_dim=0, end_dim=-1), linear(2, 3)], "Flatten"),
    "no layers": ([], "must have at least one layer"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_STATES)
def test_bad_state_dicts(name: str) -> None:
    state, options, message = BAD_STATES[name]
    with pytest.raises((ValueError, TypeError), match=message):
        from_torch(state, **options)


@pytest.mark.parametrize("name", BAD_MODULES)
def test_bad_modules(name: str) -> None:
    parts, message = BAD_MODULES[name]
    with pytest.raises((ValueError, TypeError), match=message):
        from_torch(sequential(*parts))


def test_modules_of_ones_own() -> None:
    class Net:  # not of PyTorch
        def forward(self, x: Any) -> Any: ...

    with pytest.raises(
        ValueError, match=r"got module \(Net\). For anything else pass module.state"
    ):
        from_torch(Net())
    kind = type(sequential())
    derived = type("Derived", (kind,), {})()
    derived.parts = [linear(2, 1)]
    assert from_torch(derived).layer_sizes == (2, 1)
    changed = type("Changed", (kind,), {"forward": lambda self, x: x + 1})()
    changed.parts = [linear(2, 1)]
    with pytest.raises(ValueError, match=r"got module \(Changed\)"):
        from_torch(changed)


def test_other_things() -> None:
    with pytest.raises(TypeError, match="module must be .*, or a state dict; got .*net.pt"):
        from_torch("net.pt")
    with pytest.raises(ValueError, match="activation and output_activation go with a state dict"):
        from_torch(linear(2, 1), activation="relu")
    changing = linear(2, 1)
    changing._parameters = {"bias": None, "weight_orig": changing.weight}
    with pytest.raises(ValueError, match="has no plain weight: weight_norm"):
        from_torch(changing)
    with pytest.raises(TypeError, match="net must be an MLP"):
        to_torch(3)
    with pytest.raises(TypeError, match="logits must be True or False; got 1"):
        to_torch(MLP((2, 1), seed=0), logits=1)


@pytest.mark.skipif(HAS_TORCH, reason="PyTorch is installed")
def test_without_torch() -> None:
    with pytest.raises(ImportError, match="to_torch needs PyTorch: pip install torch"):
        to_torch(MLP((2, 1), seed=0))


# ---- with PyTorch -------------------------------------------------------------------------------


@needs_torch
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNITS)
def test_outputs_are_those_of_the_net(name: str, dtype: str) -> None:
    for net, X in cases(name, dtype):
        assert largest_error(net, by_torch(net), X) <= TOLERANCE[dtype]


@needs_torch
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNITS)
def test_there_and_back(name: str, dtype: str) -> None:
    for net, X in cases(name, dtype):
        again = from_torch(to_torch(net), loss="squared_error")
        assert again.dtype == net.dtype
        np.testing.assert_array_equal(again.weights[0], net.weights[0])
        np.testing.assert_array_equal(again.predict(X), net.predict(X))


@needs_torch
@pytest.mark.parametrize("name", [name for name in UNITS if name not in ("softmax", "step")])
def test_gradients_are_those_of_the_net(name: str) -> None:
    import torch

    *_, (net, X) = cases(name, "float64")
    target = np.random.default_rng(1).random((len(X), net.layer_sizes[-1]))
    module = to_torch(net)
    loss = ((module(torch.from_numpy(X)) - torch.from_numpy(target)) ** 2).sum() / (2 * len(X))
    loss.backward()
    expected, gradient = net.loss_and_grad(X, target)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    tensors = [parameter.grad.numpy() for parameter in module.parameters()]
    # `params` has the weights unit by unit, as PyTorch: (n_out, n_in), then the biases.
    found = np.concatenate([tensor.ravel() for tensor in tensors])
    tolerance = 1e-7 if name == "hard_sigmoid" else 1e-12  # its 1/6 is PyTorch's in float32
    assert np.abs(found - gradient).max() <= tolerance * np.abs(gradient).max()


@needs_torch
def test_logits_and_dropout() -> None:
    import torch

    net = MLP((4, 8, 3), activation="tanh", loss="cross_entropy", dropout=0.25, input_dropout=0.1,
              seed=0)  # fmt: skip
    module = to_torch(net, logits=True)
    assert [type(part).__name__ for part in module] == [
        "Dropout", "Linear", "Tanh", "Dropout", "Linear",
    ]  # fmt: skip
    assert [part.p for part in module if isinstance(part, torch.nn.Dropout)] == [0.1, 0.25]
    assert not module.training
    X = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    got = module(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(got, net.predict(X, logits=True), rtol=1e-5, atol=1e-6)
    again = from_torch(module, loss="cross_entropy")
    assert again.regularization.dropout_rates(2) == net.regularization.dropout_rates(2)
    assert again.activations == net.activations


@needs_torch
def test_nothing_is_shared_and_no_random_numbers_are_drawn() -> None:
    import torch

    net = MLP((2, 3, 1), seed=0)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    module = to_torch(net)
    assert torch.equal(torch.rand(1), expected)
    before = net.params.copy()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(net.params, before)


@needs_torch
def test_modules_can_be_pickled_exported_and_wrapped() -> None:
    import io

    import torch

    net = MLP((2, 3, 2), activation=GRAPH, loss="poisson", seed=0)
    module = to_torch(net)
    assert "max(" in repr(module)
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    X = torch.ones(3, 2)
    assert torch.equal(torch.load(file, weights_only=False)(X), module(X))
    program = torch.export.export(module, (X,))
    assert torch.equal(program.module()(X), module(X))
    half = from_torch({k: v.bfloat16() for k, v in module.state_dict().items()}, activation=GRAPH)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half.weights[0], net.weights[0], rtol=2**-8)
    around = torch.nn.DataParallel(to_torch(MLP((2, 1), seed=0)))
    assert from_torch(around).layer_sizes == (2, 1)
    around = torch.compile(to_torch(MLP((2, 1), seed=0)), backend="eager")
    assert from_torch(around).layer_sizes == (2, 1)


@needs_torch
def test_what_pytorch_computes_anew() -> None:
    from torch import nn
    from torch.nn.utils import parametrizations, prune

    module = nn.Linear(2, 3)
    prune.l1_unstructured(module, "weight", amount=0.5)
    with pytest.raises(ValueError, match="has no plain weight"):
        from_torch(module)
    prune.remove(module, "weight")
    assert np.count_nonzero(from_torch(module).weights[0]) == 3
    with pytest.raises(ValueError, match="ParametrizedLinear"):
        from_torch(parametrizations.weight_norm(nn.Linear(2, 3)))
    with pytest.raises(ValueError, match="has no data: it is on PyTorch's device meta"):
        from_torch(nn.Linear(2, 3, device="meta"))


@needs_torch
def test_a_shared_activation_is_met_twice() -> None:
    from torch import nn

    unit = nn.Tanh()
    net = from_torch(nn.Sequential(nn.Linear(2, 3), unit, nn.Linear(3, 3), unit, nn.Linear(3, 1)))
    assert net.activations == ("tanh", "tanh", "identity")
