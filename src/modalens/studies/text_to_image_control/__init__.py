"""What the features of one class do to a generated picture, when they are moved towards a reference image."""
