"""The errors trajmap raises on purpose: each message is one line that says what to mend."""

__all__ = [
    "InputError",
    "LayoutError",
    "MissingExtraError",
    "NondeterministicError",
    "RunFormatError",
    "TrajmapError",
    "WeightsWarning",
]


class TrajmapError(Exception):
    """Base of every error that trajmap words for its user."""


class InputError(TrajmapError, ValueError):
    """An argument has the wrong shape, type, range or content."""


class LayoutError(InputError):
    """Parameters, iterates or a run do not belong to the same layout."""


class RunFormatError(TrajmapError):
    """A run folder or an artefact is truncated, damaged, or of a version this package cannot read."""


class NondeterministicError(TrajmapError):
    """The loss gives two values at one point, so no landscape of it exists."""


class MissingExtraError(TrajmapError, ImportError):
    """A library of an optional extra is not installed."""


class WeightsWarning(UserWarning):
    """How much each batch weighs in the loss cannot be told from the data."""
