"""What of language is shared with images and what stays in texts: kinds of words, and words, by class of features."""
