import sys
from pathlib import Path

import pytest

from modalens.errors import ModalensError
from modalens.towers import load_vlm


@pytest.mark.parametrize("name", ["open_clip:ViT-B-32-quickgelu/openai", "declip:{}"])
def test_the_package_to_install_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    monkeypatch.setattr("modalens.towers.openclip.check_torchvision", lambda: None)
    with pytest.raises(ModalensError, match=r"pip install 'modalens\[open-clip\]'"):
        load_vlm(name.format(tmp_path / "declip.pth"))
