"""Sample size, asymmetric valleys, spin-glass protocols and walks against closed forms and trained networks."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_digits, load_iris

from trajmap.basins.asymmetry import asymmetry_test, sign_consistency, signed_noise, valley_asymmetry
from trajmap.basins.gradient_walks import gradient_walk, loss_gradient_cloud, stagnation
from trajmap.basins.matching import unit_groups
from trajmap.basins.noise import noise_rise
from trajmap.basins.permuted_copies import permutation_paths
from trajmap.basins.random_walks import random_walk_rise
from trajmap.basins.solution_trees import overlaps, solution_tree
from trajmap.basins.valley_profiles import valley_profile
from trajmap.curvature.sample_size import hessian_norm_bound, sample_convergence, subspace_change, sufficient_size
from trajmap.curvature.scalar import curvature_class
from trajmap.curvature.subspace_size import sample_quadratics, subspace_convergence
from trajmap.data.layout import Layout
from trajmap.data.normalise import filter_norm
from trajmap.data.results.stagnation import Stagnation
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.objective.pieces import pieces_of
from trajmap.objective.samples import sample_losses
from trajmap.objective.saturated_units import saturation

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


def test_losses_by_sample(digits):
    ((x, y),) = digits.parts.batches
    oracle = torch.nn.functional.cross_entropy(digits.outputs(digits.theta, x), y, reduction="none").numpy()
    losses = sample_losses(digits, np.stack([digits.theta, 0 * digits.theta]))
    np.testing.assert_allclose(losses[0], oracle, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(losses[1], np.log(10), rtol=1e-5)
    whole = Objective(torch.nn.Linear(64, 1), lambda m, b: m(b[0]).square().sum(), [(x, y)])
    with pytest.raises(InputError, match="mean of its samples' losses"):
        sample_losses(whole, whole.theta[None])


def test_losses_that_cannot_be_batched_are_evaluated_one_by_one():
    """A residual loss differentiates through the model; another branches on values."""
    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()

    def residual(net, batch):
        inside = batch.clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(inside).sum(), inside, create_graph=True)
        return (slope[:, 1] + slope[:, 0]).square().mean()

    objective = Objective(model, residual, [x])
    rows = [Objective(model, residual, [row[None]]).value(objective.theta) for row in x]
    np.testing.assert_allclose(sample_losses(objective, objective.theta[None])[0], rows)
    with pytest.raises(InputError, match="objective: expected a loss that torch.func.jvp can differentiate"):
        sample_quadratics(objective, objective.theta, np.eye(2, objective.size))
    branching = Objective(model, lambda m, b: m(b).mean() if b.sum() > 0 else m(b).square().mean(), list(x[:, None]))
    found = sample_quadratics(branching, branching.theta, np.eye(2, branching.size))
    values, gradients = found.values, found.gradients
    assert values.mean() == pytest.approx(branching.value(branching.theta))
    np.testing.assert_allclose(gradients.mean(axis=0), branching.gradient(branching.theta)[:2])


def test_one_more_sample_on_digits(digits):
    losses = sample_losses(digits, digits.theta[None])[0]
    found = sample_convergence(losses)
    assert found.slope == pytest.approx(-1, abs=0.03)
    assert found.constant == pytest.approx(found.deviation, rel=0.05)
    single = sample_convergence(np.arange(30.0), n_perm=1)
    order = np.random.default_rng(0).permutation(30)
    means = np.array([np.arange(30.0)[order[:k]].mean() for k in range(1, 31)])
    np.testing.assert_allclose(single.changes, np.abs(np.diff(means)))
    with pytest.raises(InputError, match="at least 20 finite values"):
        sample_convergence(losses[:5])


@pytest.mark.slow
def test_second_order_expansions_of_samples(rng, digits):
    """Against a dense Hessian of single samples, and the law of the cloud of a trained network."""
    directions = np.linalg.qr(rng.normal(size=(digits.size, 3)))[0].T
    found = sample_quadratics(digits, digits.theta, directions)
    values, gradients, hessians = found.values, found.gradients, found.hessians
    for i in (0, 700):
        (piece,) = (part for j, part in enumerate(pieces_of(digits, 1)) if j == i)
        assert values[i] == pytest.approx(piece.value(digits.theta), rel=1e-4, abs=1e-6)
        np.testing.assert_allclose(gradients[i], directions @ piece.gradient(digits.theta), rtol=1e-3, atol=1e-5)
        bent = np.stack([piece.hvp(digits.theta, d) for d in directions])
        np.testing.assert_allclose(hessians[i], directions @ bent.T, rtol=1e-3, atol=1e-5)
    found = subspace_convergence(digits, digits.theta, directions, sigma=0.02)
    assert found.variance == pytest.approx(found.quadratic, rel=0.05)
    # a few samples hold most of the variance, so that 200 orders still differ
    assert found.ratio == pytest.approx(1, abs=0.2)
    with pytest.raises(InputError, match="orthonormal rows"):
        subspace_convergence(digits, digits.theta, 2 * directions, sigma=0.02)
    with pytest.raises(InputError, match="sizes: expected numbers of samples from 1 to 1796"):
        subspace_convergence(digits, digits.theta, directions, sigma=0.02, sizes=[0, 5])


@pytest.mark.slow
def test_the_published_form_is_exact_at_a_common_minimum(rng):
    """Samples ½ c_i·z² with one minimum: nothing but curvatures along the axes changes."""
    curvatures = torch.tensor(rng.uniform(0.5, 2, size=(60, 4)))
    bowl = Objective(Point(4), lambda m, c: 0.5 * (c * m() ** 2).sum(dim=1).mean(), [curvatures])
    found = subspace_convergence(bowl, np.zeros(4), np.eye(4), sigma=0.7, sizes=[10, 30], n_points=4000)
    assert found.quadratic == pytest.approx(found.published, rel=1e-9)
    assert found.variance == pytest.approx(found.published, rel=0.1)
    assert found.curved == pytest.approx(found.variance, rel=1e-6)
    np.testing.assert_allclose(found.measured, found.expected, rtol=0.25)


def test_the_change_by_one_sample_over_all_orders():
    """Brute force: every order of five samples gives V/(k(k + 1))."""
    numbers = torch.tensor([[1.0], [4], [-2], [0.5], [7]], dtype=torch.float64)
    line = Objective(Point(1), lambda m, x: (x * m()).mean(), [numbers])
    found = subspace_convergence(line, np.ones(1), np.eye(1), sigma=1e-9, sizes=[1, 2, 4], n_points=2, n_perm=2)
    orders = np.array(list(itertools.permutations(numbers[:, 0].numpy())))
    means = np.cumsum(orders, axis=1) / np.arange(1, 6)
    brute = np.mean(np.diff(means, axis=1) ** 2, axis=0)
    np.testing.assert_allclose(found.expected, brute[[0, 1, 3]], rtol=1e-6)
    for k, change in ((1, brute[0]), (2, brute[1]), (4, brute[3])):
        assert found.sufficient_size(change * 1.001) == k
        assert found.sufficient_size(change * 0.999) == k + 1


def test_change_in_the_hessian_subspace_in_closed_form(rng):
    a, b, sigma = np.array([3.0, 2, 1]), np.array([3.5, 1.8, 1.1]), 0.7
    z = sigma * rng.normal(size=(400000, 3))
    measured = np.mean((0.5 * (z**2 @ (b - a))) ** 2)
    assert subspace_change(a, b, sigma) == pytest.approx(measured, rel=0.02)
    assert sufficient_size([1, 2, 3], [0.1, 0.1, 0.1], 0.2) == 1
    with pytest.raises(InputError, match="at the largest size"):
        sufficient_size([1, 2], [1.0, 1.0], 0.5)


@pytest.mark.slow
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
    sweep = asymmetry_test(digits, digits.theta, metric="error", n_draws=20)
    assert sweep.ratios[-1] >= 1.5
    assert (sweep.minus[-1] > sweep.plus[-1]).mean() >= 0.9
    assert spearmanr(sweep.shares, sweep.plus.mean(axis=1))[0] <= -0.8
    assert spearmanr(sweep.shares, sweep.ratios)[0] >= 0.8
    gauss = asymmetry_test(digits, digits.theta, shares=(0.0,), metric="error", n_draws=80)
    assert 0.8 < gauss.ratios[0] < 1.25
    np.testing.assert_array_equal(gauss.plus[0, :20], sweep.plus[0])
    with pytest.raises(InputError, match="metric: expected one of loss, error"):
        asymmetry_test(digits, digits.theta, metric="accuracy")


@pytest.mark.slow
def test_noise_raises_the_loss_by_half_the_trace(rng):
    """E[L(θ + ε)] − L(θ) = ½ |ε|² tr H / P on a quadratic."""
    bend = torch.tensor(np.linspace(0.5, 2, 40))
    bowl = of_function(lambda t: 0.5 * (bend * t**2).sum(), 40)
    theta = rng.normal(size=40)
    found = noise_rise(bowl, theta, scales=(0.1, 0.4), n_draws=3000)
    expected = 0.5 * np.square(found.scales) * (theta @ theta) * float(bend.sum()) / 40
    np.testing.assert_allclose(found.rises, expected, rtol=0.1)
    assert found.start == pytest.approx(bowl.value(theta))


def test_the_valley_across_a_runs_mean():
    """Walls of slope 1 and 3: the index along the path is (1 − 3)/(1 + 3)."""
    walls = of_function(lambda t: torch.where(t[0] > 0, 3 * t[0], -t[0]) + 5 * t[1:].square().sum(), 8)
    ways = np.zeros((30, 8))
    ways[:, 0] = np.r_[np.linspace(-1, 1, 29), 0.5]
    ways[:, 0] -= ways[-6:, 0].mean()
    run = Trajectory.of(ways, layout=walls.layout)
    found = valley_profile(walls, run, n_random=3)
    assert found.names[:2] == ["mean direction of the path", "to the last iterate"]
    # the path ends on the way to the flat side, so that side is the right one
    np.testing.assert_allclose(found.asymmetries[:2], -0.5)
    assert np.abs(found.asymmetries[2:]).max() < 0.5
    assert found.kinds[0] == "v-basin"
    with pytest.raises(InputError, match="n_last: expected 3 to 30 iterates"):
        valley_profile(walls, run, n_last=2)
    with pytest.raises(InputError, match="a run that moves"):
        valley_profile(walls, Trajectory.of(np.ones((5, 8)), layout=walls.layout))


def test_noise_and_signs(rng):
    theta = rng.normal(size=5000)
    run = Trajectory.of(np.stack([theta, theta]), layout=Layout(("w",), ((50, 100),)))
    assert sign_consistency(theta, theta) == 1
    assert sign_consistency(theta, -theta) == 0
    assert sign_consistency(theta, rng.normal(size=5000)) == pytest.approx(0.5, abs=0.03)
    for share in (0.0, 0.4, 1.0):
        noise = signed_noise(run, theta, share=share, scale=0.3, random_state=5)
        assert np.linalg.norm(noise) == pytest.approx(0.3 * np.linalg.norm(theta))
        assert sign_consistency(noise, theta) == pytest.approx(0.5 + share / 2, abs=0.03)
    noise = signed_noise(run, theta, scale=0.2, normalise=filter_norm).reshape(50, 100)
    np.testing.assert_allclose(np.linalg.norm(noise, axis=1), 0.2 * np.linalg.norm(theta.reshape(50, 100), axis=1))
    assert sign_consistency(noise.ravel(), theta) == 1
    with pytest.raises(InputError, match="share: expected"):
        signed_noise(run, theta, share=2)


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


@pytest.mark.slow
def test_random_walks_rise_as_the_trace_says(rng, digits):
    H = np.diag(np.linspace(-0.5, 3, 30))
    matrix = torch.tensor(H)
    quadratic = of_function(lambda t: 0.5 * t @ matrix @ t, 30)
    walks = random_walk_rise(
        quadratic, rng.normal(size=30), sigma=0.1, n_steps=40, n_walks=200, trace=float(np.trace(H))
    )
    np.testing.assert_allclose(walks.expected, 0.5 * 0.01 * np.arange(41) * np.trace(H))
    assert np.abs(walks.mean - walks.expected)[5:].max() < 4 * walks.error[-1]
    assert walks.ratio == pytest.approx(1, abs=0.2)
    product = digits.hessian(digits.theta)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(200, digits.size))
    trace = np.mean([v @ product(v) for v in signs])
    assert 0.7 < random_walk_rise(digits, digits.theta, sigma=1e-3, n_steps=60, n_walks=40, trace=trace).ratio < 1.3


def test_permuted_copies(digits):
    (group,) = unit_groups(digits.model)
    paths = permutation_paths(digits, digits.theta, group)
    np.testing.assert_allclose(paths.losses, paths.losses[:, :, ::-1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(paths.losses[:, :, 0], digits.value(digits.theta), rtol=1e-6)
    barriers = paths.barriers.mean(axis=1)
    assert spearmanr(paths.counts, barriers)[0] >= 0.9
    assert barriers[-1] > 5 * barriers[0]
    with pytest.raises(InputError, match="counts: expected an integer in"):
        permutation_paths(digits, digits.theta, group, [64])
    with pytest.raises(InputError, match="swapped in pairs, got 3"):
        permutation_paths(digits, digits.theta, group, [3])


def test_a_tree_of_solutions(rng):
    """Three families of four branches: the tree finds them, isotropic points have none."""
    centres = 5 * rng.normal(size=(3, 100))
    thetas = np.repeat(centres, 4, axis=0) + 0.3 * rng.normal(size=(12, 100))
    tree = solution_tree(thetas)
    assert tree.cophenetic > 0.98
    assert tree.cophenetic > tree.null.max()
    labels = tree.labels(3)
    assert all(len(set(labels[4 * i : 4 * i + 4])) == 1 for i in range(3))
    assert len(set(labels)) == 3
    assert tree.is_tree
    assert tree.verdict.startswith("a hierarchy, cophenetic")
    assert solution_tree(thetas[:4]).verdict.startswith("too few ends")
    isotropic = solution_tree(rng.normal(size=(12, 100)), names=list("abcdefghijkl"))
    assert not isotropic.is_tree
    assert isotropic.verdict.startswith("no hierarchy beyond chance")
    assert isotropic.names[0] == "a"
    Q = overlaps(thetas)
    np.testing.assert_array_equal(tree.overlaps, Q)
    np.testing.assert_allclose(np.diag(Q), 1)
    assert Q[0, 1] > 0.9 > abs(Q[0, 5])


def last_of(objective):
    """End of the first walk of a cloud, walked again."""
    start = np.random.default_rng(0).uniform(-1, 1, objective.size)
    return gradient_walk(objective, start, step=0.02, n_steps=60, random_state=0).theta(-1)


def test_gradient_walks():
    bowl = of_function(lambda t: 0.5 * t.square().sum(), 6)
    walk = gradient_walk(bowl, 3 * np.ones(6), step=0.1, n_steps=40)
    thetas, losses, norms = walk.iterates[:], walk.scalars["loss"], walk.scalars["gradient_norm"]
    far = np.abs(thetas[:-1]).min(axis=1) > 0.1
    assert (np.diff(losses)[far] < 0).all()
    np.testing.assert_allclose(norms, np.linalg.norm(thetas, axis=1))
    assert np.abs(np.diff(thetas, axis=0)).max() <= 0.1
    data = load_iris()
    x, y = torch.tensor((data.data - data.data.mean(0)) / data.data.std(0)), torch.tensor(data.target)
    net = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).double()
    iris = Objective(net, CE, [(x, y)])
    cloud = loss_gradient_cloud(
        iris, n_walks=3, n_steps=60, kind=lambda theta: curvature_class(iris.hessian(theta), iris.size).kind
    )
    assert cloud.losses.shape == cloud.norms.shape == (3, 61)
    assert cloud.descent < 0.6
    assert sum(cloud.shares.values()) == pytest.approx(1)
    dense = np.stack([iris.hvp(gradient_end, e) for gradient_end in [last_of(iris)] for e in np.eye(iris.size)])
    eigenvalues = np.linalg.eigvalsh(dense)
    assert cloud.ends[0] == ("saddle" if eigenvalues[0] < -0.01 * eigenvalues[-1] else "singular")
    assert loss_gradient_cloud(iris, n_walks=2, n_steps=3).shares == {}


def test_stagnation():
    walk = np.r_[np.linspace(9, 5, 40), np.full(50, 5.0), np.linspace(5, 1, 40), np.full(30, 1.0)]
    found = stagnation(walk, n_last=5)
    count, length = found.count, found.length
    assert count == 2
    assert 30 < length < 50
    assert stagnation(np.linspace(1, 0, 100)) == Stagnation(0, 0.0)


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
    both = saturation(objective, [np.zeros(objective.size), 1e6 * objective.theta], x, steps=[0, 50])
    assert both.names == ["1", "3", "5"]
    assert both.steps.tolist() == [0, 50]
    assert both.values[0].tolist() == [0, 1, 0]
    assert both.values[1, 0] > 0.99
    h = torch.tanh(x @ model[0].weight.T + model[0].bias)
    own = saturation(objective, [objective.theta], x).values[0]
    assert own[0] == pytest.approx(float(h.detach().abs().mean()))
    with pytest.raises(InputError, match="Tanh, Sigmoid or ReLU"):
        saturation(Objective(torch.nn.Linear(3, 1).double(), lambda m, b: m(b).mean(), [x]), [np.zeros(4)], x)
    with pytest.raises(InputError, match="at least one point"):
        saturation(objective, [], x)
