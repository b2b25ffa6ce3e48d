"""Features that other seeds find too, on the report's cards."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from modalens.features import SAEConfig
from modalens.features.base import FeatureModel
from modalens.features.loading import load_features
from modalens.interpret.matching import match_features
from modalens.runs.found_again import found_again
from modalens.runs.galleries import make_gallery
from modalens.runs.interpretation import Interpretation
from modalens.runs.interpreting import load_interpretation
from modalens.runs.layout import RunFolder
from modalens.runs.learning import train_on
from modalens.runs.representations import find_representations
from tests.small_run import TRAINING, Embedder


def test_cards_say_how_many_other_seeds_found_a_feature(
    interpreted: tuple[RunFolder, dict[str, Interpretation], list[Embedder]], tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(interpreted[0].folder, run.folder)
    sae = next(each for each in find_representations(run, make=False).representations if each.name == "sae")
    assert found_again(sae) is None
    models: list[FeatureModel] = [load_features(sae.folder)]
    config = models[0].config
    assert isinstance(config, SAEConfig)
    for seed in (1, 2):
        where = run.learned("sae").seed(seed)
        train_on(
            replace(config, seed=seed), run.store(), replace(TRAINING, seed=seed), where.folder, split="train"
        )
        models.append(load_features(where.folder))
    again = found_again(sae)
    assert again is not None
    assert again.others == 2
    live = []
    for model in models:
        codes = [model.encode(getattr(run.store(), side).pick(sae.rows), side) for side in ("image", "text")]
        live.append(np.flatnonzero(sum(np.asarray(each.sum(axis=0)) for each in codes)))
    expected = np.where(np.isin(np.arange(config.n_features), live[0]), 0, -1)
    for model, alive in zip(models[1:], live[1:], strict=True):
        match = match_features(models[0].W_dec.numpy()[live[0]], model.W_dec.numpy()[alive])
        expected[live[0][match.first]] += 1
    assert again.counts.tolist() == expected.tolist()

    known = load_interpretation(sae)
    assert known is not None
    gallery = make_gallery("SAE", "A note.", known, again=again)
    assert {card.feature: (card.found, card.seeds) for card in gallery.cards} == {
        feature: (max(0, expected[feature]), 2) for feature in (card.feature for card in gallery.cards)
    }
    found = np.count_nonzero(expected > 0)
    assert f"{found} of {len(gallery.cards)} are found again by another seed" in gallery.note
    assert make_gallery("SAE", "A note.", known).cards[0].seeds == 0
