"""Whether monosemanticity and its ranking of representations depend on how many strongest samples are compared."""
