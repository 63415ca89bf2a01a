"""Claims beside their nulls."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.claim import Claim
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_claims"]

_ANSWERS = {"yes": "holds", "no": "not shown", "unknown": "not known"}


def plot_claims(claims: Mapping[str, Claim], *, ax: "Axes | None" = None) -> "Axes":
    """Draw each claim's value on the draws of the null that comes nearest to it, every row on a scale of its own.

    Parameters
    ----------
    claims : mapping of str to Claim
        The claims by place, as ``"moved"`` or ``"chart-pca"``, in the order they are drawn from the top.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    for row, claim in enumerate(claims.values()):
        _draw_row(ax, row, claim)
    names = [f"{claim.name}{_over(place)}\n{_ANSWERS[claim.holds]}" for place, claim in claims.items()]
    ax.set(
        yticks=np.arange(len(names)), yticklabels=names, xticks=[], xlim=(-0.05, 1.05), ylim=(len(names) - 0.4, -0.6)
    )
    ax.tick_params(length=0)
    ax.set_title("Each claim beside its hardest null (grey: draws; bar: 5–95 %)")
    for side in ("top", "right", "bottom", "left"):
        ax.spines[side].set_visible(False)
    return ax


def _over(place: str) -> str:
    """Name the chart of a claim about one."""
    return f", {place.removeprefix('chart-')}" if place.startswith("chart-") else ""


def _draw_row(ax: "Axes", row: int, claim: Claim) -> None:
    draws = claim.draws[claim.hardest] if len(claim.nulls) else np.empty(0)
    draws = draws[np.isfinite(draws)]
    if not len(draws) or not np.isfinite(claim.value):
        ax.text(0.0, row, claim.reason or "no draws", va="center", fontsize=8, color=COLORS["null"])
        return
    low, high = min(draws.min(), claim.value), max(draws.max(), claim.value)
    place = [
        (values - low) / ((high - low) or 1.0) for values in (draws, np.quantile(draws, [0.05, 0.95]), claim.value)
    ]
    ax.plot(place[0], np.full(len(draws), row), "|", color=COLORS["null"], alpha=0.5, markersize=9)
    ax.plot(place[1], [row, row], color=COLORS["null"], linewidth=5, alpha=0.6, solid_capstyle="butt")
    colour = COLORS["second"] if claim.holds == "yes" else COLORS["run"]
    ax.plot([place[2]], [row], "o", color=colour, markersize=8)
    words = f"{claim.value:.3g}, p = {claim.p[claim.hardest]:.2g}; {claim.nulls[claim.hardest]}"
    ax.text(0.0, row + 0.32, words, va="center", fontsize=7)
