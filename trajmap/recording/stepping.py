"""What one step of an optimizer is: everything between the call of its ``step`` and the return from it.

An optimizer may hold others, as Lookahead, SAM, a bundle of Muon and AdamW, or a schedule of one's own do. Then the
whole step of the outermost counts, once, however many of the inner ones it takes; an inner step that is taken
outside of it, as by SAM's ``second_step``, counts by itself.
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

# they pass ``step`` on to the optimizer that they hold, and nothing else that moves weights
_FORWARDERS = {"LightningOptimizer", "_FabricOptimizer", "AcceleratedOptimizer"}


def unwrapped_optimizer(optimizer: Any) -> Any:
    """Take off what Lightning and Accelerate put around an optimizer."""
    while _FORWARDERS & {kind.__name__ for kind in type(optimizer).__mro__}:
        optimizer = optimizer.optimizer
    return optimizer


def held_optimizers(optimizer: Any) -> list[torch.optim.Optimizer]:
    """List the optimizers that one holds, and those that they hold in turn, each once."""
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
    """Say when an optimizer's whole step begins and when it is done.

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
        self._frame: int | None = None  # the outermost step that is under way
        self._handles: list[Any] = []
        self._listening = False

    def holds(self, optimizer: object) -> bool:
        """Whether an optimizer is the one or one of those that it holds."""
        return any(optimizer is one for one in (self.optimizer, *self.inner))

    def was_skipped(self) -> bool:
        """Whether a fused kernel left the weights as they were, since a scaler had found an overflow."""
        marks = [getattr(one, "found_inf", None) for one in (self.optimizer, *self.inner)]
        return any(isinstance(mark, torch.Tensor) and bool(mark > 0) for mark in marks)

    def listen(self) -> None:
        """Begin to call back."""
        self._listening = True
        for one in (self.optimizer, *self.inner):
            if _has_hooks(one):
                self._handles.append(one.register_step_pre_hook(self._enter))
                self._handles.append(one.register_step_post_hook(self._leave))
            elif not any(patch.target is one for patch in self._handles if isinstance(patch, _Patch)):
                self._handles.append(_Patch(one, self._around))

    def release(self) -> None:
        """Call back no more, and leave no trace."""
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
        # a step that ended by an error was never closed: only a frame that is on the stack is under way
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
    """A ``step`` of an object without hooks, called through another function until it is removed."""

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
            return  # another has put itself around it since: it stays, and calls nobody back
        if self._had is None:
            del self.target.step
        else:
            self.target.step = self._had


def _has_hooks(optimizer: Any) -> bool:
    """Whether ``step`` calls hooks: so it does once ``torch.optim.Optimizer.__init__`` has run."""
    hooked = getattr(type(optimizer).step, "hooked", False) if hasattr(type(optimizer), "step") else False
    return bool(hooked) and "_optimizer_step_post_hooks" in vars(optimizer)
