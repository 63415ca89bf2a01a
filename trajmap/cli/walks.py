"""Explore the surroundings of the end of a run: random walks, noise, permuted copies, gradient walks, saturation."""

import argparse

import numpy as np

from trajmap._validation import Array
from trajmap.basins.gradient_walks import loss_gradient_cloud, stagnation
from trajmap.basins.noise import noise_rise
from trajmap.basins.permuted_copies import permutation_paths
from trajmap.basins.random_walks import random_walk_rise
from trajmap.cli._charts import open_run
from trajmap.cli._network import hidden_units, inputs_of
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_objective, add_run, add_seed
from trajmap.cli._progress import say
from trajmap.cli._results import Results, add_force
from trajmap.curvature.scalar import curvature_class
from trajmap.curvature.trace import hutchinson
from trajmap.data.places import even_places
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.kinds.cloud import CLOUD
from trajmap.kinds.noise import NOISE
from trajmap.kinds.permutations import PERMUTATIONS
from trajmap.kinds.saturation import SATURATION
from trajmap.kinds.walk import WALK
from trajmap.objective.objective import Objective
from trajmap.objective.saturated_units import saturation

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "studies", 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    parser.add_argument("--walks", type=int, default=10, help="walks of each kind (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="steps of a walk (default: %(default)s)")
    parser.add_argument(
        "--sigma",
        type=float,
        default=1e-3,
        help="standard deviation of a random walk's step in each entry (default: %(default)s)",
    )
    parser.add_argument(
        "--width", type=float, default=1.0, help="gradient walks start in [−WIDTH, WIDTH] (default: %(default)s)"
    )
    parser.add_argument("--noise-draws", type=int, default=10, help="draws of noise per scale (default: %(default)s)")
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep one artefact a kind of walk, and print what each met."""
    trajectory = open_run(args.run_folder)
    objective = objective_of(args, trajectory)
    results, theta, seed = Results.of(__name__, args, trajectory, objective), trajectory.theta(-1), args.seed
    results.require_room(WALK, walks=args.walks, steps=args.steps + 1)
    results.require_room(NOISE, draws=args.noise_draws)
    trace = hutchinson(objective.hessian(theta), objective.size, n_products=60, random_state=seed).value
    walk = random_walk_rise(
        objective, theta, sigma=args.sigma, n_steps=args.steps, n_walks=args.walks, trace=trace, random_state=seed
    )
    results.save(WALK, walk)
    say(f"  random walks rise by {walk.mean[-1]:.3g} ± {walk.error[-1]:.1g}, {walk.ratio:.3g} of ½σ²t tr H")
    noise = noise_rise(objective, theta, n_draws=args.noise_draws, random_state=seed)
    results.save(NOISE, noise)
    text = ", ".join(f"{scale:g}: {rise:.3g}" for scale, rise in zip(noise.scales, noise.rises, strict=True))
    say(f"  rise under noise of a part of the weights' norm, {text}")
    _permuted(results, objective, theta, seed)
    cloud = loss_gradient_cloud(
        objective, width=args.width, n_walks=args.walks, n_steps=args.steps, relative_step=0.01, random_state=seed,
        kind=lambda point: curvature_class(objective.hessian(point), objective.size, n_steps=30).kind,
    )  # fmt: skip
    results.save(CLOUD, cloud)
    stops = np.mean([stagnation(row).count for row in cloud.losses]) if args.steps > 10 else np.nan
    kinds = ", ".join(f"{share:.0%} {kind}" for kind, share in cloud.shares.items())
    say(f"  gradient walks keep {cloud.descent:.3g} of their loss, stand still {stops:.2g} times, end at {kinds}")
    _saturated(results, objective, trajectory)


def _permuted(results: Results, objective: Objective, theta: Array, seed: int) -> None:
    group = max(hidden_units(objective), key=lambda group: group.size, default=None)
    counts = [n for n in (2, 4, 8, 16, 32) if group is not None and n <= group.size]
    if group is None or not counts:
        return
    paths = permutation_paths(objective, theta, group, counts, random_state=seed)
    results.save(PERMUTATIONS, paths)
    heights = zip(paths.counts, paths.barriers.mean(axis=1), strict=True)
    say(f"  barrier to an equal network with units swapped, {', '.join(f'{n}: {height:.3g}' for n, height in heights)}")


def _saturated(results: Results, objective: Objective, trajectory: Trajectory) -> None:
    inputs = inputs_of(objective)
    if inputs is None:
        return
    chosen = even_places(trajectory.n_iterates, 25)
    try:
        found = saturation(
            objective, (trajectory.theta(int(i)) for i in chosen), inputs, steps=trajectory.steps[chosen]
        )
    except InputError as error:
        say(f"  saturation is left out ({error})")
        return
    results.save(SATURATION, found)
    text = ", ".join(
        f"layer {n} {a:.2g} → {b:.2g}" for n, a, b in zip(found.names, *found.values[[0, -1]], strict=True)
    )
    say(f"  saturation from start to end: {text}")
