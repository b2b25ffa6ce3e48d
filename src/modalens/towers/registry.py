"""From the name of a model to the model."""

from collections.abc import Mapping
from pkgutil import resolve_name

from modalens.towers.base import VLM
from modalens.towers.hub import find_model
from modalens.towers.torchvision_check import check_torchvision

_UNTRAINED = "untrained:"
# What stands before the first colon of a name: the function that loads it, imported when it is used, and how such
# names are written.
FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "demo": (
        "modalens.demo.encoder:load_demo",
        ("demo", "demo:untrained", "demo:shuffled", "demo:learnt-temperature"),
    ),
    "open_clip": ("modalens.towers.openclip:load_open_clip", ("open_clip:NAME/TAG",)),
    "declip": ("modalens.towers.declip:load_declip", ("declip:FILE",)),
    "hidden": ("modalens.towers.hidden:load_hidden", ("hidden:MODEL?layer=N",)),
}


def prefixed_names() -> str:
    """How the names of models with a prefix are written, in one line."""
    return ", ".join(example for _, examples in FAMILIES.values() for example in examples)


def load_vlm(name: str, *, device: str | None = None, revision: str | None = None) -> VLM:
    """Load a model that embeds images and texts.

    Parameters
    ----------
    name
        One of

        - ``demo`` or a twin of it (``demo:untrained``, ``demo:shuffled``, ``demo:learnt-temperature``);
        - the hub id of a CLIP, SigLIP, BLIP or ALIGN for transformers, e.g. ``openai/clip-vit-base-patch32``, or
          of a CLAP, which takes sounds where the others take images, or a folder holding one as
          ``save_pretrained`` writes it, for which no network is touched;
        - ``open_clip:NAME/TAG`` with an architecture and pretrained tag of open_clip, e.g.
          ``open_clip:ViT-H-14/laion2b_s32b_b79k``, or ``open_clip:NAME/FILE`` with a checkpoint's file;
        - ``declip:FILE`` with a checkpoint of DeCLIP;
        - ``hidden:MODEL?layer=N`` with a generative model of transformers, by hub id or folder, e.g.
          ``hidden:llava-hf/llava-1.5-7b-hf?layer=16``: the states of one layer, averaged over tokens.

        ``untrained:`` before any but ``demo`` gives the same model with random weights, a baseline.
    device
        PyTorch's name of a device; by default the GPU if there is one, else the CPU.
    revision
        Branch, tag or commit of what lies on the hub.

    Raises
    ------
    ModalensError
        If there is no such model, it cannot be reached or read, its family is not supported, or a
        package or device it needs is missing.
    """
    untrained = name.startswith(_UNTRAINED)
    wanted, name = name, name.removeprefix(_UNTRAINED)
    family, colon, rest = name.partition(":")
    loader, written = FAMILIES.get(family, ("", ()))
    if loader and (colon or family in written):
        load = resolve_name(loader)
        loaded: VLM = load(wanted, rest, revision=revision, device=device, untrained=untrained)
        return loaded

    unknown = (
        f"There is no model {name!r}; there are {prefixed_names()}, and any CLIP, SigLIP, BLIP, ALIGN or CLAP of "
        "transformers by hub id (such as openai/clip-vit-base-patch32) or in a local folder."
    )
    check_torchvision()
    found = find_model(name, revision, unknown=unknown)

    from modalens.towers.transformers_load import load_transformers

    return load_transformers(wanted, found, device=device, untrained=untrained)
