"""Words in pictures: labels at the lines they name, and charts by their plain names."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap._validation import Array
from trajmap.plots.theme import ink, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "axis_words",
    "chart_words",
    "headline",
    "label_ends",
    "label_middles",
    "legend_below",
    "note_below",
    "spread",
]

Line = tuple[str, Array, Array, str]

_CHARTS = {
    "pca": "PCA",
    "umap": "UMAP",
    "phate": "PHATE",
    "autoencoder": "an autoencoder",
    "diffusion": "a diffusion map",
    "diffusionmap": "a diffusion map",
    "random": "a random plane",
    "hessian": "a Hessian plane",
    "saddle": "a plane mined for a saddle",
    "ring": "a plane mined for a ring",
    "plane": "a plane",
    "": "the chart",
}
_PARTS = {"sister": "a sister run", "blocks": "held-out stretches", "tail": "the held-out end"}


def chart_words(name: str) -> str:
    """Name a chart, and what it was tried on, for a reader; a name of the user's own stays as it is.

    Parameters
    ----------
    name : str
        As results are stored, for example ``"pca on tail"``.

    Returns
    -------
    str
        To stand after "over" or "of".

    Examples
    --------
    >>> chart_words("pca"), chart_words("diffusion on tail"), chart_words("my chart")
    ('PCA', 'a diffusion map, on the held-out end', 'my chart')
    """
    chart, _, part = name.partition(" on ")
    words = _CHARTS.get(chart.lower(), chart)
    return f"{words}, on {_PARTS.get(part, part)}" if part else words


def axis_words(label: str, stretch: float = 1.0) -> str:
    """Label an axis, with how many times longer it is drawn than parameter distance would have it.

    Parameters
    ----------
    label : str
        As the landscape has it.
    stretch : float
        1 where it is drawn as it is.

    Returns
    -------
    str
        The label.

    Examples
    --------
    >>> axis_words("PC 2: 0.9% of the variance (walk: 15.2%)", 5.1)
    'PC 2, stretched 5.1 ×: 0.9% of the variance (walk: 15.2%)'
    >>> axis_words("coordinate 1")
    'coordinate 1'
    """
    if stretch == 1:
        return label
    ends = [place for mark in (":", " (") if (place := label.find(mark)) >= 0]
    head = min(ends, default=len(label))
    return f"{label[:head]}, stretched {stretch:.2g} ×{label[head:]}"


def spread(places: Array, gap: float) -> Array:
    """Move places on a line apart until neighbours differ by a gap, each as little as that allows.

    Parameters
    ----------
    places : array-like, shape (n,)
        Where labels would stand.
    gap : float
        Least distance.

    Returns
    -------
    numpy.ndarray, shape (n,)
        In the order of `places`.

    Examples
    --------
    >>> spread([0.5, 0.0, 0.5], 0.25).tolist()
    [0.375, 0.0, 0.625]
    """
    places = np.asarray(places, dtype=np.float64)
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    # places less their steps must not fall: the least squares are the means of the stretches that do
    blocks: list[list[float]] = []
    for value in places[order] - steps:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, n = blocks.pop()
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * n) / (blocks[-1][1] + n), blocks[-1][1] + n]
    moved = np.empty(len(places))
    moved[order] = np.concatenate([np.full(int(n), mean) for mean, n in blocks] or [np.empty(0)]) + steps
    return moved


def label_ends(ax: "Axes", lines: Sequence[Line]) -> None:
    """Write each line's name at its right end, in its colour, none over another; call it when the scales are set.

    In a figure without room at the right of its axes the names go into a legend.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes.
    lines : sequence of (text, x, y, colour)
        What is drawn; a line without a finite value gets no name.
    """
    known = _known(lines)
    if known and ax.figure.get_layout_engine() is None:
        from matplotlib.lines import Line2D

        ax.legend(handles=[Line2D([], [], color=colour, label=text) for text, _, _, colour in known])
        return
    ends, heights = _places(ax, known, [-1] * len(known))
    for (text, *_, colour), (x, y), height in zip(known, ends, heights, strict=True):
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
        far = abs(height - y) > 0.02 or x < 0.98
        ax.annotate(text, (x, y), xytext=(1.03, height), xycoords="axes fraction", textcoords="axes fraction",
                    color=readable(colour), va="center", fontsize="small", annotation_clip=False,
                    arrowprops=line if far else None)  # fmt: skip


def label_middles(ax: "Axes", lines: Sequence[Line]) -> None:
    """Write each line's name over its middle: for lines that meet at their ends.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes, with their scales set.
    lines : sequence of (text, x, y, colour)
        What is drawn.
    """
    known = _known(lines)
    places, heights = _places(ax, known, [len(x) // 2 for _, x, _, _ in known])
    ground = ink()[1]
    for (text, *_, colour), (x, _), height in zip(known, places, heights, strict=True):
        ax.annotate(text, (x, height), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points",
                    color=readable(colour), ha="center", va="bottom", fontsize="small", annotation_clip=False,
                    bbox={"boxstyle": "round,pad=0.1", "facecolor": ground, "alpha": 0.6, "lw": 0})  # fmt: skip


def legend_below(ax: "Axes", *, columns: int = 2, **options: Any) -> None:
    """Put the legend under the label of the horizontal axis: for names that are too long to stand at their lines."""
    from matplotlib.transforms import ScaledTranslation

    down = ScaledTranslation(0, -3.2 * _points("medium") / 72, ax.figure.dpi_scale_trans)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=ax.transAxes + down, ncols=columns,
              borderaxespad=0, columnspacing=1.0, handlelength=1.5, **options)  # fmt: skip


def _known(lines: Sequence[Line]) -> list[Line]:
    return [
        (text, np.asarray(x)[ok], np.asarray(y)[ok], colour)
        for text, x, y, colour in lines
        if (ok := np.isfinite(y) & np.isfinite(x)).any()
    ]


def _places(ax: "Axes", lines: Sequence[Line], at: Sequence[int]) -> tuple[Array, Array]:
    """Where points of lines are, and heights for their names that do not touch, in parts of the axes."""
    if not lines:
        return np.empty((0, 2)), np.empty(0)
    ax.autoscale_view()
    points = np.array([[x[i], y[i]] for (_, x, y, _), i in zip(lines, at, strict=True)], dtype=float)
    with np.errstate(all="ignore"):  # zero on a logarithmic axis
        places = np.nan_to_num(ax.transAxes.inverted().transform(ax.transData.transform(points)))
    places = np.clip(places, -0.05, 1.05)  # what lies beyond the limits of the axes is named at their edge
    high = 0.8 * ax.get_window_extent().height * 72 / ax.figure.dpi  # a layout takes room for title and labels
    rows = max(text.count("\n") + 1 for text, *_ in lines)
    return places, spread(np.clip(places[:, 1], 0, 1), 1.2 * rows * _points("small") / max(high, 1.0))


def headline(ax: "Axes", text: str) -> None:
    """Write the title, in two lines where one would be wider than the figure."""
    box = ax.figure.bbox if ax.figure.axes == [ax] else ax.get_window_extent()
    room = box.width * 72 / ax.figure.dpi
    letters = max(20, int(room / (0.68 * _points(ax.title.get_fontsize()))))
    ax.set_title("\n".join(textwrap.wrap(text, letters)))


def note_below(ax: "Axes", text: str) -> None:
    """Write a note under the label of the horizontal axis, wherever that comes to stand."""
    ax.annotate(text, (0.5, 0), xytext=(0, -3), xycoords=ax.xaxis.label, textcoords="offset points", ha="center",
                va="top", fontsize="small", annotation_clip=False)  # fmt: skip


def _points(size: Any) -> float:
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=size).get_size_in_points())
