"""The demonstration: every step of the suite, small, on one machine, through its own programs."""
