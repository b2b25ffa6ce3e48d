"""Workers of Ray: one small cluster on this machine for all tests."""

import logging
import os
import signal
import time
from functools import partial
from threading import Thread

import pytest

from modalens.dominance import parts
from modalens.engine.engines import open_engine
from modalens.engine.ray_engine import RayEngine
from modalens.engine.workers import LocalEngine
from modalens.errors import ModalensError
from modalens.pairs.base import Skipped
from modalens.runs import ScoreConfig, embed, embedding, score_store
from modalens.runs.shards import EmbedConfig
from modalens.towers import load_vlm
from tests.engine import crew
from tests.fakes import FakePairs, FakeVLM, colour_pairs

pytestmark = pytest.mark.slow

SMALL = {"rows_per_shard": 7, "batch_size": 4}
QUICK = ScoreConfig(resamples=20)


@pytest.fixture(scope="module")
def ray():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    found = pytest.importorskip("ray")
    found.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=80_000_000,
        configure_logging=False,
        log_to_driver=False,
        _system_config={"worker_niceness": 0},
    )
    yield found
    found.shutdown()


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_four_workers_give_the_bytes_of_one(ray, tmp_path, tiny_clip, monkeypatch):
    monkeypatch.setattr(parts, "PART_ROWS", 11)
    pairs = FakePairs([*colour_pairs(20, captions=2), Skipped("x", "no caption")])
    vlm = load_vlm(str(tiny_clip), device="cpu")
    for name, engine in (("one", LocalEngine(1)), ("four", RayEngine(4))):
        with engine:
            store, _ = embedding.embed_with(engine, pairs, vlm, tmp_path / name / "run", EmbedConfig(**SMALL))
            score_store(store, QUICK, engine).save(tmp_path / name / "scores")
    assert engine.workers == 4
    for made in ("run", "scores"):
        assert contents(tmp_path / "four" / made) == contents(tmp_path / "one" / made)


def test_a_worker_killed_from_outside_costs_its_shard(ray, tmp_path, monkeypatch, caplog):
    pairs, vlm = FakePairs(colour_pairs(30)), FakeVLM()
    embed(pairs, vlm, tmp_path / "whole", **SMALL)
    monkeypatch.setattr(embedding, "embed_shard_by_name", partial(crew.embed_and_wait, tmp_path / "pid"))

    def kill_the_worker_of_shard_2():
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.02)
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    killer = Thread(target=kill_the_worker_of_shard_2, daemon=True)
    killer.start()
    with RayEngine(2) as engine:
        _, effort = embedding.embed_with(engine, pairs, vlm, tmp_path / "struck", EmbedConfig(**SMALL))
    assert effort.retried == ["shard 2"]
    assert "The worker on shard 2 died (ActorDiedError)" in caplog.text
    assert contents(tmp_path / "struck") == contents(tmp_path / "whole")


def test_what_goes_wrong_in_a_worker_is_said_in_a_sentence(ray):
    with RayEngine(2) as engine:
        with pytest.raises(ModalensError, match=r"^Two is not allowed; take three\.$"):
            list(engine.map(crew.refuse, range(4), str))
        with pytest.raises(ModalensError, match="Each of the 3 workers that tried 2 died"):
            list(engine.map(crew.always_die, range(4), str))


def test_workers_stand_where_the_command_was_called(ray, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RayEngine(1) as engine:
        assert list(engine.map(crew.folder, [0], str)) == [(0, str(tmp_path))]


def test_no_more_workers_than_cores(ray, caplog):
    caplog.set_level(logging.WARNING, "modalens")
    with RayEngine(9) as engine:
        assert engine.workers == 4
    assert "The cluster has 4 cores, so 4 workers are started" in caplog.text
    assert ray.is_initialized()


def test_ray_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ModalensError, match=r"pip install 'modalens\[ray\]'"):
        open_engine("ray", 2)
