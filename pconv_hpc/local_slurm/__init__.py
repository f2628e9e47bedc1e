"""A real Slurm on one machine, for trial and tests."""
