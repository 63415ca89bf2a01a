"""Merge trees of grids against GUDHI on the same graph, GUDHI's cubical complex, and a plain union–find."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gudhi
import numpy as np

from trajmap.topology.graphs import grid_graph
from trajmap.topology.merge_trees import merge_tree


def landscape(shape: tuple[int, ...]) -> Any:
    """Draw a rugged bowl: a quadratic with waves and noise, so that there are many basins."""
    axes = np.meshgrid(*(np.linspace(-2, 2, n) for n in shape), indexing="ij")
    bowl = sum(axis**2 + 0.3 * np.cos(9 * axis) for axis in axes)
    return bowl + 0.02 * np.random.default_rng(0).standard_normal(shape)


def plain_union_find(values: Any, edges: Any) -> int:
    """Count minima by the elder rule, vertex by vertex in Python."""
    flat, parent = values.ravel(), {}
    neighbours: dict[int, list[int]] = {}
    for a, b in edges.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    minima = 0
    for i in np.argsort(flat, kind="stable").tolist():
        roots = sorted({root(j) for j in neighbours.get(i, ()) if j in parent}, key=lambda r: flat[r])
        parent[i] = roots[0] if roots else i
        minima += not roots
        for other in roots[1:]:
            parent[other] = roots[0]
    return minima


def simplex_tree(values: Any, edges: Any) -> int:
    """Lower-star filtration of the same graph by GUDHI; pairs of degree 0."""
    flat = values.ravel()
    tree = gudhi.SimplexTree()
    tree.insert_batch(np.arange(len(flat))[None], flat)
    tree.insert_batch(edges.T, flat[edges].max(axis=1))
    tree.compute_persistence()  # pairs of no persistence left out: they are no minima
    return len(tree.persistence_intervals_in_dimension(0))


def cubical(values: Any) -> int:
    """GUDHI's cubical complex of all degrees: another neighbourhood, and rings as well."""
    complex_ = gudhi.CubicalComplex(top_dimensional_cells=values)
    complex_.compute_persistence()
    return len(complex_.persistence_intervals_in_dimension(0))


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Time merge trees and their peers in one run; ratios below 1 are faster than the peer.

    Parameters
    ----------
    out : path-like
        Not used: everything is printed and returned.
    seed : int
        Not used: the landscape is fixed.
    quick : bool
        Small grids, one repeat.

    Returns
    -------
    dict of str to float
        Seconds and ratios.
    """
    numbers: dict[str, float] = {}
    shapes = {"15 × 15": (15, 15), "7 × 7 × 7": (7, 7, 7)} if quick else {
        "101 × 101": (101, 101), "401 × 401": (401, 401), "41 × 41 × 41": (41, 41, 41)}  # fmt: skip
    for name, shape in shapes.items():
        values = landscape(shape)
        edges = grid_graph(shape)
        repeats = 1 if quick else 5
        ours = seconds(lambda v=values: merge_tree(v), repeats)
        numbers[f"{name}: seconds"] = ours
        peers = {
            "GUDHI, same graph": lambda v=values, e=edges: simplex_tree(v, e),
            "GUDHI, cubical": lambda v=values: cubical(v),
            "plain union–find": lambda v=values, e=edges: plain_union_find(v, e),
        }
        for peer, call in peers.items():
            numbers[f"{name}: over {peer}"] = ours / seconds(call, repeats)
        # the peers on the same graph must count the same minima, or the times mean nothing
        counts = {merge_tree(values).n_minima, simplex_tree(values, edges), plain_union_find(values, edges)}
        numbers[f"{name}: counts agree"] = float(len(counts) == 1)
    for key, value in numbers.items():
        print(f"  {key:<40} {value:.4g}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
