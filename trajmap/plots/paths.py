"""The way of one run or of several through a picture."""

from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.results.landscape import Landscape
from trajmap.plots.theme import COLORS

__all__ = ["RUNS", "draw_paths", "thin"]

# colours that stand out on viridis and on grey, in the order in which runs get them
RUNS = tuple(COLORS[name] for name in ("lift", "sky", "third", "warning", "run", "second"))
_ENDS = ("*", "s", "D", "^", "P", "v", "X", "o")
_DARK = "#1b1f24"
_SEGMENTS = 1000  # more cannot be told apart, and a vector file would hold each


def thin(n: int, most: int = _SEGMENTS) -> Array:
    """Places of at most so many of n things, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def draw_paths(landscape: Landscape, ax: Any) -> None:
    """Draw each run from pale to its colour as time goes on, dark-edged, with start and end marked and named."""
    ends = []
    for i, (name, rows) in enumerate(landscape.paths.items()):
        assert landscape.path is not None
        path, colour = landscape.path[rows], RUNS[i % len(RUNS)]
        ax.plot(path[:, 0], path[:, 1], color=_DARK, linewidth=3.4, alpha=0.75, zorder=3, solid_capstyle="round")
        _draw_time(path, colour, ax)
        ax.scatter(*path[0], marker="o", s=45, color="white", edgecolors=_DARK, zorder=5)
        star = 90 if i % len(_ENDS) == 0 else 45
        ax.scatter(*path[-1], marker=_ENDS[i % len(_ENDS)], s=star, color=colour, edgecolors=_DARK, zorder=5)
        ends += [(path[0], "start"), (path[-1], f"end of {name}" if name else "end")]
    _name(ends, ax)


def _draw_time(path: Array, colour: str, ax: Any) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap

    if len(path) < 2:
        return
    points = path[thin(len(path))]
    shades = LinearSegmentedColormap.from_list("time", ["#ffffff", colour])
    lines = LineCollection(np.stack([points[:-1], points[1:]], axis=1), cmap=shades, linewidths=1.9, zorder=4,
                           capstyle="round")  # fmt: skip
    lines.set_array(np.linspace(0, 1, len(points) - 1))
    ax.add_collection(lines, autolim=False)


def _name(ends: list[tuple[Array, str]], ax: Any) -> None:
    """Name starts and ends, on the side where a name stands on none before it; a name is written once in one place."""
    size = 72 / ax.figure.dpi
    width, height = ax.bbox.width * size, ax.bbox.height * size  # points
    taken: list[tuple[float, float, float, float]] = []
    said: list[tuple[Array, str]] = []
    for point, text in ends:
        x, y = ax.transLimits.transform(point) * [width, height]
        if any(text == other and np.hypot(*(np.array([x, y]) - where)) < 12 for where, other in said):
            continue
        said.append((np.array([x, y]), text))
        long, high = 5.2 * len(text) + 4, 12.0
        sides = [(7, 5), (-7 - long, 5), (7, -5 - high), (-7 - long, -5 - high), (7, 5 + high), (7, -5 - 2 * high)]
        boxes = [(x + dx, y + dy, x + dx + long, y + dy + high) for dx, dy in sides]
        costs = [sum(_overlap(box, other) for other in taken) + _outside(box, width, height) for box in boxes]
        best = int(np.argmin(costs))
        taken.append(boxes[best])
        ax.annotate(
            text, point, xytext=(sides[best][0] + 2, sides[best][1] + 2), textcoords="offset points", fontsize="small",
            color=_DARK, zorder=6, bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.8, "lw": 0},
        )  # fmt: skip


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _outside(box: tuple[float, ...], width: float, height: float) -> float:
    """Area of a box beyond the picture."""
    inside = _overlap(box, (0.0, 0.0, width, height))
    return (box[2] - box[0]) * (box[3] - box[1]) - inside
