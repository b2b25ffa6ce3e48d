"""What features mean: their strongest samples, how monosemantic they are, and what sets the classes apart."""

__all__: list[str] = []
