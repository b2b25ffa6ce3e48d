"""Kill every command with SIGKILL at random moments, rerun it to its end, and compare every file it made."""
