"""What runs under Slurm, and where it stands."""
