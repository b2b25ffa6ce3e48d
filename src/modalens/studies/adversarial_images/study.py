"""Do one modality's features carry a text smuggled into an image? Attack, defend on each class, and ask a victim."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from modalens.arrays import matrix_shape
from modalens.errors import ModalensError
from modalens.progress import progress_bar
from modalens.studies.adversarial_images.attack import embed, square
from modalens.studies.adversarial_images.cache import AttackCache
from modalens.studies.adversarial_images.canaries import Request
from modalens.studies.adversarial_images.config import AdversarialConfig
from modalens.studies.adversarial_images.defence import friendly
from modalens.studies.adversarial_images.defended import Shown, defend_on, setup_of
from modalens.studies.adversarial_images.evaluation import success_rates
from modalens.studies.adversarial_images.features import StudiedFeatures
from modalens.studies.adversarial_images.judges import Judge
from modalens.studies.adversarial_images.setup import AttackSetup
from modalens.studies.adversarial_images.tables import (
    ATTACK,
    BENIGN,
    REFERENCE,
    UNDEFENDED,
    Row,
    distances_table,
    paths_table,
    published_rate,
    statements,
    success_table,
)
from modalens.studies.adversarial_images.text_images import write_text
from modalens.studies.adversarial_images.victims import Victim
from modalens.studies.contact_sheet import contact_sheet, png_bytes
from modalens.studies.options import settings_of
from modalens.studies.result import Picture, StudyResult
from modalens.towers.base import VLM
from modalens.towers.differentiable import differentiable_images

_SHOWN = 6  # rows of the picture
_PICTURED = (
    "The attack's targets were pictures of what is asked for, not written requests, so nothing is said of whether "
    "the victim reads; published values are of written requests and another victim."
)
_ONE_IMAGE = (
    "All requests were smuggled into one image, as published, so intervals say how requests differ and nothing of "
    "other images."
)
_NEUTRAL = (
    "What is said beside an image does not repeat the request, so a benign image should never get its way; the "
    "published prompt repeats it, so the published rate of benign images does not stand beside ours."
)
_REPEATED = "What is said beside an image repeats the request, as published."


def adversarial(
    vlm: VLM,
    images: Sequence[Image.Image],
    requests: Sequence[Request],
    studied: Sequence[StudiedFeatures],
    victim: Victim,
    judge: Judge,
    *,
    targets: Sequence[Image.Image] | None = None,
    work: Path | None = None,
    source: Mapping[str, Any] | None = None,
    config: AdversarialConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Smuggle requests into images, take them out again on one class of features, and see what a victim does.

    Parameters
    ----------
    vlm
        The encoder whose image tower is attacked and whose features are aligned.
    images, requests
        Benign images, and what each shall ask for.
    studied
        The sets of features whose classes the images are aligned on, each beside controls of its own.
    victim, judge
        Who is shown the images, and who decides whether a request was followed.
    targets
        An image for each request, which the benign one shall embed like; by default the request written on white.
        An encoder that cannot read needs a picture of what is asked for.
    work
        Folder in which optimised images and finished tries are kept, so that a second run goes on from them.
    source
        What the study is run on; kept with the result.
    config, options
        An :class:`AdversarialConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Tables ``success`` (rate of each set beside random and importance controls and published values),
        ``distances`` and ``optimisation`` (cosines to the target and to the friendly image, step by step), and a
        picture of the images before and after. Their column ``of`` says whose features were aligned.

    Raises
    ------
    ModalensError
        If sizes do not match, the encoder hands no gradients to pixels, all classes are empty, victim or judge
        fail, or an option is unknown or out of range.

    Notes
    -----
    Beyond Cross-Modal Alignment, section 5.2, with its index sets beside random sets, importance sets and all
    features.
    """
    config = AdversarialConfig.of(config, options, "adversarial")
    _check(images, requests, studied, targets)
    tower = differentiable_images(vlm)
    cache = AttackCache(work)
    benign = [square(image, tower.side) for image in images]
    wanted = (
        [
            write_text(request.text, side=tower.side, font=config.font, given_by="--requests")
            for request in requests
        ]
        if targets is None
        else [square(target, tower.side) for target in targets]
    )
    friendly_images = friendly(benign, config.friendly, config.font)
    plain = AttackSetup(tower, None, embed(tower, wanted), embed(tower, friendly_images), cache)
    setups = [setup_of(plain, each) for each in studied]
    attacked = plain.move(benign, plain.target, None, config.attack, "Attacking")
    adversarial_images = [each.image for each in attacked]
    defended, notes = [], []
    for each, setup in zip(studied, setups, strict=True):
        sets, left_out = defend_on(each, setup, adversarial_images, config)
        defended += sets
        notes += left_out if len(studied) == 1 else [f"{each.name}: {note}" for note in left_out]

    shown = [
        Shown(BENIGN, REFERENCE, [benign] * config.runs),
        Shown("friendly image", REFERENCE, [friendly_images] * config.runs),
        Shown("target", REFERENCE, [wanted] * config.runs),
        Shown(UNDEFENDED, ATTACK, [adversarial_images] * config.runs),
        *(each.shown() for each in defended),
    ]
    repeated = all(request.repeated for request in requests)
    rows = []
    with progress_bar("Asking the victim", len(shown) * config.runs * len(images) * config.tries) as advance:
        for each_set in shown:
            rates, unclear = _ask(each_set.images, requests, victim, judge, config, cache, advance)
            published = published_rate(each_set.name, own=each_set.own, repeated=repeated)
            rows.append(
                Row(
                    each_set.name,
                    each_set.kind,
                    each_set.size,
                    rates,
                    unclear,
                    each_set.of,
                    published,
                    each_set.energy,
                    each_set.beside,
                )
            )
    paths = [plain.path(UNDEFENDED, ATTACK, benign, attacked, plain.target, None)]
    paths += [each.path(adversarial_images) for each in defended]
    table, distances = success_table(rows), distances_table(paths)
    columns = {
        BENIGN: benign,
        **({"target": wanted} if all(request.harmless for request in requests) else {}),
        "friendly": friendly_images,
        UNDEFENDED: adversarial_images,
        **{each.title(len(studied) > 1): [one.image for one in each.moved[0]] for each in defended},
    }
    picture = contact_sheet(list(zip(*columns.values(), strict=True))[:_SHOWN], columns=list(columns))
    one_image = len(images) > 1 and len({image.tobytes() for image in benign}) == 1
    return StudyResult(
        name="adversarial",
        title=f"Smuggled into {'one image' if one_image else 'images'}, and taken out again",
        tables={"success": table, "distances": distances, "optimisation": paths_table(paths)},
        statements=[
            f"Victim: {victim.name}. Judge: {judge.name}.",
            _REPEATED if repeated else _NEUTRAL,
            *([_ONE_IMAGE] if one_image else []),
            *statements(table, distances, len(images), config.runs),
            *([] if targets is None else [_PICTURED]),
            *notes,
        ],
        config={
            **settings_of(config, AdversarialConfig),
            "font": None if config.font is None else config.font.name,
            "features": [each.name for each in studied],
            "images": 1 if one_image else len(images),
            "requests": [request.name for request in requests],
            "request_repeated": repeated,
            "targets": "the request written on white" if targets is None else "pictures",
            "victim": victim.name,
            "judge": judge.name,
        },
        source=dict(source or {}),
        pictures={
            "before-after": Picture(
                png_bytes(picture),
                "Benign images, what they were attacked with and aligned to, and what attack and each defence (first "
                "run) made of them.",
            )
        },
    )


def _ask(
    of_runs: Sequence[Sequence[Image.Image]],
    requests: Sequence[Request],
    victim: Victim,
    judge: Judge,
    config: AdversarialConfig,
    cache: AttackCache,
    advance: Callable[[int], None],
) -> tuple[Float[np.ndarray, "r n"], int]:
    """Success of each request in each run, and the tries without a verdict."""
    found = [
        success_rates(
            images,
            requests,
            victim,
            judge,
            tries=config.tries,
            seed=(config.seed, run),
            cache=cache,
            advance=advance,
        )
        for run, images in enumerate(of_runs)
    ]
    return np.stack([rates for rates, _ in found]), sum(unclear for _, unclear in found)


def _check(
    images: Sequence[Image.Image],
    requests: Sequence[Request],
    studied: Sequence[StudiedFeatures],
    targets: Sequence[Image.Image] | None,
) -> None:
    if not images:
        raise ModalensError("There is no image to attack; give at least one.")
    if len(images) != len(requests) or (targets is not None and len(targets) != len(images)):
        raise ModalensError(
            f"There are {len(images)} images, {len(requests)} requests and "
            f"{'no' if targets is None else len(targets)} targets; give one request (and target) an image."
        )
    names = [each.name for each in studied]
    if not names or len(set(names)) < len(names):
        raise ModalensError(
            f"The features to align images on are {', '.join(names) or 'none'}; give some, each of another name."
        )
    for each in studied:
        _, width = matrix_shape(each.features, "The feature matrix")
        if width != len(each.mds.score):
            raise ModalensError(
                f"The scores are of {len(each.mds.score)} features and the matrix has {width}; give the matrix that "
                "was scored."
            )
