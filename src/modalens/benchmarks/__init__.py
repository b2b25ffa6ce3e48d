"""How fast modalens is, beside the plain way of writing each thing down and beside what the machine allows."""

from modalens.benchmarks.suite import SpeedConfig, speed

__all__ = ["SpeedConfig", "speed"]
