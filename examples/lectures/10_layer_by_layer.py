"""A net given layer by layer, in as few lines as in Keras.

This is the counterpart, line by line, of the program of ID2223, Deep Feedforward Networks::

    model = keras.models.Sequential()
    model.add(keras.layers.Dense(4, activation="sigmoid", input_dim=2))
    model.add(keras.layers.Dense(3, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="sgd", metrics=["accuracy"])
    model.fit(X, y, epochs=100)

Keras averages the loss over the outputs, fastbp adds it up: with three outputs, a rate of 0.1 here
is 0.3 in Keras.
"""

import numpy as np

from fastbp import MLP, SGD, Dense

rng = np.random.default_rng(0)
X = rng.normal(size=(1000, 2))
y = np.column_stack(
    [X[:, 0] > 0, X[:, 1] > 0, X.sum(axis=1) > 0]
)  # three yes-or-no questions per row

net = MLP(
    [Dense(4, "sigmoid"), Dense(3, "sigmoid")],
    n_inputs=2, loss="binary_cross_entropy", optimizer=SGD(0.1), seed=0,
)  # fmt: skip
history = net.fit(X, y, epochs=100, metrics="accuracy")

print(net)
print(history)
print("\n   x1    x2   probabilities of x1 > 0, x2 > 0, x1 + x2 > 0")
for x in ([1.0, 0.5], [1.0, -0.5], [-1.0, 0.5], [-1.0, -0.5]):
    print(f"{x[0]:5} {x[1]:5}  ", *(f"{p:.3f}" for p in net.predict([x])[0]))

# The same net given by its sizes, with the same initial weights.
same = MLP(
    (2, 4, 3), activation="sigmoid", output_activation="sigmoid",
    loss="binary_cross_entropy", optimizer=SGD(0.1), seed=0,
)  # fmt: skip
same.fit(X, y, epochs=100)
print("given by its sizes, the same net to the bit:", np.array_equal(net.params, same.params))
