"""Whole studies from one YAML file, checked before the first step."""
