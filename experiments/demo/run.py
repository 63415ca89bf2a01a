"""The README's picture: one digits run, its loss over two charts, and the baselines beside its numbers."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.curvature.alignments import alignment
from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.examples import digits
from trajmap.plots.alignment import plot_alignment
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.theme import drawing_theme
from trajmap.plots.variance import plot_variance
from trajmap.projection.surfaces import surface
from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.rowspace import RowSpace
from trajmap.scores.null import explained_variance


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, Any]:
    """Train, map and draw.

    Parameters
    ----------
    out : path-like
        Folder for the run and ``picture.png``.
    seed : int
        Seed of everything random.
    quick : bool
        Fewer steps and a coarser grid, for tests.

    Returns
    -------
    dict
        The numbers the picture shows.
    """
    out = Path(out)
    run = Trajectory.open(digits.train(out / "run", epochs=3 if quick else 20, init_seed=seed, order_seed=seed))
    objective = digits.objective()
    charts = {
        "PCA": make_pipeline(RowSpace(), PCA(2)).fit(run.iterates),
        "autoencoder": make_pipeline(RowSpace(), Autoencoder(n_components=2, random_state=seed)).fit(run.iterates),
    }
    n = 9 if quick else 61
    X = RowSpace().fit_transform(run.iterates)
    spectrum = explained_variance(X, size=run.size, n_draws=5 if quick else 40, random_state=seed)
    found = alignment(objective, charts["PCA"], run, k=10, n_at=5 if quick else 12, random_state=seed)
    with drawing_theme(dark=False):
        figure, axes = plt.subplots(2, 2, figsize=(14, 9.2), layout="constrained")
        for ax, (name, chart) in zip(axes[0], charts.items(), strict=True):
            grid = Grid.around(chart.transform(run.iterates), n_points=n, margin=0.25)
            plot_landscape(surface(objective, chart, grid, trajectory=run, name=name), ax=ax)
        plot_variance(spectrum, ax=axes[1, 0])
        plot_alignment(found, ax=axes[1, 1])
        figure.savefig(out / "picture.png", dpi=50 if quick else 76)
        plt.close(figure)
    return {
        "two_components": float(spectrum.ratios[:2].sum()),
        "two_components_of_walks": float(np.median(spectrum.null[:, :2].sum(axis=1))),
        "gradient_in_top_10": float(np.median(found.gradient)),
        "tangent_in_top_10": float(np.median(found.tangent)),
        "random_direction_in_top_10": found.expected,
    }


if __name__ == "__main__":
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        print(main(Path(folder)))
        shutil.copy(Path(folder) / "picture.png", Path(__file__).with_name("picture.png"))
