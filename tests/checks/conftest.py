"""Nets that refuse bad input."""

from __future__ import annotations

import pytest
from bad_input import X, Y

from fastbp import MLP


@pytest.fixture(scope="module")
def trained():
    """A net of each loss that has been trained a little, so that nothing of it is zero."""
    nets = {loss: MLP((3, 4, 2), loss=loss, seed=0) for loss in Y}
    for loss, net in nets.items():
        net.frozen[5] = True
        net.fit(X, Y[loss], epochs=2, batch_size=3)
    return nets
