"""What the tests of bad input share: good data, nets to refuse the bad, and any values at all."""

from __future__ import annotations

import math
import re

import helpers
import numpy as np
import pytest
from helpers import counts
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

INF, NAN = math.inf, math.nan
X = np.arange(12.0).reshape(4, 3) / 12
Y = {  # of a net with 2 outputs
    "squared_error": X[:, :2],
    "binary_cross_entropy": X[:, :2],
    "cross_entropy": np.array([0, 1, 1, 0]),
    "huber": X[:, :2],
    "hinge": np.where(X[:, :2] > 0.5, 1.0, -1.0),
}


def state(net):
    """All of a net, in bits, with its views and its history."""
    views = [array.tobytes() for array in (*net.weights, *net.biases)]
    history = tuple(net.history.loss), tuple(net.history.seconds)
    return helpers.state(net), views, repr(net), history


def check_refused(net, call, error, *words):
    """The call raises `error`, its message has the words, and nothing has changed."""
    kept, history = state(net), net.history
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    for word in words:
        assert str(word) in str(caught.value), f"{word!r} is not in: {caught.value}"
    assert state(net) == kept
    assert net.history is history


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=2)), max_size=4),
    st.lists(st.lists(st.floats(), min_size=0, max_size=4), max_size=4),
    st.dictionaries(st.integers(), st.integers(), max_size=2),
)
arrays = hnp.arrays(
    st.one_of(
        hnp.floating_dtypes(),
        hnp.integer_dtypes(),
        hnp.boolean_dtypes(),
        hnp.complex_number_dtypes(),
        hnp.byte_string_dtypes(max_len=2),
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
good_or_bad = st.one_of(anything, arrays, hnp.arrays("f4", (4, 3)), hnp.arrays("f8", (4, 2)))
EXAMPLES = settings(
    max_examples=counts(150, 10_000, 30),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # `tally` adds up the examples
)


def attempt(net, call):
    """Either it works or it raises one of two errors with a message, and nothing has changed."""
    kept = state(net)
    try:
        return call()
    except (TypeError, ValueError) as error:
        assert state(net) == kept
        assert re.search(r"\w+ .*(must|hold|have|need|accept)", str(error)), error
        return None
