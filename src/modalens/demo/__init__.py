"""The demo: a small dual encoder trained on emoji, and every step of modalens on it without any download.

``openmoji`` holds the pairs, ``frozen`` and ``heads`` the encoder's fixed and trained parts, ``encoder`` the encoder
and its baselines (``demo:untrained`` and others), ``sample_embedders`` the models that judge how alike samples are,
``generator`` a small image generator with its weights, ``run`` the plan that puts all of it through every step. No
other package imports this one: what it brings is found by name. Its packages come with the extra ``demo``.
"""
