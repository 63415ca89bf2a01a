"""The command line: one verb, one file; verbs compose through the run folder."""

from trajmap.cli._main import main

__all__ = ["main"]
