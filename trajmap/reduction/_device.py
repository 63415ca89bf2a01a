"""Products of steps where they are to be made: here, or by torch on a device."""

from collections.abc import Callable

import numpy as np

from trajmap._validation import Array

__all__ = ["multiplier"]


def multiplier(device: str | None) -> Callable[[Array], Array]:
    """Multiply steps by their transpose here, or on a device; the product comes back and is summed in float64 here."""
    if device is None:
        return lambda steps: steps @ steps.T
    import torch

    pinned = torch.device(device).type == "cuda"

    def multiply(steps: Array) -> Array:
        host = torch.from_numpy(np.ascontiguousarray(steps))
        moved = (host.pin_memory() if pinned else host).to(device, non_blocking=pinned)
        product: Array = (moved @ moved.T).cpu().numpy()
        return product

    return multiply
