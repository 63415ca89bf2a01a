"""Draw the loss along random, mined, sign-consistent and permuted lines through the end of a run."""

import argparse

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.cli._charts import open_run
from trajmap.cli._objective import load_objective
from trajmap.cli._options import add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.data.artefacts import Artefacts
from trajmap.data.curve_profiles import CurveProfiles
from trajmap.directions.mining import mine_direction, vvv_basin, w_basin, w_peak
from trajmap.directions.random import random_plane
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.asymmetry import asymmetry_test, signed_noise
from trajmap.projection.classify import classify_curve
from trajmap.projection.matching import unit_groups
from trajmap.projection.spin_glass import permutation_path

__all__ = ["add_arguments", "run"]

SHAPES = {"w-peak": w_peak, "w-basin": w_basin, "vvv-basin": vvv_basin}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    parser.add_argument(
        "--shapes",
        nargs="*",
        choices=tuple(SHAPES),
        default=list(SHAPES),
        metavar="SHAPE",
        help=f"shapes to mine, any of {', '.join(SHAPES)} (default: all)",
    )
    parser.add_argument("--steps", type=int, default=400, help="steps of mining (default: %(default)s)")
    parser.add_argument("--random", type=int, default=10, help="random directions, as control (default: %(default)s)")
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep the curves and print their classes."""
    trajectory = open_run(args.run_folder)
    objective = load_objective(args.objective, trajectory)
    theta = trajectory.theta(-1)
    plane = random_plane(
        theta, trajectory.layout, n_components=check_count("--random", args.random), random_state=args.seed
    )
    directions = {f"random {i + 1}": row for i, row in enumerate(plane.directions)}
    with bar("mining", "shape") as progress:
        for done, name in enumerate(args.shapes):
            mined = mine_direction(objective, theta, SHAPES[name], n_steps=args.steps, random_state=args.seed)
            directions[f"mined {name}"] = mined.vector
            progress(done + 1, len(args.shapes))
    directions["the model's signs"] = signed_noise(theta, random_state=args.seed)
    curves = _curves(objective, theta, directions)
    curves.save(Artefacts.of(args.run_folder).path("curves"))
    random = [kind for name, kind in zip(curves.names, curves.kinds, strict=True) if name.startswith("random")]
    say(f"  random directions: {random.count('v-basin')} of {len(random)} are v-basins")
    for name, kind in zip(curves.names, curves.kinds, strict=True):
        if name.startswith("mined"):
            say(f"  {name}: found {kind}")
    for share, word in ((1.0, "the model's signs"), (0.0, "no signs (control)")):
        found = asymmetry_test(objective, theta, share=share, n=8, random_state=args.seed)
        say(f"  noise with {word}: loss(−)/loss(+) = {found.ratio:.3g}")
    _permuted(objective, theta, args.seed)


def _curves(objective: Objective, theta: Array, directions: dict[str, Array]) -> CurveProfiles:
    offsets = np.linspace(-1.5, 1.5, 61)
    losses = np.array([objective.values(theta + offsets[:, None] * row) for row in directions.values()])
    # a curve with NaN or inf has no class; it is kept and drawn
    kinds = [classify_curve(offsets, row).name if np.isfinite(row).all() else "not finite" for row in losses]
    return CurveProfiles(offsets, losses, list(directions), kinds)


def _permuted(objective: Objective, theta: Array, seed: int) -> None:
    try:
        group = unit_groups(objective.model)[0]
    except InputError:
        return
    counts = [n for n in (2, 4, 8, 16, 32) if n <= group.size]
    told = [f"{n}: {permutation_path(objective, theta, group, n, n=11, random_state=seed)[2]:.3g}" for n in counts]
    say(f"  barrier to an equal network with units swapped, {', '.join(told)}")
