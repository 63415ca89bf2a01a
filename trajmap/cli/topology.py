"""Count the basins and saddles of each landscape of a run, and its rings."""

import argparse

import numpy as np

from trajmap._validation import worded
from trajmap.cli._options import add_run
from trajmap.cli._progress import say
from trajmap.cli._results import Results, add_force
from trajmap.data.results.landscape import Landscape
from trajmap.data.results.persistence_diagram import PersistenceDiagram
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.kinds.basin_profile import BASIN_PROFILE
from trajmap.kinds.landscape import LANDSCAPE
from trajmap.kinds.merge_tree import MERGE_TREE
from trajmap.kinds.rings import RINGS
from trajmap.topology.merge_trees import basin_profile, merge_tree
from trajmap.topology.persistence_pairs import persistence

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "studies", 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.01,
        help="ignore basins less deep than this fraction of the range (default: %(default)s)",
    )
    parser.add_argument("--all", action="store_true", help="also count the cells that the run does not support")
    parser.add_argument("--rings", action="store_true", help="also find rings of low loss around a hill (needs GUDHI)")
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Store one merge tree per landscape, and its rings on request."""
    results = Results.of(__name__, args, Trajectory.open(args.run_folder))
    artefacts = results.artefacts
    landscapes = artefacts.all(LANDSCAPE)
    if not landscapes:
        raise InputError(worded("run", "landscapes in its artefacts", "none", f"trajmap surface {args.run_folder}"))
    for name, land in landscapes.items():
        asked = land.values if land.support is None or args.all else land.values[land.support]
        if not np.isfinite(asked).any():
            for kind in (MERGE_TREE, BASIN_PROFILE, RINGS):  # of an earlier look
                artefacts.path(kind, name).unlink(missing_ok=True)
            say(f"  {name:<12} no supported cell has a finite loss, so nothing is counted (--all counts every cell)")
            continue
        whole = merge_tree(land, masked=True, supported=not args.all)
        threshold = args.threshold * (whole.top - float(whole.births.min()))
        tree = whole.simplify(threshold)
        made_of = results.made_of(LANDSCAPE, name)
        made_of.save(MERGE_TREE, tree, name)
        made_of.save(BASIN_PROFILE, basin_profile(land, tree), name)
        inner = int((~tree.boundary).sum())
        say(
            f"  {name:<12} {tree.n_minima} minima{' on supported cells' if tree.supported else ''} ({inner} inside), "
            f"{tree.n_saddles} saddles, average persistence {tree.average_persistence():.3g}, SMAD {tree.smad():.3g}"
        )
        if args.rings:
            _rings(made_of, name, land, threshold, supported=not args.all)


def _rings(results: Results, name: str, land: Landscape, threshold: float, *, supported: bool) -> None:
    """Keep the rings that are tall enough; what an earlier look has left goes."""
    pairs = persistence(land, degree=1, supported=supported).pairs
    tall = pairs[pairs[:, 1] - pairs[:, 0] > threshold]
    if len(tall):
        results.save(RINGS, PersistenceDiagram(tall, 1), name)
    else:
        results.artefacts.path(RINGS, name).unlink(missing_ok=True)
    say(f"    {len(tall)} rings" + (f", the tallest hill {np.ptp(tall[0]):.3g} above its ring" if len(tall) else ""))
