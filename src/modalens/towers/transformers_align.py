"""ALIGN through transformers."""

from typing import Any

from modalens.towers.transformers_dual import TwoCallsVLM


class AlignVLM(TwoCallsVLM):
    """ALIGN: an EfficientNet beside a BERT."""

    model_class = "AlignModel"
    example = "kakaobrain/align-base"

    @staticmethod
    def context(config: Any) -> int:
        """ALIGN was trained on 64 tokens, fewer than its text tower has places for."""
        return min(64, int(config.text_config.max_position_embeddings))
