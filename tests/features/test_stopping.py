import os
import signal
import threading

import pytest
import torch

from modalens.errors import ModalensError
from modalens.features.stopping import LossWatch, settled, termination


def test_the_stop_rule_waits_for_both_modalities():
    rising = [(100 * i, 50) for i in range(1, 6)]
    assert not settled(rising, 3, 0.01)
    assert not settled(rising + [(500, 50)] * 2, 3, 0.01)
    assert settled(rising + [(500, 50)] * 3, 3, 0.01)
    assert settled([*rising, (502, 50), (499, 50), (501, 50)], 3, 0.01)
    assert not settled([*rising, (500, 50), (500, 60), (500, 60)], 3, 0.01)
    assert not settled([(5, 5)], 1, 0.01)


def test_the_stop_rule_on_a_curve_that_levels_off():
    """Counts 1000 (1 - exp(-t / 5)) move by under 1 % over 3 intervals from t = 23 on."""
    curve = [(round(1000 * (1 - 2.718281828 ** (-t / 5))),) * 2 for t in range(60)]
    stops = [t for t in range(60) if settled(curve[: t + 1], 3, 0.01)]
    assert stops == list(range(23, 60))


def test_a_watch_names_the_first_bad_batch():
    watch = LossWatch(torch.device("cpu"), "all is kept")
    good = torch.tensor(1.0)
    for step in range(5):
        watch.see(step, 0, good, good)
    with pytest.raises(ModalensError, match="loss of configuration 1 is nan at batch 5; all is kept"):
        watch.see(5, 1, good * torch.nan, good * torch.nan)


def test_a_watch_looks_at_gradients_too():
    watch = LossWatch(torch.device("cpu"), "all is kept")
    with pytest.raises(ModalensError, match="gradient of configuration 0 has norm inf at batch 3"):
        watch.see(3, 0, torch.tensor(1.0), torch.tensor(torch.inf))


def test_on_a_gpu_losses_are_read_in_bulk():
    good, bad = torch.tensor(1.0), torch.tensor(torch.nan)
    watches = [LossWatch(torch.device("meta"), "all is kept") for _ in range(2)]
    for step in range(49):
        for watch in watches:
            watch.see(step, 0, bad if step >= 7 else good, good)
    with pytest.raises(ModalensError, match="at batch 7;"):
        watches[0].see(49, 0, bad, bad)
    with pytest.raises(ModalensError, match="at batch 7;"):
        watches[1].check()


def test_a_signal_is_only_heard_inside():
    before = signal.getsignal(signal.SIGTERM)
    with termination() as stopped:
        assert not stopped.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped.is_set()
    assert signal.getsignal(signal.SIGTERM) is before
    heard = []

    def elsewhere():
        with termination() as event:
            heard.append(event.is_set())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert heard == [False]


def test_ctrl_c_again_seconds_later_interrupts_at_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("modalens.features.stopping.time.monotonic", lambda: now[0])
    with termination() as stopped:
        os.kill(os.getpid(), signal.SIGINT)
        now[0] = 1.0
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped.is_set()
        assert stopped.name == "Ctrl-C"
        now[0] = 3.0
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
