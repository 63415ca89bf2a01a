"""Which lift for which embedding: errors on held-out stretches of four real runs."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from trajmap.data.trajectory import Trajectory
from trajmap.examples import digits
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.gaussian_process import GaussianProcessLift
from trajmap.reduction.lifted import Lifted
from trajmap.reduction.lifts import BarycentricLift, KernelRidgeLift, LinearLift, ThinPlateLift
from trajmap.reduction.rowspace import RowSpace
from trajmap.reduction.umap import UMAP
from trajmap.scores.reconstruction import reconstruction_error
from trajmap.scores.validation import TailSplit, TimeBlockSplit, held_out

LIFTS = {
    "linear": LinearLift(),
    "barycentric": BarycentricLift(),
    "thin plate": ThinPlateLift(),
    "kernel ridge": KernelRidgeLift(),
    "gaussian process": GaussianProcessLift(),
}
EMBEDDINGS = {"pca": PCA(2), "diffusion": DiffusionMap(), "umap": UMAP()}
RUNS = [("mlp", "sgd"), ("mlp", "adam"), ("cnn", "sgd"), ("cnn", "momentum")]


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Train, embed, lift, and score on five held-out time blocks and on the tail.

    Parameters
    ----------
    out : path-like
        Folder for the runs and ``lifts.json``.
    seed : int
        Seed of the initialisations.
    quick : bool
        One short run and no UMAP, for tests.

    Returns
    -------
    dict
        1 − R² by run, embedding, lift and split.
    """
    found: dict[str, float] = {}
    for model, optimizer in RUNS[:1] if quick else RUNS:
        folder = Path(out) / f"{model}-{optimizer}"
        digits.train(folder, model=model, optimizer=optimizer, epochs=2 if quick else 15, init_seed=seed)
        X = RowSpace().fit_transform(Trajectory.open(folder).iterates)
        if quick:
            X = X[:: max(1, len(X) // 30)]
        for embedding, estimator in EMBEDDINGS.items():
            if quick and embedding == "umap":
                continue
            for lift, regression in LIFTS.items():
                chart = Lifted(estimator, regression)
                for split in (TimeBlockSplit(5), TailSplit()):
                    name = "blocks" if isinstance(split, TimeBlockSplit) else "tail"
                    error = reconstruction_error(held_out(chart, X, split))
                    found[f"{model}-{optimizer} {embedding} {lift} {name}"] = error
    (Path(out) / "lifts.json").write_text(json.dumps(found, indent=1))
    return found


def table(found: dict[str, float]) -> str:
    """Medians and worst cases over the runs, one line an embedding and lift."""
    lines = [f"{'embedding':<12}{'lift':<18}{'blocks':>10}{'worst':>10}{'tail':>10}{'worst':>10}"]
    for embedding in EMBEDDINGS:
        for lift in LIFTS:
            cells: list[Any] = []
            for split in ("blocks", "tail"):
                values = [v for k, v in found.items() if k.endswith(f" {embedding} {lift} {split}")]
                cells += [np.median(values), np.max(values)] if values else [np.nan, np.nan]
            lines.append(f"{embedding:<12}{lift:<18}" + "".join(f"{cell:10.3g}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(table(main(Path(scratch))))
