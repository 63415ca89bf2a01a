"""The optimizers of a recorder: which steps count, their settings, and other changes of the weights."""

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
    """Watch the attached optimizers, and warn about changes that the iterates will not show.

    Parameters
    ----------
    path : pathlib.Path
        The run folder, for warnings.
    model : torch.nn.Module
        The model.
    select : callable
        The recorder's selection of parameters.
    recorded : sequence of torch.Tensor
        The selected parameters that this process records.
    """

    def __init__(self, path: Path, model: torch.nn.Module, select: Select, recorded: Sequence[torch.Tensor]) -> None:
        self._path, self._model, self._recorded = path, model, recorded
        self._steppers: list[Stepper] = []
        self._ledger, self._witness = Ledger(), Witness(recorded)
        self._coverage = Coverage(model, select, recorded)
        self._rates: dict[str, Any] = {}  # as the last step used them
        self._entries: dict[int, Entry] = {}
        self._changed: dict[str, float] = {}  # options changed by a schedule
        self._overflows = 0
        self._has_warned = False

    def __len__(self) -> int:
        return len(self._steppers)

    @property
    def optimizers(self) -> list[Any]:
        """The optimizers, in the order in which they were attached."""
        return [stepper.optimizer for stepper in self._steppers]

    def described(self, optimizer: Any) -> tuple[Any, Entry]:
        """Check an optimizer, remove wrappers that only forward its steps, and describe it."""
        optimizer = unwrapped_optimizer(optimizer)
        require_optimizer(optimizer, self._recorded)
        if any(stepper.holds(optimizer) for stepper in self._steppers):
            repair = "make another Recorder"
            raise InputError(worded("optimizer", "one that is not attached", "an attached one", repair))
        return optimizer, described(optimizer, self._model)

    def add(self, optimizer: Any, entry: Entry, before: Callable[[], None], after: Callable[[Stepper], None]) -> None:
        """Watch another optimizer."""
        stepper = Stepper(optimizer, before=before, after=lambda: after(stepper))
        self._ledger.add(optimizer, entry)
        self._entries[id(optimizer)] = entry
        self._steppers.append(stepper)
        self._witness.mark()
        stepper.listen()

    def begin_from(self, settings: Mapping[str, Any], step: int) -> None:
        """Continue after an earlier session that had its own optimizers."""
        self._ledger.begin_from(settings, step)

    def listen(self) -> None:
        """Watch the optimizers again."""
        for stepper in self._steppers:
            stepper.listen()

    def release(self) -> None:
        """Stop watching the optimizers."""
        for stepper in self._steppers:
            stepper.release()

    def was_skipped(self, stepper: Stepper) -> bool:
        """Whether the last step left the weights unchanged (an overflow); it is then counted."""
        skipped = stepper.was_skipped()
        self._overflows += skipped
        return skipped

    def stepped(self, stepper: Stepper, step: int) -> dict[str, Any]:
        """Note a step, and return the changes of the run's settings."""
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
            message += "; repair: record the trained part, or select it with select=matching(…)"
            warnings.warn(message, RecordingWarning, stacklevel=8)
        return text

    def scalars(self) -> Numbers:
        """Scalars of the last step: learning rates, its optimizer, the number of overflows before it."""
        found = {name: as_number(name, value) for name, value in self._rates.items()} | self._changed
        if self._overflows:
            found["overflows"] = float(self._overflows)
        return {**found, **self._ledger.number()}

    def moments(self) -> Moments | None:
        """Copy the present second moments; None if the optimizers have no known ones."""
        return present_moments(self.optimizers, self._recorded)

    def forget_overflows(self) -> None:
        """Reset the count, because an iterate has recorded it."""
        self._overflows = 0

    def last_words(self) -> dict[str, Any]:
        """Return the run's final settings."""
        return {"optimizers": self._ledger.entries()} if self._ledger.is_several else {}

    def changed(self) -> bool:
        """Whether the weights were changed since the last step by something else."""
        return self._witness.changed()

    def warn_of_moves(self, step: int, buffer: RunBuffer) -> None:
        """Warn once that something else changes the weights, so that the next step does not start from the iterate."""
        if self._has_warned or buffer.last != step or not self._witness.touched():
            return
        moved, norm = buffer.moved()
        if moved > 1e-6 * norm:  # more than the rounding of SAM's step back
            self._has_warned = True
            message = f"{self._path}: after step {step} something other than the optimizer changed the weights, which "
            message += "its iterates do not show; repair: attach the outermost optimizer, or record by hand"
            warnings.warn(message, RecordingWarning, stacklevel=8)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
