"""Scales that show what there is: logarithms where they help, and axes of equal parameter distance."""

from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.results.landscape import Landscape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LONGEST", "bins_of", "drawable", "equal_distance", "is_log", "levels_of", "use_log"]

LONGEST = 3.0  # sides of a picture in equal units; a longer one would be a thread
_STRETCHED = 0.75  # height over width where it is
_MOST, _LEAST = 1e150, 1e-150  # margins and ticks beyond them, as the library counts them, are to stay numbers


def drawable(values: Array) -> Array:
    """Give values as a picture can hold them: NaN for what is not finite, sizes from 1e-150 to 1e150, 0 below."""
    values = np.asarray(values, dtype=np.float64)
    kept = np.where(np.isfinite(values), np.clip(np.nan_to_num(values), -_MOST, _MOST), np.nan)
    return np.where(np.abs(kept) < _LEAST, 0.0, kept)


def bins_of(values: Array, n: int) -> Array:
    """Edges of n bins over drawable values, shape (n + 1,); they increase where all values are equal, too."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if high - low <= 1e3 * n * np.spacing(max(abs(low), abs(high))):
        around = 0.5 * max(abs(low), abs(high)) or 0.5
        low, high = low - around, high + around
    return np.linspace(low, high, n + 1)


def is_log(*values: Array) -> bool:
    """Whether a logarithmic scale helps: every finite value is positive, and they span more than a decade.

    Parameters
    ----------
    *values : array-like
        What is drawn along an axis.

    Returns
    -------
    bool
        False where nothing is finite.

    Examples
    --------
    >>> is_log([1, 20, np.inf]), is_log([1, 9]), is_log([0, 20]), is_log([np.nan])
    (True, False, False, False)
    """
    known = np.concatenate([part[np.isfinite(part)] for part in map(drawable, values)]) if values else np.empty(0)
    return bool(len(known) and known.min() > 0 and known.max() / 10 > known.min())


def use_log(ax: "Axes", axis: str, *values: Array) -> bool:
    """Make an axis logarithmic where that helps; its ticks are plain numbers while they are short.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes.
    axis : str
        ``"x"`` or ``"y"``.
    *values : array-like
        What is drawn along it.

    Returns
    -------
    bool
        Whether it is logarithmic now.
    """
    if not is_log(*values):
        return False
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set(**{f"{axis}scale": "log"})
    known = np.concatenate([part[np.isfinite(part)] for part in map(drawable, values)])
    decades = np.log10(known.max()) - np.log10(known.min())
    scale: Any = ax.xaxis if axis == "x" else ax.yaxis
    if decades <= 2.5:  # a power of ten at most twice, so that halves and fifths are needed to read a value
        scale.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    if known.min() >= 1e-4 and known.max() < 1e6:
        scale.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    scale.set_minor_formatter(NullFormatter())
    return True


def equal_distance(landscape: Landscape) -> tuple[float | None, list[float]]:
    """Shape of a picture whose axes are drawn in parameter distance, as far as it can be seen.

    Parameters
    ----------
    landscape : Landscape
        Over a grid of two axes.

    Returns
    -------
    float or None
        Height over width; None where the scale of the axes is not known.
    list of float
        How many times each axis is longer than parameter distance would have it: ones, unless a side is more than
        `LONGEST` times the other.

    Examples
    --------
    >>> from trajmap.data.results.landscape import Grid
    >>> grid = Grid((np.array([0.0, 2]), np.array([0.0, 1])))
    >>> equal_distance(Landscape(grid, np.zeros((2, 2)), scale=[3.0, 4.0]))
    (0.6666666666666666, [1.0, 1.0])
    >>> equal_distance(Landscape(grid, np.zeros((2, 2)), scale=[12.0, 1.0]))
    (0.75, [1.0, 18.0])
    """
    extents = landscape.extents
    if extents is None:
        return None, [1.0, 1.0]
    ratio = float(extents[1] / extents[0])
    if 1 / LONGEST <= ratio <= LONGEST:
        return ratio, [1.0, 1.0]
    stretch = _STRETCHED / ratio
    return _STRETCHED, [1.0, stretch] if stretch > 1 else [1 / stretch, 1.0]


def levels_of(finite: Array, values: Any) -> tuple[Array, Any, bool]:
    """Levels of a contour plot that increase and are finite for any values.

    Parameters
    ----------
    finite : numpy.ndarray
        The finite values, at least one.
    values : numpy.ma.MaskedArray
        All of them.

    Returns
    -------
    levels : numpy.ndarray, shape (25,)
        Increasing, also where all values are equal but for rounding.
    values : numpy.ma.MaskedArray
        Within their range.
    logarithmic : bool
        Whether the levels are.
    """
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high / 10 > low:
        levels = np.geomspace(low, high, 25)
        if (np.diff(levels) > 0).all():
            return levels, values, True
    # the library takes differences of levels and colours: half of the largest number is the largest range
    most = np.finfo(float).max / 8
    low, high = max(low, -most), min(high, most)
    # fewer than a thousand numbers between the ends make no 25 levels
    if high - low <= 1e3 * max(np.spacing(max(abs(low), abs(high))), np.finfo(float).tiny):
        around = 0.5 * max(1.0, abs(low), abs(high))
        low, high = low - around, high + around
    # the library leaves the lowest value out where the lowest level is no number below it
    below = max(1e-6 * (high - low), 2 * np.spacing(max(abs(low), abs(high))))
    return np.linspace(low - below, high, 25), values.clip(low, high), False
