"""What happened to a run besides training."""

import dataclasses

__all__ = ["History"]


@dataclasses.dataclass(frozen=True)
class History:
    """What happened to a run besides training.

    Parameters
    ----------
    seams : tuple of int
        The steps from which it was resumed after a stop.
    superseded : int
        Iterates on disk that a run resumed from an earlier step made obsolete; they are not among the rows.
    dropped : tuple of str
        Iterates that are damaged or missing, each with the reason; they are not among the rows.
    """

    seams: tuple[int, ...] = ()
    superseded: int = 0
    dropped: tuple[str, ...] = ()
