"""Barriers, matching, curves and valley heights, against closed forms and real trainings."""

import numpy as np
import pytest
import torch

from trajmap.basins.barriers import barrier, barrier_matrix
from trajmap.basins.matching import UnitGroup, match_weights, permute, unit_groups
from trajmap.basins.paths import BezierPath, PolygonalPath, SegmentPath, path_length, path_losses, train_path
from trajmap.basins.valleys import valley_height
from trajmap.data.layout import Layout
from trajmap.data.results.connection import Connection
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.examples import digits
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.objective.predictions import function_distance
from trajmap.recording.recorder import Recorder


def layout_of(model):
    named = dict(model.named_parameters())
    return Layout(tuple(named), tuple(tuple(p.shape) for p in named.values()))


def flat(model):
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()]).double().numpy()


def quadratic(H):
    """½ θᵀHθ as an objective."""
    H = torch.tensor(H)
    model = torch.nn.Linear(len(H), 1, bias=False).double()
    return Objective(
        model, lambda m, x: 0.5 * m(x).squeeze() @ H @ m(x).squeeze(), [torch.eye(len(H), dtype=torch.float64)]
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two initialisations and a sister of the first, digits MLP, at their ends."""
    folder, found = tmp_path_factory.mktemp("basins"), {}
    for name, options in {"a": {}, "sister": {"order_seed": 1}, "b": {"init_seed": 1}}.items():
        digits.train(folder / name, epochs=15, lr=0.1, **options)
        found[name] = Trajectory.open(folder / name)
    model = digits.make_model("mlp")
    objective = digits.objective()
    return model, objective, found


def test_barriers_of_wells():
    well = Objective(
        torch.nn.Linear(1, 1, bias=False).double(),
        lambda m, x: ((m(x) ** 2 - 1) ** 2).mean(),
        [torch.ones(1, 1, dtype=torch.float64)],
    )
    found = barrier(well, [-1.0], [1.0], n_points=41, n_steps=0)
    assert found.barrier("segment") == pytest.approx(1.0)
    assert found.lengths[0] == pytest.approx(2.0)
    assert found.holds == "unknown", "no sister, no matching and no curve"
    for reason in ("no sister run", "hidden units were not matched", "a curve was not tried"):
        assert reason in found.verdict
    sought = barrier(well, [-1.0], [1.0], n_points=41, n_steps=20, groups=(), sisters=[([-1.0], [-0.9])])
    assert sought.holds == "two", "on a line there is no way around"
    assert sought.noise == pytest.approx(barrier(well, [-1.0], [-0.9], n_points=41, n_steps=0).climb("segment"))
    assert sought.verdict.startswith("two basins: the easiest way found")
    assert barrier(well, [0.9], [1.1], n_steps=0).holds == "one"
    nothing = np.full(3, np.nan)
    slope = Connection(np.linspace(0, 1, 3), np.array([[3.0, 2, 1], nothing, nothing]), np.ones(3))
    assert (slope.barrier("segment"), slope.climb("segment")) == (1.0, 0.0), "going down needs no climb"
    broken = Connection(np.linspace(0, 1, 3), np.array([[0, np.nan, 0], nothing, nothing]), np.ones(3))
    assert broken.holds == "unknown"
    assert "not a number somewhere on the segment" in broken.verdict


def connection(climbs, *, noise=np.nan, errors=(np.nan,) * 3, n_sisters=0, matching="tried", ends=0.0):
    losses = np.array([[ends, ends + climb, ends] for climb in climbs])
    return Connection(
        np.linspace(0, 1, 3), losses, np.ones(3), noise, errors=np.array(errors), n_sisters=n_sisters, matching=matching
    )


@pytest.mark.parametrize(
    ("found", "holds", "words"),
    [
        (connection([0.003, np.nan, np.nan]), "unknown", "a straight line climbs 0.003; no sister"),
        (connection([0.0005, np.nan, np.nan], ends=1.0), "one", "one basin: the segment climbs 0.0005"),
        (
            connection([2.0, 1.0, 0.9], noise=0.1, n_sisters=2),
            "two",
            "along a curve, climbs 0.9 (the highest of 2 sisters",
        ),
        (connection([2.0, 1.0, 0.9], noise=0.1, n_sisters=1, matching="not tried"), "unknown", "were not matched"),
        (connection([2.0, 1.0, np.nan], noise=0.1, n_sisters=1), "unknown", "a curve was not tried"),
        (connection([2.0, 1.0, 0.09], noise=0.01, n_sisters=1), "unknown", "a curve climbs only 0.09"),
        (connection([2.0, 1.0, 0.3], noise=0.1, errors=(0.2,) * 3, n_sisters=1), "one", "one connected valley"),
        (connection([2.0, 1.0, 0.4], noise=0.2, errors=(0.15,) * 3, n_sisters=1), "unknown", "within its error"),
        (connection([2.0, 0.1, np.nan], noise=0.1, n_sisters=1), "one", "up to a permutation of units"),
        (connection([2.0, np.nan, 1.9], noise=0.1, n_sisters=1, matching="nothing to match"), "two", "two basins"),
    ],
)
def test_what_climbs_say_of_basins(found, holds, words):
    assert found.holds == holds
    assert words in found.verdict
    low, high = found.interval("segment")
    assert np.isnan(low) or (low + high) / 2 == pytest.approx(found.climb("segment"))


def test_a_climb_has_the_error_of_its_batches():
    """Two batches with wells of their own: the error is half the difference of what each climbs."""
    heights = [1.0, 3.0]
    well = Objective(
        torch.nn.Linear(1, 1, bias=False).double(),
        lambda m, x: ((m(torch.ones_like(x)) ** 2 - 1) ** 2 * x).mean(),
        [torch.full((1, 1), height, dtype=torch.float64) for height in heights],
    )
    found = barrier(well, [-1.0], [1.0], n_points=41, n_steps=0)
    assert found.climb("segment") == pytest.approx(2.0)
    assert found.errors[0] == pytest.approx(1.0)
    assert found.interval("segment")[0] == pytest.approx(2 - 1.645)


def test_each_end_keeps_its_own_statistics(tmp_path):
    """Two recorded BatchNorm runs: at both ends the losses are those of the recorded buffers."""
    torch.manual_seed(0)
    x, y = torch.randn(64, 3), torch.randn(64, 1)

    def train(name, seed):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(
            torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with Recorder(model, tmp_path / name).attach(optimizer):
            for i in range(30):
                part = slice(8 * (i % 8), 8 * (i % 8) + 8)
                optimizer.zero_grad()
                (model(x[part]) - y[part]).square().mean().backward()
                optimizer.step()
        return model.eval()

    models = [train("a", 0), train("b", 1)]
    runs = [Trajectory.open(tmp_path / name) for name in "ab"]
    objective = Objective(models[0], supervised(torch.nn.functional.mse_loss), [(x, y)])
    groups = unit_groups(objective)
    found = barrier(
        objective.for_run(runs[0]), runs[0].theta(-1), runs[1].theta(-1), at_b=objective.for_run(runs[1]),
        groups=groups, n_points=9, n_steps=0,
    )  # fmt: skip
    with torch.no_grad():
        expected = [float((model(x) - y).square().mean()) for model in models]
    for way in ("segment", "after matching"):
        np.testing.assert_allclose(found.along(way)[[0, -1]], expected, rtol=1e-5)
    between = Objective(models[0], supervised(torch.nn.functional.mse_loss), [(x, y)], re_estimate=True)
    middle = between.value((runs[0].theta(-1) + runs[1].theta(-1)) / 2)
    assert found.along("segment")[4] == pytest.approx(middle, rel=0.05), "far from both runs: estimated from the data"


def test_a_point_beside_itself_is_refused():
    objective = quadratic(np.eye(3))
    with pytest.raises(InputError, match="b: expected two different points"):
        barrier(objective, np.ones(3), np.ones(3))
    with pytest.raises(InputError, match="sisters: expected two different points"):
        barrier(objective, np.ones(3), np.zeros(3), sisters=[(np.ones(3), np.ones(3))])


def barrier_of(objective, path, n=25):
    losses = path_losses(objective, path, np.linspace(0, 1, n))
    return losses.max() - 0.5 * (losses[0] + losses[-1])


def test_paths_by_their_formulas():
    a, b, middle = np.random.default_rng(0).normal(size=(3, 4))
    t = np.array([0.0, 0.2, 0.5, 0.7, 1.0])
    bezier, chain = BezierPath(a, b, middle).points(t), PolygonalPath(a, b, middle).points(t)
    np.testing.assert_allclose(bezier[1], 0.64 * a + 0.32 * middle + 0.04 * b)
    np.testing.assert_allclose(chain[[0, 2, 4]], [a, middle, b])
    np.testing.assert_allclose(chain[1], 0.6 * a + 0.4 * middle)
    for path in (BezierPath(a, b), PolygonalPath(a, b), SegmentPath(a, b)):
        np.testing.assert_allclose(path.points(t), (1 - t)[:, None] * a + t[:, None] * b)


@pytest.mark.parametrize("kind", [BezierPath, PolygonalPath])
def test_a_curve_is_trained_around_a_hill(kind):
    """A hill between two ends on a plain: the straight way climbs it, the trained curve goes around."""
    hill = Objective(
        torch.nn.Linear(2, 1, bias=False).double(),
        lambda m, x: torch.exp(-((m(x).squeeze() - torch.tensor([0.0, 0.1])) ** 2).sum() * 4),
        [torch.eye(2, dtype=torch.float64)],
    )
    a, b = np.array([-2.0, 0.0]), np.array([2.0, 0.0])
    straight = barrier_of(hill, SegmentPath(a, b))
    around = train_path(hill, kind(a, b), n_steps=200, lr=0.1)
    assert straight > 0.9
    assert path_length(around) > 4
    assert barrier_of(hill, around) < 0.05 * straight
    np.testing.assert_array_equal(around.points([0.0, 1.0]), [a, b])


@pytest.mark.parametrize(
    "model",
    [
        torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3)
        ),
        torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Conv2d(4, 5, 3),
            torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(5 * 4, 3),
        ),
    ],
    ids=["mlp", "cnn"],
)  # fmt: skip
def test_a_known_permutation_is_undone(model):
    torch.manual_seed(0)
    for p in model.parameters():
        torch.nn.init.normal_(p)
    layout, groups, a = layout_of(model), unit_groups(model), flat(model)
    orders = [np.random.default_rng(i).permutation(group.size) for i, group in enumerate(groups)]
    b = permute(a, layout, groups, orders)
    assert np.linalg.norm(b - a) > 1
    x = torch.randn(5, 6) if isinstance(model[0], torch.nn.Linear) else torch.randn(5, 1, 4, 4)
    before = model.eval()(x)
    with torch.no_grad():
        for p, part in zip(model.parameters(), layout.split(b).values(), strict=True):
            p.copy_(torch.tensor(part))
    torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-4)
    matched = match_weights(a, b, layout, groups).theta
    np.testing.assert_allclose(matched, a, atol=1e-12)


def test_a_feed_forward_layer_by_hand():
    layout = Layout(("fc1.weight", "fc1.bias", "fc2.weight"), ((6, 3), (6,), (3, 6)))
    group = UnitGroup(6, (("fc1.weight", 0), ("fc1.bias", 0), ("fc2.weight", 1)))
    a = np.random.default_rng(0).normal(size=layout.size)
    b = permute(a, layout, [group], [np.random.default_rng(1).permutation(6)])
    np.testing.assert_allclose(match_weights(a, b, layout, [group]).theta, a)


def test_no_permutation_connects_the_counter_example():
    """Ainsworth et al., A.6: two perfect networks with a barrier whatever the units' order; it must be reported."""

    def network(W1, b1, W2, b2, w3):
        parts = [np.array(W1).T, b1, np.array(W2).T, b2, np.array(w3)[None]]
        return np.concatenate([np.ravel(np.asarray(p, dtype=float)) for p in parts])

    A = network([[-1, 0], [0, -1]], [1, 0], [[-1, 0], [0, 1]], [1, 0], [-1, -1])
    B = network([[1, 0], [0, 1]], [0, 1], [[1, 0], [0, -1]], [0, 1], [-1, -1])
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 2),
        torch.nn.ReLU(),
        torch.nn.Linear(2, 2),
        torch.nn.ReLU(),
        torch.nn.Linear(2, 1, bias=False),
    ).double()
    x = torch.rand(4000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    y = (x[:, 0] < 0) & (x[:, 1] > 0)

    def error(m, batch):
        return ((m(batch[0]).squeeze() >= 0) != batch[1]).double().mean()

    objective = Objective(model, error, [(x, y)], check=False)  # a share of errors moves in steps
    assert objective.value(A) == objective.value(B) == 0
    groups = unit_groups(model)
    found = barrier(objective, A, B, groups=groups, n_points=101, n_steps=0)
    assert found.barrier("after matching") >= 0.23
    every = [
        barrier_of(objective, SegmentPath(A, permute(B, objective.layout, groups, [np.array(p), np.array(q)])), n=101)
        for p in ([0, 1], [1, 0])
        for q in ([0, 1], [1, 0])
    ]
    np.testing.assert_allclose(sorted(every), [0.239, 0.239, 0.255, 0.255], atol=0.02)
    assert found.holds == "unknown", "no sister says what climb is noise"


@pytest.mark.slow
def test_trained_networks(trained):
    """Sisters share a basin; other initialisations have a barrier that matching lowers and a curve goes around."""
    model, objective, runs = trained
    ends = {name: run.theta(-1) for name, run in runs.items()}
    sister = barrier(objective, ends["a"], ends["sister"], n_points=15, n_steps=0)
    assert sister.barrier("segment") < 0.05
    found = barrier(
        objective,
        ends["a"],
        ends["b"],
        groups=unit_groups(model),
        sisters=[(ends["a"], ends["sister"])],
        n_points=15,
        n_steps=60,
    )
    assert found.barrier("segment") > 0.2
    assert found.barrier("after matching") < 0.6 * found.barrier("segment")
    assert found.barrier("along a curve") < 0.1 * found.barrier("segment")
    assert found.holds == "one"
    assert found.n_sisters == 1
    assert found.noise == pytest.approx(sister.climb("segment"))
    assert "(a sister's: " in found.verdict
    table = barrier_matrix(objective, np.array(list(ends.values())), names=list(ends), noise=0.05, n_points=7)
    assert table.values.shape == (3, 3)
    np.testing.assert_array_equal(table.values, table.values.T)
    assert table.values[0, 1] < 0.05 < table.values[0, 2]
    assert sorted(map(len, table.basins)) == [1, 2]


@pytest.mark.slow
def test_valley_height_of_sgd_on_a_quadratic():
    """½ Σ ηC_i/(2 − ηλ_i): measured by averaging, and forecast by the Hessian."""
    eta, C = 0.2, np.array([1.0, 0.5, 0.2])
    lam = np.array([3.0, 1.0, 0.5])
    rng = np.random.default_rng(0)
    x, path = np.zeros(3), []
    for step in range(60_000):
        x = x - eta * (lam * x + np.sqrt(C) * rng.normal(size=3))
        if step > 100:
            path.append(x)
    objective = quadratic(np.diag(lam))
    run = Trajectory.of(np.array(path)[::20], layout=objective.layout)
    found = valley_height(objective, run, n_last=run.n_iterates)
    expected = 0.5 * np.sum(eta * C / (2 - eta * lam))
    assert found.height == pytest.approx(expected, rel=0.05)
    assert found.forecast == pytest.approx(found.height, rel=1e-6), "on a quadratic the two are one"
    assert found.forecast_error == 0
    assert abs(found.height - expected) < 4 * found.height_error
    last, mean = run.theta(-1), np.asarray(run.iterates).mean(axis=0)
    assert found.gain == pytest.approx(0.5 * (last @ (lam * last) - mean @ (lam * mean)))
    assert found.holds == "yes"


def test_the_forecast_sees_steep_directions_of_little_variance():
    """A drift in flat directions hides the steep ones from a few principal directions; random signs see them all."""
    rng, P, n = np.random.default_rng(1), 60, 80
    lam = np.r_[np.full(10, 1e-4), np.full(50, 30.0)]
    X = rng.normal(size=(n, P)) * np.r_[np.full(10, 3.0), np.full(50, 0.1)]
    objective = quadratic(np.diag(lam))
    run = Trajectory.of(X, layout=objective.layout)
    exact = 0.5 * np.sum(lam * X.var(axis=0))
    assert valley_height(objective, run, n_last=n, n_products=60).forecast == pytest.approx(exact, rel=1e-6)
    found = [valley_height(objective, run, n_last=n, n_products=12, random_state=seed) for seed in range(40)]
    forecasts, errors = (np.array([getattr(f, name) for f in found]) for name in ("forecast", "forecast_error"))
    assert forecasts.mean() == pytest.approx(exact, rel=0.05)
    assert np.mean(np.abs(forecasts - exact) <= 2.5 * errors) > 0.85
    flat = 0.5 * np.sum((lam * X.var(axis=0))[:10])
    assert flat < 0.1 * exact, "what the leading directions alone would foretell"


def test_no_gain_where_the_last_iterate_is_better():
    """A run that still descends: its average lies behind its last iterate."""
    objective = quadratic(np.eye(5))
    rng = np.random.default_rng(0)
    way = np.linspace(3, 1, 40)[:, None] * np.ones(5) + 0.05 * rng.normal(size=(40, 5))
    found = valley_height(objective, Trajectory.of(way, layout=objective.layout), n_last=20)
    assert found.gain < 0 < found.height
    assert found.holds == "no"
    assert found.high < 0
    assert str(found).startswith("no gain by averaging the last 20 iterates")


@pytest.mark.slow
def test_an_interval_of_the_gain_covers_other_windows():
    """The interval holds what an average over such a window gains in the mean, in nine of ten cases or so."""
    rng, eta, lam = np.random.default_rng(3), 0.2, np.linspace(0.5, 3, 20)
    objective, found = quadratic(np.diag(lam)), []
    for _ in range(60):
        x, path = rng.normal(size=20) * 0.2, []
        for _ in range(400):
            x = x - eta * (lam * x + rng.normal(size=20))
            path.append(x)
        run = Trajectory.of(np.array(path), layout=objective.layout)
        found.append(valley_height(objective, run, n_last=300, n_products=20))
    usual = np.mean([f.average for f in found])
    hits = [f.low <= f.last - usual <= f.high for f in found]
    assert np.mean(hits) >= 0.8, "two standard errors of 60 repeats below nine tenths"
    assert np.mean([f.holds == "yes" for f in found]) >= 0.95


def test_the_gain_has_the_error_of_the_batches():
    """Batches that disagree on whether averaging gains: no gain is claimed."""
    model = torch.nn.Linear(1, 1, bias=False).double()
    targets = [torch.full((1, 1), value, dtype=torch.float64) for value in (-4.0, 4.0, -4.0, 4.1)]
    objective = Objective(model, lambda m, y: (m(torch.ones_like(y)) - y).square().mean(), targets)
    run = Trajectory.of(np.array([[1.0], [-1], [1], [-1], [1], [-1], [1], [-1], [1.1]]), layout=objective.layout)
    found = valley_height(objective, run, n_last=9)
    assert found.gain > 0.5
    assert found.low < 0
    assert found.holds == "no"


def test_worded_errors():
    objective = quadratic(np.eye(3))
    run = Trajectory.of(np.eye(3, 3), layout=objective.layout)
    with pytest.raises(InputError, match="n_last: expected 4 to 3 iterates"):
        valley_height(objective, run)
    with pytest.raises(InputError, match="b: expected shape"):
        barrier(objective, np.zeros(3), np.zeros(4))
    with pytest.raises(InputError, match="theta: expected shape"):
        barrier(objective, np.zeros(2), np.ones(2))
    with pytest.raises(InputError, match="points: expected at least 2"):
        barrier_matrix(objective, np.zeros((1, 3)))


def test_heads_and_feed_forward_units_of_a_transformer_are_matched():
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(8, 4, dim_feedforward=12, dropout=0.0, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    groups = unit_groups(model)
    assert sorted(group.size for group in groups) == [2] * 8 + [4, 4, 12, 12], "the places of each head, heads, units"
    x = torch.randn(5, 3, 8)
    objective = Objective(model, lambda m, b: m(b).square().mean(), [x])
    shuffle = np.random.default_rng(1)
    orders = [shuffle.permutation(group.size) for group in groups]
    a = objective.theta.astype(float)
    b = permute(a, objective.layout, groups, orders)
    assert np.linalg.norm(b - a) > 1
    np.testing.assert_allclose(objective.outputs(b, x), objective.outputs(a, x), atol=1e-5)
    matched = match_weights(a, b, objective.layout, groups).theta
    np.testing.assert_array_equal(matched, a)


def test_distance_as_functions():
    model = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Tanh(), torch.nn.Linear(6, 4))
    x = torch.randn(30, 3)
    objective = Objective(
        model, supervised(torch.nn.functional.cross_entropy), [(x, torch.zeros(30, dtype=torch.long))]
    )
    a = objective.theta.astype(float)
    twin = permute(a, objective.layout, unit_groups(model), [np.array([3, 1, 0, 5, 4, 2])])
    other = a + np.random.default_rng(0).normal(size=len(a))
    found = barrier(objective, a, twin, sisters=[(a, other)], n_steps=0, n_points=5, probes=x)
    assert found.function_distance < 1e-3
    roots = [np.sqrt(torch.softmax(objective.outputs(t, x).double(), 1).numpy()) for t in (a, other)]
    assert found.sister_distance == pytest.approx(np.sqrt(np.mean(np.sum((roots[0] - roots[1]) ** 2, axis=1) / 2)))
    assert "as functions they are" in found.verdict
    assert function_distance(objective, a, other, x, classes=False) == pytest.approx(
        float((objective.outputs(a, x) - objective.outputs(other, x)).square().mean().sqrt())
    )


def test_the_tested_pair_is_no_pair_of_sisters():
    wells = Objective.from_function(lambda v: (v[0] ** 2 - 1) ** 2 + v[1] ** 2, size=2, check=False)
    a, b = np.array([-1.0, 0]), np.array([1.0, 0])
    with pytest.raises(InputError, match="sisters: expected a pair other than the two points"):
        barrier(wells, a, b, sisters=[(b, a, wells)], n_steps=0)
