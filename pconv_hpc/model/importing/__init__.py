"""Weights that other projects trained, into files of this one."""
