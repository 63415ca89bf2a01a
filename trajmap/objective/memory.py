"""Available memory, which limits stored graphs, frames, Krylov bases and batches."""

import os
import sys
from pathlib import Path

import numpy as np
import torch

__all__ = ["copies_budget", "frame_budget", "free_memory", "room", "used_memory"]

_CPU = torch.device("cpu")
_UNKNOWN = 4 * 2**30  # if the system does not report it
_MEMINFO, _STATM = Path("/proc/meminfo"), Path("/proc/self/statm")  # of Linux


def free_memory(device: torch.device = _CPU) -> float:
    """Bytes that this process may still take on a device; memory used only for caches counts as free."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return max(min(_available(), _within_limit()), 0.0)


def frame_budget(device: torch.device = _CPU) -> float:
    """Bytes that frames, Krylov bases or blocks of points may take on a device: a quarter of what is free."""
    return 0.25 * free_memory(device)


def copies_budget(like: torch.Tensor, size: int, copies: int) -> float:
    """Bytes of a number of points of P numbers, at least 64 MiB: a budget if no more of a frame is needed at once."""
    return max(float(copies * size * like.element_size()), 2.0**26)


def used_memory(device: torch.device = _CPU) -> float:
    """Bytes that this process holds on a device; 0 if the system does not report it."""
    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device))
    return _pages(1)


def room(like: torch.Tensor, *shape: int) -> torch.Tensor:
    """Allocate a large tensor in another tensor's format on its device.

    Parameters
    ----------
    like : torch.Tensor
        A tensor of the format on the device.
    *shape : int
        Its shape.

    Returns
    -------
    torch.Tensor
        Not initialised. Host memory comes from NumPy, which requests large pages: the first write takes a quarter of
        the time.
    """
    formats = {torch.float32: np.float32, torch.float64: np.float64}
    if like.device.type != "cpu" or like.dtype not in formats:
        return like.new_empty(shape)
    return torch.from_numpy(np.empty(shape, dtype=formats[like.dtype]))


def _available() -> float:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return _half_of_all()
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), float(_UNKNOWN))


def _half_of_all() -> float:
    """Bytes of half of the machine's memory, for systems such as macOS that report no free memory."""
    try:
        return 0.5 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, and a system may lack a name of it
        return float(_UNKNOWN)


def _within_limit() -> float:
    """Remaining bytes of the limit on the process's address space."""
    if sys.platform == "win32":
        return float("inf")
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return float("inf")
    return limit - _pages(0)


def _pages(column: int) -> float:
    """Bytes from a column of Linux's page statistics of this process; 0 on other systems."""
    try:
        return float(_STATM.read_text(encoding="ascii").split()[column]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0.0
