"""Kinds of autoencoders, by what they can be tested with."""

from modalens.features.registry import kinds

FITTED = ("pca", "ica", "nmf")
# Images and texts are centred each on their own, or have an encoder each.
BY_MODALITY = ("group_sparse", "separate")
# Codes of NMF are solved for; those of the others are one product and a choice.
LINEAR = tuple(kind for kind in kinds("sae") if kind not in (*BY_MODALITY, "nmf"))
TRAINED = tuple(kind for kind in kinds("sae") if kind not in FITTED)
