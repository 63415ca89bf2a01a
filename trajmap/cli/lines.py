"""Draw the loss along random, mined and sign-consistent lines through the end of a run, and across its valley."""

import argparse

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.basins.asymmetry import asymmetry_test, signed_noise
from trajmap.basins.line_classes import curve_kind
from trajmap.basins.lines import line_profiles
from trajmap.basins.valley_profiles import valley_profile
from trajmap.cli._charts import open_run
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.cli._results import Results, add_force
from trajmap.curvature.directional import direction_curvatures
from trajmap.data.trajectory import Trajectory
from trajmap.directions.mining import mine_direction, v_side, vvv_basin, w_basin, w_peak
from trajmap.directions.random import random_plane
from trajmap.kinds.asymmetry import ASYMMETRY
from trajmap.kinds.bends import BENDS
from trajmap.kinds.lines import LINES
from trajmap.kinds.valley import VALLEY
from trajmap.objective.objective import Objective

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "studies", 20

SHAPES = {"w-peak": w_peak, "w-basin": w_basin, "vvv-basin": vvv_basin, "v-side": v_side}
REACHES = (1.0, 1.5, 2.25)  # of a mined direction, in norms of the weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    parser.add_argument(
        "--shapes",
        nargs="*",
        choices=tuple(SHAPES),
        default=["w-peak", "w-basin", "vvv-basin"],
        metavar="SHAPE",
        help=f"shapes to mine, any of {', '.join(SHAPES)} (default: the first three)",
    )
    parser.add_argument("--steps", type=int, default=400, help="steps of mining (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=512, help="samples per step of mining (default: %(default)s)")
    parser.add_argument("--random", type=int, default=10, help="random directions as a control (default: %(default)s)")
    parser.add_argument(
        "--noise-draws", type=int, default=8, help="draws of signed noise per share (default: %(default)s)"
    )
    parser.add_argument(
        "--scale", type=float, default=0.5, help="norm of that noise relative to the weights' (default: %(default)s)"
    )
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep the profiles and print their classes."""
    trajectory = open_run(args.run_folder)
    objective = objective_of(args, trajectory)
    results, theta = Results.of(__name__, args, trajectory, objective), trajectory.theta(-1)
    results.require_room(ASYMMETRY, draws=args.noise_draws)
    lines = _directions(args, objective, trajectory)
    profiles = line_profiles(objective, theta, lines, np.linspace(-1.5, 1.5, 61), through="the end of the run")
    results.save(LINES, profiles)
    random = [kind for name, kind in zip(profiles.names, profiles.kinds, strict=True) if name.startswith("random")]
    say(f"  random directions: {random.count('v-basin')} of {len(random)} are v-basins")
    for name, kind in zip(profiles.names, profiles.kinds, strict=True):
        if name.startswith("mined"):
            say(f"  {name}: found {kind}")
    bends = direction_curvatures(objective, theta, n_directions=max(20, args.random), random_state=args.seed)
    results.save(BENDS, bends)
    say(f"  random curvatures {bends.values.mean():.3g} ± {bends.values.std():.2g}, by the spectrum {bends.mean:.3g} ± "
        f"{bends.deviation:.2g}")  # fmt: skip
    _valley(args, objective, trajectory, results)


def _directions(args: argparse.Namespace, objective: Objective, trajectory: Trajectory) -> dict[str, Array]:
    theta = trajectory.theta(-1).astype(np.float64)
    plane = random_plane(objective, theta, n_components=check_count("--random", args.random), random_state=args.seed)
    found = {f"random {i + 1}": row for i, row in enumerate(plane.directions)}
    with bar("mining", "shape") as progress:
        for done, name in enumerate(args.shapes):
            title, vector = _mined(args, objective, theta, name)
            found[title] = vector
            progress(done + 1, len(args.shapes))
    found["noise with the model's signs"] = signed_noise(objective, theta, scale=1.0, random_state=args.seed)
    length, start = np.linalg.norm(theta), trajectory.theta(0).astype(np.float64)
    special = {"the model itself": theta, "its signs": np.sign(theta), "from the start": theta - start}
    return found | {name: row * length / np.linalg.norm(row) for name, row in special.items() if np.linalg.norm(row)}


def _mined(args: argparse.Namespace, objective: Objective, theta: Array, name: str) -> tuple[str, Array]:
    """Mine a shape at the model's distance from 0, then farther, until the curve has the requested shape."""
    vectors = {}
    for reach in REACHES:
        mined = mine_direction(
            objective, theta, SHAPES[name], radius=reach * float(np.linalg.norm(theta)), n_steps=args.steps,
            batch_size=args.batch_size, random_state=args.seed,
        )  # fmt: skip
        if curve_kind(mined.offsets, mined.losses) == name:
            return f"mined {name}" + (f" at {reach:g}‖θ‖" if reach > 1 else ""), mined.vector
        vectors[reach] = mined.vector
    return f"mined {name}", vectors[REACHES[0]]


def _valley(args: argparse.Namespace, objective: Objective, trajectory: Trajectory, results: Results) -> None:
    """Both sides of the end along signed noise, and of the mean of the last iterates along the path."""
    sweep = asymmetry_test(
        objective, trajectory.theta(-1), n_draws=args.noise_draws, scale=args.scale, random_state=args.seed
    )
    results.save(ASYMMETRY, sweep)
    text = ", ".join(f"{share:.0%}: {ratio:.3g}" for share, ratio in zip(sweep.shares, sweep.ratios, strict=True))
    say(f"  loss(−)/loss(+) along noise with a share of the model's signs, {text}")
    valley = valley_profile(objective, trajectory, random_state=args.seed)
    results.save(VALLEY, valley)
    sides, control = valley.asymmetries[:2], np.abs(valley.asymmetries[2:]).max()
    text = ", ".join(
        f"{name} {side:+.3g} ({kind})" for name, side, kind in zip(valley.names, sides, valley.kinds, strict=False)
    )
    say(f"  asymmetry across {valley.through}: {text} (random directions: up to {control:.2g})")
