"""How the embedded generator is trained: ``python -m modalens.demo.generator.training --out FOLDER``."""

import argparse
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from modalens.demo.generator.drawings import Drawings, emoji_drawings
from modalens.demo.generator.embedded import EmbeddedGenerator
from modalens.demo.generator.network import Network, NetworkConfig
from modalens.demo.generator.recognition import measure_recognition
from modalens.errors import InputError
from modalens.towers import load_vlm
from modalens.towers.cards import versions

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
TERMS = (
    "Trained on OpenMoji's drawings, which are CC BY-SA 4.0: attribute OpenMoji, and share alike, wherever the "
    "weights or the pictures they draw are passed on."
)
_LOG_SECONDS = 60.0


@dataclass(frozen=True)
class TrainingRecipe:
    """How the weights are made.

    Parameters
    ----------
    sketch_steps, steps
        Steps of the sketch, which is trained first and then stays as it is, and of the U-Net.
    sketch_batch, batch
        Pictures a step.
    lr
        AdamW's peak rate: warmed up over 100 steps, level, then down to 0 in a straight line.
    decay_share
        Share of the steps that the way down takes.
    ema
        Share of the averaged U-Net weights that stays at a step.
    text_share, mixed_share
        Share of pictures conditioned on the text embedding, and on a mixture in which each feature comes
        from either embedding of the pair at random; the rest sees the image embedding.
    noise
        Length of the Gaussian noise added to a unit embedding.
    time_mean, time_std
        Of the normal distribution whose logistic is the time; below 0 leans to noise (Li and He 2025).
    seed
        Of the initial weights and of everything drawn at each step.
    """

    sketch_steps: int = 12_000
    steps: int = 3800
    sketch_batch: int = 256
    batch: int = 64
    lr: float = 1e-3
    decay_share: float = 0.3
    ema: float = 0.998
    text_share: float = 0.4
    mixed_share: float = 0.2
    noise: float = 0.05
    time_mean: float = -0.8
    time_std: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.sketch_steps < 1:
            raise InputError(f"Training takes at least 1 step, not {self.sketch_steps} and {self.steps}.")


class _Phase(NamedTuple):
    name: str
    steps: int
    module: nn.Module
    loss: Callable[[torch.Generator], Tensor]


class Trainer:
    """Both phases of training on the training concepts; goes on from the folder's checkpoint.

    Raises
    ------
    ModalensError
        If the checkpoint comes from another recipe.
    """

    def __init__(
        self, drawings: Drawings, config: NetworkConfig, recipe: TrainingRecipe, folder: Path
    ) -> None:
        self.recipe, self.folder = recipe, folder
        rows = np.flatnonzero(drawings.training)
        self.image = torch.from_numpy(drawings.image[rows])
        self.text = torch.from_numpy(drawings.text[rows])
        clean = torch.from_numpy(drawings.pixels[rows]).permute(0, 3, 1, 2).float() / 127.5 - 1
        self.clean = clean.contiguous()
        self.coarse = functional.adaptive_avg_pool2d(self.clean, config.sketch_side)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            self.network = Network(config)
        average = torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
        self.averaged = torch.optim.swa_utils.AveragedModel(self.network.unet, multi_avg_fn=average)
        self.phases = (
            _Phase("sketch", recipe.sketch_steps, self.network.sketch, self.sketch_loss),
            _Phase("unet", recipe.steps, self.network.unet, self.unet_loss),
        )
        self.done: dict[str, int] = {}
        self.seconds = 0.0
        self._optimiser_state: dict[str, Any] = {}
        self._resume()

    def sketch_loss(self, generator: torch.Generator) -> Tensor:
        """Squared error of the sketch against the shrunk picture."""
        rows = torch.randint(len(self.clean), (self.recipe.sketch_batch,), generator=generator)
        sketch = self.network.draw_sketch(self.conditions(rows, generator))
        loss: Tensor = functional.mse_loss(sketch, self.coarse[rows])
        return loss

    def unet_loss(self, generator: torch.Generator) -> Tensor:
        """Squared error of the velocity that the predicted clean picture stands for.

        Flow matching (Lipman et al. 2023) with the clean picture predicted (Li and He 2025): the velocity is
        (clean - noisy) / (1 - t), its error that of the picture over 1 - t.
        """
        recipe = self.recipe
        rows = torch.randint(len(self.clean), (recipe.batch,), generator=generator)
        embedding, clean = self.conditions(rows, generator), self.clean[rows]
        normal = torch.randn(recipe.batch, generator=generator) * recipe.time_std + recipe.time_mean
        moment = normal.sigmoid()
        t = moment[:, None, None, None]
        noisy = t * clean + (1 - t) * torch.randn(clean.shape, generator=generator)
        with torch.no_grad():
            sketch = self.network.draw_sketch(embedding)
        error = (self.network(noisy, moment, embedding, sketch) - clean) / (1 - t).clamp(min=0.1)
        loss: Tensor = error.square().mean()
        return loss

    def conditions(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Embeddings to draw from: of the image, of the text, or mixed feature by feature."""
        n, d = len(rows), self.image.shape[1]
        kind = torch.rand(n, 1, generator=generator)
        share = torch.rand(n, 1, generator=generator)
        mixed = torch.rand(n, d, generator=generator) < share
        of_text = kind < self.recipe.text_share
        of_both = kind > 1 - self.recipe.mixed_share
        from_text = of_text | (of_both & mixed)
        chosen = torch.where(from_text, self.text[rows], self.image[rows])
        noise = torch.randn(n, d, generator=generator) * (self.recipe.noise / math.sqrt(d))
        return chosen + noise

    def run(self, checkpoint_seconds: float) -> None:
        """Train what is left of both phases."""
        for number, phase in enumerate(self.phases):
            if self.done.get(phase.name, 0) < phase.steps:
                self._run_phase(number, phase, checkpoint_seconds)

    def _run_phase(self, number: int, phase: "_Phase", checkpoint_seconds: float) -> None:
        module, steps = phase.module, phase.steps
        optimiser = torch.optim.AdamW(module.parameters(), lr=self.recipe.lr, betas=(0.9, 0.99), fused=True)
        if phase.name in self.done:
            optimiser.load_state_dict(self._optimiser_state)
        saved = logged = time.monotonic()
        for step in range(self.done.get(phase.name, 0), steps):
            # Drawn anew from the step's number, so that a resumed run goes on as if never stopped.
            generator = torch.Generator().manual_seed((self.recipe.seed * 2 + number) * 10**7 + step)
            for group in optimiser.param_groups:
                group["lr"] = self.recipe.lr * _rate(step, steps, self.recipe.decay_share)
            loss = phase.loss(generator)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            if module is self.network.unet:
                self.averaged.update_parameters(module)
            now = time.monotonic()
            if now - logged > _LOG_SECONDS:
                logged = now
                logger.info("%s step %d of %d: loss %.4f", phase.name, step + 1, steps, loss.item())
            if now - saved > checkpoint_seconds or step + 1 == steps:
                self.seconds += now - saved
                self.done[phase.name] = step + 1
                self._save(optimiser)
                saved = time.monotonic()

    def result(self) -> Network:
        """The network with its averaged U-Net."""
        network = Network(self.network.config)
        network.sketch.load_state_dict(self.network.sketch.state_dict())
        network.unet.load_state_dict(self.averaged.module.state_dict())
        return network.eval().requires_grad_(False)

    def _save(self, optimiser: torch.optim.Optimizer) -> None:
        partial = self.folder / f"{CHECKPOINT}.partial"
        state = {
            "recipe": self._identity(),
            "done": self.done,
            "spent": self.seconds,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": optimiser.state_dict(),
        }
        torch.save(state, partial)
        partial.replace(self.folder / CHECKPOINT)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        if state["recipe"] != self._identity():
            raise InputError(f"{path} comes from another recipe; train in another folder.")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.done, self.seconds = state["done"], state["spent"]
        self._optimiser_state = state["optimiser"]

    def _identity(self) -> dict[str, Any]:
        # Steps may be added to a run: until the rate comes down, nothing depends on how many there are.
        return asdict(self.recipe) | {"steps": 0}


def _rate(step: int, steps: int, decay_share: float) -> float:
    return min(1.0, (step + 1) / 100, (steps - step) / max(1.0, decay_share * steps))


def train_generator(
    out: str | Path,
    *,
    config: NetworkConfig | None = None,
    recipe: TrainingRecipe | None = None,
    checkpoint_seconds: float = 240.0,
) -> EmbeddedGenerator:
    """Train the embedded generator on OpenMoji's training concepts and measure it; about two hours.

    Parameters
    ----------
    out
        Folder for the checkpoint, from which the same call goes on after a stop, and at the end for the
        weights and the card.
    config, recipe
        Sizes and schedule; by default those of the weights that come with modalens.
    checkpoint_seconds
        Time between checkpoints.

    Returns
    -------
    EmbeddedGenerator
        As it was saved, its recognition in the card (see
        :func:`~modalens.demo.generator.recognition.measure_recognition`).

    Raises
    ------
    ModalensError
        If a package of the ``demo`` extra is missing, or the folder holds a checkpoint of another recipe.
    """
    config, recipe = config or NetworkConfig(), recipe or TrainingRecipe()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    vlm = load_vlm("demo")
    drawings = emoji_drawings(vlm, config.side)
    trainer = Trainer(drawings, config, recipe, out)
    trainer.run(checkpoint_seconds)
    encoder = vlm.card()
    generator = EmbeddedGenerator(
        trainer.result(),
        {
            "encoder": {name: encoder[name] for name in ("model", "recipe", "weights_sha256")},
            "training_data": {**drawings.source, "training_pairs": int(drawings.training.sum())},
            "terms": TERMS,
            "recipe": asdict(recipe),
            "command": f"python -m {__spec__.name} --out FOLDER --sketch-steps {recipe.sketch_steps} "
            f"--steps {recipe.steps} --seed {recipe.seed}",
            "training_seconds": round(trainer.seconds),
            "versions": versions("torch", "diffusers"),
        },
    )
    generator.save(out)
    # Measured as it will be loaded, in the precision of the file.
    saved = EmbeddedGenerator.load(out)
    measured = saved.with_card(recognition=measure_recognition(saved, vlm, drawings))
    measured.save(out)
    return measured


def main(arguments: Sequence[str] | None = None) -> None:
    """Run :func:`train_generator` from the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=train_generator.__doc__)
    default = TrainingRecipe()
    parser.add_argument("--out", required=True, help="folder for checkpoint, weights and card")
    parser.add_argument("--sketch-steps", type=int, default=default.sketch_steps)
    parser.add_argument("--steps", type=int, default=default.steps)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="processor cores to use")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(chosen.threads)
    train_generator(
        chosen.out,
        recipe=TrainingRecipe(sketch_steps=chosen.sketch_steps, steps=chosen.steps, seed=chosen.seed),
    )


if __name__ == "__main__":
    main()
