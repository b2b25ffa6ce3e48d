"""What ``modalens export`` writes, and where it does not."""

from pathlib import Path

import pytest


def test_tables_of_a_run(made, run, run_json):
    words = ("export", made, "--features", "sae", "--to", "csv")
    found = run_json(*words)
    assert found["features"] == "sae"
    assert found["files"] == [str(made / "export" / "csv" / f"{name}.csv") for name in ("features", "pairs")]
    kept = [Path(path).read_bytes() for path in found["files"]]
    code, out, _ = run(*words)  # over the files that are there
    assert code == 0
    assert out.split() == found["files"]
    assert [Path(path).read_bytes() for path in found["files"]] == kept


@pytest.mark.parametrize("to", ["../../outside", "xml", "."])
def test_what_is_no_format_writes_nothing_in_the_run_or_beside_it(made, run, to):
    before = sorted(made.parent.rglob("*"))
    code, _, err = run("export", made, "--features", "sae", "--to", to)
    assert code == 2
    assert f"There is no export to {to!r}; there are embedding-atlas" in err
    assert sorted(made.parent.rglob("*")) == before
