"""Sample size, asymmetric valleys, spin-glass protocols and walks against closed forms and trained networks."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris

from trajmap.curvature.sample_size import hessian_norm_bound, sample_convergence, subspace_change, sufficient_size
from trajmap.data.layout import Layout
from trajmap.directions.normalise import filter_norm
from trajmap.errors import InputError
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.objective.pieces import pieces_of
from trajmap.objective.saturation import saturation
from trajmap.projection.asymmetry import asymmetry_test, sign_consistency, signed_noise, valley_asymmetry
from trajmap.projection.matching import unit_groups
from trajmap.projection.spin_glass import overlaps, permutation_path, random_walk_rise, solution_tree
from trajmap.projection.walks import gradient_walk, loss_gradient_cloud, stagnation

rng = np.random.default_rng(0)
CE = supervised(torch.nn.functional.cross_entropy)


class Point(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.zeros(size, dtype=torch.float64))

    def forward(self):
        return self.theta


def of_function(function, size):
    return Objective(Point(size), lambda m, _: function(m()), [torch.zeros(1)])


@pytest.fixture(scope="module")
def digits():
    """A trained network 64-32-10 with the error as a metric."""
    data = load_digits()
    x, y = torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(20):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return Objective(model, CE, [(x, y)], metrics={"error": lambda m, b: 1 - accuracy(m, b)})


def test_one_more_sample_on_digits(digits):
    ((x, y),) = digits.parts.batches
    logits = digits.outputs(digits.theta, x)
    losses = torch.nn.functional.cross_entropy(logits, y, reduction="none").numpy()
    found = sample_convergence(losses)
    assert found.slope == pytest.approx(-1, abs=0.03)
    assert found.constant == pytest.approx(found.deviation, rel=0.05)
    single = sample_convergence(np.arange(30.0), n_perm=1)
    order = np.random.default_rng(0).permutation(30)
    means = np.array([np.arange(30.0)[order[:k]].mean() for k in range(1, 31)])
    np.testing.assert_allclose(single.changes, np.abs(np.diff(means)))
    with pytest.raises(InputError, match="at least 20 finite values"):
        sample_convergence(losses[:5])


def test_change_in_the_hessian_subspace_in_closed_form():
    a, b, sigma = np.array([3.0, 2, 1]), np.array([3.5, 1.8, 1.1]), 0.7
    z = sigma * rng.normal(size=(400000, 3))
    measured = np.mean((0.5 * (z**2 @ (b - a))) ** 2)
    assert subspace_change(a, b, sigma) == pytest.approx(measured, rel=0.02)
    assert sufficient_size([1, 2, 3], [0.1, 0.1, 0.1], 0.2) == 1
    with pytest.raises(InputError, match="at the largest size"):
        sufficient_size([1, 2], [1.0, 1.0], 0.5)


def test_the_hessian_bound_is_never_violated():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 5, bias=False), torch.nn.ReLU(), torch.nn.Linear(5, 3, bias=False)
    ).double()
    x = torch.randn(12, 4).double()
    objective = Objective(model, CE, [(x, torch.randint(3, (12,)))])
    widest = max(float(torch.linalg.matrix_norm(p.detach(), 2)) for p in model.parameters())
    bound = hessian_norm_bound(widest, float(x.norm(dim=1).max()), 2)
    for piece in pieces_of(objective, 1):
        H = np.stack([piece.hvp(objective.theta, e) for e in np.eye(objective.size)])
        assert np.linalg.norm(H, 2) <= bound
    assert hessian_norm_bound(1.0, 1.0, 3) == pytest.approx(6 * np.sqrt(2))


def test_sign_consistent_noise_is_flatter_on_the_models_side(digits):
    signed = asymmetry_test(digits, digits.theta, metric="error")
    gauss = asymmetry_test(digits, digits.theta, share=0.0, metric="error", n=80)
    assert signed.ratio >= 1.5
    assert (signed.minus > signed.plus).mean() >= 0.9
    assert 0.8 < gauss.ratio < 1.25
    ratios = [asymmetry_test(digits, digits.theta, share=s, metric="error", n=8).ratio for s in (0.5, 0.75, 1.0)]
    assert ratios[0] < ratios[1] < ratios[2]
    with pytest.raises(InputError, match="metric: expected one of loss, error"):
        asymmetry_test(digits, digits.theta, metric="accuracy")


def test_noise_and_signs():
    theta = rng.normal(size=5000)
    assert sign_consistency(theta, theta) == 1
    assert sign_consistency(theta, -theta) == 0
    assert sign_consistency(theta, rng.normal(size=5000)) == pytest.approx(0.5, abs=0.03)
    for share in (0.0, 0.4, 1.0):
        noise = signed_noise(theta, share=share, scale=0.3, random_state=5)
        assert np.linalg.norm(noise) == pytest.approx(0.3 * np.linalg.norm(theta))
        assert sign_consistency(noise, theta) == pytest.approx(0.5 + share / 2, abs=0.03)
    layout = Layout(("w",), ((50, 100),))
    noise = signed_noise(theta, scale=0.2, normalise=lambda d, t: filter_norm(d, t, layout)).reshape(50, 100)
    np.testing.assert_allclose(np.linalg.norm(noise, axis=1), 0.2 * np.linalg.norm(theta.reshape(50, 100), axis=1))
    assert sign_consistency(noise.ravel(), theta) == 1
    with pytest.raises(InputError, match="share: expected"):
        signed_noise(theta, share=2)


def test_homogeneity_of_bias_free_relu_networks():
    """f((1 + λ)θ) = (1 + λ)^L f(θ), and at θ = 0 the loss is ln K."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(6, 9, bias=False), torch.nn.ReLU(), torch.nn.Linear(9, 9, bias=False), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(9, 4, bias=False)).double()
    x = torch.randn(20, 6).double()
    objective = Objective(model, CE, [(x, torch.randint(4, (20,)))])
    theta = objective.theta
    for scale in (0.5, 2.0):
        np.testing.assert_allclose(
            objective.outputs(scale * theta, x), scale**3 * objective.outputs(theta, x), rtol=1e-9
        )
    assert objective.value(0 * theta) == pytest.approx(np.log(4))


def test_valley_asymmetry():
    x = np.linspace(-1, 1, 41)
    assert valley_asymmetry(x, x**2) == pytest.approx(0)
    assert valley_asymmetry(x, np.where(x > 0, 4 * x, -x)) == pytest.approx(0.6)
    assert valley_asymmetry(x, np.where(x > 0, x, -4 * x)) == pytest.approx(-0.6)
    with pytest.raises(InputError, match="symmetric around 0"):
        valley_asymmetry(x + 1, x**2)


def test_random_walks_rise_as_the_trace_says(digits):
    H = np.diag(np.linspace(-0.5, 3, 30))
    matrix = torch.tensor(H)
    quadratic = of_function(lambda t: 0.5 * t @ matrix @ t, 30)
    rise, error = random_walk_rise(quadratic, rng.normal(size=30), sigma=0.1, n_steps=40, n_walks=200)
    expected = 0.5 * 0.01 * np.arange(41) * np.trace(H)
    assert np.abs(rise - expected)[5:].max() < 4 * error[-1]
    assert rise[-1] == pytest.approx(expected[-1], rel=0.2)
    product = digits.hessian(digits.theta)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(200, digits.size))
    trace = np.mean([v @ product(v) for v in signs])
    rise, _ = random_walk_rise(digits, digits.theta, sigma=1e-3, n_steps=60, n_walks=40)
    assert 0.7 < rise[-1] / (0.5 * 1e-6 * 60 * trace) < 1.3


def test_permuted_copies(digits):
    (group,) = unit_groups(digits.model)
    barriers = []
    for n_units in (2, 4, 8, 16, 32):
        _, losses, barrier = permutation_path(digits, digits.theta, group, n_units)
        np.testing.assert_allclose(losses, losses[::-1], rtol=1e-4, atol=1e-6)
        assert losses[0] == pytest.approx(digits.value(digits.theta), rel=1e-6)
        barriers.append(barrier)
    assert np.corrcoef(np.argsort(np.argsort(barriers)), np.arange(5))[0, 1] >= 0.9 - 1e-9
    assert barriers[-1] > 5 * barriers[0]
    with pytest.raises(InputError, match="n_units"):
        permutation_path(digits, digits.theta, group, 64)


def test_a_tree_of_solutions():
    """Three families of four branches: the tree finds them, isotropic points have none."""
    centres = 5 * rng.normal(size=(3, 100))
    thetas = np.repeat(centres, 4, axis=0) + 0.3 * rng.normal(size=(12, 100))
    tree = solution_tree(thetas)
    assert tree.cophenetic > 0.98
    assert tree.cophenetic > tree.null.max()
    labels = tree.labels(3)
    assert all(len(set(labels[4 * i : 4 * i + 4])) == 1 for i in range(3))
    assert len(set(labels)) == 3
    Q = overlaps(thetas)
    np.testing.assert_allclose(np.diag(Q), 1)
    assert Q[0, 1] > 0.9 > abs(Q[0, 5])


def test_gradient_walks():
    bowl = of_function(lambda t: 0.5 * t.square().sum(), 6)
    thetas, losses, norms = gradient_walk(bowl, 3 * np.ones(6), step=0.1, n_steps=40)
    far = np.abs(thetas[:-1]).min(axis=1) > 0.1
    assert (np.diff(losses)[far] < 0).all()
    np.testing.assert_allclose(norms, np.linalg.norm(thetas, axis=1))
    assert np.abs(np.diff(thetas, axis=0)).max() <= 0.1
    data = load_iris()
    x, y = torch.tensor((data.data - data.data.mean(0)) / data.data.std(0)), torch.tensor(data.target)
    net = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).double()
    iris = Objective(net, CE, [(x, y)])
    losses, sizes = loss_gradient_cloud(iris, n_walks=3, n_steps=60)
    assert losses.shape == sizes.shape == (183,)
    walk = losses.reshape(3, 61)
    assert (walk[:, -1] < 0.6 * walk[:, 0]).all()


def test_stagnation():
    walk = np.r_[np.linspace(9, 5, 40), np.full(50, 5.0), np.linspace(5, 1, 40), np.full(30, 1.0)]
    count, length = stagnation(walk, window=5)
    assert count == 2
    assert 30 < length < 50
    assert stagnation(np.linspace(1, 0, 100)) == (0, 0.0)


def test_saturation():
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4),
        torch.nn.Tanh(),
        torch.nn.Linear(4, 4),
        torch.nn.ReLU(),
        torch.nn.Linear(4, 2),
        torch.nn.Sigmoid(),
    ).double()
    objective = Objective(model, lambda m, x: m(x).mean(), [torch.randn(8, 3).double()])
    x = torch.randn(50, 3).double()
    zero = saturation(objective, np.zeros(objective.size), x)
    assert zero == {"1": 0.0, "3": 1.0, "5": 0.0}
    large = saturation(objective, 1e6 * objective.theta, x)
    assert large["1"] > 0.99
    h = torch.tanh(x @ model[0].weight.T + model[0].bias)
    assert saturation(objective, objective.theta, x)["1"] == pytest.approx(float(h.detach().abs().mean()))
    with pytest.raises(InputError, match="Tanh, Sigmoid or ReLU"):
        saturation(Objective(torch.nn.Linear(3, 1).double(), lambda m, b: m(b).mean(), [x]), np.zeros(4), x)
