"""Studies: tests and uses of the classes, each a function of arrays that gives tables beside their controls.

``removal``, ``stability``, ``gender``, ``adversarial``, ``text_to_image``, ``close_gap``, ``top_m``,
``class_properties``, ``dictionary_bench``, ``steer``, ``language``, ``metric_agreement`` and ``known_gap`` are imported
when first used, since some bring PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from modalens.studies.registry import study_functions
from modalens.studies.result import StudyResult

__all__ = ["StudyResult", *sorted(study_functions())]

if TYPE_CHECKING:
    from modalens.studies.adversarial_images.study import adversarial as adversarial
    from modalens.studies.attribute_probing.study import gender as gender
    from modalens.studies.caption_language.study import language as language
    from modalens.studies.class_characteristics.study import class_properties as class_properties
    from modalens.studies.class_removal.study import removal as removal
    from modalens.studies.class_stability.study import stability as stability
    from modalens.studies.gap_closing.study import close_gap as close_gap
    from modalens.studies.gap_validation.study import known_gap as known_gap
    from modalens.studies.metric_relations.study import metric_agreement as metric_agreement
    from modalens.studies.sparse_probing.study import dictionary_bench as dictionary_bench
    from modalens.studies.steering.study import steer as steer
    from modalens.studies.text_to_image_control.study import text_to_image as text_to_image
    from modalens.studies.top_sample_count.study import top_m as top_m


def __getattr__(name: str) -> Any:
    homes = study_functions()
    if name not in homes:
        raise AttributeError(f"module 'modalens.studies' has no attribute {name!r}")
    return getattr(import_module(homes[name]), name)


def __dir__() -> list[str]:
    return __all__
