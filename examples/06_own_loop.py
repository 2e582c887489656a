"""Your own training loop, update by update.

One update at a time, a falling learning rate, frozen layers, and a check of the gradient.
"""

import numpy as np

from fastbp import MLP, SGD, gradcheck

rng = np.random.default_rng(0)
net = MLP((3, 16, 1), activation="tanh", optimizer=SGD(0.1, momentum=0.9), seed=0)


def sample(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows from an endless stream."""
    X = rng.uniform(-1, 1, size=(rows, 3))
    return X, np.sin(3 * X[:, 0]) * X[:, 1]


check = gradcheck(net, *sample(5))
print(f"gradient: relative error at most {check.error:.0e}, at {check.worst}\n")

for number in range(1, 3001):
    if number % 1000 == 0:  # another optimiser of the same class keeps the momentum
        net.optimizer = SGD(net.optimizer.learning_rate / 4, momentum=0.9)
    loss = net.step(*sample(16))
    if number in (1, 10, 100, 1000, 2000, 3000):
        print(f"update {number:4}  loss {loss:.5f}  learning rate {net.optimizer.learning_rate:g}")

first_layer = net.weights[0].copy()
net.freeze(layers=[0])
net.fit(*sample(1000), epochs=20)
print(f"\nfirst layer unchanged while frozen: {np.array_equal(first_layer, net.weights[0])}")
print(f"loss on new data: {net.loss(*sample(1000)):.5f}")
