"""``modalens explain``."""

import math
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from modalens.cli.options import Json, RunPath, takes
from modalens.errors import InputError
from modalens.runs.choice import ScopeOfOne
from modalens.runs.explaining import ExplainConfig


@takes(ScopeOfOne, ExplainConfig)
def explain(
    run: RunPath,
    text: Annotated[str | None, typer.Option(help="A text to explain.")] = None,
    image: Annotated[Path | None, typer.Option(help="File of an image to explain.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw it to this .png file too.")] = None,
    json: Json = False,
    *,
    scope: dict[str, Any],
    config: dict[str, Any],
) -> None:
    """Say which features fire for a text, an image or both, and which class holds the energy.

    The run's model embeds them. With --text and --image it also says what both share and what each has alone.

    --json prints "representation", "samples" (by side "shares", energy by class) and "features" (all that fire, those
    of most energy first: "feature", "label", "certainty", "score" and energy by side; "verdict" and "partner" where the
    run was interpreted; "name" and its scores where features were named). Of a pair also "on" for each feature, and
    "overlap" (share of either side's energy in shared features), "shared", "shared_of_pairs" and "shared_of_shuffled"
    (features that fire on both sides of this pair, of the run's pairs and of shuffled ones). "picture" is its path.
    """
    from modalens.cli.output import print_json
    from modalens.pairs.text import escape_name, plain_text
    from modalens.runs.layout import RunFolder
    from modalens.runs.run import Run

    opened = Run(RunFolder.find(run))
    if picture is not None:
        _check_picture(picture, image)
    where = {"features": scope["features"], "device": config["device"]}
    found: dict[str, Any] = {}
    if image is not None and text is not None:
        pair = opened.explain_pair(image, text, **where)
        sides = {"image": pair.image, "text": pair.text}
        features = pair.features
        found = {
            "shared": int((features["on"] == "both").sum()),
            "shared_of_pairs": pair.shared_of_pairs,
            "shared_of_shuffled": pair.shared_of_shuffled,
            "overlap": dict(pair.overlap),
        }
    elif (sample := text if text is not None else image) is not None:
        side = "text" if text is not None else "image"
        one = opened.explain(sample, **where)
        sides, features = {side: one}, one.features.rename(columns={"energy": side})
    else:
        raise InputError("Give --text, --image or both.")
    first = next(iter(sides.values()))
    titles = {"image": "" if image is None else escape_name(image.name), "text": plain_text(text or "")}
    if picture is not None:
        from modalens.report.explained import save_explained
        from modalens.report.naming import Naming

        shares = {side: each.shares for side, each in sides.items()}
        naming = Naming(*opened.store.modalities)
        save_explained(picture, features.head(config["top"]), shares, naming, titles)
    if json:
        samples = {
            side: {"sample": titles[side], "shares": dict(each.shares)} for side, each in sides.items()
        }
        print_json(
            {
                "representation": first.representation,
                "samples": samples,
                "features": features.to_dict("records"),
                **found,
                "picture": None if picture is None else str(picture),
            }
        )
        return
    _print(sides, features, config["top"], found)
    if picture is not None:
        print(f"Picture: {picture}")


def _check_picture(picture: Path, image: Path | None) -> None:
    if picture.suffix.lower() != ".png":
        raise InputError(f"--picture is {picture}; name a .png file.")
    if picture.is_dir():
        raise InputError(f"--picture is {picture}, which is a folder; name a .png file.")
    if image is not None and picture.exists() and image.exists() and picture.samefile(image):
        raise InputError(f"--picture is {picture}, the image itself; name another file to draw to.")


def _print(sides: dict[str, Any], features: pd.DataFrame, top: int, found: dict[str, Any]) -> None:
    from modalens.cli.output import print_frame, print_sentences

    first = next(iter(sides.values()))
    shown = min(top, len(features))
    title = f"{shown} of {len(features)} features of {first.representation} that fire, by share of energy"
    print_frame(_shown(features.head(top), list(sides)), title)
    for each in sides.values():
        shares = ", ".join(f"{name} {share:.0%}" for name, share in each.shares.items())
        print_sentences([f"Energy of the {each.modality} by class: {shares}"])
    if found:
        shared = found["shared"]
        overlap = ", ".join(f"{share:.0%} of the {name}'s energy" for name, share in found["overlap"].items())
        said = (
            f"Both share {shared} feature{'' if shared == 1 else 's'} ({overlap}); the run's pairs share "
            f"{found['shared_of_pairs']:.1f} on average, shuffled ones {found['shared_of_shuffled']:.1f}."
        )
        print_sentences([said])


def _shown(features: pd.DataFrame, sides: list[str]) -> pd.DataFrame:
    """The features as texts, in as few columns as fit a terminal: certainty and detection stand in brackets."""
    rows = features.to_dict("records")
    found = pd.DataFrame({"feature": [str(row["feature"]) for row in rows]})
    if "on" in features:
        found["on"] = features["on"].to_numpy()
    found["class"] = [f"{row['label']} ({_number(row['certainty'], '.0%')})" for row in rows]
    found["R"] = [_number(row["score"]) for row in rows]
    if "name" in features and any(features["name"]):
        found["name"] = [_named(row) for row in rows]
    if "verdict" in features:
        found["verdict"] = [_verdict(row) for row in rows]
    for side in sides:
        found[f"{side} energy"] = [_number(row[side], ".1%") for row in rows]
    return found


def _named(row: dict[Any, Any]) -> str:
    """The name with its detection on either side, of which there is none where the feature fires too rarely."""
    scores = [
        _number(score) for side in ("image", "text") if not math.isnan(score := row[f"name_{side}_detection"])
    ]
    return f"{row['name']} ({', '.join(scores)})" if row["name"] else ""


def _verdict(row: dict[Any, Any]) -> str:
    return f"split, {row['partner']}" if row["verdict"] == "split" else str(row["verdict"])


def _number(value: float, how: str = ".2f") -> str:
    return "—" if math.isnan(value) else format(value, how)
