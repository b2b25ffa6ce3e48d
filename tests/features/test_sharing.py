import inspect
import json
import shutil
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import errors
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

import modalens as ml
from modalens.errors import ModalensError
from modalens.features import NCL, NCLConfig, SAEConfig, SparseAutoencoder, TrainConfig, train
from modalens.features.loading import load_features
from modalens.features.sharing import from_pretrained, push_to_hub
from modalens.runs import embed
from tests.fakes import FakePairs, FakeVLM, colour_pairs

TRAINING = TrainConfig(steps=20, batch_size=16, log_every=10, checkpoint_every=10)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return embed(FakePairs(colour_pairs(40)), FakeVLM(), tmp_path_factory.mktemp("run") / "embeddings")


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    """Folders of two training runs, with logs and checkpoints."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("sae", "ncl")}
    train([SAEConfig(6, 24, 3)], store, TRAINING, held_out=store, out=folders["sae"])
    train([NCLConfig(6, 20)], store, TRAINING, out=folders["ncl"])
    return folders


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub in a folder, with the client's own rules of which files a pattern picks."""
    root = tmp_path / "hub"
    asked = []
    takes = {
        call.__name__: inspect.signature(call).bind
        for call in (
            huggingface_hub.HfApi.create_repo,
            huggingface_hub.HfApi.upload_folder,
            huggingface_hub.snapshot_download,
        )
    }

    class Api:
        def __init__(self, token=None):
            self.token = token

        def create_repo(self, *args, **options):
            given = takes["create_repo"](self, *args, **options).arguments
            asked.append(("create", given["repo_id"], given["private"], given["exist_ok"], self.token))
            (root / given["repo_id"]).mkdir(parents=True, exist_ok=given["exist_ok"])

        def upload_folder(self, *args, **options):
            given = takes["upload_folder"](self, *args, **options).arguments
            repo_id = given["repo_id"]
            shutil.copytree(given["folder_path"], root / repo_id, dirs_exist_ok=True)
            return SimpleNamespace(commit_url=f"https://huggingface.co/{repo_id}/commit/1")

    def snapshot_download(*args, **options):
        given = takes["snapshot_download"](*args, **options).arguments
        repo_id = given["repo_id"]
        asked.append(("download", repo_id, given["revision"], given["token"]))
        files = [p.relative_to(root / repo_id).as_posix() for p in (root / repo_id).rglob("*") if p.is_file()]
        there = tmp_path / "cache" / repo_id
        patterns = {name: given[name] for name in ("allow_patterns", "ignore_patterns")}
        for name in filter_repo_objects(files, **patterns):
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / repo_id / name, there / name)
        return str(there)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return SimpleNamespace(root=root, asked=asked)


def same_codes(one, other):
    x = np.random.default_rng(1).standard_normal((30, 6)).astype(np.float32)
    return np.array_equal(one.encode(x, "text").toarray(), other.encode(x, "text").toarray())


def test_what_is_pushed_comes_back_as_the_same_bits(runs, hub):
    for name, kind in (("sae", ml.TopKSAE), ("ncl", NCL)):
        address = push_to_hub(runs[name], f"me/{name}", private=True, token="t")
        assert address == f"https://huggingface.co/me/{name}/commit/1"
        assert hub.asked[-1] == ("create", f"me/{name}", True, True, "t")
        again = from_pretrained(f"me/{name}", revision="main", token="t")
        assert hub.asked[-1] == ("download", f"me/{name}", "main", "t")
        assert type(again) is kind
        assert same_codes(again, load_features(runs[name]))
        assert sorted(p.name for p in (hub.root / "me" / name).iterdir()) == sorted(
            ["README.md", "config.json", f"{name}.safetensors"]
        )


def test_a_model_in_memory_and_a_copy_for_saelens(runs, hub):
    sae = SparseAutoencoder.load(runs["sae"])
    push_to_hub(sae, "me/both", saelens=True)
    there = hub.root / "me" / "both"
    assert json.loads((there / "saelens" / "cfg.json").read_text())["d_sae"] == 24
    assert (there / "saelens" / "sae_weights.safetensors").is_file()
    card = (there / "README.md").read_text()
    assert 'SAE.from_pretrained("me/both", "saelens")' in card
    assert "Reached" not in card
    assert same_codes(from_pretrained("me/both"), sae)
    with pytest.raises(ModalensError, match="SAELens knows sparse autoencoders alone; share this NCL"):
        push_to_hub(runs["ncl"], "me/ncl", saelens=True)
    assert not (hub.root / "me" / "ncl").exists()


def test_the_card_says_what_the_run_says(runs, hub, store):
    push_to_hub(runs["sae"], "me/my-features", embeddings=store)
    card = (hub.root / "me" / "my-features" / "README.md").read_text()
    data: Any = huggingface_hub.ModelCard(card).data
    assert data.library_name == "modalens"
    assert "sparse-autoencoder" in data.tags
    last = [json.loads(line) for line in (runs["sae"] / "log.jsonl").read_text().splitlines()][-1]
    rows = {
        cells[0]: cells[1:]
        for cells in (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in card.splitlines()
            if line.startswith("|")
        )
    }
    for label, name in (("images", "image"), ("texts", "text")):
        shares = [last[sample][f"fvu_{name}"] for sample in ("train", "held_out")]
        unexplained = ["undefined" if share is None else f"{share:.4g}" for share in shares]
        assert rows[f"variance unexplained, {label}"] == unexplained
        active = [str(last[sample][f"active_{name}"]) for sample in ("train", "held_out")]
        assert rows[f"active features, {label}"] == active
    assert rows["dead features"] == [str(last[sample]["dead"]) for sample in ("train", "held_out")]
    recalls = last["train"]["retrieval"]["image_to_text"]
    percent = " / ".join(f"{100 * recalls[rank][0]:.1f}" for rank in ("1", "5", "10"))
    assert rows["R@1/5/10 image to text, after, %"][0] == percent
    assert "Reached after 20 batches, 320 pairs" in card
    assert rows["pairs"] == ["40"]
    assert rows["model"] == ["fake"]
    assert rows["k"] == ["3"]
    assert 'from_pretrained("me/my-features")' in card


def test_a_projector_has_no_variance_to_explain(runs, hub):
    push_to_hub(runs["ncl"], "me/ncl")
    card = (hub.root / "me" / "ncl" / "README.md").read_text()
    assert "non-negative-contrastive-learning" in card
    assert "variance unexplained, images" not in card
    assert "R@1/5/10 text to image, after, %" in card


def test_folders_need_no_hub(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    assert same_codes(from_pretrained(runs["sae"]), SparseAutoencoder.load(runs["sae"]))
    with pytest.raises(ModalensError, match="holds no trained features"):
        from_pretrained(tmp_path)
    shutil.copytree(runs["sae"], tmp_path / "cut")
    (tmp_path / "cut" / "log.jsonl").write_text("{")
    with pytest.raises(ModalensError, match=r"log\.jsonl, line 1, is not valid JSON"):
        push_to_hub(tmp_path / "cut", "me/cut")


def http_error(kind, status):
    response = SimpleNamespace(status_code=status, headers={}, request=None, text="")
    return kind("refused\n\nwith a trace", response=response)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (http_error(errors.GatedRepoError, 403), "accept its terms"),
        (http_error(errors.RevisionNotFoundError, 404), "has no revision None"),
        (
            http_error(errors.RepositoryNotFoundError, 404),
            "no folder me/x here and no public repository me/x",
        ),
        (http_error(errors.HfHubHTTPError, 403), "a token that may (read|write)"),
        (http_error(errors.HfHubHTTPError, 500), "try again later"),
        (errors.HFValidationError("bad"), "valid id"),
        (OSError("no route"), "could not be (fetched|reached)"),
    ],
)
def test_what_the_hub_says_becomes_a_sentence(runs, monkeypatch, error, sentence):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", fail)
    for call in (lambda: from_pretrained("me/x"), lambda: push_to_hub(runs["sae"], "me/x")):
        with pytest.raises(ModalensError, match=sentence) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_without_network_the_real_client_ends_in_a_sentence(runs, monkeypatch):
    def refuse(*args, **options):
        raise OSError("network is off")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for call in (
        lambda: from_pretrained("me/no-such-x"),
        lambda: push_to_hub(runs["sae"], "me/x", token="t"),
    ):
        with pytest.raises(ModalensError, match=r"me/.* could not be fetched|could not be reached for me/x"):
            call()


def test_packages_of_the_hub_are_imported_only_when_used():
    code = "import sys, modalens.features.sharing; print('huggingface_hub' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
