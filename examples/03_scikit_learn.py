"""A scikit-learn program with one import changed, and what it gains."""

import os
import tempfile
import time

import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import fastbp.sklearn
from fastbp import AdamW
from fastbp.sklearn import MLPClassifier

X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)

models = {}
for kind in (MLPClassifier, sklearn.neural_network.MLPClassifier):
    model = make_pipeline(MinMaxScaler(), kind(tol=0.02, random_state=0))
    model[-1].partial_fit(X[:10], y[:10], classes=np.unique(y))  # compiles
    start = time.perf_counter()
    models[kind] = model.fit(X, y)
    print(f"{kind.__module__:<60} {time.perf_counter() - start:6.3f} s")

ours, theirs = (model[-1] for model in models.values())
apart = max(np.abs(a - b).max() for a, b in zip(ours.coefs_, theirs.coefs_, strict=True))
print(f"epochs {ours.n_iter_} and {theirs.n_iter_}, largest difference in a weight {apart:.0e}")

# Rare classes count more, half of the units drop out, and separate validation rows decide when to
# stop. The test rows must not choose the epoch: the accuracy on them would be too good.
X_train, X_val, y_train, y_val = train_test_split(X / 16, y, random_state=0)
model = MLPClassifier(
    (64, 32), ["gelu", "tanh"], class_weight="balanced", dropout=0.5, optimizer=AdamW(5e-3),
    early_stopping=True, scoring="loss", random_state=0, dtype="float32",
    as_transformer=True,
)  # fmt: skip
model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
best = int(np.argmin(model.validation_loss_curve_)) + 1
accuracy = model.score(X_test / 16, y_test)
print(f"best of {model.n_iter_} epochs: {best}, accuracy on new rows {accuracy:.3f}")
print("features from the last hidden layer:", model.transform(X_test / 16).shape)

# Saved, and read again in another program: a file holds no code, so that it can do no harm, as a
# pickle could. It needs safetensors: pip install safetensors.
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "digits.safetensors")
    model.save(path)
    twin = fastbp.sklearn.load(path)
    print(f"a file of {os.path.getsize(path) // 1024} KiB: {twin.score(X_test / 16, y_test):.3f}")
