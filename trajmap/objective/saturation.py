"""How saturated a network's activations are."""

from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, worded
from trajmap.errors import InputError
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.objective import Objective

__all__ = ["saturation"]

_BOUNDED = (torch.nn.Tanh, torch.nn.Sigmoid)


def saturation(objective: Objective, theta: Array, inputs: Any) -> dict[str, float]:
    """Measure the saturation of each activation layer at a point.

    Parameters
    ----------
    objective : Objective
        Of the model.
    theta : array-like, shape (P,)
        The point.
    inputs : torch.Tensor
        Data.

    Returns
    -------
    dict of str to float
        By layer, in [0, 1]: for tanh and sigmoid the mean distance from the middle of the range, 1 where every unit
        is at an end; for ReLU the share of outputs that are zero.

    Raises
    ------
    InputError
        If the model has no such layers.

    References
    ----------
    A. Rakitianskaia, A. Engelbrecht, Measuring saturation in neural networks, 2015 (the mean distance, reconstructed).
    """
    theta = check_array("theta", theta, (objective.size,))
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
            objective.outputs(np.asarray(theta), inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise InputError(worded("objective", "a model with Tanh, Sigmoid or ReLU layers", "none"))
    return found
