"""Silhouettes of real objects, collected from photos or from what was found in them."""
