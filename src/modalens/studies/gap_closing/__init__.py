"""What becomes of the gap and of retrieval without one-sided features."""
