"""Saturation of activations along a run."""

from typing import TYPE_CHECKING

from trajmap.data.results.saturation import Saturation
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_saturation"]


def plot_saturation(found: Saturation, *, ax: "Axes | None" = None) -> "Axes":
    """Draw one line a layer.

    Parameters
    ----------
    found : Saturation
        Saturation by step.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    colours = [COLORS[name] for name in ("run", "lift", "second", "third", "warning", "null")]
    for i, (name, values) in enumerate(zip(found.names, found.values.T, strict=True)):
        ax.plot(found.steps, values, "o-", ms=3, color=colours[i % 6], label=f"layer {name}")
    ax.set(xlabel="optimizer step", ylabel="saturation (ReLU: share of zeros)", ylim=(0, 1))
    ax.set_title("Saturation of the activations")
    ax.legend()
    return ax
