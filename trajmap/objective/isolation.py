"""Evaluate without leaving a trace in the process: random number generators keep their states."""

import contextlib
import random
from collections.abc import Generator

import numpy as np
import torch

__all__ = ["isolated_rng"]


@contextlib.contextmanager
def isolated_rng() -> Generator[None, None, None]:
    """Restore the global generators of torch (CPU and CUDA), NumPy and Python on leaving, errors included.

    Yields
    ------
    None
        The states inside are those outside; whatever is drawn inside is undone.
    """
    cpu = torch.get_rng_state()
    # asking an idle GPU for its state would start it
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = torch.cuda.get_rng_state_all() if on_gpu else []
    legacy, python = np.random.get_state(), random.getstate()  # ruff: ignore[numpy-legacy-random] - the user's global state is what we guard
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        np.random.set_state(legacy)  # ruff: ignore[numpy-legacy-random]
        random.setstate(python)
