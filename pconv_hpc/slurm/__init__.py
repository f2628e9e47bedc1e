"""What the suite knows about Slurm."""
