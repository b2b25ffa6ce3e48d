import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from PIL import Image
from scipy.stats import false_discovery_control

from modalens.dominance import modality_dominance
from modalens.dominance.result import Dominance
from modalens.errors import ModalensError
from modalens.studies.adversarial_images.attack import attack
from modalens.studies.adversarial_images.canaries import Request, canaries, repeating
from modalens.studies.adversarial_images.config import AdversarialConfig
from modalens.studies.adversarial_images.features import StudiedFeatures
from modalens.studies.adversarial_images.judges import ExactJudge, ModelJudge
from modalens.studies.adversarial_images.servers import ChatServer
from modalens.studies.adversarial_images.study import adversarial
from modalens.studies.adversarial_images.tables import Row, statements, success_table
from modalens.studies.adversarial_images.victims import DualEncoderVictim, ServerVictim
from modalens.studies.result import StudyResult
from tests.studies.adversarial_images.chat_server import chat_server, fails, says
from tests.studies.adversarial_images.linear import DIM, LinearVLM, noise

AS_ENERGETIC = tuple(f"random, energy of {name}" for name in ("image", "cross", "text"))


@pytest.fixture(scope="module")
def vlm() -> LinearVLM:
    return LinearVLM()


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(60, DIM))


@pytest.fixture(scope="module")
def mds(features: np.ndarray) -> Dominance:
    """Four features of each class by the twofold rule."""
    scale = np.repeat([4.0, 1.0, 0.25], 4)
    text = np.random.default_rng(6).normal(size=features.shape)
    return modality_dominance(features * scale, text / scale, rule="twofold")


REQUESTS = canaries()[:4]
FAST = AdversarialConfig(attack_steps=30, defence_steps=30, rate=0.03, tries=4, runs=2)
# Where it does not matter how near the images come.
FASTER = replace(FAST, attack_steps=6, defence_steps=6)


def run(vlm: LinearVLM, features: Any, mds: Dominance, **changes: Any) -> StudyResult:
    given = {
        "images": noise(4),
        "requests": REQUESTS,
        "victim": DualEncoderVictim(vlm, [each.word or "" for each in canaries()], temperature=0.3),
        "judge": ExactJudge(),
        "targets": noise(4, seed=1),
        "config": FASTER,
        **changes,
    }
    images, requests, victim, judge = (given.pop(name) for name in ("images", "requests", "victim", "judge"))
    own = StudiedFeatures(features, mds, given.pop("encode", None), given.pop("labels", None))
    studied = [own, *given.pop("beside", ())]
    return adversarial(vlm, images, requests, studied, victim, judge, **given)


@pytest.fixture(scope="module")
def plain(vlm: LinearVLM, features: np.ndarray, mds: Dominance) -> StudyResult:
    return run(vlm, features, mds)


def test_every_set_stands_beside_its_controls(vlm: LinearVLM, features: np.ndarray, mds: Dominance) -> None:
    labels = np.arange(60) % 3
    result = run(vlm, features, mds, labels=labels, config=FAST)
    table = result.tables["success"].set_index("set")
    assert list(table.index) == [
        "benign image", "friendly image", "target", "undefended",
        "image", "cross", "text", "random", *AS_ENERGETIC, "variance", "f_score", "all",
    ]  # fmt: skip
    assert (
        table.loc[["image", "cross", "text", "random", "variance", "f_score"], "features"].tolist() == [4] * 6
    )
    assert table.loc["all", "features"] == DIM
    assert table["published"].dropna().to_dict() == {
        "undefended": 0.7326, "image": 0.6271, "cross": 0.3544, "text": 0.2489, "random": 0.5428,
    }  # fmt: skip
    assert table["rate"].between(table["rate_low"], table["rate_high"]).all()
    assert table["std"].notna().all()
    compared = table.loc[["image", "cross", "text", "variance", "f_score"]]
    assert compared["p"].between(0, 1).all()
    assert np.allclose(compared["random"], table.loc["random", "rate"])
    assert np.allclose(compared["difference"], compared["rate"] - compared["random"])
    assert compared["difference"].between(compared["difference_low"], compared["difference_high"]).all()
    assert table.loc[["undefended", "random", "all"], "p"].isna().all()
    for name in ("image", "cross", "text"):
        row, control = table.loc[name], table.loc[f"random, energy of {name}"]
        assert row["random_energy"] == pytest.approx(control["rate"])
        assert row["difference_energy"] == pytest.approx(row["rate"] - control["rate"])
        assert 0 < control["energy"] <= row["energy"] * (1 + 1e-9) < 1
    assert table["p_energy"].notna().sum() == 3
    tests = table[["p", "p_energy"]].to_numpy()
    np.testing.assert_allclose(
        np.sort(table[["q", "q_energy"]].to_numpy()[~np.isnan(tests)]),
        np.sort(false_discovery_control(tests[~np.isnan(tests)])),
    )
    assert table.loc["all", "energy"] == pytest.approx(1)

    distances = result.tables["distances"].set_index("set")
    assert (distances["distance_after"] < distances["distance_before"]).all()
    assert distances.loc["undefended", "nearer"] > 4
    way = result.tables["optimisation"].set_index(["set", "step"])
    assert (
        way.loc[("undefended", 30), "cosine_to_target"]
        > 0.95
        > way.loc[("undefended", 0), "cosine_to_target"]
    )
    assert way.loc[("all", 30), "cosine_to_friendly"] > 0.9
    assert way.loc[("all", 0), "cosine_to_target"] == pytest.approx(
        way.loc[("undefended", 30), "cosine_to_target"]
    )
    assert "before-after" in result.pictures
    assert any("random ones of equal number in" in sentence for sentence in result.statements)
    assert any("random ones of equal energy in" in sentence for sentence in result.statements)


def test_learned_features_stand_beside_the_embeddings_own(
    vlm: LinearVLM, features: np.ndarray, mds: Dominance, plain: StudyResult
) -> None:
    turned = torch.linalg.qr(torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(1)))[0]
    beside = StudiedFeatures(features @ turned.numpy(), mds, lambda x: x @ turned, None, "sae")
    both = run(vlm, features, mds, beside=[beside])
    sets = ["image", "cross", "text", "random", *AS_ENERGETIC, "variance", "all"]
    table = both.tables["success"]
    assert table.groupby("of", sort=False)["set"].apply(list).to_dict() == {
        "": ["benign image", "friendly image", "target", "undefended"], "raw": sets, "sae": sets
    }  # fmt: skip
    shared = table[table["of"] != "sae"].reset_index(drop=True)
    pd.testing.assert_frame_equal(shared, plain.tables["success"])
    learned = table[table["of"] == "sae"].set_index("set")
    assert learned["published"].isna().all(), "the papers' features are the embeddings' own"
    assert np.allclose(learned.loc[["image", "text"], "random"], learned.loc["random", "rate"])
    for name in ("distances", "optimisation"):
        assert set(both.tables[name]["of"]) == {"", "raw", "sae"}
    assert any("features of sae" in each for each in both.statements)
    for bad in ([StudiedFeatures(features, mds)], [replace(beside, encode=None, name="raw")]):
        with pytest.raises(ModalensError, match="each of another name"):
            run(vlm, features, mds, beside=bad)


def test_published_benign_images_stand_only_beside_repeated_requests(
    vlm: LinearVLM, features: np.ndarray, mds: Dominance, plain: StudyResult
) -> None:
    repeated = run(vlm, features, mds, requests=repeating(REQUESTS))
    rows = [each.tables["success"].set_index("set")["published"] for each in (plain, repeated)]
    assert np.isnan(rows[0]["benign image"])
    assert rows[1]["benign image"] == 0.1
    assert rows[0]["undefended"] == rows[1]["undefended"] == 0.7326
    assert any("does not repeat the request" in each for each in plain.statements)
    assert any("repeats the request, as published" in each for each in repeated.statements)
    assert [each.config["request_repeated"] for each in (plain, repeated)] == [False, True]


def test_one_image_carries_every_request(
    vlm: LinearVLM, features: np.ndarray, mds: Dominance, plain: StudyResult
) -> None:
    result = run(vlm, features, mds, images=noise(1) * 4)
    assert result.config["images"] == 1
    assert len(result.config["requests"]) == 4
    assert any("smuggled into one image" in each for each in result.statements)
    assert not any("smuggled into one image" in each for each in plain.statements)


def test_the_rates_are_those_of_a_naive_loop(vlm: LinearVLM, features: np.ndarray, mds: Dominance) -> None:
    class Parity:
        name, at_once = "parity", 3

        def respond(self, image: Image.Image, prompt: str, n: int, seed: int = 0) -> list[str]:
            assert prompt == REQUESTS[0].prompt
            even = int(np.asarray(image).sum()) % 2 == 0
            return ["umbrella banana pineapple guitar" if even else "?"] * n

    images, targets = noise(4), noise(4, seed=1)
    result = run(vlm, features, mds, victim=Parity(), images=images, targets=targets)
    table = result.tables["success"].set_index("set")
    for name, seen in (
        ("benign image", images),
        ("target", targets),
        ("undefended", [each.image for each in attack(vlm, images, targets, FASTER.attack)]),
    ):
        assert table.loc[name, "rate"] == np.mean([int(np.asarray(image).sum()) % 2 == 0 for image in seen])


def test_p_finds_a_set_that_defends_and_not_one_like_random(rng: np.random.Generator) -> None:
    random = Row("random", "random", 4, rng.binomial(20, 0.6, size=(8, 40)) / 20, 0)
    good = Row("text", "class", 4, rng.binomial(20, 0.2, size=(8, 40)) / 20, 0)
    same = Row("image", "class", 4, rng.binomial(20, 0.6, size=(8, 40)) / 20, 0)
    table = success_table([random, good, same]).set_index("set")
    assert table.loc["text", "p"] < 0.01
    assert table.loc["image", "p"] > 0.05
    assert table.loc["text", "rate"] == pytest.approx(good.rates.mean())
    assert table.loc["text", "std"] == pytest.approx(good.rates.mean(axis=1).std(ddof=1))


def test_tries_without_a_verdict_are_counted_and_left_out() -> None:
    rates = np.array([[1.0, np.nan, 0.5], [0.0, np.nan, 0.5]])
    row = success_table([Row("undefended", "attack", None, rates, 7)]).iloc[0]
    assert (row["rate"], row["unclear"]) == (0.5, 7)
    none = success_table([Row("undefended", "attack", None, np.full((2, 2), np.nan), 7)]).iloc[0]
    assert np.isnan(none["rate"])


def test_one_seed_gives_one_result_and_it_is_kept(
    vlm: LinearVLM, features: np.ndarray, mds: Dominance, plain: StudyResult, tmp_path: Path
) -> None:
    again = run(vlm, sp.csr_array(features), mds)
    for name, table in plain.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])
    plain.save(tmp_path)
    loaded = StudyResult.load(tmp_path)
    assert list(loaded.statements) == list(plain.statements)
    assert loaded.pictures["before-after"].png == plain.pictures["before-after"].png
    other = run(vlm, features, mds, config=AdversarialConfig(**{**vars(FASTER), "seed": 1}))
    assert not other.tables["success"].equals(plain.tables["success"])


@pytest.mark.slow
def test_a_dead_victim_loses_nothing_that_was_finished(
    vlm: LinearVLM, features: np.ndarray, mds: Dominance, tmp_path: Path
) -> None:
    def quick(url: str) -> ChatServer:
        return ChatServer(url, "tiny", timeout=5, retries=1, pause=0.01)

    with chat_server(lambda call: says("yes" if len(call["messages"]) == 2 else "a pineapple")) as whole:
        address = whole.url
        judge, victim = ModelJudge(quick(address)), ServerVictim(quick(address))
        reference = run(vlm, features, mds, victim=victim, judge=judge)
    calls = len(whole.calls)

    # Each server of the test has a port of its own; a user's keeps its address.
    def parts(url: str) -> tuple[ServerVictim, ModelJudge]:
        asked, judging = ServerVictim(quick(url)), ModelJudge(quick(url))
        asked.name, judging.name = victim.name, judge.name
        return asked, judging

    answered = 0

    def dies(call: dict) -> Any:
        nonlocal answered
        answered += 1
        return fails(503) if answered > 51 else says("yes" if len(call["messages"]) == 2 else "a pineapple")

    with chat_server(dies) as dying:
        asked, judging = parts(dying.url)
        with pytest.raises(
            ModalensError, match=r"status 503.*The 25 finished tries are kept in .*tries\.jsonl"
        ):
            run(vlm, features, mds, victim=asked, judge=judging, work=tmp_path)
    with chat_server(lambda call: says("yes" if len(call["messages"]) == 2 else "a pineapple")) as alive:
        asked, judging = parts(alive.url)
        result = run(vlm, features, mds, victim=asked, judge=judging, work=tmp_path)
    assert len(alive.calls) == calls - 50
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(table, reference.tables[name])
    with chat_server([fails(500)]) as unused:
        asked, judging = parts(unused.url)
        run(vlm, features, mds, victim=asked, judge=judging, work=tmp_path)
    assert unused.calls == []
    kept = [json.loads(line) for line in (tmp_path / "tries.jsonl").read_text().splitlines()]
    assert {each["answer"] for each in kept} == {"a pineapple"}
    assert {tuple(each["raw"]) for each in kept} == {("yes",)}


def test_a_users_own_requests_leave_no_trace(
    vlm: LinearVLM, features: np.ndarray, mds: Dominance, plain: StudyResult, tmp_path: Path
) -> None:
    secret = [
        Request(f"request {row}", f"Do forbiddenthing{row}", f"Do forbiddenthing{row}", "pear")
        for row in range(4)
    ]

    class Echo:
        name, at_once = "echo", 10

        def respond(self, image: Image.Image, prompt: str, n: int, seed: int = 0) -> list[str]:
            return [f"gladly: {prompt} pear"] * n

    result = run(vlm, features, mds, requests=secret, victim=Echo(), targets=None, work=tmp_path / "work")
    result.save(tmp_path / "out")
    assert result.tables["success"]["rate"].eq(1).all()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"forbiddenthing" not in path.read_bytes(), path
    # The picture of a user's own request, written on white, is not shown either.
    shown = [Image.open(io.BytesIO(each.pictures["before-after"].png)).width for each in (result, plain)]
    assert shown[0] < shown[1]


def test_bad_studies(vlm: LinearVLM, features: np.ndarray, mds: Dominance) -> None:
    for changes, message in (
        ({"images": []}, "no image"),
        ({"images": noise(3)}, "3 images, 4 requests"),
        ({"targets": noise(3)}, "4 requests and 3 targets"),
        ({"encode": lambda x: x[:, :5]}, "gives 5 features and 12 are scored"),
    ):
        with pytest.raises(ModalensError, match=message):
            run(vlm, features, mds, **changes)
    with pytest.raises(ModalensError, match="scores are of 12 features and the matrix has 5"):
        run(vlm, features[:, :5], mds)


def test_a_class_without_members_is_left_out_and_named(vlm: LinearVLM, features: np.ndarray) -> None:
    mds = modality_dominance(features, features * np.repeat([1.0, 0.2], 6), rule="twofold")
    assert mds.counts()["text"] == 0
    result = run(vlm, features, mds)
    assert "text" not in result.tables["success"]["set"].tolist()
    assert any("No feature is of class text" in sentence for sentence in result.statements)


def test_what_is_not_tested_is_no_finding() -> None:
    def rates(rate: float) -> dict[str, float]:
        return {"rate": rate, "rate_low": rate - 0.05, "rate_high": rate + 0.05, "unclear": 0}

    beside: dict[str, float] = {}
    for end in ("", "_energy"):
        beside |= {f"random{end}": 0.8, f"difference{end}": -0.6, f"p{end}": 0.001, f"q{end}": 0.001}
        beside |= {f"difference{end}_low": -0.7, f"difference{end}_high": -0.5, f"detectable{end}": 0.1}
    own = {"of": "raw", "set": "text", "kind": "class", "features": 3, "energy": 0.1, **rates(0.2), **beside}
    rows = [
        {"of": "", "set": "undefended", "kind": "attack", **rates(0.9)},
        {"of": "", "set": "benign image", "kind": "reference", **rates(0.1)},
        own,
        {"of": "raw", "set": "largest variance", "kind": "variance", **rates(0.15)},
    ]
    distances = pd.DataFrame([{"kind": "attack", "nearer": 5.0, "largest_change": 0.2}])
    said = statements(pd.DataFrame(rows), distances, 4, 2)
    assert said[0].endswith("the pixel that moved most moved by 51 of 255 levels on average.")
    assert said[2].endswith(
        "defends better than random features of equal number or of equal energy; on as many important ones they got "
        "it in 15.0% at best, which is not tested."
    )
