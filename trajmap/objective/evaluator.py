"""Evaluate an objective at many points with a chosen strategy."""

import contextlib
import functools
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import torch
from torch.func import vmap

from trajmap._validation import Array, worded
from trajmap.data.frame import Frame
from trajmap.errors import InputError
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.kernels import value_kernels
from trajmap.objective.layers import with_onednn, with_pairwise_pooling
from trajmap.objective.model_at import Remembering, call_at
from trajmap.objective.planes import PlaneLayers, plane_layers
from trajmap.objective.points import Points
from trajmap.objective.splitting import split_batches
from trajmap.objective.state import State
from trajmap.objective.strategy import PLAIN, Parts, Strategy, cheaper_losses, loss_value

__all__ = ["Evaluator"]


class Evaluator:
    """Loss and metrics at many points, one after the other in the twin's own buffer.

    Parameters
    ----------
    parts : Parts
        Of the objective.
    strategy : Strategy
        How.
    frame : Frame, optional
        The frame of which all points are combinations; required by ``strategy.planes``.

    Raises
    ------
    InputError
        If the strategy does not suit the model: its forward writes to buffers, or no first layer can be combined.
    """

    def __init__(self, parts: Parts, strategy: Strategy = PLAIN, frame: Frame | None = None) -> None:
        self._parts, self._strategy, self._twin = parts, strategy, parts.twin
        self._functions = parts.functions
        self._module, self._state = parts.twin.module, parts.twin.state
        self._combined: PlaneLayers | None = None
        batches = parts.batches
        if strategy != PLAIN:
            self._module = parts.twin.shadow()
            self._state = State(self._module)
        if strategy.cheaper:
            with_pairwise_pooling(self._module)
            self._functions = cheaper_losses(parts.functions)
        if strategy.channels_last:
            batches = batches.map(_channels_last)
        # batches of uncertain size are not split
        self._pieces, self._weights = split_batches(batches, parts.weighing, strategy.batch_size, strict=False)
        if strategy != PLAIN:
            self._prepare(frame)

    def _prepare(self, frame: Frame | None) -> None:
        """Replace layers of the second copy, which shares its parameters with the twin."""
        self._refuse_written_state()
        if self._strategy.onednn:
            if self._parts.needs_graph:
                raise InputError(
                    worded("strategy", "a loss that takes no derivatives for onednn=True", "one that does")
                )
            with_onednn(self._module)
        if self._strategy.planes:
            if frame is None:
                raise InputError(worded("strategy", "a plane for planes=True", "none"))
            runs = [functools.partial(self._piece, j, self._functions) for j in range(len(self._pieces))]
            with self._twin.lock, isolated_rng(), torch.no_grad():
                self._combined = plane_layers(self._module, self._parts, frame, runs)

    def evaluate(
        self, points: Points, coefficients: Array | None = None, *, only: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Loss and metrics at points.

        Parameters
        ----------
        points : Points
            The n points.
        coefficients : numpy.ndarray, shape (n, m), optional
            Their coefficients in the frame.
        only : sequence of str, optional
            Names of the requested quantities.

        Returns
        -------
        dict of str to numpy.ndarray of shape (n,)
            ``loss`` and each metric, float64; NaN and inf are kept.
        """
        chosen = {name: self._functions[name] for name in (self._functions if only is None else only)}
        weights = np.array(self._weights)
        with self._twin.lock, isolated_rng():
            run = self._vmapped if self._strategy.points > 1 else self._one_by_one
            found = run(points, chosen, coefficients)
        # a loss may be a sum over the batches; metrics are always means
        means = weights / weights.sum()
        return {name: _weighted(values, weights if name == "loss" else means) for name, values in found.items()}

    def by_piece(self, points: Points) -> Array:
        """Loss of each piece of the data at points, shape (n, pieces)."""
        with self._twin.lock, isolated_rng():
            return self._one_by_one(points, {"loss": self._functions["loss"]}, None)["loss"]

    @contextlib.contextmanager
    def _mode(self) -> Generator[None, None, None]:
        # not inference mode: tensors cached there could not be used in a later backward pass
        kind = self._twin.flat.device.type
        with (
            value_kernels(with_graph=self._parts.needs_graph),
            torch.set_grad_enabled(self._parts.needs_graph),
            torch.autocast(kind, torch.bfloat16, enabled=self._strategy.bfloat16),
        ):
            yield

    def _one_by_one(self, points: Points, functions: dict[str, Any], coefficients: Array | None) -> dict[str, Array]:
        rows: dict[str, list[torch.Tensor]] = {name: [] for name in functions}
        with self._mode():
            for i in range(len(points)):
                if self._combined is not None and coefficients is not None:
                    self._combined.move(coefficients[i])
                self._twin.visit(functools.partial(points.write, i))
                for j in range(len(self._pieces)):
                    if self._combined is not None:
                        self._combined.piece(j)
                    for name, value in self._piece(j, functions).items():
                        rows[name].append(value)
        shape = (len(points), len(self._pieces))
        # one transfer per block, not per point
        return {name: _gathered(row).reshape(shape) for name, row in rows.items()}

    def _piece(self, j: int, functions: dict[str, Any]) -> dict[str, torch.Tensor]:
        shared = None if len(functions) == 1 else Remembering(self._module)
        model: Any = self._module if shared is None else shared
        found = {}
        for name, function in functions.items():
            found[name] = loss_value(function(model, self._pieces.fresh(j, name))).detach().double()
            changed = self._state.restore()
            if shared is not None:
                shared.end(changed=changed)
        self._pieces.settle()
        return found

    def _vmapped(self, points: Points, functions: dict[str, Any], _: Array | None) -> dict[str, Array]:
        twin, many = self._twin, self._strategy.points
        buffers = dict(self._module.named_buffers())

        def at(point: torch.Tensor, batch: Any) -> dict[str, torch.Tensor]:
            tensors = {**buffers, **dict(zip(twin.names, twin.pieces(point), strict=True))}
            return {name: loss_value(call_at(self._module, f, tensors, batch)) for name, f in functions.items()}

        rows: dict[str, list[torch.Tensor]] = {name: [] for name in functions}
        block = twin.flat.new_empty((many, len(twin.flat)))
        with self._mode():
            for start in range(0, len(points), many):
                stop = min(start + many, len(points))
                for k in range(start, stop):
                    points.write(k, block[k - start])
                found = [vmap(at, in_dims=(0, None))(block[: stop - start], batch) for batch in self._pieces]
                for name, row in rows.items():
                    row.append(torch.stack([piece[name].double() for piece in found], dim=1))
        return {name: torch.cat(row).cpu().numpy() for name, row in rows.items()}

    def _refuse_written_state(self) -> None:
        with self._twin.lock, isolated_rng(), self._mode():
            for function in self._functions.values():
                function(self._module, self._pieces[0])
                if self._state.restore():
                    raise InputError(worded("strategy", "a forward pass that keeps no state", "one that does"))


def _gathered(values: list[torch.Tensor]) -> Array:
    return torch.stack(values).cpu().numpy() if values else np.empty(0)


def _weighted(values: Array, weights: Array) -> Array:
    total: Array = np.zeros(len(values))
    with np.errstate(invalid="ignore", over="ignore"):
        for weight, column in zip(weights, values.T, strict=True):
            total += weight * column
    return total


def _channels_last(leaf: Any) -> Any:
    images = isinstance(leaf, torch.Tensor) and leaf.ndim == 4
    return leaf.contiguous(memory_format=torch.channels_last) if images else leaf
