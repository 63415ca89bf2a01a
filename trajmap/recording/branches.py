"""Short continuations of a run from one iterate, which show the effect of the batches' noise there."""

import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from trajmap._validation import check_count, worded
from trajmap.data.fan import Fan
from trajmap.errors import InputError
from trajmap.recording.recorder import Recorder

__all__ = ["branch"]


def branch(
    recorder: Recorder,
    continue_training: Callable[[int, Recorder], object],
    *,
    n_branches: int = 4,
    path: str | os.PathLike[str] | None = None,
) -> Fan:
    """Continue training several times from the present iterate, record each branch, and return to the iterate.

    Parameters
    ----------
    recorder : Recorder
        An attached recorder. It records nothing during this call.
    continue_training : callable
        ``continue_training(k, recorder)`` takes some steps with the recorder's own model and optimizers, over batches
        in an order that depends on k, and may record scalars with the branch's recorder.
    n_branches : int
        Number of continuations.
    path : path-like, optional
        Folder for the branches' run folders ``0``, ``1``, …; by default ``branches/<step>`` in the run.

    Returns
    -------
    Fan
        The branches, which start at the same iterate; their step numbers continue those of the run.

    Raises
    ------
    InputError
        If the recorder is not attached, or the folder exists; raised before any training.

    Notes
    -----
    Afterwards parameters, buffers, gradients, modes, the optimizer's state and PyTorch's random states are as they
    were. Other objects that `continue_training` changes, such as data loaders and schedulers, are not restored.

    Examples
    --------
    >>> import tempfile
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> def continue_training(k, recorder):
    ...     for _ in range(3):
    ...         optimizer.zero_grad()
    ...         model(torch.full((1, 2), float(k))).sum().backward()
    ...         optimizer.step()
    >>> with Recorder(model, tempfile.mkdtemp() + "/run").attach(optimizer) as recorder:
    ...     fan = branch(recorder, continue_training, n_branches=2)
    >>> fan.names, fan.iterates.shape
    (('0', '1'), (8, 3))
    """
    check_count("n_branches", n_branches)
    optimizers = recorder.optimizers
    if not optimizers:
        raise InputError(worded("recorder", "an attached recorder", "one without an optimizer", "attach it first"))
    step = recorder.state_dict()["step"]
    home = Path(path) if path is not None else recorder.path / "branches" / f"{step:09d}"
    names = [str(k) for k in range(n_branches)]
    names_of = set(recorder.layout.names)
    branches = [Recorder(recorder.model, home / name, select=lambda n, p: n in names_of) for name in names]
    state = _State(recorder.model, optimizers)
    with recorder.paused():
        try:
            for k, own in enumerate(branches):
                state.restore()
                with own.attach(optimizers[0], step=step):
                    for other in optimizers[1:]:
                        own.attach(other)
                    continue_training(k, own)
        finally:
            state.restore()
    return Fan.open([home / name for name in names])


class _State:
    """The state of a model and its optimizers, to be restored later."""

    def __init__(self, model: torch.nn.Module, optimizers: Sequence[Any]) -> None:
        self._model, self._optimizers = model, optimizers
        self._tensors = [t.detach().clone() for t in self._live()]
        self._gradients = [None if p.grad is None else p.grad.detach().clone() for p in model.parameters()]
        self._modes = [(module, module.training) for module in model.modules()]
        self._options = [copy.deepcopy(optimizer.state_dict()) for optimizer in optimizers]
        self._cpu = torch.random.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def _live(self) -> list[torch.Tensor]:
        return [*self._model.parameters(), *self._model.buffers()]

    @torch.no_grad()
    def restore(self) -> None:
        for tensor, kept in zip(self._live(), self._tensors, strict=True):
            tensor.copy_(kept)
        for parameter, gradient in zip(self._model.parameters(), self._gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.clone()
        for module, training in self._modes:
            module.training = training
        for optimizer, options in zip(self._optimizers, self._options, strict=True):
            optimizer.load_state_dict(copy.deepcopy(options))
        torch.random.set_rng_state(self._cpu)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)
