"""Differentiate the loss by its inputs along a run, to third order."""

import argparse

import numpy as np

from trajmap._validation import check_count
from trajmap.cli._charts import open_run
from trajmap.cli._objective import load_objective
from trajmap.cli._options import add_objective, add_run
from trajmap.cli._progress import bar, say
from trajmap.data.artefacts import Artefacts
from trajmap.data.sensitivity import Sensitivity
from trajmap.objective.objective import Objective
from trajmap.sensitivity.derivatives import input_derivatives
from trajmap.sensitivity.runs import path_sensitivity

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    parser.add_argument("--at", type=int, default=5, help="iterates along the run (default: %(default)s)")
    parser.add_argument("--orders", type=int, default=3, help="highest order (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Keep the derivatives at some iterates."""
    trajectory = open_run(args.run_folder)
    objective = load_objective(args.objective, trajectory)
    orders = check_count("--orders", args.orders)

    def measure(loss: Objective, theta: np.ndarray) -> Sensitivity:
        return input_derivatives(loss, theta, orders=orders)

    every = max(1, -(-trajectory.n_iterates // check_count("--at", args.at)))
    with bar("sensitivity", "iterate") as progress:
        found = path_sensitivity(objective, trajectory, measure=measure, every=every, progress=progress)
    found.save(Artefacts.of(args.run_folder).path("sensitivity"))
    for k, row in enumerate(found.mean):
        best = np.argsort(-row)[:5]
        say(f"  order {k + 1}: " + ", ".join(f"{found.names[i]} {row[i]:.3g}" for i in best))
