"""A dictionary that another library wrote, for embeddings of any width."""

import json
from pathlib import Path

import torch


def save_theirs(folder: Path, d: int, n: int = 12, k: int = 3) -> Path:
    """A dictionary as dictionary_learning writes it."""
    folder.mkdir(parents=True)
    rows = torch.nn.functional.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(d)), dim=1)
    state = {
        "encoder.weight": rows,
        "encoder.bias": torch.zeros(n),
        "decoder.weight": rows.T.contiguous(),
        "b_dec": torch.zeros(d),
        "k": torch.tensor(k, dtype=torch.int),
        "threshold": torch.tensor(-1.0),
    }
    torch.save(state, folder / "ae.pt")
    trainer = {"dict_class": "AutoEncoderTopK", "k": k}
    (folder / "config.json").write_text(json.dumps({"trainer": trainer}))
    return folder
