"""The sections of the report, one package each, and their order."""
