"""Requests whose values are of any kind: an answer, or a sentence and no fault of the explorer."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.explore.conftest import Explorer

SET = "/api/photos/sae"
STEER = {
    "features": [1, 3],
    "label": "text",
    "gain": 2,
    "side": "text",
    "row": 5,
    "own": None,
    "column": "split",
}
WRITTEN: dict[str, dict[str, Any]] = {
    "/api/photos/text": {"text": "a tea"},
    f"{SET}/steer": STEER,
    f"{SET}/retrieval": STEER,
    f"{SET}/drawn": STEER,
    f"{SET}/edits": STEER,
    f"{SET}/features/{{live}}/rating": {"answer": "both", "rater": "Ada"},
}
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 99, 1.5, 1e308, 10**30, "", "x", "\udcff", "\0", "x" * 3000, "²"),
    *([], [1.5], ["1"], [True], [-1], [99], [10**30], [[1]], {}, {"a": 1}, list(range(5000))),
)
READ = {
    f"{SET}/features": (
        *("words", "label", "verdict", "certainty", "mono", "found", "named", "sort", "descending", "start"),
    ),
    f"{SET}/features/0/samples": ("side", "start"),
    f"{SET}/pairs": ("order", "row", "place"),
    f"{SET}/map/pairs": ("column",),
    f"{SET}/ratings": ("rater",),
    f"{SET}/shared": ("image", "text"),
    "/api/compare?first=photos&first_set=sae": ("second", "second_set"),
}
WORDS = ("", "-1", "99", "1e5", "nan", "-inf", "%", "\0", "<b>", "9" * 13, "²", "__proto__", "x" * 500)
PLACES = ("-1", "99", "1e5", "%C2%B2", "%00", "..%2F..", "__proto__")


def _check(explorer: Explorer, path: str, body: bytes | None = None) -> None:
    status, head, data = explorer.ask(path, body)
    assert status < 500, (path, body, data)
    if status >= 400 and head["content-type"] == "application/json":
        assert json.loads(data)["error"].endswith("."), (path, body, data)


@pytest.mark.parametrize("path", WRITTEN)
def test_values_of_any_kind_in_what_is_sent(explorer: Explorer, path: str) -> None:
    good = WRITTEN[path]
    path = path.format(live=explorer.json(f"{SET}/features")["features"][0]["feature"])
    assert explorer.ask(path, good)[0] == 200
    for name in good:
        for odd in ODD:
            _check(explorer, path, json.dumps({**good, name: odd}).encode())
        _check(
            explorer, path, json.dumps({key: value for key, value in good.items() if key != name}).encode()
        )


@pytest.mark.parametrize("path", READ)
def test_words_of_any_kind_in_an_address(explorer: Explorer, path: str) -> None:
    for name in READ[path]:
        for word in WORDS:
            _check(explorer, f"{path}{'&' if '?' in path else '?'}{name}={quote(word)}")


@pytest.mark.parametrize(
    "path",
    [f"{SET}/features/{{}}", f"{SET}/pairs/{{}}", f"{SET}/own/{{}}", "/api/{}", "/media/photos/{}", "/{}"],
)
def test_places_that_are_none(explorer: Explorer, path: str) -> None:
    for place in PLACES:
        _check(explorer, path.format(place))
