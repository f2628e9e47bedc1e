"""Arrays in HDF5 and npz files that nobody vouches for, and in memory."""
