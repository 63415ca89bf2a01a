"""An objective at many points, by a chosen strategy."""

import copy
import functools
from typing import Any

import numpy as np
import torch
from torch.func import vmap

from trajmap._validation import Array, worded
from trajmap.data.frame import Frame
from trajmap.errors import InputError
from trajmap.objective.batches import map_tensors
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.layers import with_onednn, with_pairwise_pooling
from trajmap.objective.model_at import ModelAt, Remembering
from trajmap.objective.planes import PlaneLayers, plane_layers
from trajmap.objective.points import Points
from trajmap.objective.strategy import PLAIN, Parts, Strategy, cheaper_losses, split_batch

__all__ = ["Evaluator"]


class Evaluator:
    """Loss and metrics at many points.

    Parameters
    ----------
    parts : Parts
        Of the objective.
    strategy : Strategy
        How.
    frame : Frame, optional
        The frame that all points lie on, which ``strategy.planes`` needs.

    Raises
    ------
    InputError
        If the strategy does not suit the model: its forward writes to buffers, or no first layer can be combined.
    """

    def __init__(self, parts: Parts, strategy: Strategy = PLAIN, frame: Frame | None = None) -> None:
        self._parts, self._strategy = parts, strategy
        self._twin = copy.deepcopy(parts.module)
        self._functions = parts.functions
        if strategy.cheaper:
            with_pairwise_pooling(self._twin)
            self._functions = cheaper_losses(parts.functions)
        batches = parts.batches
        if strategy.channels_last:
            self._twin = self._twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            batches = [map_tensors(batch, _channels_last) for batch in batches]
        self._pieces = [
            (weight * share, piece)
            for weight, batch in zip(parts.weights, batches, strict=True)
            for share, piece in split_batch(batch, strategy.samples)
        ]
        own = dict(self._twin.named_parameters())
        self._leaves = [own[name] for name in parts.names]
        self._sizes = [leaf.numel() for leaf in self._leaves]
        self._mode = torch.enable_grad if parts.needs_graph else torch.inference_mode
        self._combined: PlaneLayers | None = None
        self._refuse_written_buffers()
        if strategy.onednn:
            if parts.needs_graph:
                raise InputError(worded("strategy", "a loss without derivatives for onednn=True", "one with"))
            with_onednn(self._twin)
        if strategy.planes:
            if frame is None:
                raise InputError(worded("strategy", "a frame for planes=True", "none"))
            runs = [functools.partial(self._piece, j) for j in range(len(self._pieces))]
            with isolated_rng(), torch.no_grad():
                self._combined = plane_layers(self._twin, parts, frame, self._write, runs)

    def evaluate(self, points: Points, coefficients: Array | None = None) -> dict[str, Array]:
        """Loss and metrics at points.

        Parameters
        ----------
        points : Points
            The points.
        coefficients : numpy.ndarray, shape (n, m), optional
            Their coefficients in the frame.

        Returns
        -------
        dict of str to numpy.ndarray of shape (n,)
            ``loss`` and each metric, float64; NaN and inf are kept.
        """
        with isolated_rng():
            if self._strategy.points > 1:
                return self._vmapped(points)
            rows = []
            flat = self._flat()
            for i in range(len(points)):
                if self._combined is not None and coefficients is not None:
                    self._combined.move(coefficients[i])
                points.write(i, flat)
                self._write(flat)
                rows.append(self._run())
        return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in self._functions}

    def _flat(self, *rows: int) -> torch.Tensor:
        return self._leaves[0].detach().new_empty((*rows, sum(self._sizes)))

    def _write(self, point: torch.Tensor) -> None:
        with torch.no_grad():
            for leaf, piece in zip(self._leaves, torch.split(point, self._sizes), strict=True):
                leaf.copy_(piece.view(leaf.shape))

    def _run(self) -> dict[str, float]:
        totals = dict.fromkeys(self._functions, 0.0)
        # an inference tensor cannot be saved for backward, which a loss with derivatives inside does
        with self._mode():
            for j, (weight, _) in enumerate(self._pieces):
                if self._combined is not None:
                    self._combined.piece(j)
                for name, value in self._piece(j).items():
                    totals[name] += weight * value
        return totals

    def _piece(self, j: int) -> dict[str, float]:
        model: Any = _InPlace(self._twin)
        if len(self._functions) > 1:
            model = Remembering(model)
        batch = self._pieces[j][1]
        return {name: float(function(model, batch).detach()) for name, function in self._functions.items()}

    def _vmapped(self, points: Points) -> dict[str, Array]:
        buffers = dict(self._twin.named_buffers())
        shapes = [leaf.shape for leaf in self._leaves]

        def at(point: torch.Tensor, batch: Any) -> dict[str, torch.Tensor]:
            parts = [part.view(shape) for part, shape in zip(torch.split(point, self._sizes), shapes, strict=True)]
            model = ModelAt(self._twin, {**buffers, **dict(zip(self._parts.names, parts, strict=True))})
            return {name: function(model, batch) for name, function in self._functions.items()}

        chunks = []
        with torch.no_grad():
            for start in range(0, len(points), self._strategy.points):
                block = self._flat(min(self._strategy.points, len(points) - start))
                for i, row in enumerate(block):
                    points.write(start + i, row)
                totals = {name: torch.zeros(len(block), dtype=torch.float64) for name in self._functions}
                for weight, batch in self._pieces:
                    for name, values in vmap(at, in_dims=(0, None))(block, batch).items():
                        totals[name] += weight * values.double().cpu()
                chunks.append(totals)
        return {name: np.concatenate([chunk[name].numpy() for chunk in chunks]) for name in self._functions}

    def _refuse_written_buffers(self) -> None:
        before = {name: buffer.clone() for name, buffer in self._twin.named_buffers()}
        with isolated_rng():
            self._run()
        for name, buffer in self._twin.named_buffers():
            if not torch.equal(buffer, before[name]) and not bool(buffer.isnan().any()):
                raise InputError(worded("strategy", "a forward that leaves buffers alone", f"one that writes {name}"))


class _InPlace:
    """The module as a callable and nothing else, as inside every loss."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._module(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(ModelAt(self._module, {}), name)


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
