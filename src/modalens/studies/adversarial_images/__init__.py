"""Texts smuggled into images: the attack, the defence on chosen features, victims and judges."""
