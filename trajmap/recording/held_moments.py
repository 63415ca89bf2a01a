"""Second moments of a recording, stored with some of its iterates."""

import warnings
from pathlib import Path

from trajmap.data.store.run_folder import read_run
from trajmap.data.store.second_moments import kept_notes
from trajmap.data.store.store import RunHeader
from trajmap.data.thinning import Thinning
from trajmap.recording.budget import Budget
from trajmap.recording.moments import Moments, MomentsLog, bytes_of_moments
from trajmap.recording.writer import RunWriter

__all__ = ["HeldMoments"]


class HeldMoments:
    """Hold the second moments of the newest iterate until it is written; `keep` switches this on.

    Parameters
    ----------
    path : pathlib.Path
        The run folder.
    writer : RunWriter
        Where they are written.
    header : RunHeader
        What the run holds.
    budget : Budget or None
        The bytes it may take.
    """

    def __init__(self, path: Path, writer: RunWriter, header: RunHeader, budget: Budget | None) -> None:
        self._path, self._writer, self._header, self._budget = path, writer, header, budget
        self._log = MomentsLog(0)
        self._held: tuple[Moments, int] | None = None
        self._told = self._lost = False

    def keep(self, most: int, last: int) -> None:
        """Keep them at a limited number of iterates, and an earlier session's up to a step; a sketch has none."""
        if self._header.sketch is not None or not most:
            return
        if self._budget is not None:
            most = self._budget.set_aside(bytes_of_moments(self._header), most)
        self._log = MomentsLog(most)
        if self._writer.resumed:
            files = [row.file for row in read_run(self._path)[1] if row.file.notes.step <= last]
            self._log.begin_from(kept_notes(self._path), {file.place for file in files if file.place is not None})

    def wants(self, due: int | None) -> bool:
        """Whether they are kept at the iterate with this number; None for one that may be the last."""
        return not self._lost and self._log.is_due(due)

    def hold(self, moments: Moments | None, due: int | None) -> None:
        """Hold those of the newest iterate, unless some are held already."""
        if moments is not None and self._held is None:
            self._held = moments, -1 if due is None else due

    def hand_over(self, place: int, step: int) -> None:
        """Pass the held second moments to the writer, after their iterate."""
        if self._held is None:
            return
        (moments, due), self._held = self._held, None
        gone = self._log.add(place, due)
        if gone is not None:
            self._writer.write_moments(place, step, moments, due=due, gone=gone)

    def drop(self) -> None:
        """Drop the held second moments, because their iterate is not written."""
        self._held = None

    def forget(self, thinning: Thinning) -> None:
        """Remove those of removed iterates from the count."""
        self._log.forget(thinning)

    def lose(self, error: Exception) -> None:
        """Keep none from now on, after an internal error."""
        self._lost = True
        self.tell(error)

    def report(self) -> None:
        """Warn once that some could not be written."""
        if self._writer.moments_trouble is not None:
            self.tell(self._writer.moments_trouble)

    def tell(self, error: Exception) -> None:
        """Warn once."""
        if not self._told:
            self._told = True
            words = str(error) or type(error).__name__
            message = f"{self._path}: second moments of the optimizer could not be kept ({words}); recording continues"
            warnings.warn(message, RuntimeWarning, stacklevel=7)
