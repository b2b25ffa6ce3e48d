"""Time of every study on a synthetic run of 2,000 pairs x 512 dimensions, with a sparse autoencoder of 512 features.

Run ``python -m benchmarks.studies`` for a table in Markdown, one row a study and representation. Time is that of the
processors, of this process and those it starts, since a shared machine's clock says little; a study that does not
apply to such a run is listed with its reason.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modalens import Run
from modalens.errors import ModalensError
from modalens.studies.registry import Study, find_study, study_names

PAIRS, WIDTH, FEATURES, ACTIVE = 2000, 512, 512, 8
LIMIT = 300
_TOPICS, _CATEGORIES, _CAPTIONS = 64, 12, 5
_PLACES = ("street", "park", "beach", "kitchen", "mountain", "river", "garden", "station")


def make_run(folder: Path, pairs: int) -> None:
    """Embeddings of pairs that share topics, in two cones, with captions, categories and genders."""
    rng = np.random.default_rng(0)
    topics = rng.standard_normal((_TOPICS, WIDTH)) / np.sqrt(WIDTH)
    cones = rng.standard_normal((2, WIDTH)) / np.sqrt(WIDTH)
    of_image = np.arange(pairs) // _CAPTIONS
    shown = rng.integers(0, _TOPICS, (of_image[-1] + 1, 3))[of_image]
    common = topics[shown].sum(axis=1)
    for name, cone in zip(("img_emb", "text_emb"), cones, strict=True):
        noise = rng.standard_normal((pairs, WIDTH)) / np.sqrt(WIDTH)
        matrix = common + cone + 0.7 * (noise[of_image * _CAPTIONS] if name == "img_emb" else noise)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        (folder / name).mkdir(parents=True)
        np.save(folder / name / f"{name}_0.npy", matrix.astype(np.float32))
    gender = np.array(["man", "woman"])[shown[:, 1] % 2]
    rows = {
        "image_path": [f"{each}.jpg" for each in of_image],
        "caption": [
            f"two {who}s of group {topic} near the old {_PLACES[topic % 8]} number {row}"
            for row, (who, topic) in enumerate(zip(gender, shown[:, 0].tolist(), strict=True))
        ],
        "category": [f"category {each}" for each in shown[:, 0] % _CATEGORIES],
        "gender": gender,
    }
    (folder / "metadata").mkdir()
    pd.DataFrame(rows).to_parquet(folder / "metadata/metadata_0.parquet")


def representations_of(study: Study, learned: str) -> list[str | None]:
    """What a study is timed on: each set of features, or all together."""
    return [None] if study.together else ["raw", learned]


def spent(work: Callable[[], Any]) -> float:
    """Processors' seconds that a call takes."""
    before = _clock()
    work()
    return _clock() - before


def _clock() -> float:
    import resource

    used = (resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pairs", type=int, default=PAIRS)
    options.add_argument("--steps", type=int, default=500, help="of the autoencoder")
    options.add_argument("--study", action="append", choices=study_names(), help="only this; may be repeated")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        make_run(folder, given.pairs)
        run = Run.open(folder)
        run.score()
        run.train("sae", n_features=FEATURES, k=ACTIVE, steps=given.steps)
        run.interpret(image_embedder="own", text_embedder="own")
        (learned,) = [name for name in run.representations if name != "raw"]
        print(f"| study | features | processors' seconds | within {LIMIT / 60:.0f} minutes on two cores |")
        print("| --- | --- | --: | --- |")
        for name in given.study or study_names():
            study = find_study(name)
            for features in representations_of(study, learned):
                print(_row(run, name, features), flush=True)


def _row(run: Run, name: str, features: str | None) -> str:
    started = time.perf_counter()
    try:
        seconds = spent(lambda: run.study(name, features=features, baselines=False))
    except ModalensError as error:
        return f"| {name} | {features or 'all'} | | does not apply: {str(error).split('; ')[0]} |"
    print(f"{name} {features}: {time.perf_counter() - started:.0f} s by the clock", file=sys.stderr)
    # What all processors take together is more than what the slower of two takes.
    return f"| {name} | {features or 'all'} | {seconds:.0f} | {'yes' if seconds < LIMIT else 'NO'} |"


if __name__ == "__main__":
    main()
