"""What turning features up and down does to retrieval, to classes and to probes, and what moves with it."""
