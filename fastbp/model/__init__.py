"""What `MLP(...)` is given, as small immutable objects, and the buffers that it makes of them."""
