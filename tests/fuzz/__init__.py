"""Files that are nearly right, read by every reader: success or one sentence, nothing else."""
