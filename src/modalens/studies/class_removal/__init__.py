"""What a classifier loses without the features of one class."""
