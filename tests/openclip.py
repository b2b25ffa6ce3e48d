"""open_clip for tests, also where torchvision was built without its operators for this torch."""

import importlib.util
import sys
from types import ModuleType

import pytest
import torch

_OPERATORS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_library: torch.library.Library | None = None


def open_clip_or_skip() -> ModuleType:
    """The package; skips the test, or the module, where it is not installed."""
    for package in ("open_clip", "torchvision"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed", allow_module_level=True)
    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # its operators are missing; none of them is called here
        global _library
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            _library.define(operator + _OPERATORS)
    import open_clip

    return open_clip
