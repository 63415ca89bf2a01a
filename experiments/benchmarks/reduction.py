"""Diffusion map against pydiffmap, and all scores together against scikit-learn's trustworthiness."""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import manifold
from sklearn.decomposition import PCA

from trajmap.data.reduction import Reduction
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.scores.table import score


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Take the median processor time of some calls: other processes do not count."""
    runs = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        runs.append(time.process_time() - start)
    return statistics.median(runs)


def walk(n: int) -> Any:
    """Draw a path of n points in 50 coordinates."""
    return np.cumsum(np.random.default_rng(0).normal(size=(n, 50)), axis=0)


def theirs(X: Any, k: int) -> Any:
    """Fit pydiffmap with the bandwidth rule that it and we share."""
    from pydiffmap.diffusion_map import DiffusionMap as Peer

    return Peer.from_sklearn(n_evecs=2, alpha=0.5, epsilon="bgh", k=k).fit(X)


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Measure on one thread.

    Parameters
    ----------
    out : path-like
        Unused.
    seed : int
        Unused; the points are fixed.
    quick : bool
        Small sizes, for tests.

    Returns
    -------
    dict
        Seconds and ratios; −1 where the peer failed.
    """
    found = {}
    for n in (60, 120) if quick else (500, 1000, 2000, 5000):
        X, repeats = walk(n), 1 if n > 2000 else 3
        ours = found[f"diffusion map, n = {n}: seconds"] = seconds(lambda X=X: DiffusionMap().fit(X), repeats)
        sparse = seconds(lambda X=X: DiffusionMap(epsilon=100.0, kernel_neighbors=min(64, len(X) - 1)).fit(X), repeats)
        found[f"diffusion map, n = {n}: sparse / dense"] = sparse / ours
        for k, name in ((n, "all pairs"), (min(64, n - 1), "64 neighbours")):
            if n > 2000 and k == n:
                continue  # minutes
            with warnings.catch_warnings(action="ignore"):
                try:
                    found[f"diffusion map, n = {n}: pydiffmap with {name} / ours"] = (
                        seconds(lambda X=X, k=k: theirs(X, k), repeats) / ours
                    )
                except Exception:  # ARPACK does not converge
                    found[f"diffusion map, n = {n}: pydiffmap with {name} / ours"] = -1.0
    for n in (60,) if quick else (500, 1000, 2000):
        X = walk(n)
        Z = PCA(2).fit_transform(X)
        # a fresh reduction each time: its ranks are kept for the next score
        together = seconds(lambda X=X, Z=Z: score(Reduction(X, Z, X)), 5)
        single = seconds(lambda X=X, Z=Z: manifold.trustworthiness(X, Z), 5)
        found[f"all scores, n = {n} / scikit-learn's trustworthiness"] = together / single
    return found


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, value in main(Path()).items():
        print(f"{name:<64} {value:.3g}", flush=True)
