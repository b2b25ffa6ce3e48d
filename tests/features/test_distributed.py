import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from modalens.errors import ModalensError
from modalens.features import NCL, NCLConfig, SAEConfig, SparseAutoencoder, TrainConfig, distributed, train
from modalens.features.batches import PairBatches
from tests.features.kinds import TRAINED

D, F, K = 12, 150, 4
CONFIGS = [*(SAEConfig(D, F, K, kind, dead_after=64) for kind in TRAINED), NCLConfig(D, 16)]
TRAIN = TrainConfig(steps=30, batch_size=64, log_every=10, checkpoint_every=20, warmup_steps=5, clip=4.0)

SCRIPT = """
import sys
import numpy as np
from tests.features.test_distributed import CONFIGS, TRAIN
from modalens.features import train

train(CONFIGS, tuple(np.load(sys.argv[1])), TRAIN, out=sys.argv[2])
"""


def torchrun(*words, processes=2):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, timeout=100, env=environment
    )


def weights(folder, number):
    model = (NCL if number == len(TRAINED) else SparseAutoencoder).load(folder / f"model-{number}")
    return model.state()


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path, rng):
    shared = rng.standard_normal((500, D))
    pairs = shared + 0.3 * rng.standard_normal((2, 500, D)) + np.array([0.5, -0.5])[:, None, None]
    np.save(tmp_path / "x.npy", pairs)
    (tmp_path / "run.py").write_text(SCRIPT)
    done = torchrun(tmp_path / "run.py", tmp_path / "x.npy", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    trained = train(CONFIGS, tuple(pairs), TRAIN, out=tmp_path / "one")
    assert "auxiliary" in trained[0].log[-1]["loss"]
    for number, _ in enumerate(CONFIGS):
        one, two = weights(tmp_path / "one", number), weights(tmp_path / "two", number)
        assert one.keys() == two.keys()
        for name in one:
            torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    for one, two in zip(*logs, strict=True):
        assert one["step"] == two["step"]
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-4)
    names = [
        {p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*")} for name in ("one", "two")
    ]
    assert names[0] == names[1]


def test_slices_of_processes_make_the_batches_of_one(rng):
    image = rng.standard_normal((300, 2))
    whole = PairBatches(image, -image, 30, seed=5).from_step(4)
    slices = [PairBatches(image, -image, 30, seed=5, rank=r, world_size=3).from_step(4) for r in range(3)]
    for _ in range(12):
        parts = [next(stream) for stream in slices]
        for side, expected in enumerate(next(whole)):
            assert torch.equal(torch.cat([part[side] for part in parts]), expected)
    with pytest.raises(
        ModalensError, match=r"30 pairs cannot be shared out evenly over 4 processes; take .* of 28"
    ):
        PairBatches(image, image, 30, seed=0, world_size=4)


def test_a_lone_process_tells_nobody():
    x = torch.arange(3.0)
    assert distributed.rank() == 0
    assert distributed.any_process(True, False) == (True, False)
    assert distributed.from_first(7) == 7
    for shared in (distributed.average_, distributed.maximum_, distributed.minimum_, distributed.gather):
        assert shared(x) is x
    with distributed.joined():
        distributed.wait()
