"""Studies and edits as people import them, and what is imported with them."""

import subprocess
import sys

import numpy as np
import pytest

import modalens as ml
from modalens.errors import ModalensError
from modalens.studies.registry import find_study, study_functions, study_names


def test_studies_and_edits_are_attributes_of_the_package() -> None:
    for name, module in study_functions().items():
        assert module.split(".")[2] != name, "Once imported, the folder would hide the function."
        assert callable(getattr(ml.studies, name))
        assert name in dir(ml.studies)
    assert ml.edit.zero(np.ones((2, 3)), [1]).tolist() == [[1, 0, 1], [1, 0, 1]]
    assert ml.edit.blend(np.zeros(2), np.ones(2), [0], 0.5).tolist() == [0.5, 0]
    assert {"edit", "studies"} <= set(dir(ml))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ml.studies.nothing


def test_each_study_says_what_it_is_without_a_model_library() -> None:
    """The command line shows options of all studies, so they must be quick to import."""
    code = (
        "import sys; from modalens.studies.registry import find_study, study_names\n"
        "for name in study_names(): find_study(name)\n"
        "assert not {'torch', 'sklearn', 'transformers', 'openai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in study_names():
        study = find_study(name)
        assert study.name == name
        assert study.summary
        assert study.config() == study.config.of(None, {})


def test_options_come_from_the_configuration(rng: np.random.Generator) -> None:
    image, text = np.abs(rng.normal(size=(2, 40, 6)))
    mds = ml.modality_dominance(image, text, resamples=0)
    labels = np.arange(40) % 2
    with pytest.raises(ModalensError, match="removal has no option 'prompt'; it takes rule, draws"):
        ml.studies.removal(image, text, labels, mds, prompt="x")
    with pytest.raises(ModalensError, match="draws is 3; it must be at least 20"):
        ml.studies.removal(image, text, labels, mds, draws=3)
    with pytest.raises(ModalensError, match="stability has no option 'rule'"):
        ml.studies.stability(image, text, rule="twofold")
    with pytest.raises(ModalensError, match="There is no estimator 'x'"):
        ml.studies.stability(image, text, estimator="x")


def test_there_is_no_other_study() -> None:
    with pytest.raises(ModalensError, match="There is no study 'x'; there are removal, stability"):
        find_study("x")
