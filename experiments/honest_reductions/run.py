"""Scores of digits runs and of isotropic walks like them: transfer to a sister tells these two apart, no more."""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from trajmap.data.fan import Fan
from trajmap.data.gram import isometric_coordinates
from trajmap.data.trajectory import Trajectory
from trajmap.examples import digits
from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.scores.compare import compare_reductions
from trajmap.scores.null import random_walk, step_norms

COLUMNS = [
    "trustworthiness",
    "trust beyond time",
    "error in sample",
    "error interleaved",
    "error on blocks",
    "error on tail",
    "error on sister",
]


def sisters(out: Path, *, model: str, optimizer: str, epochs: int) -> Fan:
    """Train twice from one initialisation, in two batch orders."""
    for seed in range(2):
        digits.train(
            out / f"{model}-{optimizer}-{seed}", model=model, optimizer=optimizer, epochs=epochs, order_seed=seed
        )
    runs = [Trajectory.open(out / f"{model}-{optimizer}-{seed}") for seed in range(2)]
    step = max(1, runs[0].n_iterates // 150)
    return Fan(("run", "sister"), tuple(run.thin(step) for run in runs))


def walks_like(fan: Fan, seed: int) -> Fan:
    """Two random walks from one start with the run's own step norms, in the same number of dimensions."""
    X = isometric_coordinates(fan.runs[0].iterates)
    points = random_walk(step_norms(X), fan.layout.size, n_walks=2, random_state=seed)
    return Fan(("walk", "its sister"), tuple(Trajectory.of(part) for part in np.split(points, 2)))


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Score three reductions on digits runs and on walks like them, by the same procedure.

    Parameters
    ----------
    out : path-like
        Folder for the runs and ``scores.json``.
    seed : int
        Seed of the walks.
    quick : bool
        One short pair, for tests.

    Returns
    -------
    dict
        Scores by pair, reduction and column.
    """
    embeddings = {
        "pca": PCA(2),
        "autoencoder": Autoencoder(max_iter=200 if quick else 600),
        "diffusion": DiffusionMap(),
    }
    found = {}
    for model, optimizer in [("mlp", "sgd")] if quick else [("mlp", "sgd"), ("mlp", "adam"), ("cnn", "sgd")]:
        fan = sisters(Path(out), model=model, optimizer=optimizer, epochs=1 if quick else 15)
        pairs = {f"{model} {optimizer}": fan, f"walk like {model} {optimizer}": walks_like(fan, seed)}
        for name, pair in pairs.items():
            table = compare_reductions(pair, embeddings, columns=COLUMNS, n_draws=0)
            for row, values in zip(table.reductions, table.values, strict=True):
                found |= {f"{name}: {row}: {column}": float(v) for column, v in zip(COLUMNS, values, strict=True)}
    (Path(out) / "scores.json").write_text(json.dumps(found, indent=1))
    return found


def layout(found: dict[str, float]) -> str:
    """Lay the scores out, a line a pair and reduction."""
    rows = dict.fromkeys(tuple(key.split(": ")[:2]) for key in found)
    lines = [f"{'':<24}{'':<13}" + "".join(f"{column:>19}" for column in COLUMNS)]
    for pair, reduction in rows:
        cells = (found[f"{pair}: {reduction}: {column}"] for column in COLUMNS)
        lines.append(f"{pair:<24}{reduction:<13}" + "".join(f"{cell:19.4g}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(layout(main(Path(scratch))))
