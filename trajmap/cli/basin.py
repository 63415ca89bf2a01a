"""Ask whether other runs ended in this run's basin, and what averaging its last iterates would gain."""

import argparse
from pathlib import Path
from typing import Any

from trajmap._validation import Array
from trajmap.cli._charts import open_run
from trajmap.cli._objective import load_objective
from trajmap.cli._options import add_objective, add_run
from trajmap.cli._progress import bar, say
from trajmap.data.artefacts import Artefacts
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.barrier import barrier
from trajmap.projection.matching import UnitGroup, unit_groups
from trajmap.projection.valley import valley_height

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    parser.add_argument("others", type=Path, nargs="*", metavar="OTHER", help="runs to connect with this one's end")
    parser.add_argument(
        "--sister", type=Path, metavar="RUN", help="a run known to share the basin: its climb is the noise"
    )
    parser.add_argument(
        "--curve", type=int, default=200, help="steps to train a curve; 0 for none (default: %(default)s)"
    )
    add_objective(parser)


def run(args: argparse.Namespace) -> None:
    """Print the valley height and one verdict an other run, and keep the losses along the ways."""
    trajectory = open_run(args.run_folder)
    objective = load_objective(args.objective, trajectory)
    artefacts = Artefacts.of(args.run_folder)
    say(str(valley_height(objective, trajectory)))
    here = trajectory.theta(-1)
    sisters = [] if args.sister is None else [(here, _end(args.run_folder, args.sister))]
    groups, probes = _groups(objective.model), _probes(objective)
    with bar("connections", "run") as progress:
        for i, other in enumerate(args.others):
            there = _end(args.run_folder, other)
            found = barrier(
                objective, here, there, groups=groups, sisters=sisters, n_steps=args.curve, probes=probes,
                name=other.name,
            )  # fmt: skip
            found.save(artefacts.path("connections", other.name))
            say(f"{other}: {found.verdict}")
            progress(i + 1, len(args.others))


def _end(run_folder: Path, other: Path) -> Array:
    found = open_run(other)
    open_run(run_folder).layout.require(found.layout, str(other))
    return found.theta(-1)


def _groups(model: object) -> list[UnitGroup]:
    """Hidden units, where the network is a chain; others are compared as they are."""
    try:
        return unit_groups(model)  # type: ignore[arg-type]
    except InputError as error:
        say(f"units are not matched ({error})")
        return []


def _probes(objective: Objective) -> Any:
    """Take the inputs of the first batch to compare classifiers on, where it is a pair with class indices."""
    batch = objective.parts.batches[0]
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(hasattr(part, "dtype") for part in batch):
        return None
    return None if batch[1].is_floating_point() else batch[0]
