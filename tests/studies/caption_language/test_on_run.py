"""What the study of language asks of a run."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from modalens.errors import InputError, MissingPackageError
from modalens.studies.caption_language.config import LanguageOnRun
from modalens.studies.registry import find_study


def test_pairs_without_the_column_of_captions_are_refused() -> None:
    study = find_study("language")
    subject = SimpleNamespace(store=SimpleNamespace(columns=["text", "kind"]))
    with pytest.raises(InputError, match="no column 'caption' of captions; name one of text, kind"):
        study.on_run(subject, LanguageOnRun(), Path(), {})
    assert list(study.columns(LanguageOnRun(caption="text"))) == ["text"]


def test_a_missing_tagger_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textblob", None)
    monkeypatch.delitem(sys.modules, "textblob.en", raising=False)
    with pytest.raises(
        MissingPackageError, match=r"needs the package textblob; install it with .*modalens\[language\]"
    ):
        find_study("language").refuse_early(LanguageOnRun())
