"""Predictions of iterates: a run in the space of functions instead of weights."""

from typing import Any

import numpy as np
import torch
from torch.func import functional_call

from trajmap._validation import Array, worded
from trajmap.data.layout import Layout
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.objective import Objective
from trajmap.objective.twin import private_copy

__all__ = ["function_distance", "root_probabilities"]


def root_probabilities(model: torch.nn.Module, trajectory: Trajectory, probes: Any, *, buffers: bool = True) -> Array:
    """Square roots of the class probabilities of each iterate on some probes.

    Flattened and divided by √N they can be used as coordinates: squared distances between iterates are mean squared
    Hellinger distances (times two), and every embedding of weights works on them. Runs from different initialisations
    share a manifold in this space, but not in weight space.

    Parameters
    ----------
    model : torch.nn.Module
        The classifier, whose outputs are logits; it is not changed.
    trajectory : Trajectory
        Its iterates.
    probes : torch.Tensor
        Inputs, N of them.
    buffers : bool
        Use the buffers recorded with each iterate, if any.

    Returns
    -------
    numpy.ndarray, shape (T, N, C)
        √p, float32.

    Raises
    ------
    InputError
        If the outputs are not logits of shape (N, C) with C ≥ 2.
    LayoutError
        If the trajectory is not the model's.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 2)
    >>> run = Trajectory.of(np.zeros((3, 6)))
    >>> roots = root_probabilities(model, run, torch.ones(4, 2))
    >>> roots.shape, bool(abs(roots[0, 0, 0] - 0.5**0.5) < 1e-6)
    ((3, 4, 2), True)
    """
    twin = private_copy(model, None, None)
    own = dict(twin.named_parameters())
    if trajectory.layout.names == ("theta",):  # a bare array: in the order of the parameters
        layout = Layout(tuple(own), tuple(tuple(p.shape) for p in own.values()))
        if layout.size != trajectory.size:
            raise InputError(worded("trajectory", f"the model's {layout.size} parameters", f"{trajectory.size}"))
    else:
        layout = trajectory.layout
        known = [name for name in layout.names if name in own]
        Layout(tuple(known or own), tuple(tuple(own[n].shape) for n in known or own)).require(layout, "trajectory")
    out = []
    with isolated_rng(), torch.no_grad():
        for i in range(trajectory.n_iterates):
            state = _state(own, layout, trajectory.theta(i)) | (_buffers(trajectory, i) if buffers else {})
            logits = functional_call(twin, state, (probes,))
            if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
                got = getattr(logits, "shape", type(logits).__name__)
                raise InputError(worded("model", "logits of shape (probes, classes)", got))
            out.append(logits.double().softmax(dim=1).sqrt().float().cpu().numpy())
    return np.stack(out)


def function_distance(objective: Objective, a: Array, b: Array, probes: Any, *, classes: bool = True) -> float:
    """Measure the distance of two points as functions, independent of their distance as weights.

    Parameters
    ----------
    objective : Objective
        Of the model.
    a, b : array-like, shape (P,)
        The points.
    probes : torch.Tensor
        Inputs.
    classes : bool
        Whether the outputs are logits. If so, the distance is the root mean squared Hellinger distance of the class
        probabilities, in [0, 1]. Otherwise it is the root mean squared difference of the outputs.

    Returns
    -------
    float
        0 for equal functions.

    Examples
    --------
    >>> import torch
    >>> objective = Objective(torch.nn.Linear(1, 2, bias=False), lambda m, x: m(x).sum(), [torch.ones(1, 1)])
    >>> function_distance(objective, [3.0, 3.0], [5.0, 5.0], torch.ones(4, 1))
    0.0
    """
    outputs = [objective.outputs(theta, probes) for theta in (a, b)]
    if not classes:
        return float((outputs[0] - outputs[1]).square().mean().sqrt())
    roots = [out.double().flatten(end_dim=-2).softmax(dim=-1).sqrt() for out in outputs]
    return float((0.5 * (roots[0] - roots[1]).square().sum(dim=-1)).mean().sqrt())


def _state(own: dict[str, torch.nn.Parameter], layout: Layout, theta: Array) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(part).to(own[name]) for name, part in layout.split(theta).items()}


def _buffers(trajectory: Trajectory, i: int) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(array) for name, array in trajectory.buffers(i).items()}
