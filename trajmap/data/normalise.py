"""Ways to scale a direction or noise to a model: a callable ``(direction, theta, layout) -> direction``."""

from collections.abc import Callable

import numpy as np

from trajmap._validation import Array
from trajmap.data.layout import Layout

__all__ = ["Normalise", "filter_norm", "layer_norm", "model_norm", "no_norm", "tensor_norm"]

Normalise = Callable[[Array, Array, Layout], Array]


def filter_norm(direction: Array, theta: Array, layout: Layout) -> Array:
    """Give every filter of the direction the norm of the model's filter.

    A filter is a slice along the first axis of a parameter with two or more axes: an output channel, a neuron. Biases
    and normalisation parameters (one axis or none) are not moved. If the layers of a ReLU network are rescaled against
    each other, the surface does not change (Dinh et al. 2017).

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


def layer_norm(direction: Array, theta: Array, layout: Layout) -> Array:
    """Give every layer of the direction, its weights and biases together, the norm of the model's layer.

    A layer is the parameters whose names agree up to the last dot.

    Parameters
    ----------
    direction, theta : numpy.ndarray, shape (P,)
        The direction and the model's point.
    layout : Layout
        Which entry is which parameter.

    Returns
    -------
    numpy.ndarray, shape (P,)
        The scaled direction.

    Examples
    --------
    >>> layout = Layout(("a.w", "a.b", "c.w"), ((2,), (1,), (1,)))
    >>> layer_norm(np.array([1.0, 1, 1, 1]), np.array([3.0, 0, 0, 5]), layout).round(3).tolist()
    [1.732, 1.732, 1.732, 5.0]
    """
    parts, model = layout.split(direction), layout.split(theta)
    scaled: dict[str, Array] = {}
    for layer in {name.rpartition(".")[0]: None for name in parts}:
        names = [name for name in parts if name.rpartition(".")[0] == layer]
        norm = np.sqrt(sum(float(np.sum(parts[name].astype(np.float64) ** 2)) for name in names))
        target = np.sqrt(sum(float(np.sum(model[name].astype(np.float64) ** 2)) for name in names))
        scaled |= {name: parts[name] * (target / (norm or 1.0)) for name in names}
    return layout.join({name: scaled[name] for name in parts})


def model_norm(direction: Array, theta: Array, layout: Layout) -> Array:
    """Give the whole direction the norm of the model.

    Parameters
    ----------
    direction, theta : numpy.ndarray, shape (P,)
        The direction and the model's point.
    layout : Layout
        Which entry is which parameter: it makes no difference here.

    Returns
    -------
    numpy.ndarray, shape (P,)
        The scaled direction.

    Examples
    --------
    >>> model_norm(np.array([0.0, 2.0]), np.array([3.0, 4.0]), Layout(("w",), ((2,),))).tolist()
    [0.0, 5.0]
    """
    return _scaled(direction, theta, None)


def no_norm(direction: Array, theta: Array, layout: Layout) -> Array:
    """Return the direction unchanged."""
    return direction


def _scaled(part: Array, model: Array, axes: tuple[int, ...] | None) -> Array:
    norm = np.sqrt(np.sum(part**2, axis=axes, keepdims=True))
    target = np.sqrt(np.sum(model.astype(np.float64) ** 2, axis=axes, keepdims=True))
    return part * (target / np.where(norm == 0, 1, norm))
