"""Record a training with Hugging Face Accelerate: one function, called after ``accelerator.prepare``."""

import os
from collections.abc import Callable

import torch

from trajmap._optional import optional_import
from trajmap.integrations._making import made_recorder
from trajmap.recording.recorder import Recorder

optional_import("accelerate", "accelerate")

from accelerate import Accelerator  # ruff: ignore[module-import-not-at-top-of-file] - after the worded check

__all__ = ["prepare_recorder"]


def prepare_recorder(
    accelerator: Accelerator,
    model: torch.nn.Module,
    path: str | os.PathLike[str],
    *,
    make_recorder: Callable[..., Recorder] | None = None,
    resume: bool = False,
) -> Recorder:
    """Make a recorder whose step count is saved in the accelerator's checkpoints.

    Parameters
    ----------
    accelerator : accelerate.Accelerator
        The accelerator.
    model : torch.nn.Module
        The model returned by ``accelerator.prepare``.
    path : path-like
        The run folder.
    make_recorder : callable, optional
        ``make_recorder(model, path, resume=…) -> Recorder``; `Recorder` by default.
    resume : bool
        Continue the run folder: call ``accelerator.load_state`` after this function and before ``attach``.

    Returns
    -------
    Recorder
        To be attached to the prepared optimizer. Batches of accumulated gradients and steps skipped by mixed precision
        give no iterates; scalars recorded with each accumulated batch are averaged.

    Examples
    --------
    >>> import tempfile
    >>> accelerator = Accelerator(cpu=True)
    >>> model = torch.nn.Linear(2, 1)
    >>> model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> recorder = prepare_recorder(accelerator, model, tempfile.mkdtemp() + "/run")
    >>> with recorder.attach(optimizer):
    ...     accelerator.backward(model(torch.ones(1, 2)).sum())
    ...     optimizer.step()
    """
    plain = accelerator.unwrap_model(model)
    recorder = made_recorder(make_recorder, plain, path, resume=resume, going_on="resume=True")
    recorder.accumulates_when(lambda: not accelerator.sync_gradients)
    accelerator.register_for_checkpointing(recorder)
    return recorder
