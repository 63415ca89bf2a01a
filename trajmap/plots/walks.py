"""Walks, permuted copies and noise around a solution."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.gradient_cloud import GradientCloud
from trajmap.data.results.noise_rise import NoiseRise
from trajmap.data.results.permutation_paths import PermutationPaths
from trajmap.data.results.walk_rise import WalkRise
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_gradient_cloud", "plot_noise_rise", "plot_permutation_paths", "plot_walk_rise"]


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
    steps, mean = np.arange(walks.rises.shape[1]), walks.mean
    band = 2 * walks.error
    ax.fill_between(steps, mean - band, mean + band, color=COLORS["run"], alpha=0.25, linewidth=0)
    ax.plot(steps, mean, color=COLORS["run"], label=f"{len(walks.rises)} pairs of walks, ± 2 standard errors")
    text = ""
    if np.isfinite(walks.trace):
        ax.plot(steps, walks.expected, "--", color=COLORS["lift"], label="½ σ² t tr H")
        text = f": {walks.ratio:.2f} of the quadratic's"
    ax.set(xlabel=f"steps of width {walks.sigma:.2g}", ylabel="rise of the loss")
    ax.set_title(f"Rise along random walks{text}")
    ax.legend()
    return ax


def plot_permutation_paths(paths: PermutationPaths, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the loss on the ways to equal networks, darker the more units changed places.

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
    import matplotlib as mpl

    ax = open_axes(ax)
    shades = mpl.colormaps["viridis_r"](np.linspace(0.15, 0.95, len(paths.counts)))
    for count, rows, colour, barriers in zip(paths.counts, paths.losses, shades, paths.barriers, strict=True):
        label = f"{count} units: {barriers.mean():.2g}"
        for i, row in enumerate(rows):
            ax.plot(paths.t, row, color=colour, lw=1.2, label=None if i else label)
    ax.set(xlabel="from the solution (0) to its copy (1)", ylabel="loss")
    ax.set_title("Ways to equal networks with units swapped")
    ax.legend(title="barrier, mean of the draws")
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
    t = np.broadcast_to(np.linspace(0, 1, cloud.losses.shape[1]), cloud.losses.shape)
    ax.scatter(cloud.losses, cloud.norms, c=t, s=6, cmap="viridis", alpha=0.6, linewidths=0)
    colours = dict(zip(cloud.shares, ("run", "lift", "second", "third"), strict=False))
    ends = np.array(cloud.ends or ["end"] * len(cloud.losses))
    for kind, share in (cloud.shares or {"end": 1.0}).items():
        chosen = ends == kind
        ax.scatter(
            cloud.losses[chosen, -1],
            cloud.norms[chosen, -1],
            s=55,
            color=COLORS[colours.get(kind, "lift")],
            marker="X",
            edgecolors="white",
            linewidths=0.6,
            label=f"{kind}: {share:.0%}",
        )
    ax.set(xlabel="loss", ylabel="gradient norm", xlim=(0, None), ylim=(0, None))
    ax.set_title(f"{len(cloud.losses)} gradient walks, light at their ends")
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
    ax.scatter(draws, noise.losses, s=8, color=COLORS["run"], alpha=0.35, linewidths=0)
    ax.plot(noise.scales, noise.rises + noise.start, "o-", color=COLORS["run"], label="mean over the draws")
    ax.axhline(noise.start, ls=":", color=COLORS["null"], label="without noise")
    known = noise.losses[np.isfinite(noise.losses)]
    if noise.start > 0 and len(known) and known.max() > 20 * noise.start:
        ax.set_yscale("log")
    ax.set(xlabel="norm of the noise over the norm of the weights", ylabel="loss")
    ax.set_title("The loss under noise")
    ax.legend()
    return ax
