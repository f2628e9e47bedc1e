"""Erase objects from very many photos with partial convolutions, on SLURM clusters."""

import os

# Read by TensorFlow and Keras when they load; set by the user, these win.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

__version__ = "0.1.0"
