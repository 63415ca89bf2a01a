"""The loss of the iterates, of their lifts, and of iterates moved as far at random."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap.data.results.lift_gap import LiftGap
from trajmap.plots.labels import chart_words, headline, label_ends
from trajmap.plots.panels import shared_panels
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_lift_gap", "plot_lift_gaps"]


def plot_lift_gap(lift_gap: LiftGap, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the three losses by step, wide under narrow, so that each is seen where they agree.

    Parameters
    ----------
    lift_gap : LiftGap
        Losses along the run.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    rows = (
        ("iterate", lift_gap.values, "run", "-", 5.0, 0.35),
        ("its lift", lift_gap.lifted_values, "lift", "-", 1.6, 1.0),
        ("moved at random", lift_gap.control_values, "null", ":", 1.6, 1.0),
    )
    drawn = []
    for text, values, colour, style, width, alpha in rows:
        shown = drawable(values)
        ax.plot(lift_gap.steps, shown, style, color=COLORS[colour], lw=width, alpha=alpha, label=text)
        drawn.append((text, lift_gap.steps, shown, COLORS[colour]))
    use_log(ax, "y", *(values for _, _, values, _ in drawn))
    ax.set(xlabel="optimizer step", ylabel="loss")
    headline(ax, f"Lift gap of {chart_words(lift_gap.name)}: median {_median(lift_gap.gap):+.3g}")
    label_ends(ax, drawn)
    return ax


def plot_lift_gaps(gaps: Mapping[str, LiftGap], *, ax: "Axes | None" = None) -> "Axes":
    """Draw the size of several lift gaps in panels with shared axes, on a logarithmic scale where that helps.

    Where the lift has the higher loss a dot is full, where it has the lower one it is hollow. The dotted line is
    the size of the control's gap: what the distance alone would cost.

    Parameters
    ----------
    gaps : mapping of str to LiftGap
        By chart and what it was tried on, as ``"pca on tail"``.
    ax : matplotlib.axes.Axes, optional
        Where to draw: the panels take its place.

    Returns
    -------
    matplotlib.axes.Axes
        The axes behind the panels, with title and labels.
    """
    ordered = {name: gaps[name] for name in sorted(gaps, key=lambda name: name.partition(" on "))}
    below = "optimizer step\nfull: the lift is worse, hollow: better, dotted: moved at random"
    ax, parts = shared_panels(ax, len(ordered), title="Lift gaps", xlabel=below, ylabel="size of the gap of the loss")
    every = [np.abs(part) for gap in ordered.values() for part in (gap.gap, gap.control_values - gap.values)]
    every = [np.where(part > 0, part, np.nan) for part in map(drawable, every)]
    for panel, (name, gap) in zip(parts, ordered.items(), strict=True):
        _draw_panel(panel, gap)
        chart, _, part = chart_words(name).removeprefix("an ").removeprefix("a ").partition(", on ")
        part = part.removeprefix("a ").removeprefix("the ")
        panel.set_title(
            f"{chart}\n{part or 'this run'}: {_median(gap.gap):+.2g}", fontsize="small", fontweight="normal"
        )
    if parts:
        use_log(parts[0], "y", *every)
    return ax


def _draw_panel(panel: Any, gap: LiftGap) -> None:
    size = drawable(gap.gap)
    for worse in (True, False):
        chosen = size > 0 if worse else size < 0
        face = COLORS["lift"] if worse else "none"
        panel.plot(
            gap.steps[chosen], np.abs(size[chosen]), "o", color=COLORS["lift"], markerfacecolor=face, ms=2.5, mew=0.6
        )
    control = np.abs(drawable(gap.control_values - gap.values))
    panel.plot(gap.steps, np.where(control > 0, control, np.nan), ":", color=COLORS["null"], lw=1)


def _median(values: Any) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
