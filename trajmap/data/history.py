"""Events of a run other than training."""

import dataclasses

__all__ = ["History"]


@dataclasses.dataclass(frozen=True)
class History:
    """Events of a run other than training.

    Parameters
    ----------
    seams : tuple of int
        The steps at which it was resumed.
    superseded : int
        Number of iterates on disk that became obsolete because the run was resumed from an earlier step; they are not
        among the rows.
    dropped : tuple of str
        Damaged or missing iterates with the reason; they are not among the rows. A range of missing ones is one line.
    interval : int
        To stay within its budget, the run records and keeps one of this many due iterates; 1 without thinning.
    unclosed : str
        The process that is writing the run, or ended without closing it, so that the last iterates may be missing;
        empty for a closed run.
    """

    seams: tuple[int, ...] = ()
    superseded: int = 0
    dropped: tuple[str, ...] = ()
    interval: int = 1
    unclosed: str = ""
