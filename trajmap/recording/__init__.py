"""Record an optimizer's iterates into a run folder."""

from trajmap.data.checkpoints.files import find_checkpoints
from trajmap.recording.branches import branch
from trajmap.recording.checkpoints import from_checkpoints, link_checkpoints
from trajmap.recording.recorder import Recorder
from trajmap.recording.schedules import at_steps, by_change, every, log_spaced
from trajmap.recording.selections import lora, matching, requires_grad
from trajmap.recording.sketch import CountSketch

__all__ = [
    "CountSketch",
    "Recorder",
    "at_steps",
    "branch",
    "by_change",
    "every",
    "find_checkpoints",
    "from_checkpoints",
    "link_checkpoints",
    "log_spaced",
    "lora",
    "matching",
    "requires_grad",
]
