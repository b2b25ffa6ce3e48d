"""How well an attribute (gender by default) is told without one class, and which samples lean to a class."""
