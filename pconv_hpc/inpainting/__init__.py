"""Filling holes with pixels of the photo itself."""
