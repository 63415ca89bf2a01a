"""Evaluate without side effects: random number generators keep their states."""

import contextlib
import random
from collections.abc import Generator

import numpy as np
import torch

__all__ = ["isolated_rng"]


@contextlib.contextmanager
def isolated_rng() -> Generator[None, None, None]:
    """Restore the global generators of torch (CPU and CUDA), NumPy and Python on exit, also after errors.

    Yields
    ------
    None
        The states inside begin as outside; draws inside are undone.
    """
    cpu = torch.get_rng_state()
    # reading the state of an idle GPU would initialise it
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    cuda = torch.cuda.get_rng_state_all() if on_gpu else []
    legacy, python = np.random.get_state(), random.getstate()  # ruff: ignore[numpy-legacy-random] - this protects the user's global state
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        np.random.set_state(legacy)  # ruff: ignore[numpy-legacy-random]
        random.setstate(python)
