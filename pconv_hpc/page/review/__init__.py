"""Folders that are being erased, or were: all their photos, how each ended, and what people say."""
