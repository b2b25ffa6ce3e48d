import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors

from modalens.errors import ModalensError
from modalens.towers import load_vlm
from modalens.towers.abilities import Abilities
from modalens.towers.registry import abilities_of

RunPython = Callable[..., subprocess.CompletedProcess[str]]


def http_error(kind: type[errors.HfHubHTTPError], status: int) -> errors.HfHubHTTPError:
    response = SimpleNamespace(headers={}, request=None, status_code=status)
    return kind("refused", response=response)


@pytest.mark.parametrize("name", ["nonsense", "", "demos", "open sesame", "some:thing"])
def test_unknown_names_list_what_exists(name: str, no_network: None) -> None:
    with pytest.raises(ModalensError) as caught:
        load_vlm(name)
    for known in ("demo", "demo:untrained", "demo:shuffled", "demo:learnt-temperature", "CLIP, SigLIP"):
        assert known in str(caught.value)


@pytest.mark.parametrize("fixture", ["tiny_clip", "tiny_siglip", "tiny_siglip2"])
def test_abilities_are_those_of_the_loaded_model_and_need_no_weights(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path, no_network: None
) -> None:
    folder = Path(request.getfixturevalue(fixture))
    vlm = load_vlm(str(folder), device="cpu")
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    for name in (str(tmp_path), f"untrained:{tmp_path}"):
        assert abilities_of(name) == Abilities(vlm.modalities, vlm.differentiable)
    assert vlm.differentiable == (fixture != "tiny_siglip2")


def test_abilities_of_models_with_a_prefix(tmp_path: Path, no_network: None) -> None:
    assert abilities_of("demo:untrained").differentiable
    assert not abilities_of("hidden:some/llava?layer=2").differentiable
    for name, sentence in (
        ("demo:nonsense", "no demo encoder 'demo:nonsense'"),
        (f"declip:{tmp_path / 'no.pt'}", "no DeCLIP checkpoint"),
        ("nonsense", "There is no model 'nonsense'"),
        (str(tmp_path), "no config.json"),
    ):
        with pytest.raises(ModalensError, match=sentence):
            abilities_of(name)


def test_only_the_description_is_fetched_from_the_hub(
    tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def download(hub_id: str, *, allow_patterns: list[str], **options: object) -> str:
        asked.append(allow_patterns)
        return str(tiny_clip)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert abilities_of("org/clip", "v1").differentiable
    (patterns,) = asked
    assert "config.json" in patterns
    assert not any("safetensors" in each or each.endswith(".bin") for each in patterns)


def test_unknown_twin() -> None:
    with pytest.raises(
        ModalensError, match=r"no demo encoder 'demo:nonsense'; there are demo, demo:untrained"
    ):
        load_vlm("demo:nonsense")


@pytest.mark.parametrize(
    "name", ["./nowhere", "/no/such/folder", "~/no-such-folder-here", "models/clip/base"]
)
def test_paths_that_do_not_exist(name: str, no_network: None) -> None:
    with pytest.raises(ModalensError, match=r"model folder .* does not exist"):
        load_vlm(name)


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModalensError, match="is a file; name the folder"):
        load_vlm(str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize("name", ["demo", "folder"])
def test_revision_where_there_is_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="has none; leave it out"):
        load_vlm(str(tmp_path) if name == "folder" else name, revision="main")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (http_error(errors.GatedRepoError, 403), "is gated: accept its terms"),
        (http_error(errors.RepositoryNotFoundError, 404), "no folder org/clip here and no public model"),
        (http_error(errors.RevisionNotFoundError, 404), "has no revision 'v9'"),
        (errors.LocalEntryNotFoundError("offline"), "a local folder with it, which works offline"),
        (ConnectionError("no route"), "could not be fetched .*ConnectionError"),
    ],
)
def test_hub_failures(monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str) -> None:
    def fail(*args: object, **kwargs: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(ModalensError, match=sentence) as caught:
        load_vlm("org/clip", revision="v9")
    assert "org/clip" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreachable_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(ModalensError, match="no-such-org/no-such-clip could not be fetched"):
        load_vlm("no-such-org/no-such-clip")


def test_a_snapshot_of_the_hub_is_named_by_its_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_clip: Path
) -> None:
    snapshot = tmp_path / "0123abcd"
    snapshot.symlink_to(tiny_clip)
    asked = []

    def download(
        name: str, *, revision: str | None, allow_patterns: list[str], ignore_patterns: list[str]
    ) -> str:
        asked.append((name, revision))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    card = load_vlm("org/clip", revision="main", device="cpu").card()
    assert asked == [("org/clip", "main")]
    assert card["model"] == "org/clip"
    assert card["revision"] == "0123abcd"


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize("model", ["demo", "folder"])
def test_a_torchvision_that_does_not_match_is_named(
    tmp_path: Path, tiny_clip: Path, run_python: RunPython, model: str, described: bool
) -> None:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text('raise RuntimeError("operator torchvision::nms does not exist")\n')
    if described:
        metadata = tmp_path / "torchvision-0.1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.1.2\n")
    name = "demo" if model == "demo" else str(tiny_clip)
    found = run_python(
        f"""
        from modalens.errors import ModalensError
        from modalens.towers import load_vlm
        try:
            load_vlm({name!r})
        except ModalensError as error:
            print(error)
        """,
        PYTHONPATH=str(tmp_path),
    )
    assert found.returncode == 0, found.stderr
    version = "0.1.2" if described else "of unknown version"
    assert f"The installed torchvision {version} does not work with torch 2" in found.stdout
    assert "operator torchvision::nms does not exist" in found.stdout
    assert "pip uninstall torchvision" in found.stdout
    assert len(found.stdout.splitlines()) == 1


def test_importing_the_room_imports_no_model_library(run_python: RunPython) -> None:
    found = run_python(
        """
        import sys
        import modalens.towers
        print(sorted({"torch", "transformers", "sentence_transformers", "huggingface_hub"} & set(sys.modules)))
        """
    )
    assert found.stdout.strip() == "[]", found.stderr
