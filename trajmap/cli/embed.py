"""Reduce a run's iterates to two coordinates by PCA, an autoencoder, a diffusion map and UMAP."""

import argparse

from trajmap.cli._charts import DEFAULTS, EMBEDDINGS, fit_chart, fit_row_space, open_run
from trajmap.cli._options import add_all, add_charts, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.cli._results import Results, add_force
from trajmap.data.reduction import Reduction
from trajmap.kinds.chart import CHART
from trajmap.kinds.embedding import EMBEDDING
from trajmap.scores.reconstruction import reconstruction_error

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "road", 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_charts(parser, tuple(EMBEDDINGS), DEFAULTS)
    add_all(parser, "every chart, also those that need an extra")
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Fit each chart and keep its coordinates and lift."""
    args.charts = list(EMBEDDINGS) if args.all else args.charts
    trajectory = open_run(args.run_folder)
    results = Results.of(__name__, args, trajectory)
    T, P = trajectory.iterates.shape
    _, X = fit_row_space(args.run_folder)
    say(f"row space: {T} iterates of {P} parameters span {X.shape[1]} dimensions; coordinates there keep all distances")
    with bar("embeddings", "chart") as progress:
        for i, name in enumerate(args.charts):
            found = Reduction.of(fit_chart(args.run_folder, name, args.seed)[-1], X)
            reduction = Reduction(found.X, found.Z, found.X_hat, name)
            results.made_of(CHART, name).save(EMBEDDING, reduction, name)
            error = reconstruction_error(reduction)
            say(f"  {name:<12} reconstruction error in sample {error:.3g} of the variance")
            progress(i + 1, len(args.charts))
