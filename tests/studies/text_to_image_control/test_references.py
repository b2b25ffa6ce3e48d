import numpy as np
from PIL import Image

from modalens.studies.text_to_image_control.references import choose_references, of_the_kind
from modalens.studies.text_to_image_control.retrieval import RetrievalGenerator, generator_of
from tests.studies.text_to_image_control.planted import F, PlantedGenerator, PlantedVLM


def test_references_are_of_as_many_kinds_as_there_are():
    kinds = ["flag"] * 50 + ["food"] * 3 + ["face"] + [None] * 2
    chosen = choose_references(kinds, 6)
    assert len(set(chosen)) == 6
    counts = {kind: sum(kinds[place] == kind for place in chosen) for kind in ("flag", "food", "face", None)}
    assert counts["face"] == 1
    assert min(counts.values()) >= 1
    assert max(counts.values()) == 2
    assert choose_references(kinds, 6).tolist() == chosen.tolist()
    assert choose_references(kinds, 6, seed=1).tolist() != chosen.tolist()
    assert choose_references(["a", "b"]).tolist() == [0, 1]


def test_another_encoder_gets_retrieved_pictures():
    found = generator_of(PlantedVLM(), np.eye(F), lambda row: Image.new("RGB", (4, 4)), "dots")
    assert isinstance(found, RetrievalGenerator)
    assert found.card()["source"] == "dots"


def test_the_generator_of_an_encoder_is_the_one_it_names():
    class Encoder(PlantedVLM):
        def generator(self):
            return PlantedGenerator()

    found = generator_of(Encoder(), np.eye(F), lambda row: Image.new("RGB", (4, 4)))
    assert isinstance(found, PlantedGenerator)


def test_references_are_of_the_kind_that_the_prompt_names():
    columns = {
        "subgroup": ["animal-mammal", "country-flag", "animal-bird", None, "animal-marine"],
        "caption": ["two horses", "flag: Norway", "eagle", "horse racing", "a fish"],
    }
    name, places = of_the_kind("Please draw an animal", columns)
    assert (name, places.tolist()) == ("subgroup", [0, 2, 4])
    name, places = of_the_kind("a horse", columns)
    assert (name, places.tolist()) == ("caption", [0, 3])
    assert of_the_kind("an eagle", columns)[1].tolist() == []  # one picture is no kind
    assert of_the_kind("an eagle", columns, least=1)[1].tolist() == [2]
    for prompt in ("a spaceship", "Please draw", ""):
        assert of_the_kind(prompt, columns)[0] is None
    assert of_the_kind("grass", {"caption": ["green grass", "a gras"]}, least=1)[1].tolist() == [0]
