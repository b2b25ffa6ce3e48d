"""How a job over many shards runs: on this machine, or on a Ray cluster."""
