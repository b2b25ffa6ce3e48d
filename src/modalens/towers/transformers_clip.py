"""CLIP and SigLIP through transformers."""

from typing import Any

import numpy as np
from jaxtyping import Float

from modalens.towers.transformers_dual import TwoCallsVLM


class ClipVLM(TwoCallsVLM):
    """CLIP, which masks what it pads."""

    model_class = "CLIPModel"
    example = "openai/clip-vit-base-patch32"

    def text_projection(self) -> Float[np.ndarray, "w d"]:
        """The linear map at the end of the text tower."""
        weights: np.ndarray = self.model.text_projection.weight.detach().float().cpu().numpy().T
        return weights


class SiglipVLM(TwoCallsVLM):
    """SigLIP, which always saw texts of full length, and whose images stay as wide as their tower."""

    model_class = "SiglipModel"
    example = "google/siglip-base-patch16-224"
    padding = "max_length"

    @staticmethod
    def lower_case(tokenizer: Any) -> bool:
        """All were trained on lower-case text, SigLIP 2 too, whose tokenizer may be Gemma's that keeps capitals."""
        return tokenizer.init_kwargs.get("do_lower_case") is not False

    @staticmethod
    def width(config: Any) -> int:
        """The image tower's."""
        return int(config.vision_config.hidden_size)


class Siglip2VLM(SiglipVLM):
    """SigLIP 2 with images of any shape, cut into patches through which no gradients are sent here."""

    model_class = "Siglip2Model"
    example = "google/siglip2-base-patch16-naflex"

    @classmethod
    def can_differentiate(cls, processor: Any) -> bool:
        """False."""
        del processor
        return False
