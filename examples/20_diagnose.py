"""What is wrong with this net? Ask `diagnose`.

`diagnose` measures a net, names the problem and says what to do. Here are seven nets with one
problem each. The heuristics are those of M. Nielsen's chapter 3, to which MC886 refers.
"""

import numpy as np

from fastbp import MLP, SGD, Adam, diagnose, find_learning_rate

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(500, 2))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
held = rng.uniform(-1, 1, size=(200, 2))
validation = held, (held[:, 0] * held[:, 1] > 0).astype(int)


def classifier(sizes: tuple[int, ...], **options: object) -> MLP:
    """Make a net for two classes."""
    return MLP(sizes, loss="binary_cross_entropy", seed=0, **options)


dead = classifier((2, 16, 1))
dead.biases[0][:10] = -5.0
linear = classifier((2, 1), optimizer=Adam(0.01))
linear.fit(X, y, epochs=30)
few = X[:40]
noise = rng.integers(2, size=40)
memory = classifier((2, 100, 100, 1), optimizer=Adam(0.01))
memory.fit(few, noise, epochs=200)

reports = {
    "inputs in other units": diagnose(classifier((2, 16, 1)), X * [1.0, 1000.0], y),
    "biases far below 0": diagnose(dead, X, y),
    "eight sigmoid layers": diagnose(classifier((2, *[16] * 8, 1), activation="sigmoid"), X, y),
    "a tiny learning rate": diagnose(classifier((2, 16, 1), optimizer=SGD(1e-6)), X, y),
    "a huge learning rate": diagnose(classifier((2, 16, 1), optimizer=SGD(300.0)), X, y),
    "no hidden layer": diagnose(linear, X, y),
    "random labels": diagnose(memory, few, noise, validation_data=validation),
}
for name, report in reports.items():
    print(f"-- {name}")
    for finding in report:
        print(finding)

net = classifier((2, 16, 1), optimizer=Adam(1e-6))
net.optimizer = Adam(find_learning_rate(net, X, y).suggestion)
net.fit(X, y, epochs=50, validation_data=validation)
print("\n-- scaled inputs, a hidden layer, the rate that find_learning_rate suggests")
print(diagnose(net, X, y, validation_data=validation))
