"""Formats of files: `idx`, arrays of MNIST; and the exchange with other programs, one a module."""
