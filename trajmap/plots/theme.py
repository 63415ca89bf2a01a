"""One look for all figures, on light and on dark ground, without touching the user's settings."""

import contextlib
from collections.abc import Generator
from typing import Any

__all__ = ["COLORS", "drawing_theme", "open_axes"]

# Okabe and Ito's colours, told apart by every kind of eye
COLORS = {
    "run": "#0072B2",
    "lift": "#D55E00",
    "null": "#8A8F98",
    "second": "#009E73",
    "third": "#CC79A7",
    "warning": "#E69F00",
}

_SHARED: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.dpi": 110,
    "hatch.linewidth": 0.6,
    "hatch.color": "#1b1f24",
}


@contextlib.contextmanager
def drawing_theme(*, dark: bool = False) -> Generator[None, None, None]:
    """Draw inside with trajmap's look; the settings outside stay as they are.

    Parameters
    ----------
    dark : bool
        Light ink on a dark ground.

    Yields
    ------
    None
        Settings hold for figures made inside.
    """
    import matplotlib as mpl

    ground, ink = ("#14171c", "#e6e8eb") if dark else ("#ffffff", "#1b1f24")
    colours = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), ink)
    grounds = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), ground)
    with mpl.rc_context({**_SHARED, **colours, **grounds}):
        yield


def open_axes(ax: Any) -> Any:
    """Give the axes back, or make new ones in a figure of their own when there are none."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, 4.6), layout="constrained")[1]
