"""Planes of every kind against dense linear algebra."""

import numpy as np
import pytest
import torch

from trajmap.data.fan import Fan
from trajmap.data.layout import Layout
from trajmap.data.normalise import filter_norm, layer_norm, model_norm, no_norm, tensor_norm
from trajmap.data.plane import Plane
from trajmap.data.trajectory import Trajectory
from trajmap.directions.gradient import gradient_plane
from trajmap.directions.hessian import hessian_plane
from trajmap.directions.principal import principal_plane
from trajmap.directions.random import random_plane
from trajmap.errors import InputError
from trajmap.objective.objective import Objective


class Point(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.zeros(size, dtype=torch.float64))

    def forward(self):
        return self.theta


def quadratic(H):
    return Objective(Point(len(H)), lambda m, _: 0.5 * m() @ torch.tensor(H) @ m(), [torch.zeros(1)])


def symmetric(rng, P):
    A = rng.normal(size=(P, P))
    return (A + A.T) / 2


def test_hessian_plane_is_spanned_by_the_extreme_eigenvectors(rng):
    H = symmetric(rng, 30)
    plane = hessian_plane(quadratic(H), rng.normal(size=30), n_top=2, n_bottom=1, tol=1e-8)
    vectors = np.linalg.eigh(H)[1][:, [-1, -2, 0]].T
    np.testing.assert_allclose(np.abs(np.sum(plane.directions * vectors, axis=1)), 1, atol=1e-8)
    with pytest.raises(InputError, match="n_top"):
        hessian_plane(quadratic(H), np.zeros(30), n_top=0)


def test_gradient_plane_holds_the_first_steps_of_gradient_descent(rng):
    H, theta = symmetric(rng, 12), rng.normal(size=12)
    plane = gradient_plane(quadratic(H), theta)
    g = H @ theta
    np.testing.assert_allclose(plane.directions[0], g / np.linalg.norm(g))
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-12)
    point = theta.copy()
    for _ in range(2):  # two exact steps stay in span{g, Hg}
        point = point - 0.1 * H @ point
    np.testing.assert_allclose(plane.inverse_transform(plane.transform(point[None]))[0], point, atol=1e-12)
    with pytest.raises(InputError, match="eigenvector of the Hessian"):
        gradient_plane(quadratic(np.eye(5)), np.ones(5))
    with pytest.raises(InputError, match="not zero"):
        gradient_plane(quadratic(np.eye(5)), np.zeros(5))


def test_principal_plane_of_pooled_runs_is_the_pca_of_all_their_iterates(rng):
    a, b = (Trajectory.of(rng.normal(size=(9, 6)) + shift) for shift in (0, 5))
    plane = principal_plane(Fan(("a", "b"), (a, b)))
    cloud = np.concatenate([a.iterates, b.iterates])
    expected = np.linalg.svd(cloud - cloud.mean(0))[2][:2]
    np.testing.assert_allclose(np.abs(np.sum(plane.directions * expected, axis=1)), 1)
    np.testing.assert_array_equal(principal_plane(Fan(("a", "b"), (a, b)), origin=-1).origin, b.theta(-1))


LAYOUT = Layout(("a.weight", "a.bias", "b.weight"), ((3, 4), (3,), (2, 3)))
RUN = Trajectory.of(np.zeros((2, 21)), layout=LAYOUT)


@pytest.mark.parametrize(
    ("normalise", "groups"),
    [
        (filter_norm, [*(slice(4 * i, 4 * i + 4) for i in range(3)), slice(15, 18), slice(18, 21)]),
        (layer_norm, [slice(0, 15), slice(15, 21)]),
        (tensor_norm, [slice(0, 12), slice(12, 15), slice(15, 21)]),
        (model_norm, [slice(0, 21)]),
        (no_norm, []),
    ],
)
def test_each_normalisation_gives_its_groups_the_models_norm(rng, normalise, groups):
    theta = rng.normal(size=21) * np.geomspace(0.1, 10, 21)
    for direction in random_plane(RUN, theta, normalise=normalise, random_state=4).directions:
        for group in groups:
            assert np.linalg.norm(direction[group]) == pytest.approx(np.linalg.norm(theta[group]))
    if normalise is filter_norm:
        assert not direction[12:15].any()


def test_a_users_own_directions_need_not_be_orthogonal(rng):
    directions = np.array([[1.0, 0, 0], [3, 0.1, 0]])
    plane = Plane(np.ones(3), directions)
    points = rng.normal(size=(5, 3))
    expected = np.linalg.lstsq(directions.T, (points - 1).T, rcond=None)[0].T
    np.testing.assert_allclose(plane.transform(points), expected)


def test_ranges_in_units_of_the_norm(rng):
    theta = rng.normal(size=21)
    plane = random_plane(RUN, theta, normalise=no_norm)
    grid = plane.grid(0.5, n_points=5)
    ends = plane.inverse_transform(np.array([[grid.axes[0][-1], 0], [0, grid.axes[1][0]]])) - theta
    np.testing.assert_allclose(np.linalg.norm(ends, axis=1), 0.5 * np.linalg.norm(theta))
    with pytest.raises(InputError, match="other than zero"):
        Plane(np.zeros(3), np.eye(2, 3)).grid()
