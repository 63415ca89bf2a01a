"""Record a Hugging Face transformers training: ``Trainer(…, callbacks=[RecorderCallback("run")])``."""

import os
from collections.abc import Callable
from typing import Any

from trajmap._optional import optional_import
from trajmap.integrations._making import made_recorder
from trajmap.recording.recorder import Recorder

optional_import("transformers", "transformers")

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments  # ruff: ignore[module-import-not-at-top-of-file] - after the worded check

__all__ = ["RecorderCallback"]


class RecorderCallback(TrainerCallback):
    """A transformers callback around a Recorder.

    It attaches when training begins, and adds the trainer's logs (loss, gradient norm, learning rate, evaluation
    scores) to the present iterate; set ``logging_steps=1`` to have a loss at each iterate.
    ``trainer.train(resume_from_checkpoint=…)`` continues the same run folder and notes the resumption. The run ends
    with the weights after the last step, even if ``load_best_model_at_end`` loads others into the model.

    Parameters
    ----------
    path : path-like
        The run folder.
    make_recorder : callable, optional
        ``make_recorder(model, path, resume=…) -> Recorder``, to choose the recorder's options, for example
        ``select=lora``; `Recorder` by default.

    Examples
    --------
    >>> from trajmap.recording.selections import lora
    >>> def make_recorder(model, path, resume):
    ...     return Recorder(model, path, resume=resume, select=lora)
    >>> callback = RecorderCallback("run", make_recorder=make_recorder)
    """

    def __init__(self, path: str | os.PathLike[str], *, make_recorder: Callable[..., Recorder] | None = None) -> None:
        self.path = path
        self.make_recorder = make_recorder
        self.recorder: Recorder | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Attach to the optimizer after a checkpoint was restored."""
        done = state.global_step
        going_on = "trainer.train(resume_from_checkpoint=…)"
        recorder = made_recorder(self.make_recorder, kwargs["model"], self.path, resume=done > 0, going_on=going_on)
        expected = state.max_steps if state.max_steps > 0 else None
        self.recorder = recorder.attach(kwargs["optimizer"], step=done, expected_steps=expected)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Keep the last iterate before the best checkpoint is loaded."""
        if control.should_training_stop or control.should_evaluate or control.should_save:
            self._hold()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep the last iterate before the best checkpoint is loaded."""
        self._hold()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add the logged numbers to the iterate."""
        if self.recorder is None or self.recorder.closed:
            return
        numbers = {name: value for name, value in (logs or {}).items() if isinstance(value, (int, float))}
        self.recorder.record({name: float(value) for name, value in numbers.items()})

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the last iterate."""
        if self.recorder is not None:
            self.recorder.close()

    def _hold(self) -> None:
        if self.recorder is not None and not self.recorder.closed:
            self.recorder.hold()
