"""Compute the Hessian's top eigenspace along a run."""

import argparse

import numpy as np

from trajmap._validation import check_count, worded
from trajmap.cli._charts import open_run
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.cli._results import Results, add_force
from trajmap.curvature.causal import SgdPlan, causal_test
from trajmap.curvature.density import largest_gap, spectral_density
from trajmap.curvature.edge import edge_gauge
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.path import eigenspaces_along
from trajmap.curvature.trace import deflated_trace
from trajmap.data.places import even_places
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.kinds.density import DENSITY
from trajmap.kinds.edge import EDGE
from trajmap.kinds.eigenspace import EIGENSPACE
from trajmap.kinds.trainings import TRAININGS
from trajmap.objective.objective import Objective

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "road", 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    parser.add_argument("--k", type=int, default=10, help="eigenpairs (default: %(default)s)")
    parser.add_argument("--at", type=int, default=8, help="iterates along the run (default: %(default)s)")
    parser.add_argument("--tol", type=float, default=1e-2, help="relative residual (default: %(default)s)")
    parser.add_argument(
        "--edge", action="store_true", help="compare the sharpness with the largest stable one at the learning rate"
    )
    parser.add_argument(
        "--forward-only",
        action="store_true",
        help="only the edge, from one gradient and 9 losses per iterate: a lower bound, for expensive Hessian products",
    )
    parser.add_argument(
        "--density", action="store_true", help="trace and density of the spectrum at the end of the run"
    )
    parser.add_argument(
        "--causal", action="store_true", help="train inside and outside the top eigenspace from the middle of the run"
    )
    parser.add_argument("--batch", type=int, metavar="N", help="the optimizer's batch size (default: the recorded one)")
    parser.add_argument("--lr", type=float, help="learning rate for --edge and --causal (default: the recorded one)")
    parser.add_argument(
        "--differences", action="store_true", help="products by differences of gradients, for losses without exact ones"
    )
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep one eigenspace a compared iterate, each started from the one before; a killed search is resumed."""
    trajectory = open_run(args.run_folder)
    objective = objective_of(args, trajectory)
    results = Results.of(__name__, args, trajectory, objective)
    if args.forward_only:
        _edge(args, objective, trajectory, results)
        return
    _spaces(args, objective, trajectory, results)


def _spaces(args: argparse.Namespace, objective: Objective, trajectory: Trajectory, results: Results) -> None:
    # the last iterate has no next step to compare with
    places = even_places(trajectory.n_iterates - 1, check_count("--at", args.at))
    for place in places:
        results.require_room(EIGENSPACE, str(int(trajectory.steps[place])), eigenpairs=args.k)
    folder = results.artefacts.path(EIGENSPACE, "step").parent
    space: Eigenspace | None = None
    with bar("eigenspaces", "iterate") as progress:
        spaces = eigenspaces_along(
            objective.along(trajectory), trajectory, args.k, places, tol=args.tol, method=_method(args), out=folder,
            random_state=args.seed,
        )  # fmt: skip
        for done, (step, space) in enumerate(spaces, 1):
            # it is in its file already, so that a killed search can be resumed; now it is said what made it
            stamp = results.artefacts.stamp(EIGENSPACE, str(step))
            if stamp is None or stamp.objective != results.stamp.objective:
                results.save(EIGENSPACE, Eigenspace.open(folder / f"{step}.npz"), str(step))
            last = f"λ_{space.k} = {space.eigenvalues[-1]:.4g}, " if space.k > 1 else ""
            say(
                f"  step {step:>7}  λ₁ = {space.eigenvalues[0]:.4g}, {last}"
                f"{int(space.converged.sum())}/{space.k} converged in {space.n_products} products"
            )
            progress(done, len(places))
    if args.edge:
        _edge(args, objective, trajectory, results)
    if args.density:
        _density(args, objective, trajectory, results, space)
    if args.causal:
        _causal(args, objective, trajectory, results)


def _method(args: argparse.Namespace) -> str:
    return "differences" if args.differences else "exact"


def _batch(args: argparse.Namespace, trajectory: Trajectory) -> int | None:
    noted = trajectory.settings.get("batch_size")
    return args.batch if args.batch is not None else int(noted) if noted else None


def _edge(args: argparse.Namespace, objective: Objective, trajectory: Trajectory, results: Results) -> None:
    results.require_room(EDGE, exactness=0 if args.forward_only else 1, iterates=args.at)
    with bar("edge of stability", "iterate") as progress:
        gauge = edge_gauge(
            objective, trajectory, batch_size=_batch(args, trajectory), lr=args.lr, n_at=args.at, tol=args.tol,
            method="forward" if args.forward_only else "products", random_state=args.seed, progress=progress,
        )  # fmt: skip
    results.save(EDGE, gauge)
    for step, ratio, threshold, reason in zip(gauge.steps, gauge.ratio, gauge.threshold, gauge.reasons, strict=True):
        text = f"{ratio:.3g} times the threshold, {threshold:.4g}" if np.isfinite(ratio) else f"unknown: {reason}"
        say(f"  step {int(step):>7}  {text}")
    say(f"  {gauge.verdict}")


def _density(
    args: argparse.Namespace,
    objective: Objective,
    trajectory: Trajectory,
    results: Results,
    space: Eigenspace | None,
) -> None:
    theta = trajectory.theta(-1)
    product = objective.hessian(theta, method=_method(args))
    found = spectral_density(product, objective.size, random_state=args.seed)
    results.save(DENSITY, found)
    near = top_eigenspace(
        objective, theta, args.k, tol=args.tol, start=space, method=_method(args), random_state=args.seed
    )
    trace = deflated_trace(product, objective.size, near, random_state=args.seed)
    gap = largest_gap(near.eigenvalues)
    say(f"  trace {trace}, effective rank {found.effective_rank:.3g}, {found.negative_share:.1%} negative eigenvalues")
    say(f"  largest gap after {gap.count} eigenvalues (ratio {gap.ratio:.2g}), condition {found.condition:.3g}")


def _causal(args: argparse.Namespace, objective: Objective, trajectory: Trajectory, results: Results) -> None:
    rate = (trajectory.settings.get("optimizer") or {}).get("lr") if args.lr is None else args.lr
    if rate is None:
        raise InputError(worded("--causal", "a run with a recorded learning rate", "none", "pass --lr"))
    plan = SgdPlan(lr=float(rate), batch_size=_batch(args, trajectory) or 32, random_state=args.seed)
    start = trajectory.theta(trajectory.n_iterates // 2)
    with bar("trainings", "run") as progress:
        curves = causal_test(objective, start, plan, k=args.k, progress=progress)
    results.save(TRAININGS, curves)
    say(f"  from {curves.losses[0, 0]:.4g}: " + ", ".join(f"{name} {loss:.4g}" for name, loss in curves.final.items()))
