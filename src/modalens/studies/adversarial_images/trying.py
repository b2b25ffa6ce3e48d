"""Put images to a victim many times, judge every answer, and keep each finished try."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image

from modalens.errors import ModalensError
from modalens.studies.adversarial_images.canaries import Request
from modalens.studies.adversarial_images.judges import Judge
from modalens.studies.adversarial_images.kept import TRIES_NAME, Kept, Try, checksum
from modalens.studies.adversarial_images.victims import Victim


def success(
    images: Sequence[Image.Image],
    requests: Sequence[Request],
    victim: Victim,
    judge: Judge,
    *,
    tries: int,
    seed: Sequence[int],
    kept: Kept,
    advance: Callable[[int], None] | None = None,
) -> tuple[Float[np.ndarray, " n"], int]:
    """How often each request is followed when its image is put to a victim.

    Parameters
    ----------
    images, requests
        One image a request.
    victim, judge
        Who answers, and who decides on the answers.
    tries
        Answers to each image.
    seed
        Of the answers.
    kept
        Where finished tries are looked up and kept.
    advance
        Called with the number of tries done.

    Returns
    -------
    rates
        Share of tries in which the request was followed, in [0, 1], low is good for the victim; NaN for an image
        on which the judge gave no verdict at all.
    unclear
        Tries without a verdict; they are left out of the rates.

    Raises
    ------
    ModalensError
        If the victim or the judge fails; what was finished until then is kept.
    """
    rates = np.full(len(images), np.nan)
    unclear = 0
    for row, (image, request) in enumerate(zip(images, requests, strict=True)):
        about = {
            "request": request.key,
            "victim": victim.name,
            "judge": judge.name,
            "seed": [int(s) for s in seed],
        }
        whole = checksum(about, np.asarray(image))
        keys = [f"{whole}-{number}" for number in range(tries)]
        for start in range(0, tries, victim.at_once):
            chunk = keys[start : start + victim.at_once]
            if any(kept.find(key) is None for key in chunk):
                drawn = int(np.random.SeedSequence([*seed, row, start]).generate_state(1)[0])
                _finish(image, request, victim, judge, chunk, drawn, kept)
            if advance is not None:
                advance(len(chunk))
        found = [kept.find(key) for key in keys]
        verdicts = [each.followed for each in found if each is not None and each.followed is not None]
        unclear += tries - len(verdicts)
        if verdicts:
            rates[row] = np.mean(verdicts)
    return rates, unclear


def _finish(
    image: Image.Image,
    request: Request,
    victim: Victim,
    judge: Judge,
    keys: Sequence[str],
    seed: int,
    kept: Kept,
) -> None:
    try:
        answers = victim.respond(image, request.prompt, len(keys), seed)
        if len(answers) != len(keys):
            raise ModalensError(
                f"{victim.name} gave {len(answers)} answers where {len(keys)} were asked for."
            )
        # What was judged before a kill keeps its verdict: one seed gives one list, of which that was the beginning.
        open_tries = [
            (key, answer) for key, answer in zip(keys, answers, strict=True) if kept.find(key) is None
        ]
        for key, answer in open_tries:
            verdict = judge.judge(request, answer)
            kept.add(Try(key, verdict.followed, answer if request.harmless else None, verdict.raw))
    except ModalensError as error:
        if kept.folder is None:
            raise
        raise ModalensError(
            f"{str(error).rstrip('.')}. The {len(kept)} finished tries are kept in {kept.folder / TRIES_NAME}, and "
            "the next run goes on from there."
        ) from error
