"""The lift gap on iterates that the chart has not seen."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.progress import Progress, counted
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.trajectory import Trajectory
from trajmap.objective.objective import Objective
from trajmap.projection.lift_gaps import lift_gap

__all__ = ["held_out_lift_gap"]

Splits = Iterable[tuple[Array, Array]]


def held_out_lift_gap(
    objective: Objective,
    fit: Callable[[Array], Any],
    trajectory: Trajectory,
    splits: Splits,
    *,
    every: int = 1,
    decompose: bool = False,
    name: str = "",
    random_state: int = 0,
    progress: Progress | None = None,
) -> LiftGap:
    """Fit a chart to a part of a run and measure the lift gap on the rest, over several splits.

    Parameters
    ----------
    objective : Objective
        The loss.
    fit : callable
        ``fit(rows) -> chart``, fitted to the iterates with these indices.
    trajectory : Trajectory
        The run.
    splits : iterable of (train, test)
        Index arrays, for example from ``trajmap.TimeBlockSplit`` or scikit-learn's splitters: contiguous blocks of
        time, or the tail. Interleaved splits leak, because neighbours in time are neighbours in space.
    every : int
        Use every k-th held-out iterate, but at least two per block.
    decompose : bool
        As for `lift_gap`.
    name : str
        Name for titles.
    random_state : int
        Seed of the control's directions.
    progress : callable, optional
        Called with the splits done and their number.

    Returns
    -------
    LiftGap
        The gap of all held-out iterates, by step.

    Raises
    ------
    InputError
        If chart and objective do not fit.

    Examples
    --------
    >>> import torch
    >>> from trajmap.data.plane import Plane
    >>> bowl = Objective(torch.nn.Linear(2, 1, bias=False), lambda m, x: m(x).square().sum() / 2, [torch.eye(2)])
    >>> run = Trajectory.of(np.array([[2.0, 0], [1, 0], [1, 1], [2, 2]]), layout=bowl.layout)
    >>> flat = lambda rows: Plane(np.zeros(2), np.array([[1.0, 0]]))
    >>> held_out_lift_gap(bowl, flat, run, [(np.array([0, 1]), np.array([2, 3]))]).gap.tolist()
    [-0.5, -2.0]
    """
    parts = []
    for train, test in counted(list(splits), progress):
        chart = fit(np.asarray(train))
        rows = np.asarray(test)[::every]
        rows = rows if len(rows) > 1 else np.asarray(test)[[0, -1]]
        parts.append(
            lift_gap(objective, chart, trajectory.take(rows), decompose=decompose, name=name, random_state=random_state)
        )
    steps = np.concatenate([part.steps for part in parts])
    order = np.argsort(steps, kind="stable")
    whole = LiftGap(
        steps[order],
        np.concatenate([part.values for part in parts])[order],
        np.concatenate([part.lifted_values for part in parts])[order],
        np.concatenate([part.residuals for part in parts])[order],
        np.concatenate([part.control_values for part in parts])[order],
        parts[0].name,
    )
    first = [part.first_order for part in parts if part.first_order is not None]
    second = [part.second_order for part in parts if part.second_order is not None]
    if not decompose:
        return whole
    orders = np.concatenate(first)[order], np.concatenate(second)[order]
    return dataclasses.replace(whole, first_order=orders[0], second_order=orders[1])
