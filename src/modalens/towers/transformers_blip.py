"""BLIP through transformers, by its contrastive heads."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from modalens.towers.transformers_dual import TransformersVLM


class BlipVLM(TransformersVLM):
    """BLIP for retrieval: the first token of each tower, projected, as its contrastive loss compares them.

    The head that reads image and text together takes no part, so captions and images stay apart.
    """

    model_class = "BlipForImageTextRetrieval"
    example = "Salesforce/blip-itm-base-coco"

    @staticmethod
    def width(config: Any) -> int:
        """That of the contrastive heads."""
        return int(config.image_text_hidden_size)

    @staticmethod
    def context(config: Any) -> int:
        """BLIP's retrieval was trained on 35 tokens, fewer than its text tower has places for."""
        return min(35, int(config.text_config.max_position_embeddings))

    def image_features(self, **inputs: Tensor) -> Float[Tensor, "n d"]:
        """Projection of the image tower's class token."""
        first = self.model.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state[:, 0]
        projected: Tensor = self.model.vision_proj(first)
        return projected

    def text_features(self, **inputs: Tensor) -> Float[Tensor, "n d"]:
        """Projection of the text tower's class token, with no image to attend to."""
        states = self.model.text_encoder(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
        )
        projected: Tensor = self.model.text_proj(states.last_hidden_state[:, 0])
        return projected
