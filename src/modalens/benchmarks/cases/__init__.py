"""What is measured: each function sets up one case at one size, and times nothing."""
