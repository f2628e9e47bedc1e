"""Figures, pictures and reports about results."""
