"""Choose torch's kernels so that value, gradient and second derivative exist and belong to one function."""

import contextlib
import importlib
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import checkpoint

from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = [
    "differentiable_kernels",
    "functional_kernels",
    "twice_differentiable",
    "value_kernels",
    "worded_derivatives",
]


# the package has a function with the file's name
_LEGACY_NORM = importlib.import_module("torch.nn.utils.weight_norm")


class _Held:
    """A process-wide setting that several threads may hold: the first sets it, the last restores it.

    Parameters
    ----------
    make : callable
        Returns the context manager of the setting.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[Any]]) -> None:
        self._make, self._lock, self._holders = make, threading.Lock(), 0

    @contextlib.contextmanager
    def __call__(self) -> Generator[None, None, None]:
        with self._lock:
            if not self._holders:
                self._context = self._make()
                self._context.__enter__()
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    self._context.__exit__(None, None, None)


@contextlib.contextmanager
def _slow_path() -> Generator[None, None, None]:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)


_here = threading.local()  # how checkpoints run in this thread: "kept", "none", or unchanged


class _Checkpoint:
    """Replacement of torch's reentrant checkpoint, whose backward pass misses parameters and runs only once."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def apply(self, function: Callable[..., Any], preserve: bool, *args: Any) -> Any:  # ruff: ignore[boolean-type-hint-positional-argument] - torch's
        """Run a checkpointed function."""
        mode = getattr(_here, "checkpoints", None)
        if mode == "none":
            return function(*args)
        if mode == "kept":
            return checkpoint.checkpoint(function, *args, use_reentrant=False, preserve_rng_state=preserve)
        return self._plain.apply(function, preserve, *args)


@contextlib.contextmanager
def _other_checkpoints() -> Generator[None, None, None]:
    reentrant: Any = checkpoint.CheckpointFunction
    other: Any = checkpoint._checkpoint_without_reentrant_generator

    def generator(*args: Any, **kwargs: Any) -> Generator[None, None, None]:
        if getattr(_here, "checkpoints", None) == "none":
            yield
        else:
            yield from other(*args, **kwargs)

    checkpoint.CheckpointFunction = _Checkpoint(reentrant)  # type: ignore[assignment, misc]
    checkpoint._checkpoint_without_reentrant_generator = generator
    try:
        yield
    finally:
        checkpoint.CheckpointFunction = reentrant  # type: ignore[misc]
        checkpoint._checkpoint_without_reentrant_generator = other


def _weight_norm(v: torch.Tensor, g: torch.Tensor, dim: int = 0) -> torch.Tensor:
    return v * (g / torch.norm_except_dim(v, 2, dim))


@contextlib.contextmanager
def _composed_norms() -> Generator[None, None, None]:
    places: list[Any] = [torch, _LEGACY_NORM]
    before = [place._weight_norm for place in places]
    for place in places:
        place._weight_norm = _weight_norm
    try:
        yield
    finally:
        for place, own in zip(places, before, strict=True):
            place._weight_norm = own


# the encoder's fast path for evaluation has other values at padded positions and no gradient
_one_function = _Held(_slow_path)
_math = _Held(lambda: sdpa_kernel(SDPBackend.MATH))
# the second derivative of torch's own weight norm treats the norm as a constant and is wrong
_norms = _Held(_composed_norms)
_without_cudnn = _Held(lambda: torch.backends.cudnn.flags(enabled=False))
_checkpoints = _Held(_other_checkpoints)


@contextlib.contextmanager
def _checkpoints_run(mode: str) -> Generator[None, None, None]:
    before = getattr(_here, "checkpoints", None)
    _here.checkpoints = mode
    try:
        with _checkpoints():
            yield
    finally:
        _here.checkpoints = before


@contextlib.contextmanager
def value_kernels(*, with_graph: bool) -> Generator[None, None, None]:
    """Use only kernels that give the same values as those that are differentiated.

    Parameters
    ----------
    with_graph : bool
        The loss itself differentiates; otherwise a checkpoint saves nothing.

    Yields
    ------
    None
    """
    with _one_function(), _checkpoints_run("kept" if with_graph else "none"):
        yield


@contextlib.contextmanager
def differentiable_kernels(module: torch.nn.Module) -> Generator[None, None, None]:
    """Use only kernels with gradients in evaluation mode: no cuDNN for recurrent layers, no reentrant checkpoints.

    Yields
    ------
    None
    """
    recurrent = any(isinstance(part, torch.nn.RNNBase) for part in module.modules())
    on_gpu = any(parameter.is_cuda for parameter in module.parameters())
    plain = _without_cudnn() if recurrent and on_gpu else contextlib.nullcontext()
    with _one_function(), _checkpoints_run("kept"), plain:
        yield


@contextlib.contextmanager
def functional_kernels(module: torch.nn.Module) -> Generator[None, None, None]:
    """Use only kernels that can be differentiated repeatedly, also later without the module's own parameters.

    A checkpoint would rerun its part in the backward pass, when the module has its own parameters again.

    Yields
    ------
    None
    """
    with differentiable_kernels(module), _checkpoints_run("none"), _math(), _norms():
        yield


@contextlib.contextmanager
def twice_differentiable() -> Generator[None, None, None]:
    """Use only attention and weight norms with correct second derivatives; report a missing one as InputError.

    Yields
    ------
    None
    """
    with _math(), _norms(), worded_derivatives():
        yield


_MISSING = (
    "derivative for ",
    "is not implemented",
    "double backward",
    "once_differentiable",
    "use_reentrant",
    "does not require grad",
)


@contextlib.contextmanager
def worded_derivatives() -> Generator[None, None, None]:
    """Replace torch's errors about second derivatives by InputError with a repair.

    Yields
    ------
    None

    Raises
    ------
    InputError
        Instead of torch's error.
    RuntimeError
        Any other error, unchanged.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not any(words in text for words in _MISSING):
            raise
        repair = 'use objective.hessian(theta, method="differences"), or build the operation from differentiable ones'
        got = text.splitlines()[0].rstrip(".")
        raise InputError(worded("objective", "a loss with second derivatives", got, repair)) from error
