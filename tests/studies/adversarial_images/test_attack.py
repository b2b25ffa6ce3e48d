"""Moving pixels: towards a target, within a budget, and back on some features."""

import numpy as np
import pytest
import torch
from PIL import Image

from modalens.errors import ModalensError
from modalens.studies.adversarial_images.attack import approach, attack, embed, square
from modalens.studies.adversarial_images.canaries import canaries
from modalens.studies.adversarial_images.config import AdversarialConfig, Optimisation
from modalens.studies.adversarial_images.defence import defend
from modalens.studies.adversarial_images.features import differentiable_features
from modalens.towers import load_vlm
from tests.studies.adversarial_images.linear import DIM, LinearVLM, noise

SMALL = 8  # so few pixels that each must move by many of its 255 levels


@pytest.fixture
def vlm() -> LinearVLM:
    return LinearVLM()


@pytest.mark.parametrize("optimiser", ["adam", "pgd"])
@pytest.mark.parametrize("budget", [None, 10 / 255, 0.03])
def test_attack_nears_its_target_within_its_budget(optimiser: str, budget: float | None) -> None:
    vlm, images, targets = LinearVLM(SMALL), noise(5, side=SMALL), noise(5, seed=1, side=SMALL)
    done = attack(vlm, images, targets, Optimisation(200, optimiser, 0.03, budget))
    goals = embed(vlm, targets)
    for image, one, goal in zip(images, done, goals, strict=True):
        distances = np.linalg.norm(one.embeddings - goal, axis=1)
        moved = np.abs(np.asarray(one.image, dtype=int) - np.asarray(image)).max()
        np.testing.assert_allclose(one.embeddings[0], embed(vlm, [image])[0], atol=1e-6)
        np.testing.assert_allclose(one.embeddings[-1], embed(vlm, [one.image])[0], atol=1e-6)
        assert one.steps[0] == 0
        assert one.steps[-1] == 200
        assert len(one.steps) == len(one.embeddings) == 11
        if budget is None:
            assert distances[0] > 10 * distances[-1]
        else:
            assert distances[0] > distances[-1]
            assert 0 < moved <= int(budget * 255 + 1e-6)


def test_an_image_does_not_depend_on_its_neighbours(vlm: LinearVLM) -> None:
    images, targets = noise(3), noise(3, seed=1)
    together = attack(vlm, images, targets)
    alone = attack(vlm, images[1:2], targets[1:2])
    assert together[1].image.tobytes() == alone[0].image.tobytes()


def test_defence_nears_on_the_chosen_features_and_leaves_the_others_free() -> None:
    vlm, images, benign = LinearVLM(SMALL), noise(4, side=SMALL), noise(4, seed=2, side=SMALL)
    chosen = np.array([1, 4, 7])
    done = defend(vlm, images, benign, chosen, Optimisation(200))
    before, after, goal = (
        embed(vlm, images),
        np.stack([each.embeddings[-1] for each in done]),
        embed(vlm, benign),
    )
    rest = np.setdiff1d(np.arange(DIM), chosen)
    on = [np.linalg.norm((each - goal)[:, chosen], axis=1) for each in (before, after)]
    off = [np.linalg.norm((each - goal)[:, rest], axis=1) for each in (before, after)]
    assert (on[1] * 10 < on[0]).all()
    assert (off[1] > 0.3 * off[0]).all()


def test_on_no_feature_nothing_moves(vlm: LinearVLM) -> None:
    images = noise(2)
    done = defend(vlm, images, noise(2, seed=2), np.arange(0))
    assert [each.image.tobytes() for each in done] == [image.tobytes() for image in images]


def test_bad_attacks(vlm: LinearVLM) -> None:
    with pytest.raises(ModalensError, match="2 images and 1 targets"):
        attack(vlm, noise(2), noise(1))
    with pytest.raises(ModalensError, match="differ in size"):
        approach(
            vlm,
            [Image.new("RGB", (8, 8)), Image.new("RGB", (9, 8))],
            np.zeros((2, DIM)),
            None,
            Optimisation(1),
        )
    with pytest.raises(ModalensError, match="no feature 12"):
        defend(vlm, noise(1), noise(1), np.array([12]))
    for bad in ({"steps": 0}, {"optimiser": "sgd"}, {"rate": 0}, {"budget": 0.001}, {"budget": 1.1}):
        with pytest.raises(ModalensError):
            Optimisation(**{"steps": 100, **bad})
    for bad in ({"tries": 0}, {"runs": 1}, {"seed": -1}):
        with pytest.raises(ModalensError):
            AdversarialConfig(**bad)


@pytest.mark.slow
def test_features_with_gradients_are_the_learners_own(rng: np.random.Generator) -> None:
    import modalens as ml

    pair = (rng.normal(size=(64, 6)).astype(np.float32), rng.normal(size=(64, 6)).astype(np.float32))
    train = ml.TrainConfig(epochs=1) if hasattr(ml, "TrainConfig") else None
    for model in (
        ml.TopKSAE.fit(pair, n_features=16, k=3, train=train),
        ml.NCL.fit(pair, n_features=16, train=train),
    ):
        encode = differentiable_features(model)
        assert encode is not None
        x = torch.from_numpy(pair[0]).requires_grad_()
        found = encode(x)
        np.testing.assert_allclose(
            found.detach().numpy(), model.encode(pair[0], "image").toarray(), atol=1e-5
        )
        (gradient,) = torch.autograd.grad(found.sum(), x)
        assert gradient.abs().sum() > 0
    assert differentiable_features(None) is None


@pytest.mark.demo
def test_the_demo_tower_is_attacked_tenfold_without_a_budget() -> None:
    vlm = load_vlm("demo", device="cpu")
    from modalens.pairs import load_pairs
    from modalens.studies.adversarial_images.cases import choose_cases
    from modalens.towers.differentiable import differentiable_images

    pairs = list(load_pairs("openmoji"))
    cases = choose_cases(pairs, canaries(), 2, pictured=True)
    assert cases.targets is not None
    tower = differentiable_images(vlm)
    images, targets = (
        [square(image, tower.side) for image in each] for each in (cases.images, cases.targets)
    )
    for one, goal in zip(attack(tower, images, targets), vlm.embed_images(targets), strict=True):
        seen = vlm.embed_images([one.image])[0]  # as it is shown, with 8 bits, through the tower's own code
        assert np.linalg.norm(one.embeddings[0] - goal) > 10 * np.linalg.norm(seen - goal)
