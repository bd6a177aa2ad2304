"""What every command shares: config fields and files, progress, what jax is told first."""
