"""XOR: one layer cannot, two layers can, by hand or by training.

Step units that are set by hand solve it, the best linear fit answers 0.5 everywhere, and two layers
learn it by backpropagation (ECE448, ID2223).
"""

import numpy as np

from fastbp import MLP, SGD

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([0, 1, 1, 0])

by_hand = MLP((2, 2, 1), activation="step", output_activation="step")
by_hand.weights[0][...] = 1.0
by_hand.biases[0][...] = [-1.5, -0.5]
by_hand.weights[1][...] = [[-1.0], [1.0]]
by_hand.biases[1][...] = -0.5
print("two layers of step units  ", by_hand.predict(X).ravel())

linear = MLP((2, 1), dtype="float64", optimizer=SGD(learning_rate=0.5), seed=0)
linear.fit(X, y, epochs=2000, batch_size=4)
print("one linear layer, at best ", linear.predict(X).ravel().round(3))

learned = MLP((2, 4, 1), activation="tanh", loss="binary_cross_entropy", seed=0)
print("two layers, untrained     ", learned.predict(X).ravel().round(3))
print(learned.fit(X, y, epochs=2000, batch_size=4))
print("two layers, trained       ", learned.predict(X).ravel().round(3))
