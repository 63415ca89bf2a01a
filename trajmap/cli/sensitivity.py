"""Differentiate the loss along a run up to third order, with respect to inputs, weights or chart coordinates."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.cli._charts import EMBEDDINGS, load_chart, open_run
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.cli._results import Results, add_force
from trajmap.data.results.sensitivity import Sensitivity
from trajmap.data.trajectory import Trajectory
from trajmap.kinds.sensitivity import SENSITIVITY
from trajmap.objective.objective import Objective
from trajmap.sensitivity.chart import chart_derivatives
from trajmap.sensitivity.derivatives import input_derivatives, weight_derivatives
from trajmap.sensitivity.ranks import rank_agreement, spearman_table
from trajmap.sensitivity.runs import path_sensitivity, retrained_sensitivity

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "studies", 50

Measure = Callable[[Objective, Array], Sensitivity]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    parser.add_argument(
        "--by", choices=("inputs", "weights", "chart"), default="inputs", help="variables (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", metavar="PARAMETER", help="with --by weights: these parameters")
    parser.add_argument("--chart", choices=tuple(EMBEDDINGS), default="pca", help="with --by chart (default: pca)")
    parser.add_argument(
        "--retrained", type=Path, nargs="+", default=[], metavar="RUN", help="other trainings, whose ends are compared"
    )
    parser.add_argument("--at", type=int, default=5, help="iterates along the run (default: %(default)s)")
    parser.add_argument("--orders", type=int, default=3, help="highest order (default: %(default)s)")
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep the derivatives at some iterates, and print the variables that matter most."""
    trajectory = open_run(args.run_folder)
    objective = objective_of(args, trajectory)
    results = Results.of(__name__, args, trajectory, objective)
    measure = _measure(args, check_count("--orders", args.orders))
    every = max(1, -(-trajectory.n_iterates // check_count("--at", args.at)))
    with bar("sensitivity", "iterate") as progress:
        found = path_sensitivity(objective, trajectory, measure=measure, every=every, progress=progress)
    results.save(SENSITIVITY, found, args.by)
    for k, row in enumerate(found.mean):
        best = np.argsort(-row)[:5]
        say(f"  order {k + 1}: " + ", ".join(f"{found.names[i]} {row[i]:.3g}" for i in best))
    if args.by == "inputs":
        _spearman(objective, found)
    if args.retrained:
        _retrained(args, objective, trajectory, measure)


def _measure(args: argparse.Namespace, orders: int) -> Measure:
    if args.by == "inputs":
        return lambda loss, theta: input_derivatives(loss, theta, orders=orders)
    if args.by == "weights":
        return lambda loss, theta: weight_derivatives(loss, theta, orders=orders, names=args.only)
    chart = load_chart(args.run_folder, args.chart, args.seed)
    return lambda loss, theta: chart_derivatives(loss, chart, chart.transform(theta[None])[0], orders=orders)


def _spearman(objective: Objective, found: Sensitivity) -> None:
    """Also rank the inputs by Spearman's correlation, if the target is a number."""
    pairs = [(np.asarray(x.cpu()), np.asarray(y.cpu())) for x, y in objective.parts.batches]
    if pairs[0][1].dtype.kind != "f" or any(y.size != len(y) for _, y in pairs):
        return
    table = spearman_table(np.concatenate([x for x, _ in pairs]), np.concatenate([y.ravel() for _, y in pairs]))
    for k, row in enumerate(found.mean):
        agreement = rank_agreement(row, np.abs(table[:, 0]))
        say(f"  order {k + 1} against Spearman's |ρ| with the target: {agreement}")


def _retrained(args: argparse.Namespace, objective: Objective, trajectory: Trajectory, measure: Measure) -> None:
    """Compare the ranking at the end with those at the ends of other trainings."""
    ends = [trajectory.theta(-1)]
    for folder in args.retrained:
        other = open_run(folder)
        trajectory.layout.require(other.layout, str(folder))
        ends.append(other.theta(-1))
    found = np.abs(retrained_sensitivity(objective, ends, measure=measure).values)
    for k in range(found.shape[1]):
        rho = [rank_agreement(found[0, k], other[k], n_boot=1).value for other in found[1:]]
        text = ", ".join(f"{value:+.2f}" for value in rho)
        say(f"  order {k + 1}: ranking at the end against the other trainings' ends {text}")
