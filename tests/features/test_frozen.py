"""Autoencoders of which a part stays random."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modalens.features import SAEConfig, TrainConfig, load_features, train
from modalens.features.frozen import LEAST_COSINE
from modalens.features.learners import SAELearner

SCHEDULE = TrainConfig(steps=40, batch_size=64, lr=0.05, warmup_steps=1, log_every=20, checkpoint_every=10)


@pytest.fixture
def pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    shared = rng.standard_normal((400, 12)).astype(np.float32)
    return shared, shared + 0.1 * rng.standard_normal((400, 12)).astype(np.float32)


def trained(kind: str, pairs: tuple[np.ndarray, np.ndarray], **more: Any) -> Any:
    return train([SAEConfig(12, 24, 3, kind)], pairs, SCHEDULE, **more)[0]


@pytest.mark.parametrize("kind", ["frozen_decoder", "frozen_encoder", "soft_frozen"])
def test_what_is_frozen_stays_where_it_began(
    kind: str, pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    start = SAELearner(SAEConfig(12, 24, 3))
    found = trained(kind, pairs, out=tmp_path)
    assert torch.equal(found.model.W_dec, start.W_dec) == (kind == "frozen_decoder")
    assert torch.equal(found.model.W_enc, start.W_enc) == (kind == "frozen_encoder")
    assert torch.equal(found.model.b_enc, start.b_enc) == (kind == "frozen_encoder")
    cosines = torch.linalg.vecdot(found.model.W_dec, start.W_dec.detach())
    if kind == "soft_frozen":
        assert float(cosines.min()) == pytest.approx(LEAST_COSINE, abs=1e-5)
        assert float(cosines.max()) > LEAST_COSINE + 1e-3
    torch.testing.assert_close(found.model.W_dec.norm(dim=1), torch.ones(24))
    losses = [entry["loss"]["reconstruction"] for entry in found.log]
    assert losses[-1] < losses[0]
    assert type(load_features(tmp_path)) is type(found.model)
    assert load_features(tmp_path).card() == found.model.card()


def test_training_all_explains_more_than_training_a_part(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    left = {
        kind: trained(kind, pairs).log[-1]["train"]["fvu_image"]
        for kind in ("topk", "frozen_decoder", "frozen_encoder")
    }
    assert left["topk"] < min(left["frozen_decoder"], left["frozen_encoder"])
