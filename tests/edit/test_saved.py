"""An edit changes the chosen features alone, and is the same after saving."""

from pathlib import Path

import numpy as np
import pytest
import torch

import modalens as ml
from modalens.errors import ModalensError

RNG = np.random.default_rng(0)
IMAGE, TEXT = RNG.normal(size=(2, 80, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def sae() -> ml.TopKSAE:
    return ml.TopKSAE.fit((IMAGE, TEXT), n_features=12, k=3, steps=10, batch_size=16)


def test_removing_features_removes_their_part_of_the_reconstruction(sae: ml.TopKSAE, tmp_path: Path) -> None:
    edit = ml.Edit((2, 5), 0.0, sae)
    codes = sae.encode(IMAGE).toarray()
    without = codes.copy()
    without[:, [2, 5]] = 0
    expected = IMAGE + np.asarray(sae.decode(without)) - np.asarray(sae.decode(codes))
    np.testing.assert_allclose(edit.apply(IMAGE), expected, atol=1e-5)
    again = ml.Edit.load(edit.save(tmp_path / "edit"))
    assert np.array_equal(again.apply(IMAGE), edit.apply(IMAGE))
    np.testing.assert_allclose(ml.Edit((2, 5), 1.0, sae).apply(IMAGE), IMAGE)


def test_a_hook_edits_what_a_tower_gives_and_gradients_flow() -> None:
    tower = torch.nn.Linear(6, 6)
    x = torch.from_numpy(IMAGE).requires_grad_()
    before = tower(x)
    tower.register_forward_hook(ml.Edit((1,), 0.5).hook())
    after = tower(x)
    assert torch.equal(after[:, 1], 0.5 * before[:, 1])
    assert torch.equal(after[:, 2:], before[:, 2:])
    after.sum().backward()
    assert x.grad is not None


def test_what_is_no_edit_is_refused(sae: ml.TopKSAE, tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="There is no feature 12"):
        ml.Edit((12,), 0.0, sae)
    with pytest.raises(ModalensError, match="There is no feature 9"):
        ml.Edit((9,)).apply(IMAGE)
    with pytest.raises(ModalensError, match="must be a number"):
        ml.Edit((1,), float("nan"))
    with pytest.raises(ModalensError):
        ml.Edit.load(tmp_path)
