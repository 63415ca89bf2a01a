"""How the landscape settles as samples are added."""

from typing import TYPE_CHECKING

from trajmap.data.results.sample_convergence import SampleConvergence
from trajmap.data.results.subspace_convergence import SubspaceConvergence
from trajmap.plots.labels import headline, legend_below
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_sample_convergence", "plot_subspace_convergence"]


def plot_sample_convergence(convergence: SampleConvergence, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the change of the mean loss by one more sample, and the law of independent samples.

    Parameters
    ----------
    convergence : SampleConvergence
        Changes by size.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    changes, expected = drawable(convergence.changes), drawable(convergence.expected)
    ax.plot(convergence.sizes, changes, color=COLORS["run"], lw=1, label="measured")
    ax.plot(convergence.sizes, expected, "--", color=COLORS["lift"], label="mean absolute deviation / (k + 1)")
    use_log(ax, "x", convergence.sizes)
    use_log(ax, "y", changes, expected)
    ax.set(xlabel="samples k", ylabel="mean |L(k + 1) − L(k)|")
    headline(ax, f"One more sample: slope {convergence.slope:.3f} (independent: −1)")
    legend_below(ax, columns=1)
    return ax


def plot_subspace_convergence(convergence: SubspaceConvergence, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the mean squared change of the loss over the cloud, and what second-order expansions predict of it.

    Parameters
    ----------
    convergence : SubspaceConvergence
        Changes by size.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    shown = [drawable(convergence.measured)]
    ax.plot(convergence.sizes, shown[0], "o", color=COLORS["run"], ms=4, label="over random orders")
    rows = (  # wide under dotted: two that agree are both seen
        (convergence.variance, "-", "run", "all orders"),
        (convergence.quadratic, ":", "second", "to second order"),
        (convergence.curved, "-", "lift", "all orders, even part"),
        (convergence.published, ":", "third", "curvatures only"),
    )
    for variance, style, colour, label in rows:
        if variance > 0:
            line = drawable(convergence.expected * (variance / convergence.variance))
            ax.plot(convergence.sizes, line, style, lw=2.5, color=COLORS[colour], label=f"{label}: V = {variance:.3g}")
            shown.append(line)
    use_log(ax, "x", convergence.sizes)
    use_log(ax, "y", *shown)
    ax.set(xlabel="samples k", ylabel="mean (L(k + 1) − L(k))²")
    headline(ax, f"Over the top subspace, width {convergence.sigma:.2g}: V / k(k + 1)")
    legend_below(ax)
    return ax
