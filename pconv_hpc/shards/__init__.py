"""Packed photos: HDF5 shards written, checked, staged, sampled and loaded."""
