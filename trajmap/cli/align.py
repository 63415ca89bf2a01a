"""Compare each chart's tangent, the gradient and the step with the Hessian's top eigenspace."""

import argparse

import numpy as np

from trajmap._validation import Array, worded
from trajmap.cli._charts import DEFAULTS, EMBEDDINGS, fit_chart, open_run
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_charts, add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.curvature.alignments import alignment
from trajmap.data.artefacts import Artefacts
from trajmap.errors import InputError

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "road", 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    add_charts(parser, tuple(EMBEDDINGS), DEFAULTS)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep one alignment a chart, from the eigenspaces that ``trajmap hessian`` left."""
    trajectory = open_run(args.run_folder)
    objective = objective_of(args, trajectory)
    artefacts = Artefacts.of(args.run_folder)
    spaces = artefacts.eigenspaces()
    if not spaces:
        raise InputError(worded("run", "eigenspaces in its artefacts", "none", f"trajmap hessian {args.run_folder}"))
    places = np.flatnonzero(np.isin(trajectory.steps, list(spaces)))
    for name in args.charts:
        chart = fit_chart(args.run_folder, name, args.seed)
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
        found.save(artefacts.path("comparisons", name))
        say(
            f"  {name:<12} tangent {np.median(found.tangent):.3f} (random in the row space "
            f"{found.baselines['row_space'][1]:.3f}), gradient {_median(found.gradient)}, "
            f"step {_median(found.step)}, a random direction {found.expected:.2g}"
        )


def _median(shares: Array) -> str:
    """Format the median share over the nonzero directions."""
    known = shares[np.isfinite(shares)]
    if not len(known):
        return "zero everywhere"
    zero = len(shares) - len(known)
    return f"{np.median(known):.3f}" + (f" ({zero} of {len(shares)} are zero)" if zero else "")
