"""Tangent, gradient and step inside the Hessian's top eigenspace, with random directions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.results.alignment import Alignment
from trajmap.errors import InputError
from trajmap.plots.labels import chart_words, headline, label_ends
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, SERIES, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_alignment", "plot_alignments"]

_BANDS = {"row_space": ("warning", "random plane in the run's span"), "vector": ("null", "random direction")}


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
    ax = _draw({alignment.name: alignment}, {alignment.name: "tangent"}, ax)
    headline(ax, f"Hessian and {chart_words(alignment.name)}")
    return ax


def plot_alignments(alignments: Mapping[str, Alignment], *, ax: "Axes | None" = None) -> "Axes":
    """Draw the tangents of several charts of one run in one picture; its gradient and its step belong to all.

    Parameters
    ----------
    alignments : mapping of str to Alignment
        By chart.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        If there is none.
    """
    if not alignments:
        raise InputError(worded("alignments", "at least one", "none"))
    ax = _draw(alignments, {name: _short(name) for name in alignments}, ax)
    headline(ax, "Hessian and the charts' tangents")
    return ax


def _short(name: str) -> str:
    return chart_words(name).removeprefix("an ").removeprefix("a ")


def _draw(alignments: Mapping[str, Alignment], names: Mapping[str, str], ax: Any) -> Any:
    ax = open_axes(ax)
    first = next(iter(alignments.values()))
    rows = [("gradient", first.gradient, "o-"), ("next step", first.step, "s-")]
    rows += [(names[key], found.tangent, "^--") for key, found in alignments.items()]
    shown = [drawable(values) for _, values, _ in rows]
    bands = [first.baselines[key] for key in _BANDS]
    logarithmic = use_log(ax, "y", *(values[values > 0] for values in shown), *(band[band > 0] for band in bands))
    drawn = []
    colours = (SERIES[0], SERIES[2], SERIES[1], *SERIES[3:])
    for i, ((text, _, style), values) in enumerate(zip(rows, shown, strict=True)):
        colour = colours[i % len(colours)]
        ax.plot(first.steps, values, style, color=colour, ms=3.5, lw=1.3)
        drawn.append((text, first.steps, values, colour))
    for key, (colour, words) in _BANDS.items():
        _draw_band(ax, first.baselines[key], COLORS[colour], words)
    if not logarithmic:
        ax.set_ylim(-0.03, 1.03)
    ax.set(xlabel="optimizer step", ylabel=f"share inside the top-{first.eigenvalues.shape[1]} eigenspace")
    ax.margins(y=0.08)
    label_ends(ax, drawn)
    return ax


def _draw_band(ax: Any, quantiles: Array, colour: str, words: str) -> None:
    low, middle, high = quantiles
    if not np.isfinite(quantiles).all():
        return
    ax.axhspan(low, high, color=colour, alpha=0.3, linewidth=0, zorder=0)
    ax.axhline(middle, color=colour, lw=0.8, zorder=0)  # a band too narrow to be seen is a line
    ax.annotate(words, (0.01, high), xycoords=ax.get_yaxis_transform(), xytext=(0, 1), textcoords="offset points",
                fontsize="x-small", va="bottom")  # fmt: skip
