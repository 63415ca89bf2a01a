"""First layers over a flat chart: their outputs are affine in the coordinates, so they are combined, not computed."""

import collections
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, worded
from trajmap.data.frame import Frame
from trajmap.errors import InputError
from trajmap.objective.layers import OneDnnLinear, is_bare
from trajmap.objective.points import ArrayPoints
from trajmap.objective.strategy import Parts

__all__ = ["PlaneLayers", "plane_layers"]

_LINEAR = (torch.nn.Linear, OneDnnLinear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
_MOST_BYTES = 2**28


class PlaneLayers:
    """The combined layers of one model, with the next piece of data and the position on the plane.

    Parameters
    ----------
    layers : list
        The layers that were put into the model.
    """

    def __init__(self, layers: list["_Combined"]) -> None:
        self._layers = layers

    def move(self, z: Array) -> None:
        """Go to coordinates z, shape (d,)."""
        for layer in self._layers:
            layer.z = [float(v) for v in z]

    def combine(self) -> None:
        """Stop computing the layers."""
        for layer in self._layers:
            layer.collecting = False

    def piece(self, j: int) -> None:
        """Set the piece of data that is evaluated next."""
        for layer in self._layers:
            layer.j = j


class _Combined(torch.nn.Module):
    """A layer whose input does not depend on the parameters: c₀ + Σ zᵢ cᵢ from outputs computed once."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.outputs: list[list[torch.Tensor]] = []
        self.z: list[float] = []
        self.j = 0
        self.collecting = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Combine, or compute while the outputs are collected."""
        if self.collecting:
            out: torch.Tensor = self.layer(x)
            self.outputs[self.j].append(out.clone())
            return out
        first, *others = self.outputs[self.j]
        total = torch.add(first, others[0], alpha=self.z[0])
        for slope, z in zip(others[1:], self.z[1:], strict=True):
            total.add_(slope, alpha=z)
        return total


def plane_layers(
    module: torch.nn.Module,
    parts: Parts,
    frame: Frame,
    run: Sequence[Callable[[], Any]],
) -> PlaneLayers:
    """Replace, in place, the layers whose input is only data by combinations of their outputs over a plane.

    Parameters
    ----------
    module : torch.nn.Module
        The copy to change.
    parts : Parts
        Of the objective.
    frame : Frame
        The frame of the flat chart.
    run : sequence of callables
        Each evaluates the module on one piece of data.

    Returns
    -------
    PlaneLayers
        The handle to move them.

    Raises
    ------
    InputError
        If there is no such layer, one is called twice, or the outputs would not fit in 256 MiB.
    """
    found = {name: _Combined(layer) for name, layer in _first_layers(module, parts, run[0])}
    if not found:
        raise InputError(worded("strategy", "a layer whose input does not depend on the parameters", "none"))
    for name, layer in found.items():
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, layer)
        layer.outputs = [[] for _ in run]
    handle, size = PlaneLayers(list(found.values())), 0
    for vector in (frame.origin, *(np.asarray(frame.basis[i]) for i in range(frame.n_vectors))):
        parts.twin.visit(functools.partial(ArrayPoints(vector[None]).write, 0))
        for j, forward in enumerate(run):
            handle.piece(j)
            forward()
            size += sum(layer.outputs[j][-1].nbytes for layer in found.values())
            if size > _MOST_BYTES:
                raise InputError(worded("strategy", "first layers' outputs within 256 MiB", "more"))
    expected = 1 + frame.n_vectors
    if any(len(outputs) != expected for layer in found.values() for outputs in layer.outputs):
        raise InputError(
            worded("strategy", "first layers that are called once per forward pass", "another number of calls")
        )
    handle.combine()
    return handle


def _first_layers(
    module: torch.nn.Module, parts: Parts, forward: Callable[[], Any]
) -> Iterator[tuple[str, torch.nn.Module]]:
    """Find linear layers that own their parameters and whose input is only data, without gradients."""
    seen: dict[str, bool] = {}
    hooks = []
    for name, layer in module.named_modules():
        if type(layer) in _LINEAR and name and is_bare(layer):

            def note(_: Any, inputs: tuple[Any, ...], name: str = name) -> None:
                # an input passed by keyword is not detected
                seen[name] = seen.get(name, False) or not inputs or bool(inputs[0].requires_grad)

            hooks.append(layer.register_forward_pre_hook(note))
    marked = [p for p in module.parameters() if not p.requires_grad and p.is_floating_point()]
    try:
        for parameter in marked:
            parameter.requires_grad_()
        with torch.enable_grad():
            forward()
    finally:
        for parameter in marked:
            parameter.requires_grad = False
        for hook in hooks:
            hook.remove()
    owners = collections.Counter(id(p) for layer in module.modules() for p in layer.parameters(recurse=False))
    listed = set(parts.twin.names)
    for name, depends in seen.items():
        layer = module.get_submodule(name)
        own = {f"{name}.{key}": parameter for key, parameter in layer.named_parameters(recurse=False)}
        if not depends and own.keys() <= listed and all(owners[id(p)] == 1 for p in own.values()):
            yield name, layer
