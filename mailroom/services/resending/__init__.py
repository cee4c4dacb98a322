"""A run or a mail once more, to those whom the first one did not reach, and to nobody else."""
