"""Small multiples: panels that share their axes, in the place of one picture."""

from typing import Any

from trajmap.plots.theme import open_axes

__all__ = ["shared_panels"]


def shared_panels(ax: Any, n: int, *, title: str, xlabel: str, ylabel: str, columns: int = 3) -> tuple[Any, list[Any]]:
    """Put n panels with shared axes where a picture's axes are; those stay behind, empty, and keep the title.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Where to draw.
    n : int
        Panels.
    title, xlabel, ylabel : str
        Above, below and left of all of them.
    columns : int
        At most so many side by side.

    Returns
    -------
    matplotlib.axes.Axes
        The axes behind.
    list of matplotlib.axes.Axes
        The panels, row by row; only the outer ones have tick labels.
    """
    across = min(columns, max(n, 1))
    down = -(-max(n, 1) // across)
    ax = open_axes(ax, tall=max(1.0, down / 2.5))
    ax.set_title(title)
    ax.set_axis_off()
    ax.title.set_visible(False)  # it is drawn over the panels, where there is room for it
    place = ax.get_subplotspec()
    if place is None:  # axes put somewhere by hand
        return _inset(ax, n, across, down, (title, xlabel, ylabel))
    part = ax.figure.add_subfigure(place)
    part.suptitle(title, fontsize="medium", fontweight="bold")
    part.supxlabel(xlabel, fontsize="medium")
    part.supylabel(ylabel, fontsize="medium")
    made = part.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for spare in made[n:]:
        spare.remove()
    for panel in made[max(n - across, 0) : n]:
        panel.tick_params(labelbottom=True)
    return ax, made[:n]


def _inset(ax: Any, n: int, across: int, down: int, words: tuple[str, str, str]) -> tuple[Any, list[Any]]:
    ax.title.set_visible(True)
    made: list[Any] = []
    for i in range(n):
        row, column = divmod(i, across)
        shared = {"sharex": made[0], "sharey": made[0]} if made else {}
        box = (column / across, 1 - (row + 0.9) / down, 0.92 / across, 0.7 / down)
        made.append(ax.inset_axes(box, **shared))
        made[-1].tick_params(labelleft=column == 0, labelbottom=i + across >= n)
    ax.text(0.5, -0.12, words[1], transform=ax.transAxes, ha="center", va="top")
    ax.text(-0.12, 0.5, words[2], transform=ax.transAxes, ha="right", va="center", rotation=90)
    return ax, made
