"""Losses along several lines through one point, each with its class."""

from collections.abc import Iterable, Mapping

import numpy as np

from trajmap._validation import Array
from trajmap.basins.line_classes import curve_kind
from trajmap.data.frame import Frame
from trajmap.data.progress import Progress, counted
from trajmap.data.results.line_profiles import LineProfiles
from trajmap.objective.objective import Objective
from trajmap.objective.points import FramePoints
from trajmap.objective.tuning import evaluator

__all__ = ["line_losses", "line_profiles"]


def line_losses(objective: Objective, point: Array, direction: Array, offsets: Array) -> Array:
    """Evaluate the loss at point + offset·direction, both of shape (P,), by one combination per offset; shape (n,)."""
    points = FramePoints(Frame(point, direction[None]), np.asarray(offsets)[:, None], objective.like)
    return evaluator(objective).evaluate(points, only=["loss"])["loss"]


def line_profiles(
    objective: Objective,
    point: Array,
    directions: Mapping[str, Array] | Iterable[tuple[str, Array]],
    offsets: Array,
    *,
    through: str,
    progress: Progress | None = None,
) -> LineProfiles:
    """Evaluate the loss along lines through a point.

    Parameters
    ----------
    objective : Objective
        The loss.
    point : array-like, shape (P,)
        The point at offset 0.
    directions : mapping of str to array-like of shape (P,), or iterable of pairs
        Directions by name; an iterable is read one at a time.
    offsets : array-like, shape (n,)
        Positions, in lengths of each direction.
    through : str
        What the point is.
    progress : callable, optional
        Called with the lines done and their number, 0 for an iterable without a length.

    Returns
    -------
    LineProfiles
        Losses and classes.
    """
    pairs: Iterable[tuple[str, Array]] = directions.items() if isinstance(directions, Mapping) else directions
    found = {
        name: line_losses(objective, np.asarray(point), np.asarray(row), offsets)
        for name, row in counted(pairs, progress)
    }
    kinds = [curve_kind(offsets, row) for row in found.values()]
    return LineProfiles(offsets, np.array(list(found.values())), list(found), kinds, through)
