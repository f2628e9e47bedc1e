"""Erasing objects from photos: the two stages as processes of their own."""
