"""Pictures that a generator draws of one embedding: as it is, edited, and with random features turned instead."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from modalens.edit.saved import Edit
from modalens.errors import BusyError, InputError, ModalensError
from modalens.explore.opened import OpenedRun, OpenedSet
from modalens.explore.own import OwnSample
from modalens.explore.pair_index import CAPTION
from modalens.explore.steering import Steer, controls_of, edit_of, query_embedding, shares_of
from modalens.pairs.modality import IMAGE
from modalens.studies.text_to_image_control.config import SELF, is_unclip
from modalens.towers.base import VLM
from modalens.towers.registry import has_generator

_SCALE = 3.0
_SPACES = ("projected", "token")
Draw = Callable[[list[Edit | None]], list[Image.Image]]


@dataclass(frozen=True)
class _Made:
    """A generator that was loaded for a run's model."""

    vlm: VLM
    generator: Any


class Drawer:
    """What draws for an explorer, one request at a time.

    Parameters
    ----------
    name
        ``self``, the generator that was trained on a run's embeddings, or a pipeline by hub id or folder.
    device
        Where a pipeline draws.
    """

    def __init__(self, name: str = SELF, device: str | None = None) -> None:
        self._name, self._device = name, device
        self._drawing = Lock()
        self._made: dict[str, _Made] = {}

    def draws(self, run: OpenedRun) -> bool:
        """Whether a run has what draws, as far as can be told without loading it."""
        manifest = run.store.manifest
        model = "" if manifest is None else str(manifest.model.get("model", ""))
        return run.store.modalities[0] == IMAGE.name and (self._name != SELF or has_generator(model))

    def draw(self, run: OpenedRun, opened: OpenedSet, steer: Steer, query: int | OwnSample) -> dict[str, Any]:
        """Draw an embedding before and after an edit, and after one of random features of equal energy.

        Returns
        -------
        dict
            ``pictures``, before, after and, where there are other features, control, as ``data:`` addresses;
            ``moved``, 1 - cosine of the picture of before with each other in the run's own embeddings; ``generator``,
            its name; ``prompt``, of one that draws from words; ``features``, how many are turned, and ``control``; and
            what share of the energy they hold, see :func:`modalens.explore.steering.shares_of`.

        Raises
        ------
        BusyError
            If it draws already.
        ModalensError
            If there is nothing that draws, or it does not fit the run.
        """
        if not self.draws(run):
            raise InputError(
                f"Nothing draws from the embeddings of {run.key}; start modalens explore with --generator MODEL."
            )
        chosen = steer.chosen(opened)
        controls = controls_of(opened, chosen, steer.side)[:1]
        edits = [None, *(edit_of(opened, features, steer) for features in (chosen, *controls))]
        if not self._drawing.acquire(blocking=False):
            raise BusyError("A picture is being drawn already; wait for it to end.")
        try:
            made = self._loaded(run)
            prompt = _prompt(opened, query)
            draw, words = _drawing_of(made, query_embedding(opened, steer.side, query), steer, prompt)
            pictures = draw(list(edits))
            with run.working:
                embedded = np.concatenate([made.vlm.embed_images([picture]) for picture in pictures])
        finally:
            self._drawing.release()
        names = ("before", "after", "control")[: len(pictures)]
        unit = embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-30)
        return {
            "pictures": {name: _address(each) for name, each in zip(names, pictures, strict=True)},
            "moved": {name: float(1 - unit[0] @ unit[place]) for place, name in enumerate(names)},
            "generator": getattr(made.generator, "name", self._name),
            "prompt": words,
            "side": steer.side,
            "features": len(chosen),
            **shares_of(opened, chosen, controls, steer.side),
            "control": len(controls[0]) if controls else 0,
        }

    def _loaded(self, run: OpenedRun) -> _Made:
        with run.working:
            vlm = run.vlm()
        made = self._made.get(run.key)
        if made is None or made.vlm is not vlm:
            made = self._made[run.key] = _Made(vlm, self._load(run, vlm))
        return made

    def _load(self, run: OpenedRun, vlm: VLM) -> Any:
        if self._name == SELF:
            generator = vlm.generator()
            if generator is None:
                raise InputError(
                    f"No generator was trained on the embeddings of {vlm.name}, or diffusers is missing (pip install "
                    "'modalens[text-to-image]'); start modalens explore with --generator MODEL."
                )
        elif is_unclip(self._name):
            from modalens.studies.text_to_image_control.unclip import load_unclip

            generator = load_unclip(self._name, device=self._device)
        else:
            return self._diffusion(vlm)
        if generator.dim != run.store.image.shape[1]:
            raise InputError(
                f"{generator.name} draws from embeddings of {generator.dim} features and the run has "
                f"{run.store.image.shape[1]}; take the generator of its model."
            )
        return generator

    def _diffusion(self, vlm: VLM) -> Any:
        """Stable Diffusion in the first space that fits the model."""
        from modalens.studies.text_to_image_control.loading import load_pipeline
        from modalens.studies.text_to_image_control.stable_diffusion import StableDiffusion

        pipeline, origin = load_pipeline(self._name, "StableDiffusionPipeline", device=self._device)
        errors: list[ModalensError] = []
        for space in _SPACES:
            try:
                return StableDiffusion(self._name, pipeline, vlm, "a picture", space=space, origin=origin)
            except ModalensError as error:
                errors.append(error)
        raise errors[0]


def _drawing_of(made: _Made, plain: np.ndarray, steer: Steer, prompt: str) -> tuple[Draw, str | None]:
    """What draws an embedding under some edits, and the words it starts from, if it does."""
    if hasattr(made.generator, "generate"):

        def embedded(edits: list[Edit | None]) -> list[Image.Image]:
            rows = [plain if edit is None else np.asarray(edit.apply(plain)) for edit in edits]
            found: list[Image.Image] = made.generator.generate(np.concatenate(rows))
            return found

        return embedded, None
    if steer.side != "text" or not prompt:
        raise InputError(f"{made.generator.name} draws from words; edit the text of a pair or a sentence.")
    drawn = made.generator.with_prompt(prompt)
    return (
        lambda edits: [
            drawn.draw_unedited() if edit is None else drawn.draw_changed(edit.apply) for edit in edits
        ]
    ), prompt


def _prompt(opened: OpenedSet, query: int | OwnSample) -> str:
    if isinstance(query, OwnSample):
        return query.shown if query.side == "text" else ""
    return opened.pairs.values(CAPTION, np.array([query]))[0] or ""


def _address(picture: Image.Image) -> str:
    preview = IMAGE.preview(picture, _SCALE)
    return f"data:{preview.mime};base64,{b64encode(preview.data).decode()}"
