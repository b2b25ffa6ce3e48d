"""What the papers publish beside their main tables, to print next to a reproduction.

Numbers that a study prints as well stand with the study: :mod:`modalens.interpret.published`,
:mod:`modalens.studies.class_removal`, :mod:`modalens.studies.attribute_probing.attributes` and
:mod:`modalens.studies.adversarial_images.tables`.
"""

# Beyond Cross-Modal Alignment, appendix A.5.1: accuracy of gender with all features, by input.
GENDER_ACCURACY = {"image": 0.834, "text": 0.734}

# Multi-Faceted Monosemanticity, first version, Table 6: accuracy by input, whole and without features.
GENDER_ACCURACY_V1 = {
    "image": {"whole": 0.834, "image": 0.785, "text": 0.828, "random": 0.815},
    "text": {"whole": 0.709, "image": 0.709, "text": 0.639, "random": 0.699},
}

# Multi-Faceted Monosemanticity, first version, Table 8: success rates.
ADVERSARIAL_V1 = {
    "undefended": 0.80,
    "benign image": 0.10,
    "image": 0.50,
    "cross": 0.30,
    "text": 0.25,
    "random": 0.65,
}

# Beyond Cross-Modal Alignment, Table A3: frequent words of male captions by their share of text-dominant features.
MALE_WORDS = {
    0.10: "attends, party, hip, game, comedian, city, black, artist",
    0.12: "smile, made, blue, outside, looks, home, got, book",
    0.18: "artist, player, film, pop, performs, festival, young, suit",
    0.24: "player, football, basketball, team, game, portrait, holding, gym",
}
