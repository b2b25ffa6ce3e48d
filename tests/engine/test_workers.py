import logging
import os
import pickle
from functools import partial

import numpy as np
import pytest
from PIL import Image

from modalens.demo.openmoji import OpenMojiImage
from modalens.engine import workers
from modalens.engine.engines import open_engine
from modalens.engine.workers import LocalEngine
from modalens.errors import ModalensError
from modalens.pairs.base import Pair
from modalens.pairs.images import BytesImage, FileImage
from modalens.pairs.remote import RemoteImage
from tests.engine import crew


def test_one_worker_is_this_process():
    with LocalEngine() as engine:
        assert list(engine.map(crew.square, range(5), str)) == [(i, i * i) for i in range(5)]
        assert {pid for _, (_, pid) in engine.map(crew.slow_first, range(2), str)} == {os.getpid()}


def test_results_come_in_the_order_of_the_items():
    with LocalEngine(3) as engine:
        found = list(engine.map(crew.slow_first, range(8), str))
    assert [item for item, _ in found] == [number for _, (number, _) in found] == list(range(8))
    pids = {pid for _, (_, pid) in found}
    assert os.getpid() not in pids
    assert 1 < len(pids) <= 3


def test_items_are_drawn_as_they_are_needed():
    drawn = 0

    def items():
        nonlocal drawn
        for number in range(50):
            drawn += 1
            yield number

    with LocalEngine(2) as engine:
        for number, _ in engine.map(crew.square, items(), str):
            assert drawn <= number + 1 + 4


def test_a_killed_worker_costs_its_piece_only(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "modalens")
    with LocalEngine(2) as engine:
        found = list(engine.map(partial(crew.die_once, tmp_path, 3), range(7), "piece {}".format))
    assert found == [(i, i * i) for i in range(7)]
    assert engine.retried == ["piece 3"]
    assert "The worker on piece 3 died (signal 9)" in caplog.text


def test_a_piece_that_kills_every_worker_ends_the_work():
    with (
        LocalEngine(2) as engine,
        pytest.raises(ModalensError, match=r"Each of the 3 workers that tried piece 2 died \(signal 9\)"),
    ):
        list(engine.map(crew.always_die, range(4), "piece {}".format))
    assert engine.retried == ["piece 2"] * 2


def test_errors_of_workers_are_ours():
    with LocalEngine(2) as engine:
        with pytest.raises(ModalensError, match=r"^Two is not allowed; take three\.$"):
            list(engine.map(crew.refuse, range(4), str))
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            list(engine.map(crew.crash, range(4), str))


def test_what_the_system_refuses_a_worker_is_a_sentence():
    assert workers.outcome(crew.run_out, 0).sentence.startswith(
        "The disk is full while writing a.npy; what was"
    )
    with pytest.raises(MemoryError, match="in a worker"):
        workers._result(workers.outcome(crew.run_out, 1))


def test_workers_compute_on_one_core(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with LocalEngine(2) as engine:
        found = list(engine.map(crew.threads, [0], str))
    assert set(found[0][1]) == {1}


def test_bad_engines():
    with pytest.raises(ModalensError, match="workers is 0; it must be at least 1"):
        open_engine("local", 0)
    with pytest.raises(ModalensError, match="There is no engine 'spark'; choose one of local, ray"):
        open_engine("spark")
    with pytest.raises(ModalensError, match="The engine local has no address"):
        open_engine("local", 2, "10.0.0.1:6379")


def test_pairs_of_every_source_can_be_sent(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("RGB", (5, 4), (1, 2, 3)).save(path)
    for ref in (
        FileImage(path, "a.png"),
        BytesImage("a", path.read_bytes()),
        RemoteImage(path.as_uri(), "a"),
        OpenMojiImage("1F600", 8, "17"),
    ):
        pair = Pair("a", ref, "a text", {"category": "x", "number": 3})
        sent = pickle.loads(pickle.dumps(pair))
        assert sent == pair
        assert np.array_equal(np.asarray(sent.image), np.asarray(pair.image))
