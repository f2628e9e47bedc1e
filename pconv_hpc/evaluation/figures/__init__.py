"""Single figures: errors in holes, ghosts of what was erased, LPIPS."""
