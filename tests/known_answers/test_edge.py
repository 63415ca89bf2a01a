"""Which steps are stable: every optimizer of torch, really run on quadratics, converges where the gauge is below 1."""

import dataclasses

import numpy as np
import pytest
import torch

from trajmap.curvature.edge import edge_gauge
from trajmap.curvature.sharpness_critical import critical_sharpness
from trajmap.curvature.sharpness_generalized import generalized_sharpness
from trajmap.curvature.stable_steps import refusal
from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.recording.recorder import Recorder
from trajmap.recording.schedules import at_steps

EPS = 1e8  # of adaptive optimizers: so large that it is all they divide by, and they are linear


class Bowl(torch.nn.Module):
    """½ Σ λ w², in several parameters."""

    def __init__(self, *curvatures, start=0.0):
        super().__init__()
        make = lambda n: torch.nn.Parameter(torch.full((n,), start, dtype=torch.float64))  # ruff: ignore[lambda-assignment]
        self.w = torch.nn.ParameterList([make(len(values)) for values in curvatures])
        self.curvatures = [torch.tensor(values, dtype=torch.float64) for values in curvatures]

    def forward(self):
        return sum(0.5 * (c * w**2).sum() for c, w in zip(self.curvatures, self.w, strict=True))


def objective_of(bowl):
    return Objective(bowl, lambda model, batch: model() + 0 * batch.sum(), [torch.zeros(1)], check=False)


def kicked(folder, bowl, make, *, rest=300, steps=200):
    """Rest at the minimum, where only the count of steps moves; then be pushed a little. Growth of the distance."""
    optimizer = make(bowl)
    sizes = []
    with Recorder(bowl, folder, every=rest + steps, overwrite=True).attach(optimizer):
        for i in range(rest + steps):
            optimizer.zero_grad()
            bowl().backward()
            for w in bowl.w if i == rest else ():
                w.grad += 1e-80
            optimizer.step()
            sizes.append(max(float(w.detach().abs().max()) for w in bowl.w))
    return max(sizes[-40:]) / max(sizes[rest + 60 : rest + 100])


T = torch.optim
LINEAR = [
    (T.SGD, {}),
    (T.SGD, {"momentum": 0.9}),
    (T.SGD, {"momentum": 0.9, "nesterov": True}),
    (T.SGD, {"momentum": 0.9, "dampening": 0.9}),
    (T.SGD, {"dampening": 0.5}),
    (T.SGD, {"momentum": 0.5, "weight_decay": 3.0}),
    (T.RMSprop, {}),
    (T.RMSprop, {"momentum": 0.9}),
    (T.RMSprop, {"centered": True, "momentum": 0.5, "weight_decay": 1.0}),
    (T.Adagrad, {}),
    (T.Adagrad, {"lr_decay": 1e-4, "weight_decay": 2.0}),
    (T.Adam, {}),
    (T.Adam, {"amsgrad": True, "betas": (0.5, 0.9), "weight_decay": 3.0}),
    (T.AdamW, {"weight_decay": 2.0}),
    (T.AdamW, {"weight_decay": 5.0, "betas": (0.0, 0.999)}),
    (T.Adamax, {"betas": (0.8, 0.99)}),
    (T.NAdam, {}),
    (T.NAdam, {"weight_decay": 1.0, "decoupled_weight_decay": True}),
    (T.NAdam, {"weight_decay": 1.0}),
    (T.RAdam, {"betas": (0.9, 0.99)}),
    (T.RAdam, {"betas": (0.8, 0.99), "weight_decay": 1.0, "decoupled_weight_decay": True}),
]


def at_rate(kind, options, lr):
    """Make an optimizer that steps by lr times the gradient, whatever it divides by."""
    options = dict(options)
    if kind is T.SGD:
        return lambda bowl: kind(bowl.parameters(), lr=lr, **options)
    if kind is T.AdamW or options.get("decoupled_weight_decay"):
        options["weight_decay"] = options.get("weight_decay", 0.0) / EPS
    return lambda bowl: kind(bowl.parameters(), lr=lr * EPS, eps=EPS, **options)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options"), LINEAR, ids=lambda case: str(getattr(case, "__name__", case)))
def test_steps_converge_where_the_ratio_is_below_one(tmp_path, kind, options):
    def ratio_and_growth(curvature):
        bowl = Bowl([curvature, 0.1])
        growth = kicked(tmp_path / "run", bowl, at_rate(kind, options, 0.1))
        gauge = edge_gauge(objective_of(bowl), Trajectory.open(tmp_path / "run"), at=[-1], tol=1e-8)
        np.testing.assert_allclose([gauge.low[0], gauge.high[0]], gauge.ratio[0], rtol=1e-6)
        return float(gauge.ratio[0]), growth

    agree(ratio_and_growth)


def agree(ratio_and_growth):
    """Require that steps converge just below the gauge's own edge, and diverge just above."""
    a, b = 1.0, 2.0
    f, g = ratio_and_growth(a)[0], ratio_and_growth(b)[0]
    for _ in range(4):  # secants: the ratio is affine, or nearly so
        a, f, b = b, g, a + (1 - f) * (b - a) / (g - f)
        g = ratio_and_growth(b)[0]
        if abs(g - 1) < 1e-6:
            break
    for part in (0.97, 1.03):
        ratio, growth = ratio_and_growth(part * b)
        assert (ratio > 1) == (growth > 1) == (part > 1), (part, ratio, growth)


COUPLED = np.array([[4.0, 3.0], [3.0, 5.0]])


class Coupled(Bowl):
    """Two parameters whose curvatures do not part."""

    def __init__(self, scale):
        super().__init__([1.0], [1.0])
        self.matrix = torch.tensor(scale * COUPLED)

    def forward(self):
        w = torch.cat(list(self.w))
        return 0.5 * w @ self.matrix @ w


@pytest.mark.slow
@pytest.mark.parametrize("kind", [T.SGD, T.Adam, T.AdamW, T.RMSprop])
def test_groups_with_rates_and_decays_of_their_own(tmp_path, kind):
    decay = 1 / EPS if kind is T.AdamW else 1.0
    unit = 1.0 if kind is T.SGD else EPS

    def make(bowl):
        groups = [{"params": [bowl.w[0]], "lr": 0.1 * unit, "weight_decay": decay},
                  {"params": [bowl.w[1]], "lr": 0.03 * unit, "weight_decay": 2 * decay}]  # fmt: skip
        return kind(groups, momentum=0.9) if kind is T.SGD else kind(groups, eps=EPS)

    def ratio_and_growth(scale):
        bowl = Coupled(scale)
        growth = kicked(tmp_path / "run", bowl, make)
        gauge = edge_gauge(objective_of(bowl), Trajectory.open(tmp_path / "run"), at=[-1], tol=1e-8)
        return float(gauge.ratio[0]), growth

    agree(ratio_and_growth)


def digits():
    """Three hundred digits and a small network, as float32."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x[:300] / 16, dtype=torch.float32)
    target = torch.nn.functional.one_hot(torch.tensor(y[:300]), 10).float()
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.Tanh(), torch.nn.Linear(16, 10))
    return net, (x, target), lambda outputs, y: ((outputs - y) ** 2).sum() / len(y) / 2


def top_of_the_live_state(net, loss, optimizer, divisor):
    """Power iteration on D^-½HD^-½ by autograd, with the optimizer's own state."""
    parameters = list(net.parameters())
    scales = [1 / divisor(optimizer.state[p]).sqrt() for p in parameters]
    gradients = torch.autograd.grad(loss(), parameters, create_graph=True)
    vector = [torch.randn(p.shape, generator=torch.Generator().manual_seed(i)) for i, p in enumerate(parameters)]
    value = 0.0
    for _ in range(400):
        norm = sum(float((v**2).sum()) for v in vector) ** 0.5
        vector = [v / norm for v in vector]
        along = sum((g * s * v).sum() for g, s, v in zip(gradients, scales, vector, strict=True))
        products = torch.autograd.grad(along, parameters, retain_graph=True)
        products = [s * p for s, p in zip(scales, products, strict=True)]
        value = sum(float((v * p).sum()) for v, p in zip(vector, products, strict=True))
        vector = products
    return value


ROOT = lambda key, eps: lambda state: state[key].sqrt() + eps  # ruff: ignore[lambda-assignment]
LIVE = [
    (
        T.Adam,
        {"lr": 1e-3},
        lambda s: (s["exp_avg_sq"] / (1 - 0.999 ** s["step"])).sqrt() + 1e-8,
        2 * 1.9 / (0.1 * 1e-3),
    ),
    (T.RMSprop, {"lr": 1e-3}, ROOT("square_avg", 1e-8), 2 / 1e-3),
    (T.Adagrad, {"lr": 0.05}, ROOT("sum", 1e-10), 2 / 0.05),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options", "divisor", "threshold"), LIVE, ids=lambda c: getattr(c, "__name__", ""))
def test_digits_agree_with_the_live_state(tmp_path, kind, options, divisor, threshold):
    net, (x, y), criterion = digits()
    optimizer = kind(net.parameters(), **options)
    seen = {}
    with Recorder(net, tmp_path / "run", every=50).attach(optimizer):
        for i in range(1, 321):
            optimizer.zero_grad()
            criterion(net(x), y).backward()
            optimizer.step()
            if i in {200, 320}:
                seen[i] = top_of_the_live_state(net, lambda: criterion(net(x), y), optimizer, divisor)
    run = Trajectory.open(tmp_path / "run")
    assert list(run.second_moments) == [50, 100, 150, 200, 250, 300, 320]
    objective = Objective(net, supervised(criterion), [(x, y)])
    gauge = edge_gauge(objective, run, at=[4, -1])
    assert gauge.steps.tolist() == [200, 320]
    assert gauge.kind == "preconditioned sharpness"
    np.testing.assert_allclose(gauge.threshold, threshold)
    np.testing.assert_allclose(gauge.sharpness, [seen[200], seen[320]], rtol=0.02)
    forward = edge_gauge(objective, run, at=[4, -1], method="forward")
    assert (forward.ratio <= 1.05 * gauge.ratio).all()
    assert np.isinf(forward.high).all()
    assert edge_gauge(objective, run, at=[0]).regime == "unknown"


@pytest.mark.slow
@pytest.mark.parametrize(("beta", "crossing", "spike"), [(0.9, 1579, 1589), (0.0, 1007, None)])
def test_adam_spikes_where_it_crosses(tmp_path, beta, crossing, spike):
    """On a parabola v forgets the first gradients, so the steps grow, and past the edge the loss leaps."""
    bowl = Bowl([1.0], start=1.0)
    optimizer = T.Adam(bowl.parameters(), lr=0.01, betas=(beta, 0.99))
    losses = [0.5]
    with Recorder(bowl, tmp_path / "run", schedule=at_steps(range(crossing - 40, crossing + 20))).attach(
        optimizer, moments=200
    ):
        for _ in range(spike or crossing + 20):
            optimizer.zero_grad()
            bowl().backward()
            optimizer.step()
            losses.append(bowl().item())
    run = Trajectory.open(tmp_path / "run")
    gauge = edge_gauge(objective_of(Bowl([1.0], start=1.0)), run, at=np.arange(1, run.n_iterates))
    assert gauge.steps[np.flatnonzero(gauge.ratio > 1)[0]] == crossing
    assert (gauge.ratio[gauge.steps < crossing] < 1).all()
    assert spike is None or losses[spike] > 100 * losses[crossing]  # without momentum it is 0 to the last bit


def noted(run, **settings):
    return dataclasses.replace(run, settings=settings)


def parabola(H):
    """½ xᵀHx, and a run along it that knows no optimizer."""
    objective = Objective.from_function(lambda x: 0.5 * x @ H @ x, size=len(H), gradient=lambda x: H @ x,
                                        hessian_product=lambda x, v: H @ v)  # fmt: skip
    rows = np.outer(np.linspace(1, 0.1, 10), np.ones(len(H)))
    return objective, Trajectory.of(rows, layout=objective.layout, scalars={"lr": np.r_[np.nan, np.full(9, 0.2)]})


@pytest.mark.parametrize(
    "name", ["LBFGS", "ASGD", "Adadelta", "Rprop", "SparseAdam", "Adafactor", "Muon", "Lion", "SignSGD", "Shampoo"]
)
def test_others_are_refused_by_name(name):
    objective, run = parabola(np.diag([4.0, 1.0]))
    gauge = edge_gauge(objective, noted(run, optimizer={"class": name, "lr": 0.1}), n_at=2)
    assert np.isnan(gauge.ratio).all()
    assert gauge.regime == "unknown"
    assert gauge.reason.startswith(f"{name}: ")
    assert gauge.verdict == f"the edge is unknown: {gauge.reason}"
    np.testing.assert_allclose(gauge.top, 4.0)


def test_every_class_of_torch_is_known_or_refused():
    found = {name for name in dir(T) if isinstance(getattr(T, name), type)}
    judged = {name for name in found if not refusal({"class": name})}
    assert judged == {"SGD", "RMSprop", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam"}


def test_what_else_is_refused():
    objective, run = parabola(np.diag([4.0, 1.0]))

    def reason(**settings):
        gauge = edge_gauge(objective, noted(run, **settings), n_at=2)
        assert gauge.regime == "unknown"
        assert np.isnan(gauge.ratio).all()
        return gauge.reason

    adam, sgd = {"class": "Adam", "lr": 0.1, "betas": [0.9, 0.999]}, {"class": "SGD", "lr": 0.1}
    assert "second moments are not recorded" in reason(optimizer=adam)
    assert "it maximises" in reason(optimizer={**sgd, "maximize": True})
    assert "not a torch optimizer" in reason(optimizer={**sgd, "module": "my.optimizers"})
    assert "not a torch optimizer" in reason(optimizer={**sgd, "class": "Lookahead", "around": ["SGD"]})
    turns = [{**sgd, "steps": [[1, 1], [3, 3]]}, {**adam, "steps": [[2, 2], [4, 9]]}]
    assert "alternating optimizers" in reason(optimizer=sgd, optimizers=turns)
    groups = [{"names": ["theta"], "lr": 0.1, "momentum": 0.9}, {"names": [], "lr": 0.1, "momentum": 0.5}]
    assert "different momentum" in reason(optimizer={**sgd, "groups": groups})
    with pytest.raises(InputError, match="with a learning rate"):
        edge_gauge(objective, run)
    # one after the other: each iterate is judged by the optimizer that made it
    entries = [{**sgd, "steps": [[1, 4]]}, {"class": "LBFGS", "lr": 1, "steps": [[5, 9]]}]
    turned = {"optimizer": np.r_[np.zeros(5), np.ones(5)]}
    both = dataclasses.replace(noted(run, optimizers=entries), scalars=turned)
    gauge = edge_gauge(objective, both, at=[2, 8])
    assert gauge.ratio[0] == pytest.approx(0.2)
    assert gauge.reasons[1].startswith("LBFGS")


def test_the_rate_of_the_step_counts():
    objective, run = parabola(np.diag([4.0, 1.0]))
    run = dataclasses.replace(run, scalars={"lr": np.r_[np.nan, np.linspace(0.9, 0.1, 9)]})
    gauge = edge_gauge(objective, noted(run, optimizer={"class": "SGD", "lr": 0.9}), at=np.arange(10))
    np.testing.assert_allclose(gauge.threshold, 2 / np.r_[0.9, np.linspace(0.9, 0.1, 9)])
    np.testing.assert_allclose(gauge.ratio, 4 / gauge.threshold, rtol=1e-6)
    assert edge_gauge(objective, noted(run, optimizer={"class": "SGD", "lr": 0.9}), lr=0.25).ratio == pytest.approx(0.5)


def test_momentum_that_a_schedule_moves(tmp_path):
    bowl = Bowl([1.0, 3.0], start=1.0)
    optimizer = T.SGD(bowl.parameters(), lr=0.1, momentum=0.9)
    cycle = T.lr_scheduler.CyclicLR(optimizer, 0.1, 0.2, step_size_up=5, base_momentum=0.5, max_momentum=0.9)
    used = []
    with Recorder(bowl, tmp_path / "run").attach(optimizer):
        for _ in range(8):
            optimizer.zero_grad()
            bowl().backward()
            group = optimizer.param_groups[0]
            used.append(2 * (1 + group["momentum"]) / group["lr"])
            optimizer.step()
            cycle.step()
    gauge = edge_gauge(objective_of(bowl), Trajectory.open(tmp_path / "run"), at=np.arange(1, 9))
    np.testing.assert_allclose(gauge.threshold, used)


def test_batches_with_momentum_are_bounded_from_both_sides():
    """Small batches stop at 2(1 − β)/η, large ones at 2(1 + β)/η; between them nothing is known."""
    torch.manual_seed(0)
    x = torch.randn(32, 3, dtype=torch.float64)
    model = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    objective = Objective(model, supervised(torch.nn.functional.mse_loss), [(x, x.sum(dim=1, keepdim=True))])
    run = Trajectory.of(np.outer(np.linspace(1, 0.5, 6), np.ones(3)) * [1, 2, 3], layout=objective.layout)

    def gauge(lr, momentum, samples=4):
        settings = {"optimizer": {"class": "SGD", "lr": lr, "momentum": momentum}, "batch_size": samples}
        return edge_gauge(objective, noted(run, **settings), n_at=3)

    plain = gauge(0.01, 0.0)
    np.testing.assert_allclose(plain.low, plain.high)  # all batches were drawn
    heavy = gauge(0.01, 0.9)
    np.testing.assert_allclose(heavy.ratio, plain.ratio / 1.9)
    np.testing.assert_allclose(heavy.high, plain.ratio / 0.1)
    assert not plain.full_batch
    assert plain.regime == "below"
    assert "larger steps" not in plain.verdict
    at = float(np.median(plain.ratio[-1:]))
    assert gauge(0.01 / at, 0.9).regime == "unknown"
    assert "between" in gauge(0.01 / at, 0.9).reason
    assert gauge(0.01 * 4 / at, 0.9).regime == "beyond"
    assert gauge(0.01 * 0.05 / at, 0.9).regime == "below"


def test_regimes_are_data():
    def gauge(ratio, low=None, high=None, **more):
        n = np.ones(1)
        return EdgeGauge(n, ratio * n, n, 1.0, "sharpness", None if low is None else low * n,
                         None if high is None else high * n, **more)  # fmt: skip

    assert [gauge(r).regime for r in (0.5, 0.8, 1.0, 1.2, 1.3, np.nan)] == [
        "below",
        "at",
        "at",
        "at",
        "beyond",
        "unknown",
    ]
    assert gauge(0.5, 0.5, np.inf).regime == "unknown"
    assert "at least 0.5" in gauge(0.5, 0.5, np.inf).verdict
    assert gauge(1.5, 1.5, np.inf).regime == "beyond"
    assert gauge(0.5, 0.4, 1.1).regime == "unknown"
    assert "larger steps of the whole loss would be stable" in gauge(0.5).verdict
    assert "larger steps" not in gauge(0.5, full_batch=False).verdict
    assert gauge(np.nan, reasons=["Lion: signs"]).verdict == "the edge is unknown: Lion: signs"


@pytest.mark.parametrize("start", [None, 1e-4, 50.0])
def test_critical_sharpness_of_a_parabola(start):
    H = np.diag([20.0, 5.0, 1.0, 0.1])
    objective, _ = parabola(H)
    theta = np.array([0.3, -1.0, 2.0, 1.0])
    g = H @ theta
    found = critical_sharpness(objective, theta, start=start)
    assert found.value == pytest.approx(g @ H @ g / (g @ g), rel=1e-3)
    assert found.n_values < 10
    assert found.low <= found.value <= found.high
    u = np.array([1.0, -1.0, 0.5, 0.0])
    along = critical_sharpness(objective, theta, u, start=start)
    assert along.value == pytest.approx(u @ H @ u / (g @ u), rel=1e-3)
    uphill = critical_sharpness(objective, theta, -u)
    assert np.isnan(uphill.value)
    assert uphill.high == np.inf
    with pytest.raises(InputError, match="direction: expected a finite direction"):
        critical_sharpness(objective, np.zeros(4))


def test_critical_sharpness_of_a_network_in_float32():
    """Against the root of the loss along the gradient, found by bisection in float64."""
    net, data, criterion = digits()
    objective = Objective(net, supervised(criterion), [data])
    wide = Objective(net, supervised(criterion), [data], dtype=torch.float64)
    theta = objective.theta.astype(float)
    g, here = wide.gradient(theta), wide.value(theta)
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if wide.value(theta - middle * g) < here else (low, middle)
    found = critical_sharpness(objective, theta)
    assert found.value == pytest.approx(2 / low, rel=0.02)
    assert found.n_values < 10


def test_generalized_sharpness_of_signed_and_spectral_steps(tmp_path):
    H = np.diag([4.0, 2.0, 1.0, 0.5])
    objective, _ = parabola(H)
    assert generalized_sharpness(objective, np.ones(4)) == pytest.approx(np.trace(H))
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6))
    dense, _ = parabola(A @ A.T)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1)
    best = max(np.einsum("in,ij,jn->n", signs, A @ A.T, signs))
    assert 0.9 * best < generalized_sharpness(dense, np.ones(6), starts=8) <= best * (1 + 1e-9)
    matrix = torch.nn.Linear(5, 3, dtype=torch.float64)
    frobenius = Objective(matrix, lambda m, b: 0.5 * (m.weight**2).sum() + m.bias.sum() + 0 * b.sum(), [torch.zeros(1)])
    assert generalized_sharpness(frobenius, frobenius.theta, "spectral") == pytest.approx(3)


def test_sign_descent_is_stable_below_its_generalized_sharpness():
    """Steps of −η‖g‖₁ sign(g) on a diagonal H: the threshold is 2/tr H."""
    H = np.diag([4.0, 2.0, 1.0, 0.5])
    objective, _ = parabola(H)
    edge = 2 / generalized_sharpness(objective, np.ones(4))
    for part in (0.9, 1.1):
        x = np.array([1.0, 0.9, 1.1, 1.2])
        for _ in range(2000):
            x = x - part * edge * np.abs(H @ x).sum() * np.sign(H @ x)
            if not np.abs(x).max() < 1e12:
                break
        assert (np.abs(x).max() < 1e3) == (part < 1)


@pytest.mark.parametrize("rule", [torch.optim.Adam, torch.optim.SGD])
def test_with_batch_norm_the_edge_is_unknown(rule, tmp_path):
    """The bias before a normalisation is flat in training alone: its second moment says nothing of the fixed loss."""
    torch.manual_seed(0)
    x, y = torch.randn(64, 3), torch.randn(64, 1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = rule(model.parameters(), lr=1e-3)
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for _ in range(12):
            optimizer.zero_grad()
            (model(x) - y).square().mean().backward()
            optimizer.step()
    objective = Objective(model, supervised(torch.nn.functional.mse_loss), [(x, y)])
    gauge = edge_gauge(objective, Trajectory.open(tmp_path / "run"), n_at=2)
    assert gauge.regime == "unknown"
    assert "BatchNorm's statistics" in gauge.reason
    assert np.isfinite(gauge.top).all()
