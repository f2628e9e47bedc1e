"""Weights that other projects trained: PyTorch's files, read as data, become weight files."""
