"""The Hessian's spectrum, the edge of stability, and trainings inside subspaces."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.results.spectral_density import SpectralDensity
from trajmap.data.results.training_curves import TrainingCurves
from trajmap.plots.labels import headline, label_ends, legend_below
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_density", "plot_edge", "plot_trainings"]

_TRAININGS = {"dominant": "in the top\neigenspace", "bulk": "outside it"}


def plot_density(density: SpectralDensity, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the density of eigenvalues on a logarithmic scale, smoothed by a hundredth of its range.

    Parameters
    ----------
    density : SpectralDensity
        Quadrature of the spectrum.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    low, high = float(density.nodes.min()), float(density.nodes.max())
    width = max((high - low) / 100, 1e-12 * max(abs(high), 1.0))
    x = np.linspace(low - 4 * width, high + 4 * width, 800)
    heights = density.density(x, width) * density.size
    heights = np.where(heights > 1e-3, drawable(heights), np.nan)  # below a thousandth of an eigenvalue there is none
    ax.plot(x, heights, color=COLORS["run"], lw=1.2)
    ax.fill_between(x, np.where(np.isfinite(heights), heights, 1e-3), 1e-3, color=COLORS["run"], alpha=0.2, lw=0)
    if use_log(ax, "y", heights):
        ax.set_ylim(bottom=1e-3)
    ax.axvline(0, color=COLORS["null"], lw=0.8)
    ax.set(xlabel="eigenvalue", ylabel="eigenvalues per unit")
    headline(ax, f"Spectrum: {density.negative_share:.1%} negative, effective rank {density.effective_rank:.3g}")
    return ax


def plot_edge(gauge: EdgeGauge, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the sharpness over its threshold along the run; 1 is the edge of stability.

    Parameters
    ----------
    gauge : EdgeGauge
        The gauge.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    ax.axhspan(0.8, 1.2, color=COLORS["warning"], alpha=0.25, linewidth=0, label="the edge")
    low, high = np.nanmin(gauge.threshold, initial=np.inf), np.nanmax(gauge.threshold, initial=-np.inf)
    over = "" if low > high else f", threshold {low:.3g}" if low == high else f", threshold {low:.3g} to {high:.3g}"
    ratio = drawable(gauge.ratio)
    ax.plot(gauge.steps, ratio, "o-", color=COLORS["run"], label=f"{gauge.kind}{over}")
    assert gauge.low is not None
    assert gauge.high is not None
    bounded = np.isfinite(gauge.high)
    if (gauge.high > gauge.low)[bounded].any():
        ax.vlines(gauge.steps[bounded], gauge.low[bounded], gauge.high[bounded], color=COLORS["run"], lw=0.8)
    if gauge.kind == "batch sharpness":
        ax.plot(
            gauge.steps, drawable(gauge.top / gauge.threshold), ":", color=COLORS["null"], label="λ₁ of the whole loss"
        )
    if not use_log(ax, "y", ratio, np.array([0.8, 1.2])):
        ax.set_ylim(0, None)
    ax.set(xlabel="optimizer step", ylabel="sharpness over threshold")
    headline(
        ax,
        {"unknown": "The edge is unknown", "at": "At the edge"}.get(
            gauge.regime, f"{gauge.regime.capitalize()} the edge"
        ),
    )
    legend_below(ax, columns=1)
    return ax


def plot_trainings(trainings: TrainingCurves, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the loss of each training by step, with its last one.

    Parameters
    ----------
    trainings : TrainingCurves
        Losses by step.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    drawn = []
    for i, (name, losses) in enumerate(zip(trainings.names, drawable(trainings.losses), strict=True)):
        look = series(i)
        every = max(1, len(losses) // 8)
        ax.plot(trainings.steps, losses, lw=1.5, ms=4, markevery=every, **look)
        drawn.append((
            f"{_TRAININGS.get(name, name)}: {trainings.losses[i, -1]:.3g}",
            trainings.steps,
            losses,
            look["color"],
        ))
    use_log(ax, "y", trainings.losses)
    ax.set(xlabel="step", ylabel="loss")
    headline(ax, "Trainings with a part of each step")
    label_ends(ax, drawn)
    return ax
