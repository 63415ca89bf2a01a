"""The optimizer moving over the loss, as a film."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import check_count, worded
from trajmap.data.results.landscape import Landscape
from trajmap.errors import InputError
from trajmap.plots.landscape import plot_landscape

__all__ = ["save_animation"]


def save_animation(
    landscape: Landscape, path: str | os.PathLike[str], *, frames: int = 80, fps: int = 20, trail: int = 40
) -> Path:
    """Write a film of the path over a landscape.

    Parameters
    ----------
    landscape : Landscape
        Over a grid of two axes, with a path.
    path : path-like
        ``.gif`` (by Pillow), or ``.mp4`` where ffmpeg is installed.
    frames : int
        Frames; the iterates are spread evenly over them.
    fps : int
        Frames a second.
    trail : int
        Iterates drawn bright behind the moving one.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If there is no path over two axes, the suffix is another, or ffmpeg is missing for an MP4.
    """
    from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    target = Path(path)
    if landscape.path is None or landscape.grid.ndim != 2:
        raise InputError(worded("landscape", "a path over a grid of 2 axes", "another landscape"))
    writers: dict[str, Any] = {".gif": PillowWriter, ".mp4": FFMpegWriter}
    if target.suffix not in writers:
        raise InputError(worded("path", "a .gif or .mp4 file", repr(target.name)))
    writer = writers[target.suffix]
    if not writer.isAvailable():
        raise InputError(worded("path", "a .gif where ffmpeg is not installed", repr(target.name), "install ffmpeg"))
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    ax = plot_landscape(landscape, ax=figure.add_subplot())
    run = landscape.path
    (line,) = ax.plot([], [], color="white", lw=2.2, zorder=7)
    (dot,) = ax.plot([], [], "o", color="#D55E00", markeredgecolor="white", ms=9, zorder=8)
    starts = np.concatenate([np.full(rows.stop - rows.start, rows.start) for rows in landscape.paths.values()])
    moments = np.linspace(0, len(run) - 1, min(check_count("frames", frames, low=2), len(run))).astype(int)

    def draw(t: int) -> tuple[Any, Any]:
        behind = run[max(starts[t], t - trail) : t + 1]
        line.set_data(behind[:, 0], behind[:, 1])
        dot.set_data(run[t : t + 1, 0], run[t : t + 1, 1])
        return line, dot

    target.parent.mkdir(parents=True, exist_ok=True)
    FuncAnimation(figure, draw, frames=list(moments)).save(target, writer=writer(fps=fps), dpi=90)
    return target
