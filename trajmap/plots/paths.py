"""The path of one run or of several through a picture."""

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
_BOX: dict[str, Any] = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.8, "lw": 1}
_SEGMENTS = 1000  # more cannot be distinguished, and a vector file would hold each


def thin(n: int, most: int = _SEGMENTS) -> Array:
    """Places of at most so many of n things, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def draw_paths(landscape: Landscape, ax: Any) -> None:
    """Draw each run from pale to its colour over time, dark-edged, with its end marked and named."""
    import matplotlib as mpl

    ends, size = [], float(mpl.rcParams["font.size"]) / 10  # marks and lines grow with the type
    for i, (name, rows) in enumerate(landscape.paths.items()):
        assert landscape.path is not None
        path, colour = landscape.path[rows], RUNS[i % len(RUNS)]
        ax.plot(path[:, 0], path[:, 1], color=_DARK, linewidth=3.4 * size, alpha=0.75, zorder=3, solid_capstyle="round")
        _draw_time(path, colour, 1.9 * size, ax)
        ax.scatter(*path[0], marker="o", s=45 * size**2, color="white", edgecolors=_DARK, zorder=5)
        star = (90 if i % len(_ENDS) == 0 else 45) * size**2
        ax.scatter(*path[-1], marker=_ENDS[i % len(_ENDS)], s=star, color=colour, edgecolors=_DARK, zorder=5)
        ends += [*([] if i else [(path[0], "start", "white")]), (path[-1], name or "end", colour if name else "white")]
    _name(ends, 8.3 * size, ax)


def _draw_time(path: Array, colour: str, width: float, ax: Any) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap

    if len(path) < 2:
        return
    points = path[thin(len(path))]
    shades = LinearSegmentedColormap.from_list("time", ["#ffffff", colour])
    lines = LineCollection(list(np.stack([points[:-1], points[1:]], axis=1)), cmap=shades, linewidths=width, zorder=4,
                           capstyle="round")  # fmt: skip
    lines.set_array(np.linspace(0, 1, len(points) - 1))
    ax.add_collection(lines, autolim=False)


def _name(ends: list[tuple[Array, str, str]], letter: float, ax: Any) -> None:
    """Name the ends, each on the side where its name stands on no mark and on no name before it."""
    size = 0.8 * 72 / ax.figure.dpi  # the layout will take room for title and labels
    width, height = ax.bbox.width * size, ax.bbox.height * size  # points
    places = [ax.transLimits.transform(point) * [width, height] for point, _, _ in ends]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]  # a name hides no mark
    for (point, text, colour), (x, y) in zip(ends, places, strict=True):
        long, high = 0.62 * letter * len(text) + 4, 1.45 * letter
        heights = [5, -5 - high] + [
            sign * (5 + row * high) - (sign < 0) * high for row in (1, 2, 3) for sign in (1, -1)
        ]
        sides = [(dx, dy) for dy in heights for dx in (7, -7 - long)]
        boxes = [(x + dx, y + dy, x + dx + long, y + dy + high) for dx, dy in sides]
        costs = [
            sum(_overlap(box, other) for other in taken) + 3 * _outside(box, width, height) + abs(dy)
            for box, (_, dy) in zip(boxes, sides, strict=True)
        ]
        best = int(np.argmin(costs))
        taken.append(boxes[best])
        dx, dy = sides[best]
        far = abs(dy) > 2 * high
        ax.annotate(
            text, point, xytext=(dx + 2, dy + 2), textcoords="offset points", fontsize="small", color=_DARK, zorder=6,
            bbox=_BOX | {"edgecolor": colour}, arrowprops={"arrowstyle": "-", "color": colour} if far else None,
        )  # fmt: skip


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _outside(box: tuple[float, ...], width: float, height: float) -> float:
    """Area of a box beyond the picture."""
    inside = _overlap(box, (0.0, 0.0, width, height))
    return (box[2] - box[0]) * (box[3] - box[1]) - inside
