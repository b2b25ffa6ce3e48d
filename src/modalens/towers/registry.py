"""From the name of a model to the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pkgutil import resolve_name

from modalens.towers.abilities import Abilities
from modalens.towers.base import VLM
from modalens.towers.hub import find_description, find_model
from modalens.towers.torchvision_check import check_torchvision

_UNTRAINED = "untrained:"


@dataclass(frozen=True)
class Family:
    """Models whose names begin alike.

    Attributes
    ----------
    load, abilities
        The functions that load one and say what it can do, imported when they are used.
    written
        How such names are written.
    drawn
        Names of those that have a generator which was trained on their embeddings.
    """

    load: str
    abilities: str
    written: tuple[str, ...]
    drawn: tuple[str, ...] = ()


# By what stands before the first colon of a name.
FAMILIES: Mapping[str, Family] = {
    "demo": Family(
        "modalens.demo.encoder:load_demo",
        "modalens.demo.encoder:demo_abilities",
        ("demo", "demo:untrained", "demo:shuffled", "demo:learnt-temperature"),
        ("demo",),
    ),
    "open_clip": Family(
        "modalens.towers.openclip:load_open_clip",
        "modalens.towers.openclip:open_clip_abilities",
        ("open_clip:NAME/TAG",),
    ),
    "declip": Family(
        "modalens.towers.declip:load_declip", "modalens.towers.declip:declip_abilities", ("declip:FILE",)
    ),
    "hidden": Family(
        "modalens.towers.hidden:load_hidden",
        "modalens.towers.hidden:hidden_abilities",
        ("hidden:MODEL?layer=N",),
    ),
}


def prefixed_names() -> str:
    """How the names of models with a prefix are written, in one line."""
    return ", ".join(example for family in FAMILIES.values() for example in family.written)


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
          ``open_clip:ViT-H-14/laion2b_s32b_b79k``, ``open_clip:NAME/FILE`` with a checkpoint's file, or
          ``open_clip:FOLDER`` with a folder as open_clip saves a model;
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
    family, rest = _family(name)
    if family is not None:
        load = resolve_name(family.load)
        loaded: VLM = load(wanted, rest, revision=revision, device=device, untrained=untrained)
        return loaded
    check_torchvision()
    found = find_model(name, revision, unknown=_unknown(name))

    from modalens.towers.transformers_load import load_transformers

    return load_transformers(wanted, found, device=device, untrained=untrained)


def abilities_of(name: str, revision: str | None = None) -> Abilities:
    """What a model can do, from its description alone: its weights are neither fetched nor read.

    Parameters
    ----------
    name, revision
        As :func:`load_vlm` takes them.

    Raises
    ------
    ModalensError
        If there is no such model, its description cannot be reached or read, or a package that it needs is missing.
    """
    name = name.removeprefix(_UNTRAINED)
    family, rest = _family(name)
    if family is not None:
        told: Abilities = resolve_name(family.abilities)(rest, revision)
        return told
    check_torchvision()
    found = find_description(name, revision, unknown=_unknown(name))

    from modalens.towers.transformers_load import transformers_abilities

    return transformers_abilities(name, found)


def has_generator(name: str) -> bool:
    """Whether a generator that was trained on a model's embeddings comes with modalens."""
    return any(name in family.drawn for family in FAMILIES.values())


def _family(name: str) -> tuple[Family | None, str]:
    """The family of a name with a prefix, and what stands after it; None for a hub id or a folder."""
    prefix, colon, rest = name.partition(":")
    family = FAMILIES.get(prefix)
    if family is None or not (colon or prefix in family.written):
        return None, name
    return family, rest


def _unknown(name: str) -> str:
    return (
        f"There is no model {name!r}; there are {prefixed_names()}, and any CLIP, SigLIP, BLIP, ALIGN or CLAP of "
        "transformers by hub id (such as openai/clip-vit-base-patch32) or in a local folder."
    )
