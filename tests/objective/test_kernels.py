"""Value, gradient and second derivative are of one function, for layers whose fast kernels differ or stop early."""

import copy
import threading
import warnings

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from trajmap.errors import InputError
from trajmap.objective.differentiable import loss_at
from trajmap.objective.kernels import value_kernels
from trajmap.objective.objective import Objective

F = torch.nn.functional


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.encoder = torch.nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.out = torch.nn.Linear(8, 2)

    def forward(self, batch):
        return self.out(self.encoder(batch["x"], src_key_padding_mask=batch["pad"]).mean(1))


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.heads, self.out = torch.nn.MultiheadAttention(8, 2, batch_first=True), torch.nn.Linear(8, 2)

    def forward(self, batch):
        return self.out(self.heads(batch["x"], batch["x"], batch["x"], need_weights=False)[0].mean(1))


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.out = torch.nn.LSTM(8, 4, batch_first=True), torch.nn.Linear(4, 2)

    def forward(self, batch):
        return self.out(self.cells(batch["x"])[0][:, -1])


class Checkpointed(torch.nn.Module):
    def __init__(self, *, reentrant):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Linear(6, 6), torch.nn.Tanh())
        self.out, self.reentrant = torch.nn.Linear(6, 2), reentrant

    def forward(self, batch):
        x = batch["x"].mean(1)
        return self.out(checkpoint(self.body, x, use_reentrant=self.reentrant))


def batch():
    generator = torch.Generator().manual_seed(0)
    pad = torch.zeros(6, 5, dtype=torch.bool)
    pad[:, 3:] = True
    x = torch.randn(6, 5, 8, generator=generator).double()
    return {"x": x, "pad": pad, "y": torch.randint(0, 2, (6,), generator=generator)}


def loss(model, b):
    return F.cross_entropy(model(b), b["y"])


MODELS = {
    "encoder": Encoder,
    "attention": Attention,
    "recurrent": Recurrent,
    "checkpoint": lambda: Checkpointed(reentrant=False),
    "reentrant checkpoint": lambda: Checkpointed(reentrant=True),
}


@pytest.mark.parametrize("name", MODELS)
def test_three_derivatives_of_one_function(name):
    """Slope and curvature by differences of the values alone; and the tensor form agrees."""
    torch.manual_seed(0)
    objective = Objective(MODELS[name]().double(), loss, [batch()])
    theta = objective.theta + 0.1 * np.random.default_rng(1).normal(size=objective.size)
    v = np.random.default_rng(0).normal(size=objective.size)
    v /= np.linalg.norm(v)
    h = 1e-4
    low, here, high = objective.values(np.stack([theta - h * v, theta, theta + h * v]))
    assert objective.gradient(theta) @ v == pytest.approx((high - low) / (2 * h), rel=1e-5, abs=1e-8)
    assert objective.hvp(theta, v) @ v == pytest.approx((high - 2 * here + low) / h**2, rel=1e-3, abs=1e-6)
    point = torch.tensor(theta, requires_grad=True)
    at = loss_at(objective, point)
    (slope,) = torch.autograd.grad(at, point, create_graph=True)
    assert at.item() == pytest.approx(here, rel=1e-12)
    np.testing.assert_allclose(slope.detach(), objective.gradient(theta), atol=1e-12)
    (product,) = torch.autograd.grad(slope, point, torch.tensor(v))
    np.testing.assert_allclose(product, objective.hvp(theta, v), atol=1e-11)


def test_settings_of_the_process_are_put_back():
    torch.manual_seed(0)

    def settings():
        attention = torch.backends.mha.get_fastpath_enabled(), torch.backends.cuda.flash_sdp_enabled()
        return attention, torch.utils.checkpoint.CheckpointFunction

    before = settings()
    objective = Objective(Encoder().double(), loss, [batch()])
    objective.hvp(objective.theta, objective.theta)
    loss_at(objective, torch.tensor(objective.theta))
    assert before == settings()


def test_threads_that_leave_in_another_order_put_it_back():
    entered, leave = threading.Event(), threading.Event()

    def first():
        with value_kernels(with_graph=False):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait()
    with value_kernels(with_graph=False):
        leave.set()
        thread.join()
        assert not torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mha.get_fastpath_enabled()


class Bag(torch.nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.bag, self.out = torch.nn.EmbeddingBag(10, 4, **options), torch.nn.Linear(4, 2)

    def forward(self, b):
        return self.out(self.bag(*b))


OFFSETS = (torch.tensor([1, 2, 3, 3, 0, 7, 1]), torch.tensor([0, 2, 2, 5]))
WEIGHTED = (*OFFSETS, torch.tensor([1.0, 0.5, 2.0, -1.0, 0.3, 1.0, 1.0]).double())


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"mode": "mean"}, (torch.tensor([[1, 2, 3], [4, 4, 0]]),)),
        ({"mode": "sum", "sparse": True}, OFFSETS),
        ({"mode": "mean", "padding_idx": 3}, OFFSETS),
        ({"mode": "mean", "include_last_offset": True}, (OFFSETS[0], torch.tensor([0, 2, 2, 7]))),
        ({"mode": "sum"}, WEIGHTED),
    ],
)
def test_bags_of_embeddings(options, arguments):
    """The gradient is the library's own; the curvature is a difference of those."""
    torch.manual_seed(0)
    model = Bag(**options).double()
    objective = Objective(model, lambda m, b: torch.tanh(m(b)).square().mean(), [arguments])

    def gradient(theta):
        twin = copy.deepcopy(model)
        torch.nn.utils.vector_to_parameters(torch.tensor(theta), twin.parameters())
        torch.tanh(twin(arguments)).square().mean().backward()
        grads = [p.grad.to_dense() if p.grad.is_sparse else p.grad for p in twin.parameters()]
        return torch.cat([grad.reshape(-1) for grad in grads]).numpy()

    theta = objective.theta + 0.1
    v, h = np.random.default_rng(0).normal(size=objective.size), 1e-6
    np.testing.assert_allclose(objective.gradient(theta), gradient(theta), atol=1e-13)
    curve = (gradient(theta + h * v) - gradient(theta - h * v)) / (2 * h)
    np.testing.assert_allclose(objective.hvp(theta, v), curve, atol=1e-7)


class Ctc(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 5)

    def forward(self, x):
        lengths = torch.tensor([6, 6]), torch.tensor([2, 2])
        return F.ctc_loss(self.layer(x).log_softmax(-1), torch.tensor([[1, 2], [3, 4]]), *lengths)


def test_what_has_no_second_derivative_says_so():
    torch.manual_seed(0)
    x = torch.randn(6, 2, 3).double()
    objective = Objective(Ctc().double(), lambda m, b: m(b), [x])
    theta, v = objective.theta, np.random.default_rng(0).normal(size=objective.size)
    with pytest.raises(InputError, match=r'second derivatives, got derivative for .*ctc.*method="differences"'):
        objective.hessian(theta)(v)
    h = 1e-5
    curve = (objective.gradient(theta + h * v) - objective.gradient(theta - h * v)) / (2 * h)
    np.testing.assert_allclose(objective.hessian(theta, method="differences")(v), curve, rtol=1e-4, atol=1e-6)


def test_an_error_of_the_loss_itself_stays_as_it_is():
    calls = []

    def breaks(model, b):
        calls.append(1)
        if len(calls) > 20:
            raise RuntimeError("the disk is full")
        return model(b).square().mean()

    objective = Objective(torch.nn.Linear(3, 1), breaks, [torch.ones(2, 3)], check=False)
    calls += [1] * 20
    with pytest.raises(RuntimeError, match="the disk is full"):
        objective.hvp(objective.theta, objective.theta)


@pytest.mark.parametrize("legacy", [True, False])
def test_second_derivatives_of_a_weight_norm_are_those_of_its_formula(legacy):
    """The library's own operation holds the norm for a constant when it is differentiated again."""
    torch.manual_seed(0)
    norm = torch.nn.utils.weight_norm if legacy else torch.nn.utils.parametrizations.weight_norm
    with warnings.catch_warnings(action="ignore"):
        model = norm(torch.nn.Linear(4, 3, bias=False)).double()
    x = torch.randn(7, 4, dtype=torch.float64)
    objective = Objective(model, lambda m, b: torch.tanh(m(b)).square().mean(), [x])
    theta = objective.theta + 0.3

    def formula(flat):
        g, v = flat[:3, None], flat[3:].view(3, 4)
        return torch.tanh(x @ (g * v / v.norm(dim=1, keepdim=True)).T).square().mean()

    H = torch.autograd.functional.hessian(formula, torch.tensor(theta)).numpy()
    v = np.random.default_rng(0).normal(size=objective.size)
    np.testing.assert_allclose(objective.hvp(theta, v), H @ v, rtol=1e-10, atol=1e-13)
    point = torch.tensor(theta, requires_grad=True)
    (slope,) = torch.autograd.grad(loss_at(objective, point), point, create_graph=True)
    (product,) = torch.autograd.grad(slope, point, torch.tensor(v))
    np.testing.assert_allclose(product, H @ v, rtol=1e-10, atol=1e-13)
    assert torch._weight_norm.__module__ != "trajmap.objective.kernels", "it is put back"
