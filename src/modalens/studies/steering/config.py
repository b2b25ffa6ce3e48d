"""Options of the steering study."""

from dataclasses import dataclass

from modalens.errors import ModalensError
from modalens.options import Options, option
from modalens.studies.options import draws_option, label_option, pairs_option, rule_option, seed_option


@dataclass(frozen=True)
class SteerConfig(Options):
    """How features are steered and what they are held against.

    Attributes
    ----------
    rule
        Class rule of the classes that are scaled.
    doses
        Lengths of what is added along a feature's direction, in mean lengths of an embedding; ascending.
    gains
        Factors by which a class's activations are scaled; 1 would change nothing.
    random_directions
        Random directions beside the features, each of which takes the label that it goes with best, as features do.
    draws
        Random features of equal energy beside each feature, and random sets beside each class.
    labels
        Of more labels the commonest are used.
    max_pairs
        Of more labelled pairs so many are drawn; half of them choose labels and fit probes, half are steered.
    seed
        Of the halves, the random directions and sets, and the bootstrap.
    """

    rule: str = rule_option()
    doses: tuple[float, ...] = option(
        (0.1, 0.25, 0.5, 1.0), "Lengths of what is added, in mean lengths of an embedding; ascending.", over=0
    )
    gains: tuple[float, ...] = option(
        (0.0, 2.0, 4.0), "Factors by which a class's activations are scaled.", least=0
    )
    random_directions: int = option(2000, "Random directions beside the features.", least=200)
    draws: int = draws_option(10, least=5)
    labels: int = option(20, "Most labels; of more the commonest are used.", least=2)
    max_pairs: int = pairs_option(2_000)
    seed: int = seed_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.doses or list(self.doses) != sorted(set(self.doses)):
            raise ModalensError(f"doses must be at least one, ascending, not {list(self.doses)}.")


@dataclass(frozen=True)
class SteerOnRun(SteerConfig):
    """The same on a run.

    Attributes
    ----------
    label
        Metadata column of the attribute that is steered; where the pairs lack it, words of their captions are.
    also
        Other metadata columns, whose probes should stay as they are.
    """

    label: str = label_option()
    also: tuple[str, ...] = option((), "Other metadata columns, whose probes should stay; may be repeated.")
