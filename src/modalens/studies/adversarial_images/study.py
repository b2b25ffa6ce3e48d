"""Do one modality's features carry a text smuggled into an image? Attack, defend on each class, and ask a victim."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from modalens.arrays import Matrix, matrix_shape
from modalens.dominance.result import Dominance
from modalens.errors import ModalensError
from modalens.progress import progress_bar
from modalens.studies.adversarial_images.attack import Encode, Optimised, embed, square
from modalens.studies.adversarial_images.cache import AttackCache
from modalens.studies.adversarial_images.canaries import Request
from modalens.studies.adversarial_images.config import AdversarialConfig
from modalens.studies.adversarial_images.defence import friendly
from modalens.studies.adversarial_images.evaluation import success_rates
from modalens.studies.adversarial_images.judges import Judge
from modalens.studies.adversarial_images.sets import index_sets
from modalens.studies.adversarial_images.setup import AttackSetup
from modalens.studies.adversarial_images.tables import (
    ATTACK,
    BENIGN,
    REFERENCE,
    UNDEFENDED,
    Row,
    distances_table,
    paths_table,
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


def adversarial(
    vlm: VLM,
    images: Sequence[Image.Image],
    requests: Sequence[Request],
    features: Matrix,
    mds: Dominance,
    victim: Victim,
    judge: Judge,
    *,
    targets: Sequence[Image.Image] | None = None,
    encode: Encode | None = None,
    labels: Sequence[Any] | np.ndarray | None = None,
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
    features
        Image features (m, f) that importance is measured on: those that ``mds`` scores.
    mds
        Dominance scores of these features.
    victim, judge
        Who is shown the images, and who decides whether a request was followed.
    targets
        An image for each request, which the benign one shall embed like; by default the request written on white.
        An encoder that cannot read needs a picture of what is asked for.
    encode
        From embeddings to features, with gradients; None where the features are the embeddings' own.
    labels
        A label a row of ``features``, for the control of largest F-score; left out without them.
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
        picture of the images before and after.

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
    _check(images, requests, features, mds, targets)
    tower = differentiable_images(vlm)
    cache = AttackCache(work)
    benign = [square(image, tower.side) for image in images]
    wanted = (
        [write_text(request.text, side=tower.side, font=config.font) for request in requests]
        if targets is None
        else [square(target, tower.side) for target in targets]
    )
    friendly_images = friendly(benign, config.friendly, config.font)
    mds = mds.with_rule(config.rule)
    sets, notes = index_sets(features, mds, labels, config.runs, config.seed)
    setup = AttackSetup(tower, encode, embed(tower, wanted), embed(tower, friendly_images), cache)
    if setup.width != len(mds.score):
        raise ModalensError(
            f"The encoder gives {setup.width} features and {len(mds.score)} are scored; give the function from "
            "embeddings to the features that were scored."
        )

    attacked = setup.move(benign, setup.target, None, config.attack, "Attacking", plain=True)
    adversarial_images = [each.image for each in attacked]
    defended: dict[tuple[str, int], list[Optimised]] = {}
    for each, run in ((each, run) for each in sets for run in range(config.runs)):
        defended[each.name, run] = setup.move(
            adversarial_images, setup.friendly, each.indices[run], config.defence, f"Defending on {each.name}"
        )

    shown = {
        (BENIGN, REFERENCE): [benign] * config.runs,
        ("friendly image", REFERENCE): [friendly_images] * config.runs,
        ("target", REFERENCE): [wanted] * config.runs,
        (UNDEFENDED, ATTACK): [adversarial_images] * config.runs,
    }
    for each in sets:
        shown[each.name, each.kind] = [
            [one.image for one in defended[each.name, run]] for run in range(config.runs)
        ]
    sizes = {each.name: each.size for each in sets}
    rows = []
    with progress_bar("Asking the victim", len(shown) * config.runs * len(images) * config.tries) as advance:
        for (name, kind), of_runs in shown.items():
            rates, unclear = _ask(of_runs, requests, victim, judge, config, cache, advance)
            rows.append(Row(name, kind, sizes.get(name), rates, unclear))
    paths = [setup.path(UNDEFENDED, ATTACK, benign, attacked, setup.target, None, plain=True)]
    paths += [
        setup.path(
            each.name, each.kind, adversarial_images, defended[each.name, 0], setup.friendly, each.indices[0]
        )
        for each in sets
    ]
    table, distances = success_table(rows), distances_table(paths)
    columns = {
        BENIGN: benign,
        **({"target": wanted} if all(request.harmless for request in requests) else {}),
        "friendly": friendly_images,
        UNDEFENDED: adversarial_images,
        **{each.name: [one.image for one in defended[each.name, 0]] for each in sets},
    }
    picture = contact_sheet(list(zip(*columns.values(), strict=True))[:_SHOWN], columns=list(columns))
    return StudyResult(
        name="adversarial",
        title="Smuggled into an image, and taken out again",
        tables={"success": table, "distances": distances, "optimisation": paths_table(paths)},
        statements=[
            f"Victim: {victim.name}. Judge: {judge.name}.",
            *statements(table, distances, len(images), config.runs),
            *([] if targets is None else [_PICTURED]),
            *notes,
        ],
        config={
            **settings_of(config, AdversarialConfig),
            "font": None if config.font is None else config.font.name,
            "images": len(images),
            "requests": [request.name for request in requests],
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
    features: Matrix,
    mds: Dominance,
    targets: Sequence[Image.Image] | None,
) -> None:
    if not images:
        raise ModalensError("There is no image to attack; give at least one.")
    if len(images) != len(requests) or (targets is not None and len(targets) != len(images)):
        raise ModalensError(
            f"There are {len(images)} images, {len(requests)} requests and "
            f"{'no' if targets is None else len(targets)} targets; give one request (and target) an image."
        )
    _, width = matrix_shape(features, "The feature matrix")
    if width != len(mds.score):
        raise ModalensError(
            f"The scores are of {len(mds.score)} features and the matrix has {width}; give the matrix that was scored."
        )
