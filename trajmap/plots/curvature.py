"""The Hessian's spectrum, the edge of stability, and trainings inside subspaces."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.results.spectral_density import SpectralDensity
from trajmap.data.results.training_curves import TrainingCurves
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_density", "plot_edge", "plot_trainings"]


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
    ax.semilogy(x, np.maximum(density.density(x, width) * density.size, 1e-3), color=COLORS["run"])
    ax.axvline(0, color=COLORS["null"], lw=0.8)
    ax.set(xlabel="eigenvalue", ylabel="eigenvalues a unit")
    ax.set_title(f"Spectrum: {density.negative_share:.1%} negative, effective rank {density.effective_rank:.3g}")
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
    over = "" if low > high else f" / {low:.3g}" if low == high else f" / {low:.3g} to {high:.3g}"
    ax.plot(gauge.steps, gauge.ratio, "o-", color=COLORS["run"], label=f"{gauge.kind}{over}")
    assert gauge.low is not None
    assert gauge.high is not None
    bounded = np.isfinite(gauge.high)
    if (gauge.high > gauge.low)[bounded].any():
        ax.vlines(gauge.steps[bounded], gauge.low[bounded], gauge.high[bounded], color=COLORS["run"], lw=0.8)
    if gauge.kind == "batch sharpness":
        ax.plot(gauge.steps, gauge.top / gauge.threshold, ":", color=COLORS["null"], label="λ₁ of the whole loss")
    ax.set(xlabel="optimizer step", ylabel="sharpness over threshold", ylim=(0, None))
    ax.set_title(
        {"unknown": "The edge is unknown", "at": "At the edge"}.get(
            gauge.regime, f"{gauge.regime.capitalize()} the edge"
        )
    )
    ax.legend()
    return ax


def plot_trainings(trainings: TrainingCurves, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the last loss of each training as a bar, and the first as a line.

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
    final = trainings.final
    heights = [value if np.isfinite(value) else 0.0 for value in final.values()]
    bars = ax.barh(list(final), heights, color=COLORS["run"])
    ax.bar_label(bars, labels=[f"{value:.3g}" for value in final.values()], padding=3)
    ax.axvline(trainings.losses[0, 0], ls=":", color=COLORS["null"], label="loss at the start")
    ax.invert_yaxis()
    ax.set(xlabel=f"loss after {trainings.steps[-1]:.0f} steps")
    ax.set_title("Training inside and outside subspaces")
    ax.legend()
    return ax
