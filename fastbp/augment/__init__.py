"""Random changes of the training data, for ``fit(augment=...)``: `images`."""
