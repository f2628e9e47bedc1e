"""Masks: shapes, drawing, banks, variation, silhouettes of objects, growing."""
