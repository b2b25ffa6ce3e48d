"""The tables of the sections: tidy frames that are written as files."""

from collections.abc import Sequence
from pathlib import Path

from modalens.report.section import Section
from modalens.store.atomic import whole_file, write_text


def write_tables(sections: Sequence[Section], folder: Path) -> None:
    """Write every table that has rows as CSV and as Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for name, frame in section.tables.items():
            if len(frame):
                write_text(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
                with whole_file(folder / f"{name}.parquet") as partial:
                    frame.to_parquet(partial, index=False)
