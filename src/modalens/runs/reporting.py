"""Build the report of a run from its store, its scores and its baselines."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from modalens.errors import ModalensError
from modalens.features.quality import Quality
from modalens.features.registry import kind_of_card
from modalens.interpret.sweep import Sweep
from modalens.options import Options, option
from modalens.pairs import load_pairs
from modalens.pairs.modality import find_modality
from modalens.report import (
    DictionaryBaseline,
    EncoderResult,
    InterpretedResult,
    Judge,
    LearnedResult,
    ReportData,
    Sample,
    StudyOf,
    write_report,
)
from modalens.report.cards import Gallery
from modalens.report.naming import Naming, counted_groups
from modalens.runs.choice import OF
from modalens.runs.found_again import found_again
from modalens.runs.galleries import MOST, collect_previews, make_gallery
from modalens.runs.interpretation import SIDES, Interpretation
from modalens.runs.interpreting import FOLDER
from modalens.runs.judging import shared
from modalens.runs.label_judge import label_columns
from modalens.runs.layout import LearnedFeatures, RunFolder
from modalens.runs.naming import load_names
from modalens.runs.representations import Representation
from modalens.runs.scoring import Scores
from modalens.runs.shown import Shown, find_shown, written
from modalens.runs.sweeping import find_sweep
from modalens.runs.training_record import TrainingRecord
from modalens.store.kept import read_inputs
from modalens.store.lock import alone_in
from modalens.version import __version__

_DEMO = "Demo encoder"
# What each kind of baseline is called, what it is, and what the main encoder has that it lacks.
_BASELINES = {
    "untrained": ("Untrained twin", "The same encoder with random weights, before any training.", "training"),
    "shuffled": (
        "Shuffled-pair twin",
        "Trained in the same way, on {first} and texts that were paired at random.",
        "matching {first} with their own texts",
    ),
    "declip": ("DeCLIP", "CLIP trained with self-supervision of each side beside (Li et al. 2022).", ""),
    "clip-yfcc15m": (
        "CLIP on YFCC15M",
        "CLIP of DeCLIP's towers and training pairs: what DeCLIP has beyond it is its objective's.",
        "",
    ),
    "learnt-temperature": (
        "Learnt-temperature twin",
        "Trained on the same pairs, with a temperature that is learnt instead of held.",
        "the fixed temperature",
    ),
}
_STAND_INS = "Stand-ins, not results"
_MEANS_NOTHING = (
    "Stand-ins took the place of models and data in this run: no number on this page means anything."
)
_SAMPLES = 12
_SAMPLE_SCALE = 1.5


@dataclass(frozen=True)
class ReportConfig(Options):
    """What a report shows.

    Attributes
    ----------
    title
        Title of the page.
    top, max_features
        Most samples of either side on a feature's card, and most features of a gallery; galleries are there
        for what was interpreted (see :func:`modalens.runs.interpreting.interpret_run`).
    """

    title: str | None = option(None, "Title of the page (default: one that names the encoder).")
    top: int = option(12, "Most samples of either side on a feature's card.", unit="samples", least=1)
    max_features: int = option(
        MOST, "Most features in a gallery; of more, so many are drawn at random.", unit="features", least=1
    )


def report_run(run: RunFolder, config: ReportConfig | None = None, *, out: Path | None = None) -> Path:
    """Write a run's report; scores the run, and its baselines likewise, where that was not done.

    Parameters
    ----------
    run
        The run; every run under its ``baselines/`` is shown beside it.
    config
        What it shows.
    out
        Folder of the report; ``report/`` in the run by default.

    Returns
    -------
    Path
        The HTML page.

    Raises
    ------
    ModalensError
        If the run or its scores are damaged.
    """
    config = config or ReportConfig()
    shown = find_shown(run)
    store, scores = shown.representations[0].store, shown.representations[0].scores
    manifest = store.manifest
    model: Mapping[str, Any] = {} if manifest is None else manifest.model
    source: Mapping[str, Any] = {} if manifest is None else manifest.source
    skipped = [] if manifest is None else manifest.skipped
    name = _encoder_name(model, run)
    main = _result(name, str(model.get("class", "The encoder under study.")), shown)
    if name == _DEMO:
        main = replace(main, said="the demo encoder")
    beside = _baselines(run, scores)
    galleries = _galleries(shown, config)
    sweep = find_sweep(run)
    if isinstance(sweep, str):
        shown.left_out.append(("the sweep over dictionary sizes", sweep))
    title = config.title or f"The modality gap of {main.spoken}"
    data = ReportData(
        title=f"{_STAND_INS}: {title}" if run.of_stand_ins else title,
        warning=_MEANS_NOTHING if run.of_stand_ins else "",
        summary=_summary(name, source, scores, len(store)),
        main=main,
        baselines=[each for each, _ in beside],
        provenance={
            "modalens": __version__,
            "model": dict(model),
            "pairs": dict(source),
            "store": {} if manifest is None else {"pairs": manifest.rows, **manifest.config},
            "scoring": vars(scores.config),
        },
        skipped=[(item["id"], item["reason"]) for item in skipped],
        attributions=_attributions(model, source),
        caveats=list(model.get("caveats", [])),
        samples=_samples(source),
        not_shown=[
            (what, _from_the_run(why, run)) for what, why in (*shown.left_out, *_of_baselines(beside))
        ],
        studies=[
            StudyOf(
                written(features),
                encoder.name,
                result,
                written(features.partition(OF)[0]) if OF in features else "",
            )
            for encoder, found in [(main, shown), *beside]
            for features, result in found.studies
        ],
        galleries=galleries,
        previews=collect_previews(store, galleries),
        sweep=sweep if isinstance(sweep, Sweep) else None,
    )
    folder = out or run.report
    with alone_in(folder):
        return write_report(data, folder)


def _baselines(run: RunFolder, scores: Scores) -> list[tuple[EncoderResult, Shown]]:
    """The runs beside a run, scored as it is; those of the demo first."""
    samples = Naming(*scores.modalities).many(scores.modalities[0])
    known = list(_BASELINES)
    found = sorted(run.baselines(), key=lambda item: known.index(item[0]) if item[0] in known else len(known))
    results = []
    for kind, baseline in found:
        label, note, isolates, said = kind, f"The run in baselines/{kind}.", "", ""
        if kind in _BASELINES:
            label, note, isolates = (each.format(first=samples) for each in _BASELINES[kind])
            said = f"the {label[0].lower()}{label[1:]}" if label.endswith(" twin") else ""
        shown = find_shown(baseline, scores.config)
        result = replace(_result(label, note, shown, isolates), said=said, place=f"baselines/{kind}")
        results.append((result, shown))
    return results


def _from_the_run(sentence: str, run: RunFolder) -> str:
    """A sentence whose paths start in the run, as the page is sent to people who do not have the folder above it."""
    return sentence.replace(f"{run.folder}{os.sep}", "")


def _of_baselines(beside: Sequence[tuple[EncoderResult, Shown]]) -> list[tuple[str, str]]:
    """What is left out of the runs beside the one under study."""
    return [(f"{what} of {encoder.spoken}", why) for encoder, shown in beside for what, why in shown.left_out]


def _galleries(shown: Shown, config: ReportConfig) -> list[Gallery]:
    """Cards of every representation that was interpreted."""
    galleries = []
    for each in shown.representations:
        if (known := shown.interpretations.get(each.name)) is not None and not each.baseline_of:
            about = "The embeddings' own coordinates." if each.learned is None else _note(each)
            galleries.append(
                make_gallery(
                    written(each.name),
                    about,
                    known,
                    top=config.top,
                    most=config.max_features,
                    again=found_again(each),
                    names=load_names(each),
                )
            )
    return galleries


def _learned(shown: Shown, *, baselines: bool = False) -> dict[str, LearnedResult]:
    """The features learned on a run by name, or their baselines."""
    results = {}
    for each in shown.representations:
        if each.learned is not None and bool(each.baseline_of) == baselines:
            quality = _quality(each)
            record = (
                None
                if each.embeddings is None
                else TrainingRecord.of(LearnedFeatures(each.folder), each.embeddings)
            )
            results[each.name] = LearnedResult(
                written(each.name),
                _note(each),
                each.scores.dominance,
                quality,
                each.learned.log,
                # Those learned on other pairs cannot be learned again with a command on this run.
                command=record.command if record is not None and record.own else "",
                options="" if record is None else record.options,
                # Without a record nothing says that a pair was held out.
                trained_on=list(quality) if record is None else record.trained(quality),
            )
    return results


def _quality(each: Representation) -> dict[str, Quality]:
    """Qualities by split, the one that is scored last."""
    split = each.scores.config.split
    known = {} if each.learned is None else each.learned.quality
    return dict(sorted(known.items(), key=lambda item: item[0] == split))


def _note(each: Representation) -> str:
    return "" if each.learned is None else _describe(each.learned.model.card(), _quality(each))


def _interpreted(shown: Shown) -> dict[str, InterpretedResult]:
    """How interpretable features are, by name, where that was measured."""
    return {
        name: InterpretedResult(
            written(name),
            known.config.rule,
            known.fidelity,
            known.bridges.counts(),
            known.bridges.shuffled_counts(),
            known.along,
            _judges(shown, name, known),
        )
        for name, known in shown.interpretations.items()
    }


def _dictionaries(shown: Shown) -> list[DictionaryBaseline]:
    """The dictionaries that learned features are held against."""
    interpreted = _interpreted(shown)
    return [
        DictionaryBaseline(written(name.partition(OF)[0]), learned, interpreted.get(name))
        for name, learned in _learned(shown, baselines=True).items()
    ]


def _judges(shown: Shown, name: str, known: Interpretation) -> dict[str, Judge]:
    """What said how alike samples are, by modality."""
    each = next(one for one in shown.representations if one.name == name)
    manifest = (each.embeddings or each.store).manifest
    cards = (read_inputs(each.folder / FOLDER) or {}).get("embedders", {})
    asked = (known.config.image_embedder, known.config.text_embedder)
    return {
        modality: Judge(
            _judge_name(str(judge)),
            shared(cards.get(side, {}), {} if manifest is None else manifest.model),
            tuple(label_columns(str(judge))),
        )
        for modality, side, judge in zip(known.mds.modalities, SIDES, asked, strict=True)
    }


def _judge_name(asked: str) -> str:
    """A judge as it was asked for, without the folder that it lies in."""
    kind, colon, name = asked.rpartition("vlm:")
    return f"{kind}{colon}{Path(name).name}" if Path(name).is_absolute() else asked


def _describe(card: Mapping[str, Any], quality: Mapping[str, Quality]) -> str:
    """One sentence on a model: what it is, of which size, and how many features a sample activates."""
    fired = [value for each in quality.values() for value in each.per_sample.values()]
    verb = "fires" if round(np.mean(fired)) == 1 else "fire"
    active = f"{np.mean(fired):.0f} of {card['n_features']:,} features {verb} on a sample on average"
    return f"{kind_of_card(card).model_class.describe(card)}; {active}."


def _result(name: str, note: str, shown: Shown, isolates: str = "") -> EncoderResult:
    scores = shown.representations[0].scores
    return EncoderResult(
        name,
        note,
        scores.dominance,
        scores.gap,
        scores.retrieval,
        isolates,
        list(_learned(shown).values()),
        [found for name, found in _interpreted(shown).items() if OF not in name],
        dictionaries=_dictionaries(shown),
    )


def _encoder_name(model: Mapping[str, Any], run: RunFolder) -> str:
    """What the model is called; embeddings of an unknown one are called as the run's folder is."""
    name = str(model.get("model") or run.folder.resolve().name)
    if name == "demo":
        return _DEMO
    # Where a model lies stands under provenance.
    return Path(name).name if Path(name).is_absolute() else name


def _summary(name: str, source: Mapping[str, Any], scores: Scores, stored: int) -> str:
    measured = scores.gap.n_pairs
    kind = "-".join(scores.modalities)
    pairs = f"{measured:,} {kind} pairs"
    if scores.config.split is not None:
        pairs = f"{measured:,} of {stored:,} {kind} pairs, those of the {scores.config.split} split,"
    found = next(each for each in scores.dominance.values() if not isinstance(each, str))
    pairs = f"{pairs} {counted_groups(found)}".strip()
    origin = source.get("source")
    return f"{name}: {scores.gap.d} features, measured on {pairs}" + (f" from {origin}." if origin else ".")


def _attributions(model: Mapping[str, Any], source: Mapping[str, Any]) -> list[str]:
    """Whose pairs and weights these are, each said once."""
    told = [source.get("attribution"), model.get("training_data", {}).get("attribution")]
    terms = [f"{part}: {text}" for part, text in model.get("terms", {}).items()]
    return list(dict.fromkeys([text for text in told if text] + terms))


def _samples(source: Mapping[str, Any]) -> list[Sample]:
    """A few pairs from the source, if it is still there."""
    samples = []
    try:
        pairs = load_pairs(str(source["source"]))
        step = max(1, (pairs.count() or 0) // _SAMPLES)
        modality = find_modality(pairs.modalities[0])
        for pair in islice(pairs, 0, step * _SAMPLES, step):
            preview = modality.preview(modality.decode(pair.ref), _SAMPLE_SCALE)
            samples.append(Sample(pair.id, preview.data, pair.text))
    except (ModalensError, KeyError, OSError):
        return samples  # previews are an ornament; a source that moved away must not cost the report
    return samples
