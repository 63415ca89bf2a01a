"""An optimizer's iterates into a run folder."""

from trajmap.recording.recorder import Recorder, requires_grad

__all__ = ["Recorder", "requires_grad"]
