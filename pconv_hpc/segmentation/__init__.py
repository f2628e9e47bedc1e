"""Finding objects in photos and selecting some: torch, never TensorFlow."""
