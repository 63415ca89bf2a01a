"""Score the embeddings of a run, compared with random walks with its own step norms."""

import argparse
from pathlib import Path

import numpy as np

from trajmap._validation import Array
from trajmap.cli._charts import DEFAULTS, EMBEDDINGS, SLOW, fit_row_space, load_chart, open_run
from trajmap.cli._options import add_all, add_charts, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.cli._results import Results, add_force
from trajmap.data.results.score_table import ScoreTable
from trajmap.data.sisters import require_sister
from trajmap.kinds.chart import CHART
from trajmap.kinds.scores import SCORES
from trajmap.kinds.variance import VARIANCE
from trajmap.scores.columns import ALL_COLUMNS, COLUMNS, Known
from trajmap.scores.null import explained_variance
from trajmap.scores.reconstruction import OtherRun, transfer_error
from trajmap.scores.table import score_table

__all__ = ["add_arguments", "run", "transfer"]

GROUP, ORDER = "road", 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_charts(parser, tuple(EMBEDDINGS), DEFAULTS)
    parser.add_argument(
        "--sister", type=Path, metavar="RUN", help="a run with the same initialisation and another batch order"
    )
    parser.add_argument("--draws", type=int, default=99, help="random walks for the null (default: %(default)s)")
    parser.add_argument(
        "--slow-draws", type=int, default=2, help="the same for the autoencoder and UMAP (default: %(default)s)"
    )
    add_all(parser, "every chart, score and split, not only the informative ones")
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Fill the score table and the explained variance, each with its null."""
    args.charts = list(EMBEDDINGS) if args.all else args.charts
    trajectory = open_run(args.run_folder)
    if args.sister is not None:
        require_sister(trajectory, open_run(args.sister), "--sister")
    results = Results.of(__name__, args, trajectory)
    results.require_room(VARIANCE, draws=args.draws)
    quick = [name for name in args.charts if name not in SLOW]
    results.require_room(SCORES, charts=len(args.charts), draws=args.draws if quick else args.slow_draws)
    _, X = fit_row_space(args.run_folder)
    spectrum = explained_variance(X, size=trajectory.size, n_draws=args.draws, random_state=args.seed)
    results.save(VARIANCE, spectrum)
    low, high = np.quantile(spectrum.null[:, :2].sum(axis=1), [0.05, 0.95])
    say(f"two principal components hold {spectrum.ratios[:2].sum():.1%}; random walks {low:.1%} to {high:.1%}")
    sister = None if args.sister is None else _in_row_space(args.run_folder, args.sister)
    table = _table(args, X, trajectory.size, sister)
    results.made_of(CHART, *args.charts).save(SCORES, table)
    say(str(table))
    say(table.recommendation)


def _table(args: argparse.Namespace, X: Array, size: int, sister: OtherRun | None) -> ScoreTable:
    draws = {name: args.slow_draws if name in SLOW else args.draws for name in args.charts}
    embeddings = {name: Known(load_chart(args.run_folder, name, args.seed)[-1]) for name in args.charts}
    with bar("scores and their nulls", "fit") as progress:
        return score_table(
            X, embeddings, size=size, sister=sister, columns=ALL_COLUMNS if args.all else COLUMNS, n_draws=draws,
            random_state=args.seed, progress=progress,
        )  # fmt: skip


def transfer(run_folder: Path, other: Path, chart: str, seed: int) -> float:
    """Reconstruct another run by a chart of this one and return the error, relative to that run's variance."""
    return transfer_error(load_chart(run_folder, chart, seed)[-1], _in_row_space(run_folder, other))


def _in_row_space(run_folder: Path, sister: Path) -> OtherRun:
    """See a sister run from this run's row space."""
    other = open_run(sister)
    open_run(run_folder).layout.require(other.layout, "--sister")
    space, _ = fit_row_space(run_folder)
    coordinates = space.transform(other.iterates)
    lifted = (space.inverse_transform(row[None])[0] for row in coordinates)
    off = [float(np.sum((theta - near) ** 2)) for theta, near in zip(other.iterates, lifted, strict=True)]
    _, own = fit_row_space(sister)
    return OtherRun(coordinates, np.array(off), float(np.sum(own**2)))
