"""Make the recorder of another library's training loop."""

import os
from collections.abc import Callable
from typing import Any

import torch

from trajmap._validation import worded
from trajmap.errors import FolderTakenError
from trajmap.recording.recorder import Recorder

__all__ = ["made_recorder"]


def made_recorder(
    make: Callable[..., Any] | None,
    model: torch.nn.Module,
    path: str | os.PathLike[str],
    *,
    resume: bool,
    going_on: str,
) -> Recorder:
    """Call the user's function or `Recorder`; the error for a taken folder names the library's options."""
    try:
        recorder: Recorder = (make or Recorder)(model, path, resume=resume)
    except FolderTakenError as error:
        replacing = "make_recorder=lambda model, path, resume: Recorder(model, path, resume=resume, overwrite=True)"
        repair = f"name another folder, continue the run with {going_on}, or replace it with {replacing}"
        raise FolderTakenError(worded("path", "a new or empty folder", f"{path}, which holds a run", repair)) from error
    return recorder
