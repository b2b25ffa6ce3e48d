"""A run: one folder with everything that was made of one set of embeddings."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modalens.errors import InputError, ModalensError
from modalens.files import check_path
from modalens.runs.choice import OF
from modalens.store import EmbeddingStore
from modalens.store.atomic import write_text
from modalens.store.shards import IMAGE_FOLDER

_EMBEDDINGS = "embeddings"
_FEATURES = "features"
_MODEL = "config.json"
_STAND_INS = "STAND-INS.txt"
_BASELINES = "baselines"
# Where features go that others take the place of.
REPLACED = "replaced"


@dataclass(frozen=True)
class LearnedFeatures:
    """Where the parts of one set of learned features lie.

    ======================  ==============================================
    weights, ``log.jsonl``  the model, its checkpoints and training log
    ``codes/``              the run's pairs, encoded
    ``scores/``             dominance scores of the codes
    ``quality.json``        reconstruction and retrieval
    ``interpret/``          what the features mean
    ``seeds/SEED/``         the same features, trained from other seeds
    ``baselines/KIND/``     dictionaries of the same size that are random in part, or no autoencoders
    ======================  ==============================================
    """

    folder: Path

    @property
    def name(self) -> str:
        """Name of the folder; of a baseline what it is a baseline of, and its kind, as in ``sae+pca``."""
        if self.folder.parent.name == _BASELINES:
            return f"{self.folder.parents[1].name}{OF}{self.folder.name}"
        return self.folder.name

    def baseline(self, kind: str) -> "LearnedFeatures":
        """A dictionary of the same size to hold these features against."""
        return LearnedFeatures(self.folder / _BASELINES / kind)

    def baselines(self) -> list["LearnedFeatures"]:
        """Every such dictionary, sorted by kind."""
        return _folders(self.folder / _BASELINES)

    def seed(self, seed: int) -> "LearnedFeatures":
        """The same features, trained from another seed."""
        return LearnedFeatures(self.folder / "seeds" / str(seed))

    def seeds(self) -> list["LearnedFeatures"]:
        """Every training from another seed that is done."""
        return [each for each in _folders(self.folder / "seeds") if each.is_trained]

    @property
    def is_trained(self) -> bool:
        """Whether a model is there."""
        return (self.folder / _MODEL).is_file()

    @property
    def codes(self) -> Path:
        """Folder of the store of codes."""
        return self.folder / "codes"

    @property
    def scores(self) -> Path:
        """Folder of the scores."""
        return self.folder / "scores"

    @property
    def quality(self) -> Path:
        """File of the qualities."""
        return self.folder / "quality.json"


@dataclass(frozen=True)
class RunFolder:
    """Where the parts of a run lie.

    ======================  ==============================================
    ``embeddings/``         the embedding store
    ``scores/``             dominance scores, gap, retrieval
    ``features/NAME/``      features learned on the embeddings
    ``interpret/``          what the embeddings' features mean
    ``samples/``            the pairs, embedded by models that are not under study
    ``studies/NAME/``       results of a study
    ``sweep/``              dictionaries of several sizes, and the one that is recommended
    ``report/``             the report, its figures and tables
    ``baselines/NAME/``     a run of the same pairs through another encoder
    ======================  ==============================================

    A bare store, such as one that clip-retrieval wrote, is a run too: its store is the folder itself.
    """

    folder: Path

    @classmethod
    def find(cls, path: str | Path) -> "RunFolder":
        """The run at a path: a run's folder, its ``embeddings`` folder, or a bare store.

        Raises
        ------
        ModalensError
            If there is none.
        """
        path = Path(path)
        check_path(path)
        if path.name == _EMBEDDINGS and (path / IMAGE_FOLDER).is_dir():
            return cls(path.parent)
        if (path / _EMBEDDINGS).is_dir() or (path / IMAGE_FOLDER).is_dir():
            return cls(path)
        raise ModalensError(
            f"There is no run at {path}: it has neither {_EMBEDDINGS}/ nor {IMAGE_FOLDER}/ in it."
        )

    @property
    def embeddings(self) -> Path:
        """Folder of the embedding store."""
        bare = (self.folder / IMAGE_FOLDER).is_dir()
        return self.folder if bare else self.folder / _EMBEDDINGS

    @property
    def scores(self) -> Path:
        """Folder of the scores."""
        return self.folder / "scores"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.folder / "report"

    @property
    def sweep(self) -> Path:
        """Folder of the sweep over dictionary sizes."""
        return self.folder / "sweep"

    @property
    def samples(self) -> Path:
        """Folder of the samples' embeddings."""
        return self.folder / "samples"

    @property
    def of_stand_ins(self) -> bool:
        """Whether stand-ins took the place of models and data, so that its numbers mean nothing."""
        return (self.folder / _STAND_INS).is_file()

    def mark_stand_ins(self) -> None:
        """Have every page of the run say that its numbers mean nothing."""
        write_text(
            self.folder / _STAND_INS,
            "Stand-ins took the place of models and data: the numbers mean nothing.\n",
        )

    def study(self, name: str) -> Path:
        """Folder of a study's results."""
        return self.folder / "studies" / name

    def store(self) -> EmbeddingStore:
        """Open the run's embeddings."""
        return EmbeddingStore.open(self.embeddings)

    def learned(self, name: str) -> LearnedFeatures:
        """The learned features of a name."""
        return LearnedFeatures(self.folder / _FEATURES / name)

    def all_learned(self) -> list[LearnedFeatures]:
        """Every set of learned features whose training is done, sorted by name."""
        return [each for each in self.begun() if each.is_trained]

    def begun(self) -> list[LearnedFeatures]:
        """Every set of learned features, those whose training is not finished too, sorted by name."""
        return [each for each in _folders(self.folder / _FEATURES) if each.name != REPLACED]

    def baseline(self, name: str) -> "RunFolder":
        """The run of the same pairs through another encoder."""
        return RunFolder(self.folder / _BASELINES / name)

    @property
    def whole(self) -> "RunFolder":
        """The run that it is a baseline of, or itself."""
        beside = self.folder.parent
        return RunFolder(beside.parent) if beside.name == _BASELINES else self

    def baselines(self) -> list[tuple[str, "RunFolder"]]:
        """All baselines by name, sorted."""
        folder = self.folder / _BASELINES
        return [(path.name, RunFolder(path)) for path in sorted(folder.iterdir())] if folder.is_dir() else []


def names_of(folders: Sequence[RunFolder]) -> list[str]:
    """The shortest ends of the paths that tell runs apart; a twin is called after its run too.

    Raises
    ------
    InputError
        If a run is named twice.
    """
    paths = [each.folder.resolve() for each in folders]
    if len(set(paths)) < len(paths):
        raise InputError("A run is named twice; name each once.")
    words = [
        path.parts if path.parent.name != _BASELINES else (*path.parts[:-2], path.name) for path in paths
    ]
    ends = [1 if path.parent.name != _BASELINES else 2 for path in paths]
    while True:
        named = ["/".join(parts[-end:]) for parts, end in zip(words, ends, strict=True)]
        twice = {name for name, number in Counter(named).items() if number > 1}
        if not twice:
            return named
        if all(
            end > len(parts) for name, parts, end in zip(named, words, ends, strict=True) if name in twice
        ):
            return [str(path) for path in paths]
        ends = [end + (name in twice) for name, end in zip(named, ends, strict=True)]


def _folders(folder: Path) -> list[LearnedFeatures]:
    """The sets of features in a folder, sorted by name."""
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [LearnedFeatures(path) for path in found]
