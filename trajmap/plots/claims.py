"""Claims and their nulls."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.claim import Claim
from trajmap.plots.labels import chart_words, headline
from trajmap.plots.scales import drawable
from trajmap.plots.theme import COLORS, open_axes, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_claims"]

_ANSWERS = {"yes": "holds", "no": "not shown", "unknown": "not known"}


def plot_claims(claims: Mapping[str, Claim], *, ax: "Axes | None" = None) -> "Axes":
    """Draw each claim's value on the draws of the null that comes nearest to it, every row on its own scale.

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
    ax = open_axes(ax, tall=max(1.0, len(claims) / 6))
    for row, (place, claim) in enumerate(claims.items()):
        _draw_row(ax, row, place, claim)
    ax.set(xlim=(-0.03, 1.03), ylim=(len(claims) - 0.45, -0.55), xticks=[], yticks=[])
    headline(ax, "Claims and their hardest nulls (bar: 5–95 % of the draws)")
    for side in ("top", "right", "bottom", "left"):
        ax.spines[side].set_visible(False)
    return ax


def _over(place: str) -> str:
    """Name the chart of a claim about one."""
    return f", {chart_words(place.removeprefix('chart-'))}" if place.startswith("chart-") else ""


def _draw_row(ax: "Axes", row: int, place: str, claim: Claim) -> None:
    colour = COLORS["second"] if claim.holds == "yes" else COLORS["run"] if claim.holds == "no" else COLORS["null"]
    ax.text(0.0, row - 0.3, f"{claim.name}{_over(place)}", va="center", fontsize="small")
    ax.text(1.0, row - 0.3, _ANSWERS[claim.holds], va="center", ha="right", fontsize="small", fontweight="bold",
            color=readable(colour))  # fmt: skip
    draws = claim.draws[claim.hardest] if len(claim.nulls) else np.empty(0)
    draws = drawable(draws[np.isfinite(draws)])
    if not len(draws) or not np.isfinite(claim.value):
        words = "\n".join(textwrap.wrap(claim.reason or "no draws", 60))
        ax.text(0.0, row + 0.05, words, va="center", fontsize="small", color=readable(COLORS["null"]))
        return
    value = float(drawable(np.array(claim.value)))
    low, high = min(draws.min(), value), max(draws.max(), value)
    scaled = [(part - low) / ((high - low) or 1.0) for part in (draws, np.quantile(draws, [0.05, 0.95]), value)]
    ax.plot(scaled[0], np.full(len(draws), row), "|", color=COLORS["null"], alpha=0.5, markersize=7)
    ax.plot(scaled[1], [row, row], color=COLORS["null"], linewidth=4, alpha=0.6, solid_capstyle="butt")
    ax.plot([scaled[2]], [row], "o", color=colour, markersize=7)
    words = f"{claim.value:.3g}, p = {claim.p[claim.hardest]:.2g}; {claim.nulls[claim.hardest]}"
    ax.text(0.0, row + 0.3, words, va="center", fontsize="x-small")
