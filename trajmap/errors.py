"""The errors trajmap raises on purpose: each message is one line that says what to mend."""

__all__ = [
    "DiskWarning",
    "FolderTakenError",
    "InputError",
    "LayoutError",
    "MissingExtraError",
    "NondeterministicError",
    "RecordingWarning",
    "RunFormatError",
    "TrajmapError",
    "WeightsWarning",
]


class TrajmapError(Exception):
    """Base of every error that trajmap words for its user."""


class InputError(TrajmapError, ValueError):
    """An argument has the wrong shape, type, range or content."""


class FolderTakenError(InputError):
    """The folder of a new run holds a run already."""


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


class RecordingWarning(RuntimeWarning):
    """A run does not hold what its reader would think: the training did something that no iterate shows."""


class DiskWarning(RuntimeWarning):
    """At its pace a recording would fill half of the disk that was free when it began."""
