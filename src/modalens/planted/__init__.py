"""Synthetic joint spaces whose concepts are known, to score feature learners, dominance scores and class rules."""
