"""Ways to scale a random direction to a model: a callable ``(direction, theta, layout) -> direction``."""

from collections.abc import Callable

import numpy as np

from trajmap._validation import Array
from trajmap.data.layout import Layout

__all__ = ["Normalise", "filter_norm", "no_norm", "tensor_norm"]

Normalise = Callable[[Array, Array, Layout], Array]


def filter_norm(direction: Array, theta: Array, layout: Layout) -> Array:
    """Give every filter of the direction the norm of the model's filter.

    A filter is a slice along the first axis of a parameter with two or more axes: an output channel, a neuron.
    Biases and normalisation parameters (one axis or none) are not moved. In a ReLU network whose layers are
    rescaled against each other the surface stays the same (Dinh et al. 2017).

    Parameters
    ----------
    direction, theta : numpy.ndarray, shape (P,)
        The direction and the model's point.
    layout : Layout
        Which entry is which parameter.

    Returns
    -------
    numpy.ndarray, shape (P,)
        The scaled direction; zero where the model's filter is zero.

    References
    ----------
    H. Li et al., Visualizing the loss landscape of neural nets, 2018 (per filter, as in the paper's text and
    the 'biasbn' option of its code).

    Examples
    --------
    >>> layout = Layout(("w", "b"), ((2, 2), (2,)))
    >>> filter_norm(np.ones(6), np.array([3.0, 4, 0, 0, 7, 7]), layout).round(3).tolist()
    [3.536, 3.536, 0.0, 0.0, 0.0, 0.0]
    """
    parts, model = layout.split(direction), layout.split(theta)
    scaled = {name: _scaled(part, model[name], tuple(range(1, part.ndim))) for name, part in parts.items()}
    return layout.join({name: part if part.ndim > 1 else np.zeros_like(part) for name, part in scaled.items()})


def tensor_norm(direction: Array, theta: Array, layout: Layout) -> Array:
    """Give every parameter tensor of the direction the norm of the model's tensor, biases included."""
    parts, model = layout.split(direction), layout.split(theta)
    return layout.join({name: _scaled(part, model[name], None) for name, part in parts.items()})


def no_norm(direction: Array, theta: Array, layout: Layout) -> Array:
    """Leave the direction as it was drawn."""
    return direction


def _scaled(part: Array, model: Array, axes: tuple[int, ...] | None) -> Array:
    norm = np.sqrt(np.sum(part**2, axis=axes, keepdims=True))
    target = np.sqrt(np.sum(model.astype(np.float64) ** 2, axis=axes, keepdims=True))
    return part * (target / np.where(norm == 0, 1, norm))
