"""Computations that take long or much memory, each in a process of its own that ends with its worker."""
