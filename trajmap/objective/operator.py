"""A symmetric linear operator on parameter space, with tensors internally and arrays in its public call."""

from abc import ABC, abstractmethod

import numpy as np
import torch

from trajmap._validation import Array, check_array
from trajmap.data.progress import Counted, Progress

__all__ = ["Operator", "Watched", "as_array", "as_tensor"]


class Operator(ABC):
    """v ↦ Av on R^P.

    `multiply` takes and returns tensors of the operator's dtype on its device; Krylov methods and trace estimators use
    it. Calling the operator takes and returns NumPy arrays.

    Parameters
    ----------
    like : torch.Tensor
        Any tensor with the dtype and device of the operator.
    size : int
        P.
    """

    def __init__(self, like: torch.Tensor, size: int) -> None:
        self._like, self.size = like.detach().new_empty(0), size

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the vectors."""
        return self._like.dtype

    @property
    def device(self) -> torch.device:
        """Where the vectors are."""
        return self._like.device

    @abstractmethod
    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply a tensor of shape (P,); the result is a new tensor."""

    def tensor(self, v: Array) -> torch.Tensor:
        """Copy an array of shape (P,) to the operator's dtype and device."""
        return torch.tensor(check_array("v", v, (self.size,)), dtype=self.dtype, device=self.device)

    def __call__(self, v: Array) -> Array:
        """Multiply an array of shape (P,); the result is float64."""
        return as_array(self.multiply(self.tensor(v))).astype(np.float64, copy=False)


class Watched(Operator):
    """The same operator, whose products are reported as they are made.

    Parameters
    ----------
    operator : Operator
        The operator.
    progress : callable or None
        ``progress(done, total)``.
    total : int
        How many products are expected.
    """

    def __init__(self, operator: Operator, progress: Progress | None, total: int) -> None:
        super().__init__(torch.empty(0, dtype=operator.dtype, device=operator.device), operator.size)
        self._operator, self._count = operator, Counted(progress, total)

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply a tensor of shape (P,), and count it."""
        found = self._operator.multiply(vector)
        self._count()
        return found


def as_array(tensor: torch.Tensor) -> Array:
    """Convert a tensor to NumPy, in float32 if its dtype is narrower."""
    return tensor.detach().to("cpu").to(torch.promote_types(tensor.dtype, torch.float32)).numpy()


def as_tensor(array: Array, like: torch.Tensor) -> torch.Tensor:
    """Copy an array of any shape to the number format and device of a tensor."""
    return torch.tensor(array, dtype=like.dtype, device=like.device)
