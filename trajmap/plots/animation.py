"""The optimizer moving over the loss, as a film."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import check_count, worded
from trajmap.data.results.landscape import Landscape
from trajmap.errors import InputError
from trajmap.plots.landscape import plot_landscape

__all__ = ["film_writer", "save_animation"]


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
        Frames per second.
    trail : int
        Iterates drawn bright behind the moving one.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If there is no path over two axes, or `film_writer` refuses the file.
    """
    from matplotlib.animation import FuncAnimation
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    target, writer = Path(path), film_writer(path)
    if landscape.path is None or landscape.grid.ndim != 2:
        raise InputError(worded("landscape", "a path over a grid of 2 axes", "another landscape"))
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


def film_writer(path: str | os.PathLike[str]) -> Any:
    """Find what writes a film, before anything is computed for it.

    Parameters
    ----------
    path : path-like
        The film's file.

    Returns
    -------
    type
        Matplotlib's writer.

    Raises
    ------
    InputError
        If the suffix is neither ``.gif`` nor ``.mp4``, or ffmpeg is missing for an MP4.
    """
    from matplotlib.animation import FFMpegWriter, PillowWriter

    writers: dict[str, Any] = {".gif": PillowWriter, ".mp4": FFMpegWriter}
    name = Path(path).name
    if Path(path).suffix not in writers:
        raise InputError(worded("path", "a .gif or .mp4 file", repr(name)))
    if not writers[Path(path).suffix].isAvailable():
        raise InputError(worded("path", "a .gif where ffmpeg is not installed", repr(name), "install ffmpeg"))
    return writers[Path(path).suffix]
