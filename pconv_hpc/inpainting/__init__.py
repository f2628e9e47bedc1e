"""Filling holes: structure by the network, texture from the photo itself."""
