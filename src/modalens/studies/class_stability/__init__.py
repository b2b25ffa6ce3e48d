"""How the classes hold across resamples, estimators, halves of the data, seeds and normalisation."""
