"""What somebody with LLaVA types, on a tiny random one: a run a layer, then all layers on one page."""

import numpy as np
import pandas as pd

from tests.llava import save_llava
from tests.small_run import make_table

LAYERS = 3


def test_layers_of_a_generative_model_stand_on_one_page(run, tmp_path):
    model, source = save_llava(tmp_path / "llava"), f"csv:{make_table(tmp_path)}"
    runs = [tmp_path / f"llava-{layer}" for layer in range(LAYERS)]
    for layer, folder in enumerate(runs):
        code, _, err = run(
            "embed", source, "--vlm", f"hidden:{model}?layer={layer}", "--out", folder / "embeddings"
        )
        assert code == 0, err
        assert run("score", folder, "--resamples", 10)[0] == 0
    code, out, err = run("models", *runs)
    assert code == 0, err
    assert "From layer 0 to layer 2 of hidden:" in " ".join(out.split())
    folder = runs[0] / "models"
    page = (folder / "models.html").read_text(encoding="utf-8")
    assert page.count('id="layers"') == 1
    assert "<script" not in page
    assert (folder / "figures" / "layers.png").stat().st_size > 10_000
    table = pd.read_csv(folder / "tables" / "models.csv")
    assert list(table["layer"]) == [0, 1, 2]
    assert list(table["run"]) == ["llava-0", "llava-1", "llava-2"]


def save_store(folder, pairs, width):
    """Embeddings in clip-retrieval's layout."""
    rng = np.random.default_rng(width)
    for name in ("img_emb", "text_emb"):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / f"{name}_0.npy", rng.standard_normal((pairs, width)).astype(np.float32))
    (folder / "metadata").mkdir()
    rows = {"image_path": [f"{row}.jpg" for row in range(pairs)], "caption": ["<script>"] * pairs}
    pd.DataFrame(rows).to_parquet(folder / "metadata" / "metadata_0.parquet")
    return folder


def test_models_of_other_pairs_join_the_table(run, run_json, tmp_path):
    ours, theirs = save_store(tmp_path / "ours", 40, 8), save_store(tmp_path / "theirs", 30, 6)
    found = run_json("models", ours, theirs, "--out", tmp_path / "out")
    first, second = found["models"]
    assert (first["run"], first["pairs"], first["dimensions"]) == ("ours", 40, 8)
    assert (second["run"], second["pairs"], second["dimensions"]) == ("theirs", 30, 6)
    assert first["layer"] is None
    assert first["twofold_cross_low"] <= first["twofold_cross"] <= first["twofold_cross_high"]
    assert 'id="layers"' not in (tmp_path / "out" / "models.html").read_text(encoding="utf-8")
    for words, sentence in (((ours, ours), "named twice"), ((tmp_path / "nowhere",), "There is no run at")):
        code, _, err = run("models", *words)
        assert code == 2
        assert sentence in err
