"""Tangent, gradient and step inside the Hessian's top eigenspace, beside random directions."""

from typing import TYPE_CHECKING

from trajmap.data.results.alignment import Alignment
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_alignment"]


def plot_alignment(alignment: Alignment, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the shares inside the eigenspace along the run, with the ranges of random subspaces as bands.

    Parameters
    ----------
    alignment : Alignment
        Shares and baselines.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    lines = (("gradient", "run", "o-"), ("step", "second", "s-"), ("tangent", "lift", "^-"))
    labels = {
        "gradient": "gradient",
        "step": "next step",
        "tangent": f"tangent of {alignment.name or 'the chart'}",
    }
    for name, colour, style in lines:
        ax.plot(
            alignment.steps,
            getattr(alignment, name),
            style,
            color=COLORS[colour],
            markersize=4,
            label=labels[name],
        )
    low, _, high = alignment.baselines["row_space"]
    ax.axhspan(low, high, color=COLORS["warning"], alpha=0.25, linewidth=0, label="random plane of the run's span")
    low, _, high = alignment.baselines["vector"]
    ax.axhspan(low, high, color=COLORS["null"], alpha=0.5, linewidth=0, label="random direction of parameter space")
    ax.axhline(alignment.expected, color=COLORS["null"], linewidth=0.8, linestyle=":")
    k = alignment.eigenvalues.shape[1]
    ax.set(xlabel="optimizer step", ylabel=f"share inside the top-{k} eigenspace", ylim=(-0.03, 1.03))
    ax.set_title(f"Hessian alignment of {alignment.name or 'the chart'}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    return ax
