"""Test whether other runs ended in this run's basin, and measure the gain of averaging its last iterates."""

import argparse
from pathlib import Path

import numpy as np

from trajmap.basins.barriers import barrier
from trajmap.basins.matching import groups_at, match_weights
from trajmap.basins.solution_trees import solution_tree
from trajmap.basins.valleys import valley_height
from trajmap.cli._charts import open_run
from trajmap.cli._network import hidden_units, probes_of
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_objective, add_run
from trajmap.cli._progress import bar, say
from trajmap.cli._results import Results, add_force
from trajmap.data.sisters import require_other, require_sister
from trajmap.kinds.connection import CONNECTION
from trajmap.kinds.solutions import SOLUTIONS
from trajmap.kinds.valley_height import VALLEY_HEIGHT

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "road", 70


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    parser.add_argument(
        "others", type=Path, nargs="*", metavar="OTHER", help="runs whose ends are connected with this run's end"
    )
    parser.add_argument(
        "--sister",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="a run with the same start and basin, whose barrier is the noise level; may be repeated",
    )
    parser.add_argument(
        "--curve", type=int, default=200, help="training steps of a curve; 0 for none (default: %(default)s)"
    )
    add_force(parser)
    add_objective(parser)


def run(args: argparse.Namespace) -> None:
    """Print the valley height and one verdict an other run; keep the losses along the ways and the tree of ends."""
    trajectory = open_run(args.run_folder)
    objective = objective_of(args, trajectory)
    results = Results.of(__name__, args, trajectory, objective)
    height = valley_height(objective, trajectory)
    results.save(VALLEY_HEIGHT, height)
    say(str(height))
    here = trajectory.theta(-1)
    for sister in args.sister:
        require_sister(trajectory, open_run(sister), str(sister))
        for other in args.others:
            require_other(open_run(other), open_run(sister), f"--sister {sister}")
    sisters = [(here, open_run(path).theta(-1), objective.for_run(open_run(path))) for path in args.sister]
    groups, probes = hidden_units(objective), probes_of(objective)
    ends = {args.run_folder.name: here}
    with bar("connections", "run") as progress:
        for i, other in enumerate(args.others):
            require_other(trajectory, run := open_run(other), str(other))
            there = run.theta(-1)
            found = barrier(
                objective, here, there, at_b=objective.for_run(run), groups=groups, sisters=sisters,
                n_steps=args.curve, probes=probes, name=other.name,
            )  # fmt: skip
            results.save(CONNECTION, found, other.name)
            say(f"{other}: {found.verdict}")
            ends[other.name] = match_weights(here, there, objective.layout, groups_at(objective, groups)).theta
            progress(i + 1, len(args.others))
    for sister, (_, there, _) in zip(args.sister, sisters, strict=True):
        ends.setdefault(sister.name, there)
    if len(ends) > 2:
        tree = solution_tree(np.array(list(ends.values())), names=list(ends))
        results.save(SOLUTIONS, tree)
        say(f"tree of the {len(ends)} ends: {tree.verdict}")
