"""Align attacked images on every index set of some features, anew in each run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

from PIL import Image

from modalens.errors import ModalensError
from modalens.studies.adversarial_images.attack import Optimised
from modalens.studies.adversarial_images.config import AdversarialConfig
from modalens.studies.adversarial_images.features import StudiedFeatures
from modalens.studies.adversarial_images.sets import SetOfRuns, index_sets
from modalens.studies.adversarial_images.setup import AttackSetup
from modalens.studies.adversarial_images.tables import PathOfSet


@dataclass(frozen=True, eq=False)
class Shown:
    """Images of each run that are put to the victim, and what was done to them; see :class:`Row`."""

    name: str
    kind: str
    images: Sequence[Sequence[Image.Image]]
    size: int | None = None
    of: str = ""
    own: bool = True
    energy: float = nan
    beside: str = ""


@dataclass(frozen=True, eq=False)
class Defended:
    """The images of each run, aligned on one set of features."""

    each: SetOfRuns
    studied: StudiedFeatures
    setup: AttackSetup
    moved: Sequence[Sequence[Optimised]]

    def shown(self) -> Shown:
        """What is put to the victim."""
        images = [[one.image for one in run] for run in self.moved]
        own = self.studied.encode is None
        each = self.each
        return Shown(
            each.name, each.kind, images, each.size, self.studied.name, own, each.energy, each.beside
        )

    def path(self, start: Sequence[Image.Image]) -> PathOfSet:
        """The way of the first run's images."""
        chosen = self.each.indices[0]
        path = self.setup.path(
            self.each.name, self.each.kind, start, self.moved[0], self.setup.friendly, chosen
        )
        return replace(path, of=self.studied.name)

    def title(self, named: bool) -> str:
        """Name of the set, and of its features where there are several."""
        return f"{self.studied.name}: {self.each.name}" if named else self.each.name


def setup_of(plain: AttackSetup, studied: StudiedFeatures) -> AttackSetup:
    """The setup of a defence on some features.

    Raises
    ------
    ModalensError
        If the encoder gives another number of features than are scored.
    """
    setup = replace(plain, encode=studied.encode)
    if setup.width != len(studied.mds.score):
        raise ModalensError(
            f"The encoder gives {setup.width} features and {len(studied.mds.score)} are scored; give the function "
            "from embeddings to the features that were scored."
        )
    return setup


def defend_on(
    studied: StudiedFeatures,
    setup: AttackSetup,
    images: Sequence[Image.Image],
    config: AdversarialConfig,
) -> tuple[list[Defended], list[str]]:
    """Align images on each set of some features; and why a class is left out."""
    mds = studied.mds.with_rule(config.rule)
    sets, notes = index_sets(studied.features, mds, studied.labels, config.runs, config.seed)
    return [
        Defended(
            each,
            studied,
            setup,
            [
                setup.move(
                    images,
                    setup.friendly,
                    each.indices[run],
                    config.defence,
                    f"Defending on {each.name} of {studied.name}",
                )
                for run in range(config.runs)
            ],
        )
        for each in sets
    ], notes
