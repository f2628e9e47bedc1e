"""Distributed training that survives being interrupted."""
