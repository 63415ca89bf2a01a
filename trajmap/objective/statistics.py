"""BatchNorm's running statistics at a point: the mean over the data at that point."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from trajmap._validation import worded
from trajmap.errors import InputError
from trajmap.objective.copying import again
from trajmap.objective.losses import Loss

if TYPE_CHECKING:
    from trajmap.objective.twin import Twin

__all__ = ["Statistics", "keeps_statistics"]

_NORMS = torch.nn.modules.batchnorm._BatchNorm


def keeps_statistics(module: torch.nn.Module) -> bool:
    """Return whether a model keeps running statistics of its data."""
    return bool(_norms(module))


def _norms(module: torch.nn.Module) -> list[torch.nn.Module]:
    return [part for part in module.modules() if isinstance(part, _NORMS) and part.track_running_stats]


class Statistics:
    """Computes a twin's statistics at each new point.

    Parameters
    ----------
    twin : Twin
        The model.
    batches : sequence
        The data.
    loss : callable
        What runs the model.

    Raises
    ------
    InputError
        If the model keeps no such statistics.
    """

    def __init__(self, twin: "Twin", batches: Sequence[Any], loss: Loss) -> None:
        self._batches, self._loss = batches, loss
        # the parameters of the twin, and its own buffers
        self._module = again(twin.module, {id(parameter): parameter for parameter in twin.module.parameters()})
        if not keeps_statistics(self._module):
            raise InputError(worded("re_estimate", "a model with BatchNorm statistics", "one without", "omit it"))
        for layer in _norms(self._module):
            layer.train()
            vars(layer)["momentum"] = None  # a plain mean over the batches
        self._left_out: set[int] = set()  # batches of one sample, which have no variance

    @property
    def source(self) -> tuple[Sequence[Any], Loss]:
        """The data and the loss."""
        return self._batches, self._loss

    @property
    def words(self) -> str:
        """Describe the buffers."""
        return "estimated from the objective's data at each point"

    @torch.no_grad()
    def gather(self) -> dict[str, torch.Tensor]:
        """Run the data through the model at the twin's point, and return the resulting buffers.

        Returns
        -------
        dict of str to torch.Tensor
            By name; they are overwritten by the next call.

        Raises
        ------
        InputError
            If no batch has a variance.
        """
        buffers = dict(self._module.named_buffers())
        while not self._passed(buffers):
            if len(self._left_out) == len(self._batches):
                got = "one value per channel in each"
                raise InputError(worded("batches", "batches of two or more samples, which have a variance", got))
        return buffers

    def _passed(self, buffers: dict[str, torch.Tensor]) -> bool:
        """Accumulate over all batches except the omitted ones; False if another must be omitted."""
        for name, buffer in buffers.items():
            if name.rpartition(".")[2] in {"running_mean", "num_batches_tracked"}:
                buffer.zero_()
            elif name.rpartition(".")[2] == "running_var":
                buffer.fill_(1.0)
        for j in range(len(self._batches)):
            if j in self._left_out:
                continue
            try:
                self._loss(self._module, self._batches[j])
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                self._left_out.add(j)
                return False
        return True
