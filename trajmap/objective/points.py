"""Points of parameter space for an evaluator, written one at a time into the model's own buffer."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, worded
from trajmap.data.frame import Frame
from trajmap.data.store.iterates import Iterates
from trajmap.errors import InputError
from trajmap.objective.memory import frame_budget

__all__ = ["ArrayPoints", "FramePoints", "Points", "as_points"]


class Points(ABC):
    """n points of R^P."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the points."""

    @abstractmethod
    def write(self, i: int, out: torch.Tensor) -> None:
        """Fill a tensor of shape (P,), on any device and with any floating dtype, with point i."""


class ArrayPoints(Points):
    """Rows of an array, a run's lazy iterates (read one at a time), or tensors.

    Parameters
    ----------
    thetas : Iterates, array-like of shape (n, P), or sequence of tensors of shape (P,)
        The points.
    """

    def __init__(self, thetas: Any) -> None:
        self._thetas = thetas

    def __len__(self) -> int:
        return len(self._thetas)

    def write(self, i: int, out: torch.Tensor) -> None:
        """Copy a row; a stored one is read directly into a host buffer of its own dtype."""
        straight = out.device.type == "cpu" and out.is_contiguous() and out.dtype in {torch.float32, torch.float64}
        if (
            straight
            and isinstance(self._thetas, Iterates)
            and self._thetas.dtype == (target := out.detach().numpy()).dtype
        ):
            self._thetas.read_row(i, target)
            return
        row = self._thetas[i]
        out.copy_(row if isinstance(row, torch.Tensor) else _shared(np.asarray(row)))


class FramePoints(Points):
    """Points of a frame: one product per point if the frame fits in memory, else one reading of the frame per block.

    Parameters
    ----------
    frame : Frame
        The frame.
    coefficients : array-like, shape (n, m)
        One row per point.
    like : torch.Tensor
        A tensor with the dtype and device of the evaluated model, to which the frame is copied.
    budget : float, optional
        Bytes that the frame, or a block of points, may take on the device; see `frame_budget`.
    """

    def __init__(self, frame: Frame, coefficients: Array, like: torch.Tensor, *, budget: float | None = None) -> None:
        self._frame, self._like = frame, like
        self._C = check_array("coefficients", coefficients, (None, frame.n_vectors), dtype=np.float64)
        self._budget = frame_budget(like.device) if budget is None else budget
        self._origin: torch.Tensor | None = None
        self._basis: torch.Tensor | None = None
        self._block: tuple[int, torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self._C)

    def at(self, coefficients: Array) -> "FramePoints":
        """Make other points of the same frame, which is shared."""
        other = FramePoints(self._frame, coefficients, self._like, budget=self._budget)
        other._origin, other._basis = self._origin, self._basis
        return other

    @property
    def fits(self) -> bool:
        """Whether the frame is held whole."""
        return (1 + self._frame.n_vectors) * self._frame.size * self._like.element_size() <= self._budget

    def load(self) -> "FramePoints":
        """Copy the frame to the device now, if it fits; otherwise nothing is done until a point is needed."""
        if self.fits and self._basis is None:
            shape = (self._frame.n_vectors, self._frame.size)
            self._basis, self._origin = self._like.new_empty(shape), self._like.new_empty(shape[1])
            for columns, origin, basis in self._frame.blocks(2**17):
                self._origin[columns].copy_(_shared(origin))
                self._basis[:, columns].copy_(_shared(basis))
        return self

    def write(self, i: int, out: torch.Tensor) -> None:
        """Combine the frame's vectors."""
        self.load()
        if self._basis is not None and self._origin is not None:
            weights = torch.as_tensor(self._C[i], dtype=self._basis.dtype, device=self._basis.device)
            same = out.dtype == self._basis.dtype and out.device == self._basis.device
            target = out if same else None
            found = torch.addmv(self._origin, self._basis.T, weights, out=target)
            if target is None:
                out.copy_(found)
            return
        if self._block is None or not self._block[0] <= i < self._block[0] + len(self._block[1]):
            self._block = (i, self._read(i))
        out.copy_(self._block[1][i - self._block[0]])

    def _read(self, start: int) -> torch.Tensor:
        """Points from `start` on, as many as the budget holds, in one pass over the frame."""
        each = self._frame.size * self._like.element_size()
        count = max(1, min(len(self._C) - start, int(self._budget // (2 * each))))
        weights = torch.as_tensor(self._C[start : start + count], device=self._like.device)
        self._block = None
        found = self._like.new_empty((count, self._frame.size))
        for columns, origin, basis in self._frame.blocks(2**16):
            rows = _shared(basis).to(self._like.device, torch.float64)
            found[:, columns] = (_shared(origin).to(rows) + weights @ rows).to(found.dtype)
        return found


def _shared(array: Array) -> torch.Tensor:
    """View the memory of an array as a tensor, which is only read."""
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def as_points(thetas: Any, size: int) -> Points:
    """Return points unchanged; make points of an array, lazy iterates or tensors of `size` entries each."""
    if isinstance(thetas, Points):
        return thetas
    if isinstance(thetas, list) and thetas and isinstance(thetas[0], torch.Tensor):
        return ArrayPoints(thetas)
    if not isinstance(thetas, Iterates):
        thetas = check_array("thetas", thetas, (None, size))
    if thetas.shape[1] != size:
        raise InputError(worded("thetas", f"shape (any, {size})", f"shape {tuple(thetas.shape)}"))
    return ArrayPoints(thetas)
