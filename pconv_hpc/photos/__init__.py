"""One photo in memory: decoded, its colour, where its result goes."""
