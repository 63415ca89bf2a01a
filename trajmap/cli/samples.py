"""Measure how much one more sample changes the loss at the end of a run, and over the Hessian's top subspace there."""

import argparse

from trajmap.cli._charts import open_run
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_objective, add_run, add_seed
from trajmap.cli._progress import say
from trajmap.cli._results import Results, add_force
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.sample_size import sample_convergence, sufficient_size
from trajmap.curvature.subspace_size import subspace_convergence
from trajmap.errors import InputError
from trajmap.kinds.samples import SAMPLES
from trajmap.kinds.subspace import SUBSPACE
from trajmap.objective.samples import sample_losses

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "studies", 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    parser.add_argument("--k", type=int, default=5, help="dimensions of the subspace (default: %(default)s)")
    parser.add_argument(
        "--sigma", type=float, default=0.03, help="standard deviation of the cloud there (default: %(default)s)"
    )
    parser.add_argument(
        "--tolerance", type=float, default=0.01, help="target change, relative to the loss (default: %(default)s)"
    )
    parser.add_argument("--orders", type=int, default=100, help="random orders of the samples (default: %(default)s)")
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep both curves, and print their slopes and how many samples are enough."""
    trajectory = open_run(args.run_folder)
    objective = objective_of(args, trajectory)
    results, theta = Results.of(__name__, args, trajectory, objective), trajectory.theta(-1)
    losses = sample_losses(objective, theta[None])[0]
    found = sample_convergence(losses, n_perm=args.orders, random_state=args.seed)
    results.save(SAMPLES, found)
    say(f"  one more sample: slope {found.slope:.3f} (−1 for independent ones), constant {found.constant:.3g}, mean "
        f"absolute deviation {found.deviation:.3g}")  # fmt: skip
    _enough(found.sizes, found.changes, args.tolerance, float(losses.mean()))
    space = top_eigenspace(objective, theta, args.k, random_state=args.seed)
    try:
        cloud = subspace_convergence(
            objective, theta, space.eigenvectors, sigma=args.sigma, n_perm=args.orders, random_state=args.seed
        )
    except InputError as error:
        say(f"  the top directions are left out ({error})")
        return
    results.save(SUBSPACE, cloud)
    enough = cloud.sufficient_size((args.tolerance * float(losses.mean())) ** 2)
    say(f"  over the top {args.k} directions: variance of the samples' losses {cloud.variance:.3g} (second-order "
        f"expansions: {cloud.quadratic:.3g}), so {enough} samples are enough there")  # fmt: skip


def _enough(sizes: object, changes: object, tolerance: float, loss: float) -> None:
    try:
        enough = sufficient_size(sizes, changes, tolerance * loss)  # type: ignore[arg-type]
    except InputError:
        say(f"  all samples are too few for a change below {tolerance:g} of the loss")
        return
    say(f"  from {enough} samples on, one more changes the loss by less than {tolerance:g} of it")
