from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

import pytest
import torch

from modalens.engine import passes
from modalens.engine.passes import Seconds, map_passes


def test_the_models_own_device_decides_how_many_threads_call_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    asked: list[int] = []
    pool = ThreadPoolExecutor

    def counted(threads: int) -> ThreadPoolExecutor:
        asked.append(threads)
        return pool(threads)

    monkeypatch.setattr(passes, "ThreadPoolExecutor", counted)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for device in ("cpu", "cuda", "mps"):
            found = map_passes(
                lambda batch: (batch, get_ident()), iter([1, 2]), Seconds(), torch.device(device)
            )
            assert [batch for batch, _ in found] == [1, 2]
    finally:
        torch.set_num_threads(before)
    assert asked == [3, 2, 2]


def test_an_error_ends_all_threads() -> None:
    def fail(batch: int) -> int:
        return 1 // (batch - 2)

    with pytest.raises(ZeroDivisionError):
        map_passes(fail, iter(range(1000)), Seconds(), torch.device("cpu"))
