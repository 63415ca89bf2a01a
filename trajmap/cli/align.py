"""Compare each chart's tangent, the gradient and the step with the Hessian's top eigenspace."""

import argparse
import collections

import numpy as np

from trajmap._validation import Array, worded
from trajmap.cli._charts import DEFAULTS, EMBEDDINGS, load_chart, open_run
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_charts, add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.cli._results import Results, add_force
from trajmap.curvature.alignments import alignment
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.errors import InputError
from trajmap.kinds.alignment import ALIGNMENT
from trajmap.kinds.chart import CHART
from trajmap.kinds.eigenspace import EIGENSPACE

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "road", 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    add_charts(parser, tuple(EMBEDDINGS), DEFAULTS)
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep one alignment a chart, from the eigenspaces that ``trajmap hessian`` left."""
    trajectory = open_run(args.run_folder)
    objective = objective_of(args, trajectory)
    results = Results.of(__name__, args, trajectory, objective)
    spaces = _spaces(results)
    if not spaces:
        raise InputError(worded("run", "eigenspaces in its artefacts", "none", f"trajmap hessian {args.run_folder}"))
    places = np.flatnonzero(np.isin(trajectory.steps, list(spaces)))
    for name in args.charts:
        chart = load_chart(args.run_folder, name, args.seed)
        with bar(f"alignment with {name}", "iterate") as progress:
            found = alignment(
                objective,
                chart,
                trajectory,
                at=places,
                eigenspaces=spaces,
                name=name,
                random_state=args.seed,
                progress=progress,
            )
        made_of = results.made_of(EIGENSPACE, *map(str, spaces)).made_of(CHART, name)
        made_of.save(ALIGNMENT, found, name)
        say(
            f"  {name:<12} tangent {np.median(found.tangent):.3f} (random in the row space "
            f"{found.baselines['row_space'][1]:.3f}), gradient {_median(found.gradient)}, "
            f"step {_median(found.step)}, a random direction {found.expected:.2g}"
        )


def _spaces(results: Results) -> dict[int, Eigenspace]:
    """Take the eigenspaces of this loss with one number of eigenpairs: the one that most iterates have."""
    spaces = results.artefacts.all(EIGENSPACE)
    stamps = {step: results.artefacts.stamp(EIGENSPACE, step) for step in spaces}
    own = {
        step: space
        for step, space in spaces.items()
        if (stamp := stamps[step]) is None or stamp.objective in {"", results.stamp.objective}
    }
    counts = collections.Counter(space.k for space in own.values())
    k = max(counts, key=lambda k: (counts[k], k), default=0)
    chosen = {int(step): space for step, space in own.items() if space.k == k}
    if len(chosen) < len(spaces):
        left = len(spaces) - len(chosen)
        say(f"  {left} eigenspaces are left out: of another loss, or not of {k} eigenpairs (renew: trajmap hessian)")
    return chosen


def _median(shares: Array) -> str:
    """Format the median share over the nonzero directions."""
    known = shares[np.isfinite(shares)]
    if not len(known):
        return "zero everywhere"
    zero = len(shares) - len(known)
    return f"{np.median(known):.3f}" + (f" ({zero} of {len(shares)} are zero)" if zero else "")
