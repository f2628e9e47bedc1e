"""A folder of photos: the manifest of its work, the ledger, slices and their runner."""
