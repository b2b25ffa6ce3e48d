"""A small run with names, and an explorer on it in a thread of this process."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("uvicorn", reason="needs the extra explore")

from modalens.explore import ExploreConfig, drawing, serve
from modalens.runs import interpreting, origin
from modalens.runs.interpreting import interpret_run
from modalens.runs.layout import RunFolder
from modalens.runs.naming import NameConfig, name_features
from modalens.runs.representations import representations
from modalens.studies.text_to_image_control.generator import Generator
from tests.fakes import FakeVLM
from tests.small_run import CONFIG, loader, make_run, make_table


@dataclass
class Explorer:
    """An explorer that answers."""

    address: str
    run: Path

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.address).query)["token"][0]

    def ask(
        self, path: str, body: Any = None, *, method: str | None = None, **headers: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request, with the token unless another (or None) is given; names of headers by underscores."""
        given = {"x_modalens_token": self.token, **headers}
        said = {name.replace("_", "-"): value for name, value in given.items() if value is not None}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, data, said)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, path: str, body: Any = None, **headers: str | None) -> Any:
        status, _, data = self.ask(path, body, **headers)
        assert status == 200, data
        return json.loads(data)

    def refused(self, path: str, body: Any = None, **headers: str | None) -> tuple[int, str]:
        status, _, data = self.ask(path, body, **headers)
        assert status >= 400, data
        return status, json.loads(data)["error"]


class ColourGenerator(Generator):
    """Draws an embedding as a plain colour."""

    name, dim = "colours", FakeVLM.dim

    def generate(self, embedding: np.ndarray, seed: int = 0) -> list[Image.Image]:
        del seed
        levels = (255 / (1 + np.exp(-embedding[:, :3]))).astype(int)
        return [Image.new("RGB", (8, 8), tuple(row)) for row in levels.tolist()]

    def card(self) -> dict[str, Any]:
        return {"generator": self.name}


class DrawingVLM(FakeVLM):
    """A model with a generator."""

    def generator(self) -> ColourGenerator:
        return ColourGenerator()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """An interpreted run with names and an untrained twin; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("explored")
    run = make_run(folder / "photos", make_table(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreting, "load_sample_embedder", loader([]))
        interpret_run(run, CONFIG)
    sae = next(each for each in representations(run) if each.name == "sae")
    name_features(sae, NameConfig(shuffles=19))
    return run


@contextmanager
def served(*folders: Path, **options: Any) -> Iterator[Explorer]:
    """An explorer on some runs in a thread of this process, while the block lasts."""
    ready, stop = threading.Event(), threading.Event()
    found: list[str] = []

    def is_ready(address: str) -> None:
        found.append(address)
        ready.set()

    config = ExploreConfig(port=0, browser=False, **options)
    thread = threading.Thread(target=serve, args=(folders, config), kwargs={"ready": is_ready, "stop": stop})
    thread.start()
    try:
        assert ready.wait(300)
        yield Explorer(found[0], folders[0])
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def explorer(finished: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    folder = tmp_path_factory.mktemp("served") / "photos"
    shutil.copytree(finished.folder, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(origin, "load_vlm", lambda *args, **kwargs: DrawingVLM(revision="1"))
        patch.setattr(drawing, "has_generator", lambda name: name == "fake")
        with served(folder) as found:
            yield found


@pytest.fixture
def copied(finished: RunFolder, tmp_path: Path) -> Path:
    """A copy of the run that may be changed."""
    folder = tmp_path / "photos"
    shutil.copytree(finished.folder, folder)
    return folder
