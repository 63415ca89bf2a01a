"""Saturation of a network's activations."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, worded
from trajmap.data.results.saturation import Saturation
from trajmap.errors import InputError
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.objective import Objective

__all__ = ["saturation"]

_BOUNDED = (torch.nn.Tanh, torch.nn.Sigmoid)


def saturation(
    objective: Objective, thetas: Iterable[Array], inputs: Any, *, steps: Sequence[float] | Array | None = None
) -> Saturation:
    """Measure the saturation of each activation layer at some points, such as the iterates of a run.

    Parameters
    ----------
    objective : Objective
        Of the model.
    thetas : iterable of array-like, each of shape (P,)
        The points.
    inputs : torch.Tensor
        Data.
    steps : sequence of float, optional
        Optimizer steps of the points; counted from 0 by default.

    Returns
    -------
    Saturation
        By point and layer, in [0, 1]: for tanh and sigmoid the mean distance from the middle of the range, 1 if every
        unit is at an end of the range; for ReLU the share of outputs that are zero.

    Raises
    ------
    InputError
        If the model has no such layers, or there is no point.

    References
    ----------
    A. Rakitianskaia, A. Engelbrecht, Measuring saturation in neural networks, 2015 (the mean distance, reconstructed).

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.ReLU())
    >>> loss = Objective(model, lambda m, x: m(x).mean(), [torch.ones(1, 1)])
    >>> saturation(loss, [[1.0], [-1.0]], torch.ones(4, 1)).values.tolist()
    [[0.0], [1.0]]
    """
    rows = [_layers(objective, check_array("thetas", theta, (objective.size,)), inputs) for theta in thetas]
    if not rows:
        raise InputError(worded("thetas", "at least one point", "none"))
    if not rows[0]:
        raise InputError(worded("objective", "a model with Tanh, Sigmoid or ReLU layers", "none"))
    places = np.arange(len(rows)) if steps is None else np.asarray(steps)
    return Saturation(places, np.array([list(row.values()) for row in rows]), list(rows[0]))


def _layers(objective: Objective, theta: Array, inputs: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    hooks = []

    def note(name: str, layer: torch.nn.Module) -> None:
        def hook(_: Any, __: Any, out: torch.Tensor) -> None:
            values = out.detach().double()
            if isinstance(layer, torch.nn.ReLU):
                found[name] = float((values == 0).double().mean())
            else:
                middle = 0.5 if isinstance(layer, torch.nn.Sigmoid) else 0.0
                found[name] = float((values - middle).abs().mean()) / (0.5 if middle else 1.0)

        hooks.append(layer.register_forward_hook(hook))

    for name, layer in objective.model.named_modules():
        if isinstance(layer, (*_BOUNDED, torch.nn.ReLU)):
            note(name, layer)
    try:
        with isolated_rng():
            objective.outputs(theta, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found
