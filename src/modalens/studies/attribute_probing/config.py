"""Options of the gender study."""

from dataclasses import dataclass

from modalens.options import Options, option
from modalens.studies.options import draws_option, folds_option, pairs_option, rule_option, seed_option


@dataclass(frozen=True)
class GenderConfig(Options):
    """How an attribute of the pairs is told from their features.

    Attributes
    ----------
    attribute
        Its name; ``gender`` has words and published values of its own.
    rule
        Class rule of the index sets.
    draws
        Random sets, at least 20.
    seeds
        Draws of references and of class members.
    folds
        Parts of the cross-validation.
    concept
        What else tells pairs apart, as sentences call it; on a run a metadata column. The two commonest values are
        compared on as many pairs of each in every value of it.
    swaps
        Draws in which the labels of random groups are swapped.
    max_pairs
        Of more labelled pairs on a side (tested, references) so many are drawn.
    seed
        Of everything drawn.
    """

    attribute: str = option("gender", "Attribute to tell apart.")
    rule: str = rule_option()
    draws: int = draws_option(20, least=20)
    seeds: int = option(5, "Draws of references and of class members.", least=1)
    folds: int = folds_option()
    concept: str | None = option(
        None,
        "Metadata column; the two commonest values are compared on as many pairs of each in every value of it.",
    )
    swaps: int = option(
        200, "Draws in which the labels of random groups are swapped.", unit="draws", least=20
    )
    max_pairs: int = pairs_option(20_000)
    seed: int = seed_option()


@dataclass(frozen=True)
class GenderOnRun(GenderConfig):
    """The same on a run, whose metadata column of the attribute's name holds the labels.

    Attributes
    ----------
    classifier, threshold
        Image classifier that gives the labels instead, by hub id or folder, and the probability over which it is
        believed (0.9 as published).
    published
        Whether to tell it the papers' way too, with the difference to ours
        (:mod:`modalens.studies.attribute_probing.published_way`).
    image_embedder, text_embedder
        The separate encoders in whose spaces that compares (see
        :func:`modalens.towers.samples.load_sample_embedder`).
    """

    classifier: str | None = option(
        None, "Image classifier that labels the pairs instead of their metadata, by hub id or folder."
    )
    threshold: float = option(0.9, "Probability over which the classifier is believed.", least=0.5, under=1)
    published: bool = option(
        False,
        "Tell it the papers' way too, beside ours: one random reference, in the space of separate encoders.",
    )
    image_embedder: str | None = option(
        None,
        "Separate encoder of images for --published, by name, hub id or vlm:NAME (default: efficientnet-lite0).",
    )
    text_embedder: str | None = option(
        None, "Separate encoder of texts for --published, by name, hub id or vlm:NAME (default: minilm)."
    )
