"""Basins, saddles and rings of landscapes."""

from trajmap.topology.distances import bottleneck_distance, wasserstein_distance
from trajmap.topology.graphs import delaunay_graph, gabriel_graph, grid_graph, neighbour_graph
from trajmap.topology.merge_trees import basin_profile, merge_tree
from trajmap.topology.persistence_pairs import persistence

__all__ = [
    "basin_profile",
    "bottleneck_distance",
    "delaunay_graph",
    "gabriel_graph",
    "grid_graph",
    "merge_tree",
    "neighbour_graph",
    "persistence",
    "wasserstein_distance",
]
