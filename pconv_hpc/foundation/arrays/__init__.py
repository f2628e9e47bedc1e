"""Arrays in untrusted HDF5 and npz files, and in memory."""
