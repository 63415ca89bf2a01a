"""Test claims about a run, each against nulls without any training."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from trajmap.cli._charts import EMBEDDINGS, fit_on, fit_row_space, open_run
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.cli._results import Results, add_force
from trajmap.data.claim import Claim
from trajmap.data.fan import Fan
from trajmap.data.sisters import require_sister
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.kinds.claim import CLAIM, find_claims
from trajmap.objective.objective import Objective
from trajmap.projection.chart_claim import chart_carries_loss
from trajmap.projection.loss_claim import loss_knows_it
from trajmap.scores.claim_direction import moved_with_direction
from trajmap.scores.claim_inputs import finite_coordinates
from trajmap.scores.claim_order import order_matters
from trajmap.scores.claim_reproducible import reproducible, reproducible_beyond_line

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "road", 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    parser.add_argument(
        "--sister",
        type=Path,
        metavar="RUN",
        help="a run with the same start and another batch order",
    )
    parser.add_argument(
        "--charts", nargs="*", choices=tuple(EMBEDDINGS), default=["pca"], metavar="CHART",
        help="charts tested for carrying the loss (default: pca; each further chart increases p-values)",
    )  # fmt: skip
    parser.add_argument("--draws", type=int, default=99, help="surrogates per null (default: %(default)s)")
    parser.add_argument(
        "--loss-draws",
        type=int,
        default=39,
        help="the same for nulls that need evaluations of the loss (default: %(default)s)",
    )
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Test the claims that can be tested with what is given, and keep them all."""
    trajectory = open_run(args.run_folder)
    sister = None if args.sister is None else open_run(args.sister)
    if sister is not None:
        require_sister(trajectory, sister, "--sister")
    objective = _objective(args, trajectory)
    results = Results.of(__name__, args, trajectory, objective)
    claims = _of_the_path(trajectory, sister, args.draws, args.seed)
    claims |= _of_the_loss(args, objective, trajectory, sister)
    for place, claim in claims.items():
        results.save(CLAIM, claim, place)
        say(f"  {claim.name:<34} {_line(claim)}")
    say(find_claims(claims).sentence)


def _of_the_path(trajectory: Trajectory, sister: Trajectory | None, draws: int, seed: int) -> dict[str, Claim]:
    # coordinates are made once: each of these claims would read the runs again
    own: dict[str, Any] = {"size": trajectory.size, "n_draws": draws, "random_state": seed}
    X = finite_coordinates(trajectory.iterates)
    claims = {"moved": moved_with_direction(X, **own), "order": order_matters(X, **own)}
    if sister is None:
        why = "no sister run was given"
        return claims | {
            "reproducible": Claim.untested("reproducible", why),
            "reproducible-beyond": Claim.untested("reproducible beyond a straight line", why),
        }
    both = finite_coordinates(Fan(("run", "sister"), (trajectory, sister)).iterates)
    pair = both[: trajectory.n_iterates], both[trajectory.n_iterates :]
    return claims | {
        "reproducible": reproducible(*pair, **own),
        "reproducible-beyond": reproducible_beyond_line(*pair, **own),
    }


def _objective(args: argparse.Namespace, trajectory: Trajectory) -> Objective | None:
    """Load the loss; None where none is given and the run is of no example."""
    try:
        return objective_of(args, trajectory)
    except InputError:
        if args.objective is not None:
            raise
        return None


def _of_the_loss(
    args: argparse.Namespace, objective: Objective | None, trajectory: Trajectory, sister: Trajectory | None
) -> dict[str, Claim]:
    if objective is None:
        why = "no objective was given"
        return {
            "loss": Claim.untested("the loss knows it", why),
            "chart": Claim.untested("the chart carries the loss", why),
        }
    with bar("losses of surrogate paths", "evaluation") as progress:
        claims = {
            "loss": loss_knows_it(
                objective, trajectory, n_draws=args.loss_draws, random_state=args.seed, progress=progress
            )
        }
    return claims | {f"chart-{name}": _of_a_chart(args, objective, trajectory, sister, name) for name in args.charts}


def _of_a_chart(
    args: argparse.Namespace, objective: Objective, trajectory: Trajectory, sister: Trajectory | None, name: str
) -> Claim:
    if fit_row_space(args.run_folder)[1].shape[1] < 2:
        return Claim.untested("the chart carries the loss", "the iterates lie on a straight line")
    with bar(f"lifts over {name}", "evaluation") as progress:
        return chart_carries_loss(
            objective,
            lambda rows: fit_on(args.run_folder, name, args.seed, rows),
            trajectory,
            sister=sister,
            n_draws=args.loss_draws,
            tried=len(args.charts),
            random_state=args.seed,
            progress=progress,
        )


def _line(claim: Claim) -> str:
    """Format the answer, the value, the nearest null, and its p-value."""
    if claim.holds == "unknown":
        return f"unknown: {claim.reason or 'too few draws'}"
    worst = claim.hardest
    low, high = np.nanquantile(claim.draws[worst], [0.05, 0.95])
    return f"{claim.holds:<4} {claim.value:.3g}; {claim.nulls[worst]} {low:.3g} to {high:.3g}, p = {claim.p[worst]:.2g}"
