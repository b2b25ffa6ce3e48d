"""Sounds and texts all the way: embedded, scored, and told of by their own names."""

import base64
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from modalens.cli import main
from modalens.errors import ModalensError
from modalens.features import SAEConfig, TopKSAE, TrainConfig
from modalens.pairs import load_pairs
from modalens.pairs.modality import OWN
from modalens.runs import ScoreConfig, embed, encode_store, galleries, score_store
from modalens.runs.galleries import make_gallery
from modalens.runs.interpretation import InterpretConfig
from modalens.runs.interpreting import interpret_run, load_interpretation
from modalens.runs.layout import RunFolder
from modalens.runs.learning import train_on
from modalens.runs.reporting import report_run
from modalens.runs.representations import representations
from modalens.store import EmbeddingStore
from modalens.towers import load_vlm
from tests.fakes import FakeVLM
from tests.figures import leave_out_figures

pytestmark = pytest.mark.usefixtures("no_network")

RATE = 8000
SOUNDS = 24


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLAP with random weights that hears one second and reads letters."""
    import transformers

    folder = tmp_path_factory.mktemp("clap")
    audio = transformers.ClapAudioConfig(
        window_size=2, num_mel_bins=64, spec_size=128, hidden_size=32, depths=[1, 1],
        num_attention_heads=[2, 2], num_hidden_layers=2, patch_embeds_hidden_size=16,
    )  # fmt: skip
    text = transformers.ClapTextConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=20,
    )  # fmt: skip
    config = transformers.ClapConfig(
        text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=24
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.ClapModel(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
        model.save_pretrained(folder)
    transformers.ClapFeatureExtractor(
        sampling_rate=RATE, hop_length=80, max_length_s=1, fft_window_size=256, frequency_max=4000,
        truncation="rand_trunc",
    ).save_pretrained(folder)  # fmt: skip
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "Ġ", *map(chr, range(ord("a"), ord("z") + 1))]
    transformers.RobertaTokenizer(
        vocab={piece: row for row, piece in enumerate(pieces)}, merges=[]
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of several pitches with their names; one file is damaged."""
    folder = tmp_path_factory.mktemp("sounds")
    rows = [["audio", "caption"]]
    for number in range(SOUNDS):
        tone = np.sin(2 * np.pi * (200 + 70 * number) * np.arange(3000 + 100 * number) / RATE)
        wavfile.write(folder / f"{number}.wav", RATE, (tone * 2**14).astype(np.int16))
        rows.append([f"{number}.wav", f"tone {'abcdef'[number % 6]}{'uvwxyz'[number // 6]}"])
    (folder / "bad.wav").write_text("no sound")
    rows.append(["bad.wav", "bad"])
    with (folder / "sounds.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return folder / "sounds.csv"


@pytest.fixture(scope="module")
def store(clap: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> EmbeddingStore:
    out = tmp_path_factory.mktemp("run") / "embeddings"
    return embed(load_pairs(f"csv:{table}"), load_vlm(str(clap), device="cpu"), out)


def test_rows_are_what_the_model_makes_of_each_file(store: EmbeddingStore, clap: Path, table: Path) -> None:
    vlm = load_vlm(str(clap), device="cpu")
    for row, pair in enumerate(list(load_pairs(f"csv:{table}"))[:4]):
        np.testing.assert_allclose(store.image[row], vlm.embed_images([pair.image])[0], atol=1e-5)
        np.testing.assert_allclose(store.text[row], vlm.embed_texts([pair.text])[0], atol=1e-5)
    assert len(store) == SOUNDS
    assert store.manifest is not None
    (skipped,) = store.manifest.skipped
    assert "cannot be decoded" in skipped["reason"]


def test_classes_and_gap_carry_the_names(store: EmbeddingStore, tmp_path: Path) -> None:
    scores = score_store(store, ScoreConfig(resamples=10))
    mds = scores.dominance["mean_ratio"]
    assert not isinstance(mds, str)
    assert mds.modalities == ("audio", "text")
    assert set(mds.labels) <= {"audio", "cross", "text", "dead"}
    assert "p_audio" in mds.to_frame()
    again = score_store(store, ScoreConfig(resamples=10))
    scores.save(tmp_path)
    assert type(again).load(tmp_path).gap.l2m == scores.gap.l2m


def test_codes_carry_the_names(store: EmbeddingStore, tmp_path: Path) -> None:
    sae = TopKSAE.fit(store, n_features=16, k=4, seed=0, train=TrainConfig(steps=5, batch_size=8))
    codes = encode_store(sae, store, tmp_path / "codes")
    mds = score_store(codes, ScoreConfig(resamples=0)).dominance["mean_ratio"]
    assert not isinstance(mds, str)
    assert mds.classes == ("text", "cross", "audio", "dead")


def test_the_command_line_counts_audio(
    store: EmbeddingStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = ["score", str(store.folder), "--resamples", "10", "--json", "--out", str(tmp_path / "scores")]
    monkeypatch.setattr("sys.argv", ["modalens", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert list(json.loads(capsys.readouterr().out)["counts"]) == ["text", "cross", "audio", "dead"]


def test_a_model_that_sees_does_not_hear(table: Path, clap: Path, tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="holds pairs of audio and text, and fake embeds image and text"):
        embed(load_pairs(f"csv:{table}"), FakeVLM(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def run(store: EmbeddingStore) -> RunFolder:
    """The run of the sounds: scored, features learned on it, interpreted by its own embeddings."""
    found = RunFolder.find(store.folder)
    score_store(store, ScoreConfig(resamples=10)).save(found.scores)
    training = TrainConfig(steps=5, batch_size=8)
    train_on(
        SAEConfig(store.image.shape[1], n_features=16, k=4), store, training, found.learned("sae").folder
    )
    interpret_run(found, InterpretConfig(OWN, OWN, m=3, draws=2, shuffles=100))
    return found


@pytest.fixture(scope="module")
def page(run: RunFolder) -> str:
    with pytest.MonkeyPatch.context() as patch:
        leave_out_figures(patch)
        return report_run(run).read_text(encoding="utf-8")


def test_the_report_speaks_of_sounds(page: str, clap: Path) -> None:
    assert "audio-text pairs" in page
    for words in ("Mono, sounds", "strongest sounds and texts", "AudioD", "given sound"):
        assert words in page, words
    assert f"Likeness of sounds is judged by the embeddings of {clap.name} itself, which flatters" in page
    text = re.sub(r"(?s)<(script|style).*?</\1>", "", page)
    assert not re.search(r"\b(images?|pictures?|ImgD|[Vv]isual|audios)\b", text)


def test_the_report_plays_every_sound_that_a_card_shows(page: str, table: Path) -> None:
    block = re.search(r'(?s)id="gallery-data">(.*?)</script>', page)
    assert block is not None
    data = json.loads(block[1])
    shown = {sample for each in data["galleries"] for card in each["cards"] for sample in card["top"][0]}
    assert shown
    sounds = {pair.id: pair.ref.load() for pair in load_pairs(f"csv:{table}") if pair.text != "bad"}
    for sample in shown:
        head, _, content = data["previews"][data["previewOf"][sample]].partition(",")
        assert head == "data:audio/wav;base64"
        rate, samples = wavfile.read(io.BytesIO(base64.b64decode(content)))
        whole = sounds[data["ids"][sample]].samples
        assert rate == RATE
        np.testing.assert_allclose(samples / 2**15, whole[: len(samples)], atol=1e-3)
    assert "media-src data:" in page
    assert len(re.findall(r'<audio controls preload="none" src="data:audio/wav', page)) == 12


def test_sounds_are_cut_and_dropped_where_a_page_cannot_hold_them(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (raw, *_) = representations(run)
    found = load_interpretation(raw)
    assert found is not None
    gallery = make_gallery("Raw", "", found)
    whole = galleries.collect_previews(run.store(), [gallery])
    monkeypatch.setattr(galleries, "_SOUND_BYTES", 5 * 32_000)
    few = galleries.collect_previews(run.store(), [gallery])
    strongest = {card.top_images[0][0] for card in gallery.cards}
    players = {name for name, (preview, _) in few.items() if preview}
    assert len(players) == 5
    assert players <= strongest
    assert {name: text for name, (_, text) in few.items()} == {
        name: text for name, (_, text) in whole.items()
    }


def test_people_are_asked_about_sounds(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["annotate", str(run.folder), "--features", "sae", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["modalens", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    page = (tmp_path / "annotate.html").read_text(encoding="utf-8")
    assert "Sound samples" in page
    assert '"data:audio/wav;base64,' in page
    assert "media-src data:" in page
