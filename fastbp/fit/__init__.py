"""What `fit(...)` is given, and the epochs around the kernels."""
