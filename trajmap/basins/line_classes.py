"""The kind of a loss curve through a point."""

import numpy as np

from trajmap._validation import Array, check_array, check_fraction, worded
from trajmap.data.elder_rule import merge_minima
from trajmap.data.results.line_class import LineClass
from trajmap.errors import InputError

__all__ = ["classify_line", "curve_kind"]


def classify_line(offsets: Array, losses: Array, *, simplify: float = 0.01, near: float = 0.05) -> LineClass:
    """Name the shape of the loss along a line through a model at offset 0.

    Minima of small depth relative to the range are noise and are merged. Of the remaining minima, one at the model is a
    v-basin, and one elsewhere a v-side. Two with the model in one of them are a w-basin; two on both sides of it a
    w-peak. Three with the model in the middle one are a vvv-basin. A minimum at the end of the line is a continuing
    slope and does not count. This reconstructs the classes of the paper, whose exact rules are not public.

    Parameters
    ----------
    offsets : array-like, shape (n,)
        Increasing, with 0 inside.
    losses : array-like, shape (n,)
        Finite.
    simplify : float
        Minimum depth of a minimum, as a fraction of the range.
    near : float
        Largest distance that counts as at the model, as a fraction of the length of the line, on both sides.

    Returns
    -------
    LineClass
        The name and the minima.

    Raises
    ------
    InputError
        If the offsets do not increase through 0, or a loss is not finite.

    References
    ----------
    X.-C. Li, L. Li, D.-C. Zhan, Visualizing, rethinking, and mining the loss landscape of deep neural networks, 2024.

    Examples
    --------
    >>> x = np.linspace(-1.5, 1.5, 61)
    >>> [classify_line(x, f).name for f in (x**2, (x - 0.5) ** 2, (x**2 - 1) ** 2, x**2 * (x**2 - 1) ** 2)]
    ['v-basin', 'v-side', 'w-peak', 'vvv-basin']
    """
    x = check_array("offsets", offsets, (None,), dtype=np.float64)
    y = check_array("losses", losses, (len(x),), dtype=np.float64)
    check_fraction("simplify", simplify)
    if len(x) < 5 or not np.all(np.diff(x) > 0) or not x[0] < 0 < x[-1]:
        raise InputError(worded("offsets", "at least 5 increasing values around 0", x))
    if not np.isfinite(y).all():
        raise InputError(worded("losses", "finite values", "NaN or inf"))
    if np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max())):
        return LineClass("flat", np.empty(0), np.empty(0), np.empty(0))
    places = _minima(y, simplify * float(np.ptp(y)))
    inner = places[(places > 0) & (places < len(x) - 1)]
    at = x[inner]
    between = [float(y[a : b + 1].max() - max(y[a], y[b])) for a, b in zip(inner[:-1], inner[1:], strict=True)]  # ruff: ignore[zip-instead-of-pairwise]
    name = _name(at, near * float(x[-1] - x[0]))
    if not len(at) and 0 < int(y.argmax()) < len(y) - 1:
        name = "hill"  # it falls on both sides, towards the line's ends
    return LineClass(name, at, y[inner], np.array(between))


def curve_kind(offsets: Array, losses: Array) -> str:
    """Name the shape as `classify_line` does; a curve with NaN or inf has no class and is ``"not finite"``."""
    return classify_line(offsets, losses).name if np.isfinite(losses).all() else "not finite"


def _name(at: Array, width: float) -> str:
    model = np.abs(at) <= width * (1 + 1e-9)  # an offset at exactly the width counts, for any rounding
    if len(at) == 0:
        return "monotone"
    if len(at) == 1:
        return "v-basin" if model[0] else "v-side"
    if len(at) == 2:
        if model.any():
            return "w-basin"
        return "w-peak" if at[0] < 0 < at[1] else "2-valley"
    if len(at) == 3 and model[1]:
        return "vvv-basin"
    return f"{len(at)}-valley"


def _minima(y: Array, threshold: float) -> Array:
    """Places of minima that survive merging the pairs of less persistence, in order."""
    places = np.arange(len(y))
    found = merge_minima(y, np.stack([places[:-1], places[1:]], axis=1))
    kept = [i for i in found.minima if i not in found.deaths or y[found.deaths[i][0]] - y[i] > threshold]
    return np.array(sorted(kept), dtype=np.int64)
