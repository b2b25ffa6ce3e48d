"""Planted features that carry an attribute are found steerable, random directions are not."""

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from modalens.errors import ModalensError
from modalens.studies.result import StudyResult
from modalens.studies.steering.classes import ENDS, RETRIEVAL
from modalens.studies.steering.config import SteerConfig
from modalens.studies.steering.effects import Effects, Tested, alike_in_energy, rank_p, steerable
from modalens.studies.steering.sentences import statements
from modalens.studies.steering.words import caption_labels

N, D, LABELS, PLANTED, EMPTY = 400, 32, 4, 8, 32
QUICK = {"random_directions": 400, "draws": 5, "seed": 1}


class World:
    """Pairs of four labels; eight features add a label's direction, 32 others a random one that no label goes with."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, LABELS, N)
        basis = np.linalg.qr(rng.normal(size=(D, D)))[0]
        of_label = basis[:LABELS]
        noise = rng.normal(size=(EMPTY, D))
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        self.directions = np.vstack([np.repeat(of_label, PLANTED // LABELS, axis=0), noise])
        codes = np.zeros((2, N, PLANTED + EMPTY))
        for feature in range(PLANTED):
            fires = self.labels == feature // (PLANTED // LABELS)
            codes[:, :, feature] = fires * rng.uniform(0.2, 1.0, (2, N))
        codes[:, :, PLANTED:] = (rng.random((2, N, EMPTY)) < 0.2) * rng.uniform(0.2, 1.0, (2, N, EMPTY))
        offset = np.stack([basis[-1], -basis[-1]])[:, None]
        self.codes = codes
        self.embeddings = codes @ self.directions * 0.4 + offset + 0.05 * rng.normal(size=(2, N, D))

    def steer(self, **options: object) -> StudyResult:
        image, text = self.codes
        mds = ml.modality_dominance(image, text, resamples=0)
        both = (self.directions, self.directions)
        how = {**QUICK, **options}
        return ml.studies.steer(
            image, text, self.labels, mds, directions=both, embeddings=tuple(self.embeddings), **how
        )


@pytest.fixture(scope="module")
def found() -> StudyResult:
    world = World(0)
    return world.steer(also={"coin": np.arange(N) % 3})


def test_features_that_carry_an_attribute_are_steerable_and_others_are_not(found: StudyResult) -> None:
    table = found.tables["features"]
    planted = table[table["feature"] < PLANTED]
    assert len(planted) == 2 * 2 * PLANTED
    assert planted["steerable"].mean() > 0.9
    assert (planted["label"].astype(int) == planted["feature"] // (PLANTED // LABELS)).all()
    assert (planted["beyond_energy_low"] > 0).all()
    assert table[table["feature"] >= PLANTED]["steerable"].mean() < 0.1
    random = found.tables["shares"].query("of == 'random directions'")
    assert random["share"].max() <= 0.05


def test_random_directions_are_steerable_within_the_error_rate() -> None:
    shares = pd.concat([World(seed).steer().tables["shares"] for seed in range(1, 4)])
    random = shares.query("of == 'random directions'")
    # With a false-discovery rate of 5 % most tables have none.
    assert random["steerable"].sum() <= 0.05 * random["number"].sum()


def test_response_grows_with_the_dose_and_the_rest_is_told(found: StudyResult) -> None:
    doses = found.tables["doses"]
    zero_shot = doses.query(
        "side == 'image' and of == 'steerable features' and measure == 'zero-shot classes'"
    )
    assert zero_shot["value"].is_monotonic_increasing
    assert zero_shot["value"].iloc[-1] > 0.8
    assert (zero_shot["value_low"] <= zero_shot["value"]).all()
    assert {"retrieved", "kept", "changed coin"} <= set(doses["measure"])
    kept = doses.query("of == 'features' and measure == 'kept'")
    assert kept["value"].max() <= 0.01
    assert (doses["value_low"] <= doses["value_high"]).all()
    assert doses["value_high"].max() <= 1 + 1e-9  # shares are ratios in every resample
    said = " ".join(found.statements)
    assert "of as many random directions" in said
    assert "changed coin" in said
    assert "share_low" in found.tables["shares"]


def test_classes_stand_beside_equal_energy_and_equal_norm(found: StudyResult) -> None:
    classes = found.tables["classes"]
    assert set(classes["gain"]) == {0.0, 2.0, 4.0}
    assert set(classes["measure"]) == {"zero_shot", "probe", "retrieval", "gap"}
    told = classes[classes["measure"] != "gap"]
    assert told[["random_energy", "random_norm", "value_low", "detectable_norm"]].notna().all().all()


def test_dimensions_are_steered_where_no_directions_are_given() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 200)
    image, text = rng.normal(size=(2, 200, 10)) * 0.3
    image[:, 0] += labels
    text[:, 0] += labels
    mds = ml.modality_dominance(image, text, resamples=0)
    table = ml.studies.steer(image, text, labels, mds, **QUICK).tables["features"]
    best = table[table["side"] == "image"].groupby("feature")["association"].max().idxmax()
    assert best == 0
    with pytest.raises(ModalensError, match="do not fit 10 features"):
        ml.studies.steer(image, text, labels, mds, directions=(np.eye(9), np.eye(9)), **QUICK)
    with pytest.raises(ModalensError, match="doses must be at least one, ascending"):
        ml.studies.steer(image, text, labels, mds, doses=(1.0, 0.5))


def test_ranks_and_controls() -> None:
    assert rank_p(np.array([0.5, 3.0]), np.arange(4.0)).tolist() == [0.8, 0.4]
    beside = alike_in_energy(np.arange(10.0), 2, 0)
    assert beside.shape == (10, 2)
    assert (beside != np.arange(10)[:, None]).all()
    assert np.abs(beside - np.arange(10)[:, None]).max() <= 6


def test_a_share_of_none_has_an_interval() -> None:
    """Where no resample finds any direction, resamples tell nothing of how many there may be."""
    none, random = np.zeros(100), np.arange(50.0)
    found = Tested(
        Effects(np.zeros((100, 5)), np.ones((100, 5)), np.zeros((100, 2)), none),
        random,
        none,
        np.zeros((100, 20)),
        np.tile(random[:, None], 20),
        np.zeros((100, 20)),
    )
    share = steerable(found)
    assert share.value == 0
    assert share.low == pytest.approx(0, abs=1e-12)
    assert share.high == pytest.approx(0.037, abs=0.001)


def test_labels_from_captions() -> None:
    captions = ["a dog runs"] * 20 + ["a cat sits"] * 20 + ["a dog and a cat"] * 5 + ["snow"] * 55
    found = caption_labels(captions, 2)
    assert set(found[:20]) == {"dog"} or set(found[:20]) == {"runs"}
    assert found[-1] is None
    assert caption_labels(["", "12"], 3).tolist() == [None, None]


def test_one_feature_is_spoken_of_as_one() -> None:
    numbers = {"whole": 0.2, "value": 0.2, "value_low": 0.1, "value_high": 0.3}
    tests = {f"{name}{end}": 0.5 for name in ("random", "q", "detectable") for end in ENDS}
    row = {"features": 1, "class": "cross", "gain": 4.0, "measure": RETRIEVAL, **numbers, **tests}
    shares, doses = pd.DataFrame(columns=["side", "reader"]), pd.DataFrame(columns=["dose", "side"])
    said = list(statements(shares, doses, pd.DataFrame([row]), SteerConfig()))
    assert said[0].startswith("With the 1 cross feature times 4 ")
