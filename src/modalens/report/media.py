"""Pictures and sounds as a page holds them: small files, written into it as data URLs."""

import base64

from modalens.errors import ModalensError

# The bytes that a file starts with, and what stands from the ninth byte on in containers that hold several kinds.
_TYPES = (
    (b"\x89PNG", b"", "image/png"),
    (b"\xff\xd8\xff", b"", "image/jpeg"),
    (b"GIF8", b"", "image/gif"),
    (b"RIFF", b"WEBP", "image/webp"),
    (b"RIFF", b"WAVE", "audio/wav"),
    (b"fLaC", b"", "audio/flac"),
    (b"OggS", b"", "audio/ogg"),
    *((head, b"", "audio/mpeg") for head in (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")),
)


def media_type(content: bytes) -> str | None:
    """MIME type of a picture or a sound that browsers show or play; None for anything else."""
    return next(
        (mime for head, kind, mime in _TYPES if content.startswith(head) and content[8:].startswith(kind)),
        None,
    )


def is_sound(content: bytes) -> bool:
    """Whether it is to be played."""
    return (media_type(content) or "").startswith("audio/")


def data_url(content: bytes, of: str = "") -> str:
    """A picture or a sound, written into the page.

    Parameters
    ----------
    content
        Bytes of its file.
    of
        The sample that it shows, for the error.

    Raises
    ------
    ModalensError
        If it is no PNG, JPEG, WebP or GIF picture and no WAV, FLAC, Ogg or MP3 sound.
    """
    mime = media_type(content)
    if mime is None:
        raise ModalensError(
            f"The preview of sample {of!r} is no PNG, JPEG, WebP or GIF picture and no WAV, FLAC, Ogg or MP3 sound; "
            "encode it as one of them."
        )
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"
