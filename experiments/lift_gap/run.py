"""The law of the lift gap: on a stationary stretch a chart's gap is −½ tr(H Cov of its residuals)."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline

from trajmap.data.trajectory import Trajectory
from trajmap.examples import digits
from trajmap.projection.held_out import held_out_lift_gap
from trajmap.projection.lift_gaps import lift_gap
from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.rowspace import RowSpace
from trajmap.scores.validation import TailSplit, TimeBlockSplit

CHARTS = {"pca": lambda: PCA(2), "diffusion": DiffusionMap, "autoencoder": Autoencoder}


def law(objective: Any, iterates: Any, residuals: Any) -> float:
    """−½ mean of rᵀHr with the Hessian at the iterates' mean, by one product an iterate."""
    product = objective.hessian(iterates.mean(axis=0))
    return float(-0.5 * np.mean([r @ product(r) for r in residuals]))


def stationary(out: Path, *, seed: int, quick: bool) -> dict[str, float]:
    """Measure the gap of the mean and of two components on a late stretch of a noisy run, and the law beside it."""
    folder = digits.train(
        out / "noisy", lr=0.05, epochs=4 if quick else 30, batch_size=8, order_seed=seed, every=5 if quick else 10
    )
    run = Trajectory.open(folder)
    late = run.take(np.arange(run.n_iterates * 2 // 3, run.n_iterates, 1 if quick else 3))
    objective = digits.objective()
    iterates = np.asarray(late.iterates[:], dtype=np.float64)
    numbers = {}
    for name, d in (("the mean", 0), ("two components", 2)):
        centre = iterates.mean(axis=0)
        lifted = np.tile(centre, (len(iterates), 1))
        if d:
            chart = make_pipeline(RowSpace(), PCA(d)).fit(iterates)
            lifted = chart.inverse_transform(chart.transform(iterates))
        gap = objective.values(lifted) - objective.values(iterates)
        expected = law(objective, iterates, iterates - lifted)
        numbers[f"{name}: gap"], numbers[f"{name}: law"] = float(gap.mean()), expected
        numbers[f"{name}: ratio"] = float(gap.mean() / expected)
    return numbers


def honest(out: Path, *, seed: int, quick: bool) -> dict[str, float]:
    """Measure the gaps of the demo's run: fitted iterates, held-out blocks, the tail, a sister; with the control."""
    options: dict[str, Any] = {"epochs": 2, "every": 4} if quick else {"epochs": 20}
    runs = [Trajectory.open(digits.train(out / f"order-{i}", order_seed=seed + i, **options)) for i in range(2)]
    objective, every = digits.objective(), 8
    space = RowSpace()
    X = space.fit_transform(runs[0].iterates)
    numbers = {}
    for name, make in CHARTS.items():

        def fit(rows: Any, make: Any = make) -> Any:
            return Pipeline([("rowspace", space), ("embedding", make().fit(X[rows]))])

        whole = fit(np.arange(len(X)))
        gaps = {
            "fitted": lift_gap(objective, whole, runs[0], every=every),
            "blocks": held_out_lift_gap(objective, fit, runs[0], TimeBlockSplit(5).split(X), every=every),
            "tail": held_out_lift_gap(objective, fit, runs[0], TailSplit().split(X), every=every),
            "sister": lift_gap(objective, whole, runs[1], every=every),
        }
        for where, gap in gaps.items():
            for key, value in gap.summary.items():
                numbers[f"{name}, {where}, {key}"] = value
    return numbers


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Run both parts and keep ``lift_gap.json``."""
    numbers = stationary(Path(out), seed=seed, quick=quick) | honest(Path(out), seed=seed, quick=quick)
    (Path(out) / "lift_gap.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for key, value in numbers.items():
        print(f"{key:<44} {value:+.4g}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
