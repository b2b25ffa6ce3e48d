import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modalens.errors import ModalensError
from modalens.interpret.bridge_result import Bridges
from modalens.interpret.bridges import bridges
from tests.interpret.naive_bridges import scores

ARRAYS = (
    "partners", "correlations", "geometries", "bridges", "highest_correlation", "correlation_bound", "p_value",
    "q_value", "private_q_value", "verdict", "shuffled_verdict", "labels",
)  # fmt: skip

# The result


def test_counts_and_frame_tell_the_same(links):
    frame = links.to_frame()
    assert len(frame) == (links.verdict != "").sum()
    for side, verdicts in links.counts().items():
        for name, count in verdicts.items():
            assert count == ((frame.label == side) & (frame.verdict == name)).sum()
    shuffled = links.shuffled_counts()
    assert links.counts()["image"]["split"] == 40
    assert shuffled["image"]["split"] == shuffled["text"]["split"] == 0
    assert sum(shuffled["text"].values()) == sum(links.counts()["text"].values())


@pytest.mark.parametrize("has_decoder", [True, False])
def test_saved_bridges_come_back_bit_for_bit(has_decoder, planted, tmp_path):
    decoder = planted.decoder if has_decoder else None
    links = bridges(
        planted.image, planted.text, decoder, planted.mds, seed=np.int64(2), partners=3, shuffles=100
    )
    links.save(tmp_path / "new" / "bridges.parquet")
    back = Bridges.load(str(tmp_path / "new" / "bridges.parquet"))
    for name in ARRAYS:
        one, other = getattr(back, name), getattr(links, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    for name in (
        "modalities",
        "n_pairs",
        "has_decoder",
        "min_correlation",
        "fdr",
        "shuffles",
        "seed",
        "version",
    ):
        assert getattr(back, name) == getattr(links, name)


def test_bad_files_are_named(tmp_path, links):
    with pytest.raises(ModalensError, match="parquet"):
        links.save(tmp_path / "bridges.json")
    with pytest.raises(ModalensError, match="no file"):
        Bridges.load(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("nothing")
    with pytest.raises(ModalensError, match="not a Parquet"):
        Bridges.load(tmp_path / "text.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ModalensError, match=r"modalens\.Bridges"):
        Bridges.load(tmp_path / "other.parquet")
    links.save(tmp_path / "bridges.parquet")
    table = pq.read_table(tmp_path / "bridges.parquet")
    pq.write_table(table.drop_columns("q_value"), tmp_path / "damaged.parquet")
    with pytest.raises(ModalensError, match="damaged"):
        Bridges.load(tmp_path / "damaged.parquet")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"min_correlation": 1.0}, "min_correlation"),
        ({"min_correlation": np.nan}, "min_correlation"),
        ({"fdr": 0}, "fdr"),
        ({"partners": 0}, "partners"),
        ({"shuffles": 99}, "shuffles"),
        ({"max_pairs": 1}, "max_pairs"),
        ({"seed": -1}, "seed"),
        ({"groups": [1, 2]}, "groups has 2 labels"),
        ({"W_dec": np.ones((2, 4))}, "one row per feature"),
        ({"mds": scores(["image", "text"])}, "2 features"),
        ({"text_codes": np.ones((3, 3))}, "rows"),
        ({"text_codes": np.full((5, 3), np.inf)}, "text matrix has a NaN or infinite"),
    ],
)
def test_bad_input_is_said_in_one_sentence(options, sentence):
    given = {"image_codes": np.eye(5, 3), "text_codes": np.eye(5, 3), "W_dec": None,
             "mds": scores(["image", "text", "cross"]), **options}  # fmt: skip
    with pytest.raises(ModalensError, match=sentence):
        bridges(**given)
