"""Kinds of autoencoders, by what they can be tested with."""

from modalens.features.registry import kinds

FITTED = ("pca", "ica", "nmf")
# Codes of NMF are solved for; those of the others are one product and a choice.
LINEAR = tuple(kind for kind in kinds("sae") if kind != "nmf")
TRAINED = tuple(kind for kind in kinds("sae") if kind not in FITTED)
