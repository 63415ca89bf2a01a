"""Walks, permuted copies and noise around a solution."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.gradient_cloud import GradientCloud
from trajmap.data.results.noise_rise import NoiseRise
from trajmap.data.results.permutation_paths import PermutationPaths
from trajmap.data.results.walk_rise import WalkRise
from trajmap.plots.labels import headline, label_ends
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes, time_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_gradient_cloud", "plot_noise_rise", "plot_permutation_paths", "plot_walk_rise"]

_FEW = 12  # walks
_ENDS = {"convex": "v", "saddle": "X", "concave": "^", "flat": "D"}


def plot_walk_rise(walks: WalkRise, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the mean rise of the loss along random walks with two standard errors, and the law of the quadratic.

    Parameters
    ----------
    walks : WalkRise
        Rises of the walks.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    steps, mean = np.arange(walks.rises.shape[1]), drawable(walks.mean)
    band = 2 * drawable(walks.error)
    ax.fill_between(steps, mean - band, mean + band, color=COLORS["run"], alpha=0.25, linewidth=0)
    ax.plot(steps, mean, color=COLORS["run"], lw=1.5)
    told, drawn = "", [("walks", steps, mean, COLORS["run"])]
    if np.isfinite(walks.trace):
        expected = drawable(walks.expected)
        ax.plot(steps, expected, "--", color=COLORS["lift"])
        drawn.append(("½ σ² t tr H", steps, expected, COLORS["lift"]))
        told = f": {walks.ratio:.2f} of the quadratic's"
    ax.set(xlabel=f"steps of width {walks.sigma:.2g} (band: ± 2 standard errors of {len(walks.rises)} pairs)",
           ylabel="rise of the loss")  # fmt: skip
    headline(ax, f"Rise along random walks{told}")
    label_ends(ax, drawn)
    return ax


def plot_permutation_paths(paths: PermutationPaths, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the loss on the lines to equal networks, darker for more swapped units.

    Parameters
    ----------
    paths : PermutationPaths
        Losses by number of units and draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    shades = time_colours()(np.linspace(1, 0, len(paths.counts)))
    drawn = []
    for count, rows, colour, barriers in zip(paths.counts, paths.losses, shades, paths.barriers, strict=True):
        shown = drawable(rows)
        ax.plot(paths.t, shown.T, color=colour, lw=1.2)
        drawn.append((f"{count} units: {barriers.mean():.2g}", paths.t, shown.mean(axis=0), colour))
    use_log(ax, "y", paths.losses)
    ax.set(xlabel="from the solution (0) to its copy (1)", ylabel="loss")
    headline(ax, "Lines to equal networks: units swapped, barrier")
    label_ends(ax, [(text, t[: len(t) // 2 + 1], y[: len(t) // 2 + 1], colour) for text, t, y, colour in drawn])
    return ax


def plot_gradient_cloud(cloud: GradientCloud, *, ax: "Axes | None" = None) -> "Axes":
    """Draw loss against gradient norm along the walks, with their ends marked by kind.

    Parameters
    ----------
    cloud : GradientCloud
        Losses and norms.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    losses, norms = drawable(cloud.losses), drawable(cloud.norms)
    t = np.broadcast_to(np.linspace(0, 1, losses.shape[1]), losses.shape)
    if len(losses) <= _FEW:  # a cloud of few walks shows little: each is drawn as a path
        ax.plot(losses.T, norms.T, color=COLORS["null"], lw=0.6, alpha=0.7, zorder=1)
    ax.scatter(losses, norms, c=t, s=9, cmap=time_colours(), alpha=0.8, linewidths=0)
    colours = dict(zip(cloud.shares, ("run", "lift", "second", "third"), strict=False))
    ends = np.array(cloud.ends or ["end"] * len(cloud.losses))
    for kind, share in (cloud.shares or {"end": 1.0}).items():
        chosen = ends == kind
        ax.scatter(
            losses[chosen, -1],
            norms[chosen, -1],
            s=45,
            color=COLORS[colours.get(kind, "lift")],
            marker=_ENDS.get(kind, "X"),
            edgecolors="white",
            linewidths=0.6,
            label=f"{kind}: {share:.0%}",
        )
    for axis, values in (("x", losses), ("y", norms)):
        if not use_log(ax, axis, values):
            ax.set(**{f"{axis}lim": (0, None) if np.nanmin(values, initial=0.0) >= 0 else (None, None)})
    ax.set(xlabel="loss", ylabel="gradient norm")
    headline(ax, f"{len(cloud.losses)} gradient walks, light at their ends")
    ax.legend(title="last points")
    return ax


def plot_noise_rise(noise: NoiseRise, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the loss under noise by its size; the line is the mean, dots are draws.

    Parameters
    ----------
    noise : NoiseRise
        Losses by scale.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    draws = np.repeat(noise.scales[:, None], noise.losses.shape[1], axis=1)
    losses, mean, start = (
        drawable(part) for part in (noise.losses, noise.rises + noise.start, np.array([noise.start]))
    )
    ax.scatter(draws, losses, s=8, color=COLORS["run"], alpha=0.35, linewidths=0)
    ax.plot(noise.scales, mean, "o-", color=COLORS["run"])
    ax.axhline(float(start[0]), ls=":", color=COLORS["null"])
    use_log(ax, "x", noise.scales)
    use_log(ax, "y", losses, start)
    ax.set(xlabel="norm of the noise over the norm of the weights", ylabel="loss")
    headline(ax, "The loss under noise")
    level = ("without noise", noise.scales, np.full(len(noise.scales), start[0]), COLORS["null"])
    label_ends(ax, [("mean of\nthe draws", noise.scales, mean, COLORS["run"]), level])
    return ax
