"""What takes the place of code in Python when a file is looked at."""

from __future__ import annotations

import pytest

from fastbp import SGD, WarmUp
from fastbp.saving.recipe import encoded
from fastbp.saving.stand_ins import StandIn, of_net, stand_in


def falling(update: int) -> float:
    return 0.1 / (1 + update)


def test_the_first_code_is_found_and_named() -> None:
    assert repr(stand_in(encoded(SGD(WarmUp(falling, 3))))) == "falling"
    assert stand_in(encoded(SGD(0.1))) is None
    assert SGD(StandIn("rate")).learning_rate(5) == 1.0  # it passes the checks


@pytest.mark.parametrize("name", [None, 3, ["x" * 1000], {"kind": "your own"}])
def test_a_name_that_is_no_text(name) -> None:
    assert len(repr(stand_in({"kind": "your own", "name": name}))) <= 100


def test_a_net_needs_what_its_file_lacks() -> None:
    own = {"kind": "your own", "name": "f"}
    assert of_net({}) == {}
    assert of_net({"activations": "tanh", "loss": 3, "optimizer": [None]}) == {}
    found = of_net({"activations": ["tanh", own], "loss": own, "optimizer": encoded(SGD(falling))})
    assert repr(found) == "{'loss': f, 'learning_rate': falling, 'activation': [None, f]}"
    assert of_net({"activations": own}) == {}
