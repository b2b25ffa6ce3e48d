"""The addresses of the explorer and what they answer."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from modalens.errors import InputError, ModalensError
from modalens.explore import comparing, layouts, rating, steering, views
from modalens.explore.drawing import Drawer
from modalens.explore.features import Query, find_features
from modalens.explore.guard import Guard
from modalens.explore.opened import OpenedRun, OpenedSet
from modalens.explore.own import OwnSample, OwnSamples
from modalens.explore.responses import answering, fixed, nowhere, response, uploading, writing
from modalens.pairs.modality import IMAGE
from modalens.report.palette import css_variables

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route


class Explorer:
    """Some opened runs, and the answers to what a page asks of them.

    Parameters
    ----------
    runs
        By key.
    drawer
        What draws pictures.
    """

    def __init__(self, runs: Mapping[str, OpenedRun], drawer: Drawer) -> None:
        self.runs, self.drawer = runs, drawer
        self.own = OwnSamples()

    def app(self, port: int, token: str) -> Guard:
        """The guarded application."""
        from starlette.applications import Starlette

        return Guard(Starlette(routes=self._routes(), exception_handlers={404: nowhere}), port, token)

    def _routes(self) -> "list[Route]":
        from starlette.routing import Route

        folder = files("modalens.explore") / "static"
        static = {each.name: each.read_bytes() for each in folder.iterdir() if each.name.count(".") == 1}
        static["palette.css"] = (
            f":root {{ color-scheme: light; {css_variables(0)} }}\n"
            f"@media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {css_variables(1)} }} }}\n"
        ).encode()
        routes = [Route("/", fixed(static.pop("index.html"), "html"))]
        routes += [Route(f"/{name}", fixed(data, name.rpartition(".")[2])) for name, data in static.items()]
        one = "/api/{run}/{name}"
        asked: list[tuple[str, Callable[[Request], Any]]] = [
            ("/api/runs", self._runs),
            ("/api/{run}", self._run),
            (f"{one}/features", self._features),
            (f"{one}/features/{{feature:int}}", self._feature),
            (f"{one}/features/{{feature:int}}/samples", self._samples),
            (f"{one}/pairs", self._place),
            (f"{one}/pairs/{{row:int}}", self._pair),
            (f"{one}/map/features", self._feature_map),
            (f"{one}/map/pairs", self._pair_map),
            (f"{one}/ratings", self._ratings),
            (f"{one}/own/{{key}}", self._explain),
            (f"{one}/shared", self._shared),
            ("/api/compare", self._compare),
        ]
        routes += [Route(path, answering(handler), methods=["GET"]) for path, handler in asked]
        written: list[tuple[str, Callable[[Request, Any], Any]]] = [
            ("/api/{run}/open", self._reopen),
            ("/api/{run}/text", self._text),
            (f"{one}/steer", self._steer),
            (f"{one}/retrieval", self._retrieval),
            (f"{one}/drawn", self._draw),
            (f"{one}/edits", self._save_edit),
            (f"{one}/features/{{feature:int}}/rating", self._rate),
        ]
        routes += [Route(path, writing(handler), methods=["POST"]) for path, handler in written]
        routes.append(Route("/api/{run}/picture", uploading(self._picture), methods=["POST"]))
        routes.append(Route("/media/{run}/{row:int}", self._media))
        routes.append(Route("/media/{run}/own/{key}", self._own_media))
        # Longer paths first, so that no name of features is taken for a part of one.
        return sorted(
            routes, key=lambda route: ("{" in route.path, -route.path.count("/"), "{name}" in route.path)
        )

    def _opened(self, request: "Request") -> tuple[OpenedRun, OpenedSet]:
        run = self._of(request.path_params["run"])
        return run, run.set(request.path_params["name"])

    def _of(self, key: str) -> OpenedRun:
        if key not in self.runs:
            raise InputError("There is no such run here; choose one of the list.")
        return self.runs[key]

    def _runs(self, request: "Request") -> Any:
        del request
        return {"runs": [{"key": each.key, "folder": str(each.layout.folder)} for each in self.runs.values()]}

    def _run(self, request: "Request") -> Any:
        run = self._of(request.path_params["run"])
        sets = run.sets
        if not sets:
            why = [f" {name}: {reason}" for name, reason in run.left_out]
            more = f" So it is with {len(why) - 1} other sets of features." if len(why) > 1 else ""
            raise InputError(f"The run {run.key} has nothing to show.{''.join(why[:1])}{more}")
        first, second = run.store.modalities
        return {
            "key": run.key,
            "stand_ins": run.layout.of_stand_ins,
            "modalities": [first, second],
            "pairs": len(run.store),
            "labels": run.pairs().labels,
            "draws": self.drawer.draws(run),
            "media": run.pictures.known,
            "sets": [
                {
                    "name": name,
                    "features": len(each.mds.score),
                    "scored": len(each.rows),
                    "split": each.scores.config.split,
                    "rule": each.mds.rule,
                    "estimator": each.mds.estimator,
                    "decoder": each.directions is not None,
                    "editable": each.learned is None or each.learned.model.has_decoder,
                    "baseline_of": each.baseline_of,
                }
                for name, each in sets.items()
            ],
            "left_out": [{"name": name, "why": why} for name, why in run.left_out],
        }

    def _features(self, request: "Request") -> Any:
        _, opened = self._opened(request)
        found = find_features(opened.index, _query(request.query_params))
        return {**found, "counts": opened.index.counts, "modalities": opened.index.modalities}

    def _feature(self, request: "Request") -> Any:
        run, opened = self._opened(request)
        found = views.feature_view(opened, request.path_params["feature"])
        for side in found["samples"].values():
            run.pictures.announce(sample["row"] for sample in side["samples"])
        return {**found, "choices": rating.choices(opened)}

    def _samples(self, request: "Request") -> Any:
        run, opened = self._opened(request)
        start = _whole(request.query_params.get("start", "0"))
        side = request.query_params.get("side", "image")
        found = views.samples_view(opened, request.path_params["feature"], side, start)
        run.pictures.announce(sample["row"] for sample in found["samples"])
        return found

    def _place(self, request: "Request") -> Any:
        _, opened = self._opened(request)
        asked = request.query_params
        place = _whole(asked["place"]) if "place" in asked else None
        row = _whole(asked["row"]) if "row" in asked else None
        return views.place_of(opened, asked.get("order", "given"), row, place)

    def _pair(self, request: "Request") -> Any:
        run, opened = self._opened(request)
        row = request.path_params["row"]
        run.pictures.announce([row])
        return views.pair_view(opened, row)

    def _explain(self, request: "Request") -> Any:
        run, opened = self._opened(request)
        sample = self.own.get(run, request.path_params["key"])
        code = views.own_code(opened.each, sample.embedding, sample.side)
        nearest = views.nearest_pairs(opened, sample.embedding)
        run.pictures.announce(pair["row"] for pairs in nearest.values() for pair in pairs)
        return {
            **_described(sample),
            **views.explained(opened.index, {sample.side: code}),
            "nearest": nearest,
        }

    def _shared(self, request: "Request") -> Any:
        run, opened = self._opened(request)
        asked = request.query_params
        samples = [self.own.get(run, asked.get(side, "")) for side in ("image", "text")]
        sides = {each.side: views.own_code(opened.each, each.embedding, each.side) for each in samples}
        if len(sides) != 2:
            raise InputError("Give a picture and a sentence.")
        return views.explained(opened.index, {side: sides[side] for side in ("image", "text")})

    def _feature_map(self, request: "Request") -> Any:
        run, opened = self._opened(request)
        with run.working:
            found = layouts.feature_layout(run, opened)
        index, features = opened.index, found["feature"]
        return {
            "of": features,
            "x": np.round(found["place"][:, 0], 4),
            "y": np.round(found["place"][:, 1], 4),
            "score": np.round(index.column("score")[features], 4),
            "label": _coded(index.column("label")[features]),
            "verdict": _coded(index.column("verdict")[features]),
            "certainty": np.round(index.column("certainty")[features], 3),
            "mono": np.round(index.column("mono")[features], 3),
            "name": _coded(index.column("name")[features], most=10**6),
        }

    def _pair_map(self, request: "Request") -> Any:
        run, opened = self._opened(request)
        with run.working:
            found = layouts.pair_layout(run, opened)
        rows = found["row"]
        places = np.searchsorted(opened.each.rows, rows)
        answer: dict[str, Any] = {
            "of": rows,
            "x": np.round(found["place"][:, 0], 4),
            "y": np.round(found["place"][:, 1], 4),
            "all": len(opened.each.rows),
            "cosine": np.round(opened.pairs.cosine[rows], 4),
            **{
                name: np.round(opened.index.pairs[name][places], 4)
                for name in ("overlap", "first", "cross", "second")
            },
        }
        column = request.query_params.get("column")
        if column is not None:
            if column not in opened.pairs.labels:
                raise InputError("The pairs have no such column.")
            answer["column"] = _coded(np.array(opened.pairs.values(column, rows), dtype=object))
        return answer

    def _ratings(self, request: "Request") -> Any:
        run, opened = self._opened(request)
        return rating.ratings(run, opened, request.query_params.get("rater"))

    def _compare(self, request: "Request") -> Any:
        asked = request.query_params
        sides = []
        for number in ("first", "second"):
            run = self._of(asked.get(number, ""))
            sides.append(comparing.Side(run, run.set(asked.get(f"{number}_set", ""))))
        with sides[0].run.working:
            return comparing.compare(*sides)

    def _reopen(self, request: "Request", body: Any) -> Any:
        del body
        run = self._of(request.path_params["run"])
        run.reopen()
        return {"key": run.key}

    def _text(self, request: "Request", body: Any) -> Any:
        run = self._of(request.path_params["run"])
        return _described(self.own.text(run, body.get("text")))

    def _picture(self, request: "Request", data: bytes) -> Any:
        return _described(self.own.picture(self._of(request.path_params["run"]), data))

    def _steer(self, request: "Request", body: Any) -> Any:
        run, opened = self._opened(request)
        query = self._query(run, opened, body)
        column = body.get("column")
        with run.working:
            found = steering.steered(
                opened, steering.Steer.of(body), query, column if isinstance(column, str) else None
            )
        run.pictures.announce(pair["row"] for pairs in found["nearest"].values() for pair in pairs)
        return found

    def _draw(self, request: "Request", body: Any) -> Any:
        run, opened = self._opened(request)
        query = self._query(run, opened, body)
        return self.drawer.draw(run, opened, steering.Steer.of(body), query)

    def _query(self, run: OpenedRun, opened: OpenedSet, body: Any) -> int | OwnSample:
        """What is steered: a sample of the reader's own, or a pair."""
        if isinstance(body.get("own"), str):
            return self.own.get(run, body["own"])
        row = body.get("row")
        if type(row) is int and 0 <= row < len(opened.pairs):
            return row
        raise InputError("Name a pair or a sample of your own to steer.")

    def _retrieval(self, request: "Request", body: Any) -> Any:
        run, opened = self._opened(request)
        with run.working:
            return steering.retrieval_of(opened, steering.Steer.of(body))

    def _save_edit(self, request: "Request", body: Any) -> Any:
        run, opened = self._opened(request)
        return steering.save_edit(run, opened, steering.Steer.of(body))

    def _rate(self, request: "Request", body: Any) -> Any:
        run, opened = self._opened(request)
        feature = request.path_params["feature"]
        return rating.rate(run, opened, feature, body.get("answer"), body.get("rater"))

    async def _media(self, request: "Request") -> "Response":
        run = self.runs.get(request.path_params["run"])
        row = request.path_params["row"]
        if run is None:
            return response(b"", "text/plain", 404)

        def read() -> Any:
            return run.pictures.preview(row) if 0 <= row < len(run.store) else None

        try:
            found = await asyncio.to_thread(read)
        except (ModalensError, OSError, MemoryError):
            return response(b"", "text/plain", 404)
        return _media_of(found, "private, max-age=600")

    async def _own_media(self, request: "Request") -> "Response":
        run = self.runs.get(request.path_params["run"])
        try:
            found = None if run is None else self.own.get(run, request.path_params["key"]).preview
        except ModalensError:
            found = None
        return _media_of(found, "no-store")


def _coded(values: np.ndarray, most: int = 24) -> dict[str, Any]:
    """Text as numbers into a list, the most frequent first; -1 for none and for what is rarer."""
    texts = np.array(["" if value is None else str(value) for value in values.tolist()], dtype=object)
    names, places, numbers = np.unique(texts.astype(str), return_inverse=True, return_counts=True)
    order = [place for place in np.argsort(-numbers, kind="stable").tolist() if names[place]][:most]
    code = np.full(len(names), -1)
    code[order] = np.arange(len(order))
    return {
        "names": names[order].tolist(),
        "codes": code[places],
        "kinds": int(np.count_nonzero(names != "")),
    }


def _query(asked: Mapping[str, str]) -> Query:
    """The filters of an address.

    Raises
    ------
    InputError
        If a value does not fit.
    """
    values: dict[str, Any] = {}
    for field in fields(Query):
        given = asked.get(field.name)
        if given is None or given == "":
            continue
        if isinstance(field.default, bool):
            values[field.name] = given in ("1", "true")
        elif isinstance(field.default, int):
            values[field.name] = _whole(given)
        elif isinstance(field.default, float):
            try:
                values[field.name] = float(given)
            except ValueError as error:
                raise InputError(f"{field.name} must be a number.") from error
        else:
            values[field.name] = given[:200]
    return Query(**values)


def _whole(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 12:
        raise InputError("Give a whole number.")
    return int(text)


def _described(sample: OwnSample) -> dict[str, Any]:
    return {
        "key": sample.key,
        "side": sample.side,
        "shown": sample.shown,
        "picture": sample.preview is not None and sample.preview.mime.startswith(IMAGE.name),
    }


def _media_of(found: Any, kept: str) -> "Response":
    """A picture or a sound; none is not found."""
    if found is None:
        return response(b"", "text/plain", 404)
    return response(found.data, found.mime, cache_control=kept)
