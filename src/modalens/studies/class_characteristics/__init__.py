"""What tells the classes apart beside the score that made them."""
