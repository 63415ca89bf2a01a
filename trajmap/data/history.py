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
        Iterates that are damaged or missing, each with the reason; they are not among the rows. A stretch of missing
        ones is one line.
    interval : int
        To keep within its bytes the run has come to record one of so many due iterates, and to hold no more of
        the older ones; 1 if it never had to.
    unclosed : str
        Who writes the run at this moment, or left it without closing it, so that the last iterates may be missing;
        empty for a run that was closed.
    """

    seams: tuple[int, ...] = ()
    superseded: int = 0
    dropped: tuple[str, ...] = ()
    interval: int = 1
    unclosed: str = ""
