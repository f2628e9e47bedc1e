"""What knows nothing of photos, networks or Slurm: files, settings, processes."""
