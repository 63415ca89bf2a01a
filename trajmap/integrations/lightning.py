"""Record a PyTorch Lightning training: ``Trainer(callbacks=[RecorderCallback("run")])``."""

import os
from collections.abc import Callable
from typing import Any

import torch

from trajmap._optional import optional_import
from trajmap.integrations._making import made_recorder
from trajmap.recording.recorder import Recorder

optional_import("lightning.pytorch", "lightning")

from lightning.pytorch import LightningModule, Trainer  # ruff: ignore[module-import-not-at-top-of-file] - after the worded check
from lightning.pytorch.callbacks import Callback  # ruff: ignore[module-import-not-at-top-of-file]

__all__ = ["RecorderCallback"]


class RecorderCallback(Callback):
    """A Lightning callback around a Recorder.

    It attaches when fitting starts, after Lightning has restored a checkpoint. It adds to each iterate the batch's loss
    and the values that the module logs for its progress bar or callbacks; losses of accumulated batches are averaged,
    without Lightning's division. The number of optimizer steps is saved in Lightning's checkpoints, so that
    ``trainer.fit(…, ckpt_path=…)`` continues the same run folder and notes the resumption. With several optimizers each
    step of any of them makes an iterate, and the scalar ``optimizer`` identifies the optimizer. The run ends with the
    weights after the last step, even if an averaging callback loads others into the module.

    Parameters
    ----------
    path : path-like
        The run folder. It is resumed if the checkpoint was made with this callback, otherwise created.
    make_recorder : callable, optional
        ``make_recorder(module, path, resume=…) -> Recorder``, to choose the recorder's options; `Recorder` by
        default.

    Raises
    ------
    InputError
        When fitting starts: if the folder is taken.

    Examples
    --------
    >>> def make_recorder(module, path, resume):
    ...     return Recorder(module, path, resume=resume, every=10, norms=True)
    >>> callback = RecorderCallback("run", make_recorder=make_recorder)
    >>> trainer = Trainer(callbacks=[callback], logger=False, enable_checkpointing=False)
    """

    def __init__(self, path: str | os.PathLike[str], *, make_recorder: Callable[..., Recorder] | None = None) -> None:
        self.path = path
        self.make_recorder = make_recorder
        self.recorder: Recorder | None = None
        self._step = 0
        self._restored: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Keep the number of optimizer steps in Lightning's checkpoint."""
        return {} if self.recorder is None else dict(self.recorder.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of steps."""
        self._restored = state_dict if "step" in state_dict else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attach to the optimizers after their state was restored."""
        going_on = "trainer.fit(…, ckpt_path=…) from a checkpoint that holds this callback"
        resume = self._restored is not None
        recorder = made_recorder(self.make_recorder, pl_module, self.path, resume=resume, going_on=going_on)
        if self._restored is not None:
            recorder.load_state_dict(self._restored)
        expected = trainer.estimated_stepping_batches
        recorder.attach(trainer.optimizers[0], expected_steps=int(expected) if 0 < expected < float("inf") else None)
        for other in trainer.optimizers[1:]:
            recorder.attach(other)
        self.recorder, self._step = recorder, recorder.state_dict()["step"]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """End before stochastic weight averaging only updates statistics: its steps do not change the weights."""
        if self.recorder is not None and getattr(trainer.fit_loop, "_skip_backward", False):
            self.recorder.close()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the loss and the logged numbers to the iterate."""
        if self.recorder is None or self.recorder.closed:
            return
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        numbers = {}
        if isinstance(loss, torch.Tensor) and loss.numel() == 1:
            # Lightning divides the loss, so that the gradients of accumulated batches add up to a mean
            parts = trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
            numbers["loss"] = float(loss) * parts
        step = self.recorder.state_dict()["step"]
        if step == self._step:
            self.recorder.pool(numbers)
            return
        self._step = step
        logged = {name: value for name, value in trainer.callback_metrics.items() if value.numel() == 1}
        self.recorder.record({**{name: float(value) for name, value in logged.items() if name != "loss"}, **numbers})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the last iterate before an average is loaded into the module."""
        if self.recorder is not None and not self.recorder.closed:
            self.recorder.hold()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last iterate."""
        self._close(None)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Keep the recorded iterates after an error."""
        self._close(exception)

    def _close(self, error: BaseException | None) -> None:
        if self.recorder is not None:
            self.recorder.__exit__(None if error is None else type(error), error, None)
