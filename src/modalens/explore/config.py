"""How the explorer is started."""

from dataclasses import dataclass

from modalens.options import Options, option
from modalens.studies.text_to_image_control.config import SELF


@dataclass(frozen=True)
class ExploreConfig(Options):
    """Where the explorer listens, on what it embeds, and what draws.

    Attributes
    ----------
    port
        Of 127.0.0.1, the only address it listens on; 0 for any that is free.
    browser
        Whether the page is opened in the browser.
    device
        Where the run's model embeds sentences and pictures.
    generator
        ``self`` (the generator that was trained on the encoder's embeddings, where there is one), or a Stable Diffusion
        or unCLIP pipeline of diffusers by hub id or folder.
    """

    port: int = option(8765, "Port on this machine, 0 for any that is free.", least=0, most=65535)
    browser: bool = option(True, "Open the page in the browser.")
    device: str | None = option(None, "Device to embed on, such as cpu or cuda (default: the best there is).")
    generator: str = option(
        SELF,
        "Who draws steered embeddings: self, or a Stable Diffusion or unCLIP pipeline by hub id or folder.",
    )
