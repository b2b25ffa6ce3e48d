"""The demo: its encoder, its emoji, its generator, and the plan that puts them through every step."""
