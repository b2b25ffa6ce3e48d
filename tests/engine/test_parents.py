"""Helpers end with the process that started them, however that ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKERS = """
from functools import partial
from pathlib import Path
from modalens.engine.workers import LocalEngine
from tests.engine import crew

if __name__ == "__main__":
    with LocalEngine(2) as engine:
        list(engine.map(partial(crew.say_and_wait, Path(sys.argv[1])), range(2), str))
"""
# As the demo has them.
POOL = """
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from modalens.engine.parents import end_with_parent
from tests.engine import crew

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=end_with_parent) as pool:
        list(pool.map(partial(crew.say_and_wait, Path(sys.argv[1])), range(2)))
"""
# As torchrun has them: each leads a session of its own.
LAUNCHED = """
import subprocess
child = (
    f"import sys; sys.path[:0] = {sys.path!r}\\n"
    "from pathlib import Path\\n"
    "from modalens.engine.parents import end_with_launcher\\n"
    "from tests.engine import crew\\n"
    "end_with_launcher()\\n"
    "crew.say_and_wait(Path(sys.argv[1]), int(sys.argv[2]))"
)
words = [sys.executable, "-c", child, sys.argv[1]]
started = [subprocess.Popen([*words, number], start_new_session=True) for number in "01"]
for each in started:
    each.wait()
"""


@pytest.mark.parametrize("script", [WORKERS, POOL, LAUNCHED], ids=["workers", "pool", "launched"])
def test_no_worker_outlives_a_killed_parent(tmp_path: Path, script: str) -> None:
    path = tmp_path / "script.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{script}")
    parent = subprocess.Popen([sys.executable, str(path), str(tmp_path)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pid"))) < 2:
        assert parent.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    children = psutil.Process(parent.pid).children(recursive=True)
    assert {int(each.read_text()) for each in tmp_path.glob("*.pid")} <= {child.pid for child in children}
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
