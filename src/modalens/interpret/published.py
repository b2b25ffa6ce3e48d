"""What the papers report, to print beside a reproduction."""

from dataclasses import dataclass
from math import nan


@dataclass(frozen=True)
class PublishedInterpretability:
    """One model's averages with m = 20, ``elementwise`` EmbSim; NaN where the paper gives none.

    Attributes
    ----------
    embsim_image, embsim_text, winrate_image, winrate_text
        Averages over all features.
    visual_embsim, visual_winrate, textual_embsim, textual_winrate
        Fidelity: image-dominant minus text-dominant features on images, and the reverse on texts.
    """

    embsim_image: float
    embsim_text: float
    winrate_image: float
    winrate_text: float
    visual_embsim: float
    visual_winrate: float
    textual_embsim: float
    textual_winrate: float


# Beyond Cross-Modal Alignment, Tables A1 and A2.
PUBLISHED = {
    "CLIP": PublishedInterpretability(0.11, 0.45, 0.65, 0.59, -0.007, -0.007, -0.017, -0.069),
    "DeCLIP": PublishedInterpretability(0.06, -0.07, 0.61, 0.46, 0.009, 0.005, -0.001, -0.059),
    "CLIP+NCL": PublishedInterpretability(0.14, 0.45, 0.71, 0.60, 0.043, 0.002, 0.210, 0.018),
    "CLIP+SAE": PublishedInterpretability(0.17, 0.74, 0.60, 0.61, 0.005, 0.030, 0.146, 0.016),
}

# Multi-Faceted Monosemanticity, first version, Tables 1 and 2.
PUBLISHED_V1 = {
    "CLIP": PublishedInterpretability(0.113, 0.451, 0.652, 0.594, -0.118, nan, -0.07, nan),
    "DeCLIP": PublishedInterpretability(0.058, -0.073, 0.615, 0.457, 0.070, nan, -0.059, nan),
    "CLIP+NCL": PublishedInterpretability(0.161, 0.592, 0.727, 0.608, 0.197, nan, 0.132, nan),
    "CLIP+SAE": PublishedInterpretability(0.120, 0.244, 0.667, 0.540, 0.135, nan, 0.439, nan),
}
