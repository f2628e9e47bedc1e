"""Erasing objects from photos: masks and photos in, erased photos out."""
