"""BatchNorm's statistics of a recorded run: an iterate's own at the iterate, corrected estimates elsewhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trajmap.data.trajectory import Trajectory
from trajmap.objective.losses import Loss
from trajmap.objective.points import ArrayPoints
from trajmap.objective.statistics import Statistics, keeps_statistics

if TYPE_CHECKING:
    from trajmap.objective.twin import Twin

__all__ = ["RunStatistics"]

_STRETCHES, _WIDTH = 16, 32  # entries of θ by which an iterate is recognised and a near one is found


class RunStatistics:
    """A twin's buffers at any point, from a run that recorded buffers.

    At an iterate they are those recorded with it: the loss is the one that training would have measured there.
    Elsewhere they are estimated from the objective's data, and corrected by the difference between the recorded and
    estimated statistics of a near iterate i: m̂ + w (mᵢ − m̂ᵢ) and v̂ (vᵢ/v̂ᵢ)ʷ, w = 1/(1 + (d/3h)²), with d the
    distance from that iterate and h the typical distance between neighbouring ones. The loss is therefore continuous
    where a lifted point meets the run, for any data. Far from the run the statistics are those of the point itself,
    because an iterate's own would not fit it.

    Parameters
    ----------
    twin : Twin
        The model.
    batches : list
        The data.
    loss : callable
        The loss, which runs the model.
    trajectory : Trajectory
        A run with buffers.
    """

    def __init__(self, twin: "Twin", batches: Sequence[Any], loss: Loss, trajectory: Trajectory) -> None:
        self._twin, self._trajectory = twin, trajectory
        self._batches, self._loss = batches, loss
        self._estimate = Statistics(twin, batches, loss) if keeps_statistics(twin.module) else None
        stretches = _stretches(len(twin.flat))
        table = np.concatenate([np.asarray(trajectory.iterates[:, columns]) for columns in stretches], axis=1)
        self._table = torch.as_tensor(table).to(twin.flat)
        places = np.concatenate([np.arange(columns.start, columns.stop) for columns in stretches])
        self._places = torch.as_tensor(places, device=twin.flat.device)
        neighbours = self._table.diff(dim=0).square().sum(dim=1).sqrt()
        self._usual = float(neighbours.median()) if len(neighbours) else 0.0
        self._at_iterates: dict[int, dict[str, torch.Tensor]] = {}

    @property
    def source(self) -> tuple[Sequence[Any], Loss, Trajectory]:
        """Its parts without the twin."""
        return self._batches, self._loss, self._trajectory

    @property
    def words(self) -> str:
        """Describe the buffers."""
        return "each iterate's own; elsewhere estimated from the data, corrected by a near iterate's"

    @torch.no_grad()
    def gather(self) -> dict[str, torch.Tensor]:
        """Return the buffers for the twin's point."""
        apart = (self._table - self._twin.flat[self._places]).square().sum(dim=1)
        nearest = int(apart.nan_to_num(nan=torch.inf).argmin())
        recorded = {name: torch.as_tensor(np.array(v)) for name, v in self._trajectory.buffers(nearest).items()}
        if not float(apart[nearest]) or self._estimate is None:
            return recorded
        here = _copied(self._estimate)
        distance = float(apart[nearest].sqrt())
        share = 1 / (1 + (distance / (3 * self._usual)) ** 2) if self._usual > 0 else 0.0
        return recorded | _corrected(here, recorded, self._at(nearest, self._estimate), share)

    def _at(self, i: int, estimate: Statistics) -> dict[str, torch.Tensor]:
        """Estimates at an iterate, made once."""
        if i not in self._at_iterates:
            point = self._twin.flat.clone()
            ArrayPoints(self._trajectory.iterates).write(i, self._twin.flat)
            self._twin.settle()
            self._at_iterates[i] = _copied(estimate)
            self._twin.flat.copy_(point)
            self._twin.settle()
        return self._at_iterates[i]


def _copied(estimate: Statistics) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in estimate.gather().items()}


def _corrected(
    here: dict[str, torch.Tensor], recorded: dict[str, torch.Tensor], there: dict[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """Correct estimates by a share of the difference between recorded and estimated statistics of one iterate."""
    found = {}
    for name, value in recorded.items():
        if name.endswith("running_mean"):
            found[name] = here[name] + share * (value.to(here[name]) - there[name])
        elif name.endswith("running_var"):
            # a unit that is constant on the data has no ratio, so its estimated variance is used
            known = value.to(here[name])
            ratio = torch.where(there[name] > 0, known / there[name], torch.ones_like(known))
            found[name] = here[name] * ratio**share
    return found


def _stretches(size: int) -> list[slice]:
    """Short ranges of columns spread over θ, because a row of a stored run is opened once per range."""
    if size <= _STRETCHES * _WIDTH:
        return [slice(0, size)]
    starts = np.linspace(0, size - _WIDTH, _STRETCHES).astype(int)
    return [slice(int(start), int(start) + _WIDTH) for start in starts]
