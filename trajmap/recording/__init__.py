"""An optimizer's iterates into a run folder."""

from trajmap.recording.checkpoints import find_checkpoints, from_checkpoints
from trajmap.recording.recorder import Recorder, requires_grad
from trajmap.recording.schedules import at_steps, by_change, every, log_spaced

__all__ = [
    "Recorder",
    "at_steps",
    "by_change",
    "every",
    "find_checkpoints",
    "from_checkpoints",
    "log_spaced",
    "requires_grad",
]
