"""The errors that trajmap raises: each message is one line with the repair."""

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
    """Base class of all errors of trajmap."""


class InputError(TrajmapError, ValueError):
    """An argument has the wrong shape, type, range or content."""


class FolderTakenError(InputError):
    """The folder of a new run already contains a run."""


class LayoutError(InputError):
    """Parameters, iterates or runs have different layouts."""


class RunFormatError(TrajmapError):
    """A run folder or an artefact is truncated, damaged, or of a version this package cannot read."""


class NondeterministicError(TrajmapError):
    """The loss has two values at one point, so its landscape does not exist."""


class MissingExtraError(TrajmapError, ImportError):
    """A library of an optional extra is not installed."""


class WeightsWarning(UserWarning):
    """The weight of each batch in the loss cannot be inferred from the data."""


class RecordingWarning(RuntimeWarning):
    """A run is incomplete: the training changed the weights in a way that the iterates do not show."""


class DiskWarning(RuntimeWarning):
    """At its present rate a recording would fill half of the initially free disk space."""
