"""What does a dictionary make of labels? SAEBench's questions, asked of joint image-text features."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from modalens.arrays import Matrix, paired_shape
from modalens.dominance.result import Dominance
from modalens.edit import live_features
from modalens.errors import InputError
from modalens.progress import progress_bar
from modalens.statistics.controls import corrected
from modalens.studies.options import settings_of
from modalens.studies.result import StudyResult
from modalens.studies.sparse_probing import tables as made
from modalens.studies.sparse_probing.absorbing import absorption_of, split_numbers
from modalens.studies.sparse_probing.aligning import alignment_of
from modalens.studies.sparse_probing.answers import Side, answers_of, numbers_of
from modalens.studies.sparse_probing.attributes import Attributes, attributes_of
from modalens.studies.sparse_probing.config import DictionaryBenchConfig
from modalens.studies.sparse_probing.removing import removal_of
from modalens.studies.sparse_probing.sentences import statements
from modalens.studies.stats.heldout import cross_validation, read_pairs


def dictionary_bench(
    image: Matrix,
    text: Matrix,
    labels: Mapping[str, Sequence[Any] | np.ndarray],
    mds: Dominance,
    *,
    embeddings: tuple[Matrix, Matrix] | None = None,
    directions: tuple[Float[np.ndarray, "f d"], Float[np.ndarray, "f d"]] | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    source: Mapping[str, Any] | None = None,
    config: DictionaryBenchConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Probe attributes by few features, and ask whether these features are theirs alone, and of both modalities.

    An attribute is a value of a column, against all other values. Accuracies are balanced and over the test pairs of
    one cross-validation that keeps groups whole.

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns.
    labels
        Columns of labels by name, one label a pair.
    mds
        Dominance scores of these features; dead ones are never picked.
    embeddings, directions
        What the features were learned on, (n, d) each, and what a unit of each feature adds to either, (f, d). Without
        them dense probes read the features themselves.
    groups
        One label a pair; pairs of one group are never apart in a split, and are drawn together in intervals.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`DictionaryBenchConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        ``means`` over attributes; ``probing`` by k features; ``absorption``, with splitting; ``perturbation``, what the
        removal of an attribute's features costs it and others; ``alignment`` of what both modalities pick. See
        :mod:`modalens.studies.sparse_probing.tables`.

    Raises
    ------
    ModalensError
        If sizes do not match, no attribute is common enough, or an option is unknown or out of range.

    Notes
    -----
    Sparse probing: Gurnee et al. 2023; the others: SAEBench (Karvonen et al. 2025, arXiv 2503.09532).
    """
    config = DictionaryBenchConfig.of(config, options, "dictionary_bench")
    n, n_features = paired_shape(image, text, mds.modalities)
    if n_features != len(mds.score):
        raise InputError(
            f"The scores are of {len(mds.score)} features and the matrices have {n_features}; give the matrices "
            "that were scored."
        )
    mds = mds.with_rule(config.rule)
    attributes = attributes_of(labels, n, groups, config)
    splits = cross_validation(attributes.pairs, config.folds, config.seed)
    live = live_features(mds)
    if not len(live):
        raise InputError("No feature is live, so there is nothing to probe.")
    numbers = numbers_of(config, live)
    sides = _sides((image, text), embeddings, directions, attributes, mds.modalities)
    features = (sides[0].features, sides[1].features)
    found: dict[str, list[pd.DataFrame]] = {"probing": [], "absorption": [], "perturbation": []}
    means: list[dict[str, Any]] = []
    alignment = alignment_of(features, attributes, live, numbers, config.seed)
    with progress_bar("Probing", 2 * len(splits) * (len(numbers) + 1)) as advance:
        for place, (own, other) in enumerate((sides, sides[::-1])):
            answers = answers_of(own, other, attributes, splits, live, config, advance)
            keys, seed = attributes.pairs.keys, config.seed
            rules = (numbers, keys, config.split_gain, seed)
            split = split_numbers(answers.sparse, attributes.positive, *rules)
            by_chance = np.mean(
                [
                    split_numbers(answers.shuffled[:, draw], known, *rules).mean()
                    for draw, known in enumerate(answers.shuffled_labels)
                ]
            )
            absorbed = absorption_of(
                own, attributes, answers, split, live, config.draws, config.absorbing, seed
            )
            lost = removal_of(own, attributes, answers.folds, live, numbers, config.draws, seed)
            name = own.modality
            found["probing"].append(made.probing_table(name, answers, attributes, numbers))
            found["absorption"].append(
                made.absorption_table(
                    name, absorbed, split, alignment.first[place], np.asarray(mds.labels), attributes
                )
            )
            found["perturbation"].append(made.perturbation_table(name, lost, attributes, numbers, seed))
            means += made.probing_means(name, answers, attributes, numbers, seed)
            means += made.absorption_means(name, absorbed, split, float(by_chance), attributes, seed)
            means += made.perturbation_means(name, lost, attributes, numbers, seed)
    means += made.alignment_means(alignment, numbers)
    whole = {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}
    tables = {
        "means": pd.DataFrame(means),
        **{name: each.assign(q=corrected(each["p"].to_numpy())) for name, each in whole.items()},
        "alignment": made.alignment_table(alignment, attributes, numbers),
    }
    return StudyResult(
        name="dictionary-bench",
        title="What a few features say of labels",
        tables=tables,
        statements=[*statements(tables, mds.modalities), *attributes.pairs.notes],
        config={
            **settings_of(config, DictionaryBenchConfig),
            "modalities": list(mds.modalities),
            "columns": list(labels),
            "attributes": list(attributes.names),
            "pairs": len(attributes.pairs),
            "groups": len(np.unique(attributes.pairs.keys)) if attributes.pairs.grouped else None,
            "live_features": len(live),
            "probe_of": "features" if directions is None else "embedding",
        },
        source=dict(source or {}),
    )


def _sides(
    features: tuple[Matrix, Matrix],
    embeddings: tuple[Matrix, Matrix] | None,
    directions: tuple[np.ndarray, np.ndarray] | None,
    attributes: Attributes,
    modalities: tuple[str, str],
) -> tuple[Side, Side]:
    """Both modalities of the labelled pairs, in memory."""
    if (embeddings is None) != (directions is None):
        raise InputError("Give both embeddings and directions, or neither.")
    sides = []
    for place, name in enumerate(modalities):
        x = read_pairs(features[place], attributes.pairs, name)
        if embeddings is None or directions is None:
            sides.append(Side(name, x, x, None))
            continue
        embedding = read_pairs(embeddings[place], attributes.pairs, f"{name} embedding")
        if directions[place].shape != (x.shape[1], embedding.shape[1]):
            raise InputError(
                f"The {name} directions have shape {directions[place].shape}; {x.shape[1]} features of embeddings of "
                f"width {embedding.shape[1]} need {(x.shape[1], embedding.shape[1])}."
            )
        sides.append(Side(name, x, embedding, np.asarray(directions[place], dtype=np.float64)))
    return sides[0], sides[1]
