"""Basins, saddles and rings of landscapes whose answer is known, and GUDHI as the oracle."""

import gudhi
import numpy as np
import pytest

from trajmap.data.results.landscape import Grid, Landscape
from trajmap.errors import InputError
from trajmap.topology.distances import bottleneck_distance, wasserstein_distance
from trajmap.topology.graphs import delaunay_graph, gabriel_graph, grid_graph, neighbour_graph
from trajmap.topology.merge_trees import basin_profile, merge_tree
from trajmap.topology.persistence_pairs import persistence


def plane(low=-2.0, high=2.0, n=41):
    axis = np.linspace(low, high, n)
    return np.meshgrid(axis, axis, indexing="ij")


X, Y = plane()


def test_double_well():
    tree = merge_tree((X**2 - 1) ** 2 + Y**2)
    assert (tree.n_minima, tree.n_saddles) == (2, 1)
    np.testing.assert_allclose([tree.births[1], tree.deaths[1]], [0, 1], atol=1e-12)
    assert not tree.boundary.any()
    tilted = merge_tree((X**2 - 1) ** 2 + Y**2 + 0.2 * X)
    assert (tilted.n_minima, tilted.n_saddles) == (2, 1)


def test_four_wells():
    tree = merge_tree((X**2 - 1) ** 2 + (Y**2 - 1) ** 2)
    assert tree.n_minima == 4
    np.testing.assert_allclose(tree.persistence, 1, atol=1e-12)
    assert tree.average_persistence() == pytest.approx(1)
    assert tree.average_persistence(diagonal=True) == pytest.approx(1 / np.sqrt(2))
    assert tree.average_persistence(normalise=True) == pytest.approx(1 / 18)


def test_rastrigin():
    x, y = plane(-2.5, 2.5, 101)
    tree = merge_tree(20 + x**2 - 10 * np.cos(2 * np.pi * x) + y**2 - 10 * np.cos(2 * np.pi * y))
    assert tree.n_minima == 25
    assert len(tree.persistence) == 24


def test_wine_bottle_needs_degree_one():
    bottle = (X**2 + Y**2 - 1) ** 2 + 0.3 * X
    # a coarse grid breaks the valley's floor into dimples of a fiftieth of its height
    assert merge_tree(bottle).simplify(0.02).n_minima == 1
    rings = persistence(bottle, degree=1)
    assert len(rings.pairs[rings.pairs[:, 1] - rings.pairs[:, 0] > 0.02]) == 1
    # born where the valley closes, at (1, 0), and dead on the hill's top
    np.testing.assert_allclose(rings.pairs[0], [0.3, 1], atol=0.02)
    with pytest.raises(InputError, match="1 on a grid of two axes"):
        persistence(np.zeros((3, 3, 3)), degree=1)


def test_a_saddle_on_a_square_has_two_boundary_minima():
    tree = merge_tree(X**2 - Y**2)
    assert (tree.n_minima, tree.n_saddles) == (2, 1)
    assert tree.boundary.all()
    assert tree.deaths[1] == pytest.approx(0)


@pytest.mark.parametrize("shape", [(30, 40), (12, 11, 10), (200,)])
@pytest.mark.parametrize("superlevel", [False, True])
def test_pairs_equal_those_of_gudhi(rng, shape, superlevel):
    values = rng.normal(size=shape)
    found = persistence(values, superlevel=superlevel).pairs
    complex_ = gudhi.CubicalComplex(top_dimensional_cells=-values if superlevel else values)
    complex_.compute_persistence()
    expected = complex_.persistence_intervals_in_dimension(0)
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0))


def test_ties_and_multiple_merges():
    """Three equal wells that meet in one vertex: three pairs less one, one saddle."""
    star = np.array([[0.0, 5, 0], [5, 1, 5], [5, 0, 5]])
    tree = merge_tree(star)
    assert (tree.n_minima, len(tree.persistence), tree.n_saddles) == (3, 2, 1)
    flat = merge_tree(np.zeros((4, 4)))
    assert (flat.n_minima, flat.smad()) == (1, 0)


def test_invariances(rng):
    values = rng.normal(size=(15, 15))
    tree = merge_tree(values)
    scaled = merge_tree(3 * values - 7)
    np.testing.assert_allclose(scaled.persistence, 3 * tree.persistence)
    bent = merge_tree(np.exp(values))
    np.testing.assert_array_equal(np.sort(bent.minima), np.sort(tree.minima))
    assert set(bent.saddles) == set(tree.saddles)
    assert len(tree.persistence) == tree.n_minima - 1


@pytest.mark.parametrize("size", [1e-3, 0.1])
def test_stability(rng, size):
    values = rng.normal(size=(20, 20))
    moved = values + rng.uniform(-size, size, values.shape)
    a, b = persistence(values), persistence(moved)
    distance = bottleneck_distance(a, b)
    assert 0 < distance <= size
    assert wasserstein_distance(a, b) >= distance - 1e-12
    assert bottleneck_distance(a, a) < 1e-300


def test_simplification(rng):
    noisy = (X**2 - 1) ** 2 + Y**2 + 0.05 * rng.normal(size=X.shape)
    tree = merge_tree(noisy)
    assert tree.n_minima > 5
    clean = tree.simplify(0.5)
    assert clean.n_minima == 2
    np.testing.assert_array_equal(clean.births, tree.births[:2])
    assert set(clean.basins) == {0, 1}
    # every point goes to the well on its own side, but for the ridge between them
    side = np.sign(X.ravel())[clean.minima]
    agree = np.where(clean.basins == 0, side[0], side[1]) == np.sign(X.ravel())
    assert agree[(np.abs(X.ravel()) > 0.3) & (noisy.ravel() < 0.9)].mean() > 0.98
    assert tree.simplify(0).n_minima == tree.n_minima


def test_smad_and_profile():
    double = (X**2 - 1) ** 2 + Y**2
    tree = merge_tree(double)
    assert tree.smad() == pytest.approx((1 + double.max()) / 2)
    counts = np.bincount(tree.basins)
    assert tree.smad(weighted=True) == pytest.approx((double.max() * counts[0] + counts[1]) / counts.sum())
    profile = basin_profile(double, tree, levels=11)
    np.testing.assert_array_equal(profile.heights[:, 0], tree.births)
    np.testing.assert_array_equal(profile.heights[:, -1], [double.max(), tree.deaths[1]])
    np.testing.assert_array_equal(profile.widths[:, -1], counts)
    assert (np.diff(profile.widths, axis=1) >= 0).all()
    inside = (tree.basins == 1) & (double.ravel() <= profile.heights[1, 4])
    assert profile.widths[1, 4] == inside.sum()


def test_nan_is_refused_or_left_out():
    values = (X**2 - 1) ** 2 + Y**2
    values[20] = np.nan  # a wall between the wells
    with pytest.raises(InputError, match="finite values, got 41 cells of NaN or inf; repair: pass masked=True"):
        merge_tree(values)
    tree = merge_tree(values, masked=True)
    assert tree.n_minima == 2
    assert np.isinf(tree.deaths).all(), "two components, two essential classes"
    assert (tree.basins.reshape(X.shape)[20] == -1).all()
    with pytest.raises(InputError, match="at least one finite value"):
        merge_tree(np.full((2, 2), np.nan), masked=True)


def test_graphs(rng):
    points = np.stack([X.ravel(), Y.ravel()], axis=1)
    corner = grid_graph((41, 41))
    assert len(corner) == 2 * 41 * 40 + 2 * 40 * 40
    assert {tuple(e) for e in corner} == {tuple(e) for e in _brute(points, 2.9)}
    assert {tuple(e) for e in np.sort(grid_graph((41, 41), diagonal=False), axis=1)} == {
        tuple(e) for e in _brute(points, 1.1)
    }
    scattered = rng.normal(size=(300, 2))
    gabriel, delaunay = ({tuple(e) for e in graph(scattered)} for graph in (gabriel_graph, delaunay_graph))
    brute = {
        (i, j)
        for i in range(300)
        for j in range(i + 1, 300)
        if not (
            ((scattered - (scattered[i] + scattered[j]) / 2) ** 2).sum(1)
            < (1 - 1e-9) * ((scattered[i] - scattered[j]) ** 2).sum() / 4
        ).any()
    }
    assert gabriel == brute <= delaunay
    near = neighbour_graph(scattered, 3)
    distances = ((scattered[:, None] - scattered) ** 2).sum(-1)
    nearest = np.argsort(distances, axis=1)[:, 1:4]
    assert {tuple(e) for e in near} == {tuple(sorted((i, int(j)))) for i in range(300) for j in nearest[i]}
    # any of them sees the two wells
    values = (scattered[:, 0] ** 2 - 1) ** 2 + scattered[:, 1] ** 2
    for graph in (gabriel_graph(scattered), delaunay_graph(scattered), neighbour_graph(scattered)):
        assert merge_tree(values, graph=graph).simplify(0.3).n_minima >= 2
    with pytest.raises(InputError, match="graph: expected vertices in"):
        merge_tree(values, graph=np.array([[0, 300]]))


def _brute(points, limit):
    step = 0.1
    index = np.round(points / step).astype(int)
    place = {tuple(p): i for i, p in enumerate(index)}
    for i, p in enumerate(index):
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                j = place.get((p[0] + dx, p[1] + dy))
                if j is not None and i < j and dx * dx + dy * dy < limit:
                    yield i, j


def test_a_landscape_in_three_dimensions():
    axis = np.linspace(-1.6, 1.6, 17)
    grid = Grid((axis, axis, axis))
    x, y, z = grid.points.T
    land = Landscape(grid, ((x**2 - 1) ** 2 + (y**2 - 1) ** 2 + z**2).reshape(grid.shape))
    assert merge_tree(land).n_minima == 4
