"""How the demo encoder and its twins are trained."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class HeadsRecipe:
    """How a pair of heads is made.

    Parameters
    ----------
    dim
        Features of the shared space.
    epochs
        Passes over the training pairs; 0 leaves the heads at their initial values.
    batch
        Pairs a step, each the negatives of the others.
    lr, weight_decay
        AdamW's, the rate being the peak of a one-cycle schedule.
    dropout
        Share of each head's inputs set to zero in training.
    logit_scale
        What cosines are multiplied by before the softmax, that is, the inverse temperature.
    learn_scale
        Whether the scale is a parameter that starts at ``logit_scale`` and is clipped at 100, as in
        CLIP, or stays fixed.
    shuffle_pairs
        Whether texts are dealt out anew among the training images first, so that pairs mean nothing.
    seed
        Of the initial values, the batches, the dropout and the shuffling; two recipes with one seed
        start from the same heads.
    """

    dim: int = 256
    epochs: int = 40
    batch: int = 512
    lr: float = 3e-3
    weight_decay: float = 0.05
    dropout: float = 0.3
    logit_scale: float = 100.0
    learn_scale: bool = False
    shuffle_pairs: bool = False
    seed: int = 0


RECIPES: Mapping[str, HeadsRecipe] = {
    "demo": HeadsRecipe(),
    "demo:untrained": HeadsRecipe(epochs=0),
    "demo:shuffled": HeadsRecipe(shuffle_pairs=True),
    "demo:learnt-temperature": HeadsRecipe(logit_scale=1 / 0.07, learn_scale=True),
}
