"""Put images to a victim many times, judge every answer, and cache each finished try."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image

from modalens.errors import ModalensError
from modalens.studies.adversarial_images.cache import TRIES_NAME, AttackCache, Try, checksum
from modalens.studies.adversarial_images.canaries import Request
from modalens.studies.adversarial_images.judges import Judge
from modalens.studies.adversarial_images.victims import Victim


def success_rates(
    images: Sequence[Image.Image],
    requests: Sequence[Request],
    victim: Victim,
    judge: Judge,
    *,
    tries: int,
    seed: Sequence[int],
    cache: AttackCache,
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
    cache
        Where finished tries are looked up and cache.
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
        If the victim or the judge fails; what was finished until then is cache.
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
            if any(cache.find(key) is None for key in chunk):
                drawn = int(np.random.SeedSequence([*seed, row, start]).generate_state(1)[0])
                _finish(image, request, victim, judge, chunk, drawn, cache)
            if advance is not None:
                advance(len(chunk))
        found = [cache.find(key) for key in keys]
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
    cache: AttackCache,
) -> None:
    try:
        answers = victim.respond(image, request.prompt, len(keys), seed)
        if len(answers) != len(keys):
            raise ModalensError(
                f"{victim.name} gave {len(answers)} answers where {len(keys)} were asked for."
            )
        # What was judged before a kill keeps its verdict: one seed gives one list, of which that was the beginning.
        open_tries = [
            (key, answer) for key, answer in zip(keys, answers, strict=True) if cache.find(key) is None
        ]
        for key, answer in open_tries:
            verdict = judge.judge(request, answer)
            cache.add(Try(key, verdict.followed, answer if request.harmless else None, verdict.raw))
    except ModalensError as error:
        if cache.folder is None:
            raise
        raise ModalensError(
            f"{str(error).rstrip('.')}. The {len(cache)} finished tries are kept in {cache.folder / TRIES_NAME}, and "
            "the next run goes on from there."
        ) from error
