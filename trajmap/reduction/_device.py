"""Products of steps, by NumPy or by torch on a device."""

import functools
from collections.abc import Callable

import numpy as np

from trajmap._validation import Array
from trajmap.data.gram import self_product

__all__ = ["multiplier"]


def multiplier(device: str | None) -> Callable[[Array], Array]:
    """Multiply steps by their transpose on the host or a device; the products are summed on the host in float64."""
    return self_product if device is None else functools.partial(_product_on, device)


def _product_on(device: str, steps: Array) -> Array:
    import torch

    pinned = torch.device(device).type == "cuda"
    host = torch.from_numpy(np.ascontiguousarray(steps))
    moved = (host.pin_memory() if pinned else host).to(device, non_blocking=pinned)
    return (moved @ moved.T).cpu().numpy()
