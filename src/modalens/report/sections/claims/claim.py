"""A claim of the papers beside what a run has of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING

from modalens.report.data import ReportData
from modalens.report.sections.claims.verdicts import NOT_DECIDED, detectable, verdict

if TYPE_CHECKING:
    from modalens.interpret import Fidelity
    from modalens.studies.result import StudyResult

RAW = "Raw"


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes
    ----------
    claim
        In words.
    features
        The representation that it is measured on here; empty where it was not measured.
    published
        The effect that was published; NaN where no number was.
    sign
        The sign that is claimed; 0 where no effect is.
    value, low, high
        The effect here with its 95 % interval; NaN where it was not measured.
    control
        What it stands beside, in words.
    command
        What measures it.
    control_low, control_high
        Where 95 % of the effects of a control lie, which a claim that holds must be beyond; NaN where the effect itself
        is a difference to its control.
    most
        The largest effect that there can be, such as 1 for a difference of shares; NaN where there is no bound.
    dictionaries
        The same effect of the dictionary baselines of these features, in words; empty where there are none.
    """

    claim: str
    features: str
    published: float
    sign: int
    value: float
    low: float
    high: float
    control: str
    command: str
    control_low: float = nan
    control_high: float = nan
    most: float = nan
    dictionaries: str = ""

    @classmethod
    def missing(cls, claim: str, published: float, sign: int, control: str, command: str) -> "Claim":
        """One that was not measured."""
        return cls(claim, "", published, sign, nan, nan, nan, control, command)

    @property
    def verdict(self) -> str:
        """Whether it holds here: see :func:`modalens.report.sections.claims.verdicts.verdict`."""
        return verdict(self.sign, self.value, (self.low, self.high), (self.control_low, self.control_high))

    @property
    def detectable(self) -> float:
        """The effect that would have been seen."""
        return detectable(self.low, self.high)

    @property
    def verdict_in_words(self) -> str:
        """The verdict; beside an undecided one what would have been seen."""
        if self.verdict != NOT_DECIDED:
            return self.verdict
        effect = f"{self.detectable:.3f}"
        seen = "no effect that there can be" if self.detectable > self.most else effect
        return f"{self.verdict}: {seen} would have been seen"


@dataclass(frozen=True, eq=False)
class Evidence:
    """What claims are held against.

    Attributes
    ----------
    modalities
        Names of the two.
    fidelities
        Monosemanticity and fidelity by representation.
    studies
        Results with the representation that they are of.
    declip
        Fidelity of DeCLIP's dimensions on the same pairs; None where it was not measured.
    beside
        The same of dictionary baselines, by kind, under the names of the features that they are held against.
    """

    modalities: tuple[str, str]
    fidelities: "Mapping[str, Fidelity]"
    studies: "Sequence[tuple[str, StudyResult]]"
    declip: "Fidelity | None" = None
    beside: "Mapping[str, Evidence]" = field(default_factory=dict)

    @classmethod
    def of(cls, data: ReportData) -> "Evidence":
        """That of a report's main encoder."""
        studies = [each for each in data.studies if each.encoder == data.main.name]
        return cls.apart(
            data.modalities,
            {each.name: each.fidelity for each in data.main.all_interpreted},
            [(each.features, each.result) for each in studies],
            {each.learned.name: each.of for each in data.main.dictionaries}
            | {each.features: each.baseline_of for each in studies if each.baseline_of},
        )

    @classmethod
    def apart(
        cls,
        modalities: tuple[str, str],
        fidelities: "Mapping[str, Fidelity]",
        studies: "Sequence[tuple[str, StudyResult]]",
        baselines: Mapping[str, str],
    ) -> "Evidence":
        """Features apart from their dictionary baselines: names of these, and of the features that each is of."""

        def under(names: Mapping[str, str], beside: "Mapping[str, Evidence]") -> "Evidence":
            return cls(
                modalities,
                {names[name]: found for name, found in fidelities.items() if name in names},
                [(names[name], result) for name, result in studies if name in names],
                beside=beside,
            )

        kinds: dict[str, dict[str, str]] = {}
        for name, of in baselines.items():
            kinds.setdefault(name.rpartition(", ")[2], {})[name] = of
        own = {name: name for name in (*fidelities, *(name for name, _ in studies)) if name not in baselines}
        return under(own, {kind: under(names, {}) for kind, names in kinds.items()})

    def results(self, name: str) -> "list[tuple[str, StudyResult]]":
        """Results of a study, by its name."""
        return [(features, result) for features, result in self.studies if result.name == name]

    def sides(self) -> dict[str, str]:
        """What this run calls the papers' classes and modalities."""
        return {"image": self.modalities[0], "text": self.modalities[1], "cross": "cross"}
