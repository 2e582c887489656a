"""Stop a fit, save it, resume it tomorrow: the same bits."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import fastbp
from fastbp import MLP, Adam, Checkpoint, OneCycle

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, size=(500, 2))
y = np.sin(X[:, 0]) * np.cos(X[:, 1])


def new_net():
    """A net with whatever has a state: a schedule, dropout, the order of the rows."""
    optimizer = Adam(OneCycle(0.02, epochs=40))
    return MLP((2, 32, 1), activation="tanh", optimizer=optimizer, dropout=0.05, seed=0)


def train_until(epochs, path):
    """Begin, or go on where the file ends: run it again after whatever has stopped it."""
    net = fastbp.load(path) if path.exists() else new_net()
    print(f"begins after epoch {len(net.history)} and goes on to {epochs}")
    callbacks = Checkpoint(path, every=5)
    net.fit(X, y, epochs=epochs, validation_fraction=0.2, callbacks=callbacks, resume=True)
    return net


with TemporaryDirectory() as folder:
    path = Path(folder) / "net.safetensors"
    train_until(17, path)  # the last file is that of epoch 15
    resumed = train_until(40, path)
    content = path.read_bytes()
    damaged = path.with_name("damaged.safetensors")
    damaged.write_bytes(content[:900] + bytes([content[900] ^ 1]) + content[901:])
    try:
        fastbp.load(damaged)
    except ValueError as error:
        print("one bit flipped:", str(error).partition(": ")[2])

whole = new_net()
whole.fit(X, y, epochs=40, validation_fraction=0.2)
print("the same parameters:", resumed.params.tobytes() == whole.params.tobytes())
print("the same history:", resumed.history["val_loss"] == whole.history["val_loss"])
print(f"{len(content):,} bytes for {whole.params.size} parameters of 4 bytes")
