"""Resampling, intervals and checks of settings: arrays only."""
