"""How the landscape settles as samples are added."""

from typing import TYPE_CHECKING

from trajmap.data.results.sample_convergence import SampleConvergence
from trajmap.data.results.subspace_convergence import SubspaceConvergence
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_sample_convergence", "plot_subspace_convergence"]


def plot_sample_convergence(found: SampleConvergence, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the change of the mean loss by one more sample, and the law of independent samples.

    Parameters
    ----------
    found : SampleConvergence
        Changes by size.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    ax.loglog(found.sizes, found.changes, color=COLORS["run"], lw=1, label="measured")
    ax.loglog(found.sizes, found.expected, "--", color=COLORS["lift"], label="mean absolute deviation / (k + 1)")
    ax.set(xlabel="samples k", ylabel="mean |L(k + 1) − L(k)|")
    ax.set_title(f"One more sample: slope {found.slope:.3f}, −1 for independent ones")
    ax.legend()
    return ax


def plot_subspace_convergence(found: SubspaceConvergence, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the mean squared change of the loss over the cloud, and what second-order expansions predict of it.

    Parameters
    ----------
    found : SubspaceConvergence
        Changes by size.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    ax.loglog(found.sizes, found.measured, "o", color=COLORS["run"], ms=4, label="over random orders")
    rows = (
        (found.variance, "-", "run", "all orders"),
        (found.quadratic, ":", "second", "values, gradients and curvatures"),
        (found.curved, "-", "lift", "all orders, even part"),
        (found.published, ":", "third", "curvatures along each direction"),
    )
    for variance, style, colour, label in rows:
        if variance > 0:
            line = found.expected * (variance / found.variance)
            ax.loglog(found.sizes, line, style, lw=2, color=COLORS[colour], label=f"{label}: V = {variance:.3g}")
    ax.set(xlabel="samples k", ylabel="mean (L(k + 1) − L(k))²")
    ax.set_title(f"Over the top subspace, width {found.sigma:.2g}: V / k(k + 1)")
    ax.legend()
    return ax
