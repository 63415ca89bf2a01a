"""What one step of an optimizer is: everything between the call of its ``step`` and the return from it.

An optimizer may hold others: Lookahead, SAM, a combination of Muon and AdamW, or a custom schedule. Then a whole step
of the outermost optimizer counts as one, no matter how many inner steps it takes. An inner step outside of it, such as
SAM's ``second_step``, counts separately.
"""

import functools
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import torch

from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = ["Stepper", "held_optimizers", "unwrapped_optimizer"]

# wrappers that only forward ``step`` to the optimizer that they hold
_FORWARDERS = {"LightningOptimizer", "_FabricOptimizer", "AcceleratedOptimizer"}


def unwrapped_optimizer(optimizer: Any) -> Any:
    """Remove the wrappers of Lightning and Accelerate around an optimizer."""
    while _FORWARDERS & {kind.__name__ for kind in type(optimizer).__mro__}:
        optimizer = optimizer.optimizer
    return optimizer


def held_optimizers(optimizer: Any) -> list[torch.optim.Optimizer]:
    """List the optimizers that an optimizer holds, directly or indirectly, each once."""
    found: dict[int, torch.optim.Optimizer] = {}
    waiting = [optimizer]
    while waiting:
        for value in getattr(waiting.pop(), "__dict__", {}).values():
            many = (
                value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else [value]
            )
            for one in map(unwrapped_optimizer, many):
                if isinstance(one, torch.optim.Optimizer) and one is not optimizer and id(one) not in found:
                    found[id(one)] = one
                    waiting.append(one)
    return list(found.values())


def _members(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


class Stepper:
    """Call functions before and after an optimizer's whole step.

    Parameters
    ----------
    optimizer : object
        A torch optimizer, or anything with a ``step`` that holds one.
    before, after : callable
        Called without arguments before and after each whole step.
    """

    def __init__(self, optimizer: Any, *, before: Callable[[], None], after: Callable[[], None]) -> None:
        self.optimizer, self.inner = optimizer, held_optimizers(optimizer)
        self._before, self._after = before, after
        self._frame: int | None = None  # the outermost step in progress
        self._handles: list[Any] = []
        self._listening = False

    def holds(self, optimizer: object) -> bool:
        """Whether an optimizer is this one or one of those that it holds."""
        return any(optimizer is one for one in (self.optimizer, *self.inner))

    def was_skipped(self) -> bool:
        """Whether a fused kernel did not change the weights because of an overflow."""
        marks = [getattr(one, "found_inf", None) for one in (self.optimizer, *self.inner)]
        return any(isinstance(mark, torch.Tensor) and bool(mark > 0) for mark in marks)

    def listen(self) -> None:
        """Start the callbacks."""
        self._listening = True
        for one in (self.optimizer, *self.inner):
            if _has_hooks(one):
                self._handles.append(one.register_step_pre_hook(self._enter))
                self._handles.append(one.register_step_post_hook(self._leave))
            elif not any(patch.target is one for patch in self._handles if isinstance(patch, _Patch)):
                self._handles.append(_Patch(one, self._around))

    def release(self) -> None:
        """Stop the callbacks, and remove all hooks."""
        self._listening = False
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _enter(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._open(sys._getframe(1))

    def _leave(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._close(sys._getframe(1))

    def _around(self, step: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        frame = sys._getframe()
        self._open(frame)
        done = step(*args, **kwargs)
        self._close(frame)
        return done

    def _open(self, frame: FrameType) -> None:
        # a step that ended with an error was never closed: only a frame on the stack is in progress
        above = frame.f_back
        while self._frame is not None and above is not None:
            if id(above) == self._frame:
                return
            above = above.f_back
        self._frame = id(frame)
        if self._listening:
            self._before()

    def _close(self, frame: FrameType) -> None:
        if self._frame == id(frame):
            self._frame = None
            if self._listening:
                self._after()


class _Patch:
    """Replace the ``step`` of an object without hooks by another function, until it is removed."""

    def __init__(self, target: Any, around: Callable[..., Any]) -> None:
        if not callable(getattr(target, "step", None)):
            raise InputError(worded("optimizer", "an optimizer, or an object with a step that holds one", target))
        self.target = target
        self._had = vars(target).get("step")
        step = target.step

        @functools.wraps(step)
        def patched(*args: Any, **kwargs: Any) -> Any:
            return around(step, args, kwargs)

        self._patched = patched
        target.step = patched

    def remove(self) -> None:
        if vars(self.target).get("step") is not self._patched:
            return  # another wrapper was added since: this one stays, without callbacks
        if self._had is None:
            del self.target.step
        else:
            self.target.step = self._had


def _has_hooks(optimizer: Any) -> bool:
    """Whether ``step`` calls hooks, which holds once ``torch.optim.Optimizer.__init__`` has run."""
    hooked = getattr(type(optimizer).step, "hooked", False) if hasattr(type(optimizer), "step") else False
    return bool(hooked) and "_optimizer_step_post_hooks" in vars(optimizer)
