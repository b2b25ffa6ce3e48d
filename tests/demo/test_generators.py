import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from PIL import Image

from modalens.demo.generator import embedded
from modalens.demo.generator.drawings import Drawings, emoji_drawings
from modalens.demo.generator.embedded import (
    CARD,
    SHIPPED,
    WEIGHTS,
    EmbeddedGenerator,
    draw,
    shipped_generator,
)
from modalens.demo.generator.network import Network, NetworkConfig
from modalens.demo.generator.recognition import measure_recognition, ranks_of_own, share_within
from modalens.demo.generator.training import CHECKPOINT, Trainer, TrainingRecipe
from modalens.errors import ModalensError
from modalens.studies.text_to_image_control.retrieval import RetrievalGenerator
from modalens.towers import load_vlm

SMALL = NetworkConfig(
    dim=8,
    side=16,
    patch=4,
    channels=(16, 32),
    time_dim=32,
    groups=8,
    sketch_side=8,
    sketch_hidden=32,
    sketch_rank=16,
)
QUICK = TrainingRecipe(sketch_steps=4, steps=6, sketch_batch=16, batch=8, ema=0.5)


@pytest.fixture(scope="module")
def small() -> EmbeddedGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return EmbeddedGenerator(Network(SMALL), {"about": "random"})


@pytest.fixture
def blots(rng: np.random.Generator) -> Drawings:
    """Pictures of one colour each, which their embeddings tell."""
    colours = rng.integers(0, 256, (24, 3))
    image, text = rng.standard_normal((2, 24, 8))
    image[:, :3] = text[:, :3] = colours / 64 - 2
    return Drawings(
        image=(image / np.linalg.norm(image, axis=1, keepdims=True)).astype(np.float32),
        text=(text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32),
        pixels=np.tile(colours[:, None, None, :], (1, 16, 16, 1)).astype(np.uint8),
        drawing=np.arange(24),
        training=np.arange(24) < 20,
        source={},
    )


def as_arrays(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures])


class TestEmbedded:
    def test_a_picture_depends_on_its_row_and_the_seed_alone(
        self, small: EmbeddedGenerator, rng: np.random.Generator
    ) -> None:
        rows = rng.standard_normal((19, 8))
        together = as_arrays(small.generate(rows, seed=3))
        assert together.shape == (19, 224, 224, 3)
        alone = as_arrays([small.generate(row[None], seed=3)[0] for row in rows])
        np.testing.assert_array_equal(together, alone)
        other = as_arrays(small.generate(rows, seed=4))
        assert (together != other).any(axis=(1, 2, 3)).all()
        assert (together[0] != together[1]).any()

    def test_length_does_not_matter_and_the_global_seed_stays(
        self, small: EmbeddedGenerator, rng: np.random.Generator
    ) -> None:
        row = rng.standard_normal((1, 8))
        state = torch.get_rng_state()
        first = as_arrays(small.generate(row))
        # Powers of two scale without rounding.
        np.testing.assert_array_equal(first, as_arrays(small.generate(row * 8)))
        assert torch.equal(state, torch.get_rng_state())

    @pytest.mark.parametrize(
        ("embedding", "says"),
        [
            (np.ones((2, 7)), "8 features, not 7"),
            (np.ones(8), "two dimensions"),
            (np.ones((0, 8)), "empty"),
            (np.full((1, 8), np.nan), "NaN"),
        ],
    )
    def test_refuses_what_is_no_embedding(
        self, small: EmbeddedGenerator, embedding: np.ndarray, says: str
    ) -> None:
        with pytest.raises(ModalensError, match=says):
            small.generate(embedding)

    def test_saved_and_loaded_it_draws_the_same(
        self, small: EmbeddedGenerator, tmp_path: Path, rng: np.random.Generator
    ) -> None:
        rows = rng.standard_normal((3, 8))
        small.save(tmp_path / "a")
        once = EmbeddedGenerator.load(tmp_path / "a")
        once.save(tmp_path / "b")
        twice = EmbeddedGenerator.load(tmp_path / "b")
        assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()
        np.testing.assert_array_equal(as_arrays(once.generate(rows)), as_arrays(twice.generate(rows)))
        # Half precision moves pictures little.
        moved = as_arrays(small.generate(rows)).astype(float) - as_arrays(once.generate(rows))
        assert np.abs(moved).mean() < 2
        assert twice.card()["about"] == "random"
        assert twice.dim == 8

    def test_says_when_there_is_no_generator_or_a_damaged_one(
        self, small: EmbeddedGenerator, tmp_path: Path
    ) -> None:
        with pytest.raises(ModalensError, match="holds no generator"):
            EmbeddedGenerator.load(tmp_path)
        small.save(tmp_path)
        weights = tmp_path / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1] + b"!")
        with pytest.raises(ModalensError, match="damaged"):
            EmbeddedGenerator.load(tmp_path)
        (tmp_path / CARD).write_text("{}")
        with pytest.raises(ModalensError, match="holds no generator"):
            EmbeddedGenerator.load(tmp_path)

    def test_the_flow_leads_noise_to_the_distribution_of_the_data(self) -> None:
        """For Gaussian data the best prediction is known, and with it where the flow must end."""
        mean, spread = 0.5, 0.3

        class Best:
            def draw_sketch(self, embedding: torch.Tensor) -> None:
                return None

            def __call__(
                self, noisy: torch.Tensor, time: torch.Tensor, embedding: torch.Tensor, sketch: None
            ) -> torch.Tensor:
                t = time[:, None, None, None]
                gain = t * spread**2 / (t**2 * spread**2 + (1 - t) ** 2)
                return mean + gain * (noisy - t * mean)

        noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        drawn = draw(Best(), torch.zeros(1, 8), noise, steps=200)  # type: ignore[arg-type]
        assert float(drawn.mean()) == pytest.approx(mean, abs=0.01)
        assert float(drawn.std()) == pytest.approx(spread, abs=0.01)
        # The flow is a straight map of the noise: what was brighter stays brighter.
        np.testing.assert_allclose(np.corrcoef(noise.flatten(), drawn.flatten())[0, 1], 1, atol=1e-5)

    def test_refuses_sizes_that_do_not_fit(self) -> None:
        with pytest.raises(ModalensError, match="whole squares"):
            NetworkConfig(side=62)
        with pytest.raises(ModalensError, match="whole squares"):
            NetworkConfig(sketch_side=24)


class TestTraining:
    def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(self, blots: Drawings, tmp_path: Path) -> None:
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        whole.mkdir()
        parts.mkdir()
        straight = Trainer(blots, SMALL, QUICK, whole)
        straight.run(checkpoint_seconds=1e9)
        stopped = Trainer(blots, SMALL, QUICK, parts)
        loss, calls = stopped.phases[1].loss, 0

        def fail_at_the_fourth(generator: torch.Generator) -> torch.Tensor:
            nonlocal calls
            calls += 1
            if calls == 4:
                raise KeyboardInterrupt
            return loss(generator)

        stopped.phases = (stopped.phases[0], stopped.phases[1]._replace(loss=fail_at_the_fourth))
        with pytest.raises(KeyboardInterrupt):
            stopped.run(checkpoint_seconds=0)
        resumed = Trainer(blots, SMALL, QUICK, parts)
        assert resumed.done == {"sketch": 4, "unet": 3}
        resumed.run(checkpoint_seconds=1e9)
        for name, value in straight.result().state_dict().items():
            torch.testing.assert_close(resumed.result().state_dict()[name], value, rtol=1e-5, atol=1e-6)
        assert not list(parts.glob("*.partial"))

    def test_it_learns_colours_from_either_embedding(self, blots: Drawings, tmp_path: Path) -> None:
        recipe = replace(QUICK, sketch_steps=300, steps=150, ema=0.9, lr=3e-3)
        trainer = Trainer(blots, SMALL, recipe, tmp_path)
        trainer.run(checkpoint_seconds=1e9)
        generator = EmbeddedGenerator(trainer.result(), {})
        wanted = blots.pixels[:20].mean(axis=(1, 2))
        guess = np.abs(wanted - wanted.mean(axis=0)).mean()
        for embedding in (blots.image, blots.text):
            drawn = as_arrays(generator.generate(embedding[:20])).mean(axis=(1, 2))
            assert np.abs(drawn - wanted).mean() < guess / 2

    def test_conditions_are_of_image_text_or_both(self, blots: Drawings, tmp_path: Path) -> None:
        trainer = Trainer(blots, SMALL, replace(QUICK, noise=0.0), tmp_path)
        rows = torch.arange(20).repeat(200)
        found = trainer.conditions(rows, torch.Generator().manual_seed(0))
        of_image = (found == trainer.image[rows]).numpy()
        of_text = (found == trainer.text[rows]).numpy()
        assert (of_image | of_text).all()
        assert of_image.all(axis=1).mean() == pytest.approx(0.4, abs=0.06)
        assert of_text.all(axis=1).mean() == pytest.approx(0.4, abs=0.06)

    def test_refuses_a_checkpoint_of_another_recipe(self, blots: Drawings, tmp_path: Path) -> None:
        Trainer(blots, SMALL, QUICK, tmp_path).run(checkpoint_seconds=1e9)
        assert (tmp_path / CHECKPOINT).exists()
        with pytest.raises(ModalensError, match="another recipe"):
            Trainer(blots, SMALL, replace(QUICK, seed=1), tmp_path)
        with pytest.raises(ModalensError, match="at least 1 step"):
            TrainingRecipe(steps=0)


class TestRetrieval:
    @pytest.mark.parametrize("sparse", [False, True])
    def test_finds_what_a_loop_finds(self, rng: np.random.Generator, sparse: bool) -> None:
        images = rng.standard_normal((9000, 6)) * rng.uniform(0.1, 10, (9000, 1))
        queries = rng.standard_normal((7, 6))
        generator = RetrievalGenerator(
            sp.csr_array(images) if sparse else images,
            lambda row: Image.new("RGB", (1, 1), (row % 256, 0, 0)),
        )
        naive = []
        for query in queries:
            cosines = [query @ image / np.linalg.norm(image) / np.linalg.norm(query) for image in images]
            naive.append(int(np.argmax(cosines)))
        assert generator.nearest(queries).tolist() == naive
        shown = [picture.getpixel((0, 0))[0] for picture in generator.generate(queries, seed=5)]
        assert shown == [row % 256 for row in naive]

    def test_of_equally_near_images_the_first(self) -> None:
        generator = RetrievalGenerator(np.ones((5000, 2)), lambda row: Image.new("RGB", (1, 1)))
        assert generator.nearest(np.ones((1, 2))).tolist() == [0]

    def test_wants_one_picture_a_row(self) -> None:
        pictures = [Image.new("RGB", (1, 1))] * 2
        with pytest.raises(ModalensError, match="one a row"):
            RetrievalGenerator.from_pictures(np.ones((3, 2)), pictures)
        generator = RetrievalGenerator.from_pictures(np.ones((2, 2)), pictures, source="two dots")
        assert generator.card() == {"generator": "retrieval", "pictures": 2, "dim": 2, "source": "two dots"}
        with pytest.raises(ModalensError, match="2 features, not 3"):
            generator.generate(np.ones((1, 3)))


class TestRecognition:
    def test_ranks_are_those_of_a_loop(self, rng: np.random.Generator) -> None:
        gallery = rng.standard_normal((40, 5))
        drawing = rng.integers(0, 25, 40)
        rows = rng.integers(0, 40, 12)
        queries = rng.standard_normal((12, 5))
        naive = []
        for query, row in zip(queries, rows, strict=True):
            own = max(query @ gallery[other] for other in range(40) if drawing[other] == drawing[row])
            wrong = [query @ gallery[other] for other in range(40) if drawing[other] != drawing[row]]
            naive.append(1 + sum(value >= own for value in wrong))
        assert ranks_of_own(queries, rows, gallery, drawing).tolist() == naive

    def test_constant_pictures_are_never_recognised(self) -> None:
        ranks = ranks_of_own(np.ones((3, 4)), np.arange(3), np.ones((30, 4)), np.arange(30))
        assert share_within(ranks, 10)[0] == 0

    def test_shares_have_their_interval(self) -> None:
        value, low, high = share_within(np.array([1, 2, 6, 9]), 5)
        assert value == 0.5
        assert 0.14 < low < 0.16
        assert 0.84 < high < 0.86


class TestShippedFor:
    def test_it_is_that_of_the_recipe_it_was_trained_on(
        self, small: EmbeddedGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trained_on = {"model": "planted", "recipe": {"dim": 8, "layers": [1, 2]}}
        monkeypatch.setattr(embedded, "SHIPPED", tmp_path)
        monkeypatch.setattr(
            embedded.EmbeddedGenerator, "load", lambda: small.with_card(encoder=trained_on), raising=True
        )
        own = {
            "model": "planted",
            "recipe": {"dim": 8, "layers": (1, 2)},
            "weights_sha256": "another machine",
        }
        assert shipped_generator(own) is None  # no weights
        (tmp_path / CARD).write_text("{}")
        assert shipped_generator(own) is not None
        assert shipped_generator({**own, "recipe": {}}) is None
        monkeypatch.setattr(embedded, "find_spec", lambda name: None)
        assert shipped_generator(own) is None  # no diffusers


@pytest.mark.demo
class TestShipped:
    def test_it_draws_emoji_that_the_encoder_recognises(self) -> None:
        vlm = load_vlm("demo")
        generator = EmbeddedGenerator.load()
        found = measure_recognition(generator, vlm, emoji_drawings(vlm, 64), n=40, seed=1)
        for condition in ("image", "text"):
            assert found["training"][condition]["5"][0] >= 0.6
        assert found["training"]["shrunk"]["5"][0] >= found["training"]["image"]["5"][0] - 0.1
        assert found["training"]["image"]["5"][0] > found["held-out"]["image"]["5"][0]

    def test_its_card_says_where_it_comes_from(self) -> None:
        assert (SHIPPED / WEIGHTS).stat().st_size < 12e6
        card = json.loads((SHIPPED / CARD).read_text())
        assert card["training_data"]["license"] == "CC BY-SA 4.0"
        assert "OpenMoji" in card["training_data"]["attribution"]
        assert card["recognition"]["training"]["n"] == 200
        assert card["recognition"]["training"]["image"]["5"][0] >= 0.7
