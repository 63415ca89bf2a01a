"""Classes of curves, and directions mined for them, on functions whose answer is known."""

import numpy as np
import pytest
import torch

from trajmap.basins.line_classes import classify_line
from trajmap.curvature.directional import direction_curvatures
from trajmap.directions.mining import mine_direction, mine_ring, mine_saddle, v_side, vvv_basin, w_basin, w_peak
from trajmap.errors import InputError
from trajmap.objective.objective import Objective


class Point(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.zeros(size, dtype=torch.float64))

    def forward(self):
        return self.theta


def of_function(function, size):
    return Objective(Point(size), lambda m, _: function(m()), [torch.zeros(1)])


X = np.linspace(-1.5, 1.5, 61)


@pytest.mark.parametrize(
    ("losses", "name", "positions"),
    [
        (X**2, "v-basin", [0]),
        ((X - 0.5) ** 2, "v-side", [0.5]),
        ((X**2 - 1) ** 2, "w-peak", [-1, 1]),
        (np.minimum(16 * ((X + 0.5) ** 2 - 0.25) ** 2, 3), "w-basin", [-1, 0]),
        (X**2 * (X**2 - 1) ** 2, "vvv-basin", [-1, 0, 1]),
        (np.exp(X), "monotone", []),
        (0 * X, "flat", []),
        (-(X**2), "hill", []),
        (np.cos(12 * X), "6-valley", None),
    ],
)
def test_classes(losses, name, positions):
    found = classify_line(X, losses)
    assert found.name == name
    if positions is not None:
        np.testing.assert_allclose(found.positions, positions, atol=0.03)


def test_depths_barriers_and_noise(rng):
    found = classify_line(X, (X**2 - 1) ** 2)
    np.testing.assert_allclose(found.barriers, 1, atol=1e-9)
    np.testing.assert_allclose(found.depths, 0, atol=1e-9)
    noisy = X**2 + 0.03 * rng.normal(size=61)
    assert classify_line(X, noisy, simplify=0.1).name == "v-basin"
    assert classify_line(X, noisy, simplify=0.0).name != "v-basin"
    with pytest.raises(InputError, match="increasing values around 0"):
        classify_line(X + 2, X)
    with pytest.raises(InputError, match="losses: expected finite values"):
        classify_line(X, X * np.nan)


def test_the_miner_finds_the_negative_eigenvector(rng):
    values = np.r_[-1.0, rng.uniform(0.5, 3, 49)]
    Q = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    H = torch.tensor(Q @ np.diag(values) @ Q.T)
    found = mine_direction(of_function(lambda t: 0.5 * t @ H @ t, 50), np.zeros(50), w_peak, radius=1.0)
    assert abs(found.vector @ Q[:, 0]) > 0.99


@pytest.mark.slow
def test_mining_on_pieces_of_the_data(rng):
    """Each sample is another quadratic; only their mean has the one negative eigenvalue along a fixed axis."""
    bends = torch.tensor(np.abs(rng.normal(2, 0.2, size=(64, 30))))
    bends[:, 0] = torch.tensor(rng.normal(-3, 1, size=64))
    objective = Objective(Point(30), lambda m, b: 0.5 * (b * m() ** 2).sum(dim=1).mean(), [bends])
    found = mine_direction(objective, np.zeros(30), w_peak, radius=1.0, batch_size=8)
    assert abs(found.vector[0]) > 0.99
    np.testing.assert_allclose(found.losses, objective.values(found.offsets[:, None] * found.vector))
    again = mine_direction(objective, np.zeros(30), w_peak, radius=1.0, batch_size=8)
    np.testing.assert_array_equal(found.vector, again.vector)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_hidden_triple_well_is_found(seed):
    axis = np.linalg.qr(np.random.default_rng(seed).normal(size=(30, 30)))[0][:, 0]
    way = torch.tensor(axis)

    def loss(t):
        s = t @ way
        return 4 * s**2 * (s**2 - 1) ** 2 + 8 * (t - s * way).square().sum()

    found = mine_direction(of_function(loss, 30), np.zeros(30), vvv_basin, radius=1.0, random_state=seed)
    assert classify_line(found.offsets, found.losses).name == "vvv-basin"
    assert abs(found.vector @ axis) > 0.99


@pytest.mark.slow
def test_other_shapes_and_orthogonality():
    def loss(t):
        return 4 * t[0] ** 2 * (t[0] - 1) ** 2 + 8 * t[1:].square().sum()

    mined = [mine_direction(of_function(loss, 8), np.zeros(8), w_basin, radius=1.0, random_state=s) for s in range(6)]
    # the far side of the well is a hundred times as high as the barrier
    names = [classify_line(found.offsets, found.losses, simplify=0.002).name for found in mined]
    # a start on the far side may not come round: mining may fail, and the class says so
    assert names.count("w-basin") >= 3
    assert mined[names.index("w-basin")].vector[0] > 0.99
    slope = of_function(lambda t: (t[0] - 1) ** 2 + t[1:].square().sum(), 6)
    side = mine_direction(slope, np.zeros(6), v_side, radius=1.0)
    assert classify_line(side.offsets, side.losses).name == "v-side"
    other = mine_direction(slope, np.zeros(6), v_side, radius=1.0, orthogonal_to=[side.vector])
    assert abs(other.vector @ side.vector) < 1e-9


@pytest.mark.slow
def test_the_ring_of_a_wine_bottle():
    def loss(t):
        return 4 * (t[:2].square().sum() - 1) ** 2 + 8 * t[2:].square().sum()

    plane = mine_ring(of_function(loss, 20), np.zeros(20), radius=1.0)
    np.testing.assert_allclose(np.linalg.norm(plane.directions[:, :2], axis=1), 1, atol=0.01)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-9)


def test_a_mined_saddle_falls_one_way_and_rises_the_other():
    bend = torch.tensor(np.r_[-1.0, np.linspace(1, 2, 39)])
    plane = mine_saddle(of_function(lambda t: 0.5 * (bend * t**2).sum(), 40), np.zeros(40), radius=3.0)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, 9 * np.eye(2), atol=1e-9)
    down, up = np.einsum("ip,p,ip->i", plane.directions, bend.numpy(), plane.directions) / 9
    assert down == pytest.approx(-1, abs=0.02)
    assert up > 0.9


def test_every_random_direction_curves_up_where_the_trace_is_positive():
    values = np.where(np.arange(1000) < 400, -1.0, 1.0)
    H = torch.tensor(values)
    found = direction_curvatures(of_function(lambda t: 0.5 * (H * t**2).sum(), 1000), np.zeros(1000), n_directions=300)
    assert found.share_up == 1, "though 40 % of the eigenvalues are negative"
    exact = np.sqrt(2 * np.sum((values - 0.2) ** 2) / (1000 * 1002))
    assert found.values.mean() == pytest.approx(0.2, abs=4 * exact / np.sqrt(300))
    assert found.values.std() == pytest.approx(exact, rel=0.15)
    # random signs are exact on a diagonal Hessian
    assert found.mean == pytest.approx(0.2, abs=1e-12)
    assert found.deviation == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 0.3, 7e-3])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_minimum_at_exactly_the_width_is_at_the_model(scale, side):
    """On both sides and at every scale, however the offsets were rounded; one grid point farther it is not."""
    x = np.linspace(-scale, scale, 21)
    at = [classify_line(x, np.abs(x - x[10 + side * k]), near=0.1).name for k in (2, 3)]
    assert at == ["v-basin", "v-side"]
