"""An edit changes the chosen features alone, and is the same after saving."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import save_file

import modalens as ml
from modalens.errors import ModalensError
from modalens.features.tensor_files import read_safetensors
from tests.features.foreign_files import write

RNG = np.random.default_rng(0)
IMAGE, TEXT = RNG.normal(size=(2, 80, 6)).astype(np.float32)


def edit_of(**changes: Any) -> dict[str, str]:
    """The header of an edit of embeddings, with some values replaced."""
    whole = {"kind": "modalens edit", "schema_version": 1, "gain": 0.0, "modality": None, "label": ""}
    return {"modalens": json.dumps({**whole, "dictionary": None, **changes})}


@pytest.fixture(scope="module")
def sae() -> ml.TopKSAE:
    return ml.TopKSAE.fit((IMAGE, TEXT), n_features=12, k=3, steps=10, batch_size=16)


@pytest.mark.parametrize("imported", [False, True])
def test_removing_features_removes_their_part_of_the_reconstruction(
    sae: ml.TopKSAE, imported: bool, tmp_path: Path
) -> None:
    model = ml.load_features(write("saelens topk", tmp_path / "theirs")[0]) if imported else sae
    edit = ml.Edit((2, 5), 0.0, model)
    codes = model.encode(IMAGE).toarray()
    without = codes.copy()
    without[:, [2, 5]] = 0
    assert (without != codes).any()
    expected = IMAGE + np.asarray(model.decode(without)) - np.asarray(model.decode(codes))
    np.testing.assert_allclose(edit.apply(IMAGE), expected, atol=1e-5)
    again = ml.Edit.load(edit.save(tmp_path / "edit.safetensors"))
    assert {each.name for each in tmp_path.iterdir()} - {"theirs"} == {"edit.safetensors"}
    assert np.array_equal(again.apply(IMAGE), edit.apply(IMAGE))
    np.testing.assert_allclose(ml.Edit((2, 5), 1.0, model).apply(IMAGE), IMAGE)


def test_a_class_is_edited_by_its_name_and_stays_in_one_file(sae: ml.TopKSAE, tmp_path: Path) -> None:
    mds = ml.modality_dominance(sae.encode(IMAGE), sae.encode(TEXT), resamples=20)
    edit = ml.Edit.of_class(mds, "text", 2.0, sae)
    assert edit.indices == tuple(mds.indices("text"))
    again = ml.Edit.load(edit.save(tmp_path / "edit.safetensors"))
    assert (again.label, again.gain, again.indices) == ("text (twofold)", 2.0, edit.indices)
    assert np.array_equal(again.apply(TEXT), edit.apply(TEXT))
    raw = ml.modality_dominance(IMAGE, TEXT, resamples=20)
    alone = ml.Edit.load(ml.Edit.of_class(raw, "cross").save(tmp_path / "raw.safetensors"))
    assert alone.model is None
    assert not alone.apply(IMAGE)[:, raw.indices("cross")].any()
    with pytest.raises(ModalensError, match="of 6 features and the model has 12"):
        ml.Edit.of_class(raw, "text", 0.0, sae)
    with pytest.raises(ModalensError, match="There is no class 'texts'"):
        ml.Edit.of_class(raw, "texts")


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({}, "does not hold what modalens edit saves"),
        ({"modalens": "{"}, "is not valid JSON"),
        ({"modalens": "[" * 200 + "]" * 200}, "nested more than 100 deep"),
        ({"modalens": '{"kind": "modalens edit", "schema_version": 9}'}, "upgrade modalens"),
        ({"modalens": '{"kind": "modalens edit", "schema_version": 1}'}, "is damaged"),
        (
            {"modalens": '{"kind": "modalens edit", "schema_version": 1, "dictionary": {"kind": []}}'},
            "cannot be read",
        ),
        (edit_of(gain=10**400), "is damaged \\(.*too large"),
        (edit_of(gain=float("nan")), "is damaged \\(The gain of an edit must be a number"),
        (edit_of(gain=[0]), "is damaged"),
        (edit_of(modality={"image": 1}), "is damaged \\(The modality of an edit is a name"),
        (edit_of(dictionary="sae"), "cannot be read"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, header: dict[str, str], sentence: str) -> None:
    path = tmp_path / "edit.safetensors"
    save_file({"indices": torch.arange(3)}, path, metadata=header)
    with pytest.raises(ModalensError, match=sentence) as found:
        ml.Edit.load(path)
    assert str(found.value).count(". ") == 0
    assert str(path) in str(found.value)


def test_numbers_that_are_no_features_are_said_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "edit.safetensors"
    for indices in (torch.tensor([-1]), torch.ones(2), torch.ones(2, 2, dtype=torch.int64)):
        save_file({"indices": indices}, path, metadata=edit_of())
        with pytest.raises(ModalensError, match="is damaged") as found:
            ml.Edit.load(path)
        assert str(path) in str(found.value)


def test_weights_of_another_dictionary_are_noticed(sae: ml.TopKSAE, tmp_path: Path) -> None:
    path = ml.Edit((2,), 0.0, sae).save(tmp_path / "edit.safetensors")
    tensors, header = read_safetensors(path, "The edit", "save it again")
    tensors["dictionary.W_dec"] = tensors["dictionary.W_dec"] + 1
    save_file(tensors, path, metadata=header)
    with pytest.raises(ModalensError, match="checksum"):
        ml.Edit.load(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ModalensError, match="cannot be read"):
        ml.Edit.load(path)


def test_what_an_edit_says_is_guarded_and_earlier_files_are_read(sae: ml.TopKSAE, tmp_path: Path) -> None:
    path = ml.Edit((5, 2, 5), 0.5, sae, label="dogs").save(tmp_path / "edit.safetensors")
    assert ml.Edit.load(path).indices == (2, 5)
    tensors, header = read_safetensors(path, "The edit", "save it again")
    for tampered, changed in (
        (tensors, header["modalens"].replace("0.5", "0.7")),
        ({**tensors, "indices": torch.tensor([2, 4])}, header["modalens"]),
    ):
        save_file(tampered, path, metadata={"modalens": changed})
        with pytest.raises(ModalensError, match="its checksum differs"):
            ml.Edit.load(path)
    earlier = json.loads(header["modalens"])
    del earlier["sha256"]
    save_file(tensors, path, metadata={"modalens": json.dumps({**earlier, "schema_version": 1})})
    assert ml.Edit.load(path).gain == 0.5


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
    for what in (
        torch.ones(3, 6, dtype=torch.int64),
        torch.ones(3, 6).to_sparse(),
        1.0,
        "ab",
        sp.csr_array(IMAGE),
    ):
        with pytest.raises(ModalensError, match="An edit takes embeddings"):
            ml.Edit((1,)).apply(what)
    with pytest.raises(ModalensError, match="gives embeddings, not tuple"):
        ml.Edit((1,)).hook()(None, None, (torch.ones(3, 6), torch.ones(2)))
