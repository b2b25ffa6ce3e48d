"""What a chat model is asked to name a feature, and what becomes of its answer."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from modalens.pairs.text import plain_text

_LONGEST = 60


def question(
    like: Sequence[str], unlike: Sequence[str], pictures: Sequence[Image.Image] = ()
) -> list[Mapping[str, Any]]:
    """The conversation that asks for the idea that some texts, and pictures, share and other texts lack.

    Parameters
    ----------
    like, unlike
        Texts of samples that fire, strongest first, and of others. They are other people's words, and a name is
        tested whatever they make the model say.
    pictures
        Pictures of samples that fire.
    """
    listed = [
        f"{head}\n" + "\n".join(f"- {' '.join(text.split())}" for text in texts)
        for head, texts in (("These texts share an idea:", like), ("These texts lack it:", unlike))
        if texts
    ]
    seen = " The pictures have it too." if pictures else ""
    asked = f"Name the idea in one to four words, as short as a label.{seen} Answer with the name and nothing else."
    text = {"type": "text", "text": "\n\n".join([*listed, asked])}
    shown = [{"type": "image_url", "image_url": {"url": _url(each)}} for each in pictures]
    # Servers of text models take plain text only.
    return [{"role": "user", "content": [text, *shown] if shown else text["text"]}]


def short_name(answer: str) -> str:
    """The name in an answer: its first line, without quotes and full stops; empty where there is none."""
    lines = [line.strip() for line in plain_text(answer).splitlines() if line.strip()]
    return lines[0].strip(" \t\"'“”‘’`*.:;-")[:_LONGEST].strip() if lines else ""


def _url(picture: Image.Image) -> str:
    data = io.BytesIO()
    picture.convert("RGB").save(data, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
