"""Compiled kernels: explicit loops over flat buffers. They allocate nothing and check nothing."""
