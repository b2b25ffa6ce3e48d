"""Move the pixels of images until their embeddings come near others: the engine of attack and of defence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image, ImageOps
from torch import Tensor

from modalens.edit import distance
from modalens.errors import ModalensError
from modalens.studies.adversarial_images.config import AdversarialConfig, Optimisation
from modalens.towers.compute import map_batches
from modalens.towers.differentiable import DifferentiableImages

_RECORDS = 10  # at most so many embeddings along the way, and the last
_BATCH = 16  # on a GPU

# From embeddings to the features that are compared; both (n, ...), gradients flow through.
Encode = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Optimised:
    """What became of one image.

    Attributes
    ----------
    image
        With 8 bits a value, as it is shown to a victim.
    steps
        Steps at which its embedding was recorded, 0 and the last among them, (s,).
    embeddings
        The embeddings there, (s, d); the last is that of ``image``.
    """

    image: Image.Image
    steps: Int[np.ndarray, " s"]
    embeddings: Float[np.ndarray, "s d"]


def attack(
    tower: DifferentiableImages,
    images: Sequence[Image.Image],
    targets: Sequence[Image.Image],
    config: Optimisation | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Optimised]:
    """Make images embed like others while they go on looking as they do, if the budget is small.

    Parameters
    ----------
    tower
        Under attack.
    images
        To start from: RGB, all of one size (:func:`square`).
    targets
        One an image: what it shall embed like, such as a text written on white.
    config
        How; by default that of the study.
    advance
        Called with the number of images done.

    Raises
    ------
    ModalensError
        If there is not one target an image, or the images differ in size.

    Notes
    -----
    min over pixels of || F(image) - F(target) ||_2 (Shayegani et al. 2024).
    """
    config = config or AdversarialConfig().attack
    return approach(tower, images, embed(tower, targets), None, config, advance=advance)


def approach(
    tower: DifferentiableImages,
    images: Sequence[Image.Image],
    target: Float[np.ndarray, "n d"],
    indices: Int[np.ndarray, " k"] | None,
    config: Optimisation,
    *,
    encode: Encode | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Optimised]:
    """Move images towards embeddings, on some features only.

    Parameters
    ----------
    tower, images, config, advance
        As for :func:`attack`.
    target
        Where to, a row an image.
    indices
        The features that are compared; None for all.
    encode
        From embeddings to features; None where the features are the embeddings' own.

    Raises
    ------
    ModalensError
        If there is not one target an image, the images differ in size, or an index is out of range.
    """
    if len(images) != len(target):
        raise ModalensError(f"There are {len(images)} images and {len(target)} targets; give one each.")
    if len({image.size for image in images}) > 1:
        raise ModalensError("The images differ in size; bring them to one size first.")
    # On the CPU a batch is no faster than its images one by one, and these keep every core busy.
    size = 1 if tower.device.type == "cpu" else _BATCH
    batches = [slice(start, start + size) for start in range(0, len(images), size)]

    def run(rows: slice) -> list[Optimised]:
        goal = torch.from_numpy(np.ascontiguousarray(target[rows], dtype=np.float32))
        done = _optimise(tower, images[rows], goal, indices, config, encode or _itself)
        if advance is not None:
            advance(len(done))
        return done

    return [each for batch in map_batches(run, batches, tower.device) for each in batch]


def embed(tower: DifferentiableImages, images: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
    """Embeddings of RGB images through the differentiable path."""
    with torch.no_grad():
        rows = [tower.embed(to_pixels([image])) for image in images]
    return torch.cat(rows).numpy()


def square(image: Image.Image, side: int) -> Image.Image:
    """The centre square of an image, in RGB and with ``side`` pixels."""
    return ImageOps.fit(image.convert("RGB"), (side, side), method=Image.Resampling.BICUBIC)


def to_pixels(images: Sequence[Image.Image]) -> Float[Tensor, "n 3 h w"]:
    """RGB images of one size with values in [0, 1]."""
    values = np.stack([np.asarray(image.convert("RGB")) for image in images])
    return torch.from_numpy(values).permute(0, 3, 1, 2).float() / 255


def to_images(pixels: Float[Tensor, "n 3 h w"]) -> list[Image.Image]:
    """The images nearest to pixels in [0, 1]."""
    values = (pixels.detach() * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(value) for value in values]


def _optimise(
    tower: DifferentiableImages,
    images: Sequence[Image.Image],
    target: Float[Tensor, "n d"],
    indices: Int[np.ndarray, " k"] | None,
    config: Optimisation,
    encode: Encode,
) -> list[Optimised]:
    start = to_pixels(images)
    goal = encode(target)
    chosen = np.arange(goal.shape[1]) if indices is None else indices
    reach = 1.0 if config.budget is None else int(round(config.budget * 255, 6)) / 255
    lowest, highest = (start - reach).clamp(min=0), (start + reach).clamp(max=1)
    pixels = start.clone().requires_grad_()
    adam = torch.optim.Adam([pixels], lr=config.rate)
    best, least = start.clone(), torch.full((len(start),), torch.inf)
    every = -(-config.steps // _RECORDS)
    steps, recorded = [], []
    for step in range(config.steps + 1):
        embedded = tower.embed(pixels)
        # Not its square: with that, Adam's steps fade with the gradient, and twice the distance is left at the end.
        loss = distance(encode(embedded), goal, chosen)
        nearer = loss.detach() < least
        least = torch.where(nearer, loss.detach(), least)
        best[nearer] = pixels.detach()[nearer]
        if step == config.steps:
            break
        if step % every == 0:
            steps.append(step)
            recorded.append(embedded.detach())
        (pixels.grad,) = torch.autograd.grad(loss.sum(), pixels)
        rate = config.rate * (1 + cos(pi * step / config.steps)) / 2
        if config.optimiser == "adam":
            adam.param_groups[0]["lr"] = rate
            adam.step()
        else:
            pixels.data -= rate * pixels.grad.sign()
        pixels.data = torch.minimum(torch.maximum(pixels.data, lowest), highest)
    found = to_images(best)
    steps.append(config.steps)
    recorded.append(torch.from_numpy(embed(tower, found)))
    trajectory = torch.stack(recorded, dim=1).numpy()
    return [
        Optimised(image, np.array(steps), embeddings)
        for image, embeddings in zip(found, trajectory, strict=True)
    ]


def _itself(embedded: Tensor) -> Tensor:
    return embedded
