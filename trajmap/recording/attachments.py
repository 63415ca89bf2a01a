"""The optimizers of a recorder: whose steps count, what they are set to, and what else moves the weights."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from trajmap._validation import worded
from trajmap.errors import InputError, RecordingWarning
from trajmap.recording.coverage import Coverage
from trajmap.recording.ledger import Entry, Ledger, changed_options, described, present_rates, require_optimizer
from trajmap.recording.moments import Moments, present_moments
from trajmap.recording.run_buffer import Numbers, RunBuffer
from trajmap.recording.scalars import as_number
from trajmap.recording.selections import Select
from trajmap.recording.stepping import Stepper, unwrapped_optimizer
from trajmap.recording.witness import Witness

__all__ = ["Attachments"]


class Attachments:
    """Listen to the attached optimizers, and warn of what no iterate will show.

    Parameters
    ----------
    path : pathlib.Path
        The run folder, for the words of a warning.
    model : torch.nn.Module
        The model.
    select : callable
        What the recorder chose by.
    recorded : sequence of torch.Tensor
        What it chose, as far as this process records it.
    """

    def __init__(self, path: Path, model: torch.nn.Module, select: Select, recorded: Sequence[torch.Tensor]) -> None:
        self._path, self._model, self._recorded = path, model, recorded
        self._steppers: list[Stepper] = []
        self._ledger, self._witness = Ledger(), Witness(recorded)
        self._coverage = Coverage(model, select, recorded)
        self._rates: dict[str, Any] = {}  # as the last step used them
        self._entries: dict[int, Entry] = {}
        self._changed: dict[str, float] = {}  # options that a schedule has changed
        self._overflows = 0
        self._has_warned = False

    def __len__(self) -> int:
        return len(self._steppers)

    @property
    def optimizers(self) -> list[Any]:
        """The optimizers, in the order in which they came."""
        return [stepper.optimizer for stepper in self._steppers]

    def described(self, optimizer: Any) -> tuple[Any, Entry]:
        """Check an optimizer, take off what only passes steps on, and describe it."""
        optimizer = unwrapped_optimizer(optimizer)
        require_optimizer(optimizer, self._recorded)
        if any(stepper.holds(optimizer) for stepper in self._steppers):
            repair = "make another Recorder"
            raise InputError(worded("optimizer", "one that is not attached", "an attached one", repair))
        return optimizer, described(optimizer, self._model)

    def add(self, optimizer: Any, entry: Entry, before: Callable[[], None], after: Callable[[Stepper], None]) -> None:
        """Listen to another optimizer."""
        stepper = Stepper(optimizer, before=before, after=lambda: after(stepper))
        self._ledger.add(optimizer, entry)
        self._entries[id(optimizer)] = entry
        self._steppers.append(stepper)
        self._witness.mark()
        stepper.listen()

    def begin_from(self, settings: Mapping[str, Any], step: int) -> None:
        """Go on after an earlier session with its own optimizers."""
        self._ledger.begin_from(settings, step)

    def listen(self) -> None:
        """Listen again."""
        for stepper in self._steppers:
            stepper.listen()

    def release(self) -> None:
        """Let the optimizers go."""
        for stepper in self._steppers:
            stepper.release()

    def was_skipped(self, stepper: Stepper) -> bool:
        """Whether the step that was just made was none; it is counted then."""
        skipped = stepper.was_skipped()
        self._overflows += skipped
        return skipped

    def stepped(self, stepper: Stepper, step: int) -> dict[str, Any]:
        """Note a step; what the run's settings should say from now on is given back."""
        self._rates = present_rates(stepper.optimizer)
        self._changed = changed_options(stepper.optimizer, self._entries[id(stepper.optimizer)])
        self._witness.mark()
        text: dict[str, Any] = (
            {"optimizers": self._ledger.entries()} if self._ledger.stepped(stepper.optimizer, step) else {}
        )
        late = self._coverage.late(self.optimizers)
        if late:
            text["unrecorded"] = {"from": step, "names": late}
            message = f"{self._path}: from step {step} on {len(late)} parameters are trained that the run does not "
            message += f"hold ({_listed(late)}); repair: select=matching('*') records them from the beginning"
            warnings.warn(message, RecordingWarning, stacklevel=8)
        idle = self._coverage.idle(self.optimizers) if self._ledger.is_first_step else []
        if idle:
            text["untrained"] = idle
            message = f"{self._path}: {len(idle)} recorded parameters are in no attached optimizer ({_listed(idle)})"
            message += "; repair: record the part that is trained, or choose it by select=matching(…)"
            warnings.warn(message, RecordingWarning, stacklevel=8)
        return text

    def scalars(self) -> Numbers:
        """Scalars of the last step: rates, who made it, overflows before it."""
        found = {name: as_number(name, value) for name, value in self._rates.items()} | self._changed
        if self._overflows:
            found["overflows"] = float(self._overflows)
        return {**found, **self._ledger.number()}

    def moments(self) -> Moments | None:
        """Copy the second moments of now; None where the optimizers keep none that are known."""
        return present_moments(self.optimizers, self._recorded)

    def forget_overflows(self) -> None:
        """Count them from zero, since an iterate has said them."""
        self._overflows = 0

    def last_words(self) -> dict[str, Any]:
        """Give what the run's settings should say at the end."""
        return {"optimizers": self._ledger.entries()} if self._ledger.is_several else {}

    def changed(self) -> bool:
        """Whether something else has been put into the model since the last step."""
        return self._witness.changed()

    def warn_of_moves(self, step: int, buffer: RunBuffer) -> None:
        """Say once that something else moves the weights, so that iterates are not what the next step starts from."""
        if self._has_warned or buffer.last != step or not self._witness.touched():
            return
        moved, norm = buffer.moved()
        if moved > 1e-6 * norm:  # more than SAM's way back rounds
            self._has_warned = True
            message = f"{self._path}: after step {step} the weights were changed by other than the optimizer, which "
            message += "its iterates do not show; repair: attach the outermost optimizer, or record by hand"
            warnings.warn(message, RecordingWarning, stacklevel=8)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
