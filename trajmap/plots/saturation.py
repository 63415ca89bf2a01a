"""Saturation of activations along a run."""

from typing import TYPE_CHECKING

from trajmap.data.results.saturation import Saturation
from trajmap.plots.labels import headline, label_ends
from trajmap.plots.scales import drawable
from trajmap.plots.theme import open_axes, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_saturation"]


def plot_saturation(saturation: Saturation, *, ax: "Axes | None" = None) -> "Axes":
    """Draw one line a layer.

    Parameters
    ----------
    saturation : Saturation
        Saturation by step.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    drawn = []
    for i, (name, values) in enumerate(zip(saturation.names, drawable(saturation.values).T, strict=True)):
        ax.plot(saturation.steps, values, ms=3, **series(i))
        drawn.append((f"layer {name}", saturation.steps, values, series(i)["color"]))
    ax.set(xlabel="optimizer step", ylabel="saturation (ReLU: share of zeros)", ylim=(-0.02, 1.02))
    headline(ax, "Saturation of the activations")
    label_ends(ax, drawn)
    return ax
