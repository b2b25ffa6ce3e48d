"""Dictionaries that other libraries trained: one small reader a format, all mapped on one encoder."""
