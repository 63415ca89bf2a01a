"""Follow the Hessian's top eigenspace along a run."""

import argparse

import numpy as np

from trajmap.cli._charts import open_run
from trajmap.cli._objective import load_objective
from trajmap.cli._options import add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.data.artefacts import Artefacts
from trajmap.data.eigenspace import Eigenspace

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    parser.add_argument("--k", type=int, default=10, help="eigenpairs (default: %(default)s)")
    parser.add_argument("--at", type=int, default=8, help="iterates along the run (default: %(default)s)")
    parser.add_argument("--tol", type=float, default=1e-2, help="relative residual (default: %(default)s)")
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep one eigenspace a compared iterate, each started from the one before."""
    trajectory = open_run(args.run_folder)
    objective = load_objective(args.objective, trajectory)
    artefacts = Artefacts.of(args.run_folder)
    # the last iterate has no next step to compare with
    places = np.unique(np.linspace(0, trajectory.n_iterates - 2, args.at).round().astype(int))
    space: Eigenspace | None = None
    with bar("eigenspaces", "iterate") as progress:
        for i, place in enumerate(places):
            theta, step = trajectory.theta(int(place)), int(trajectory.steps[place])
            space = top_eigenspace(objective, theta, args.k, tol=args.tol, start=space, random_state=args.seed)
            space.save(artefacts.path("hessian", str(step)))
            say(
                f"  step {step:>7}  λ₁ = {space.eigenvalues[0]:.4g}, λ_{space.k} = {space.eigenvalues[-1]:.4g}, "
                f"{int(space.converged.sum())}/{space.k} converged in {space.n_products} products"
            )
            progress(i + 1, len(places))
