"""Which device a tower runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modalens.errors import ModalensError

if TYPE_CHECKING:
    import torch


def pick_device(name: str | None) -> torch.device:
    """Device by its PyTorch name; without one, the GPU if there is one, else the CPU.

    Raises
    ------
    ModalensError
        If PyTorch knows no such device or it is not on this machine.
    """
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModalensError(
            f"The device {name!r} is not available on this machine; take 'cpu', or leave the device out."
        ) from error
    return device
