"""Slurm as it is: its commands and answers, a job's environment, Gloo, folder locks."""
