"""The private copy is the model at another point, whatever is wrapped around it, hangs on it or closes over it."""

import copy
import types
import warnings

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

from trajmap.errors import InputError
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective

MSE = supervised(torch.nn.functional.mse_loss)


def net(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)).double()


def data(n=12):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=generator).double(), torch.randn(n, 3, generator=generator).double()


def by_hand(make, theta, batch):
    """Loss and gradient of another instance with the same parameters, by plain autograd."""
    model = make()
    torch.nn.utils.vector_to_parameters(torch.tensor(theta), model.parameters())
    loss = torch.nn.functional.mse_loss(model(batch[0]), batch[1])
    grads = torch.autograd.grad(loss, list(model.parameters()))
    return loss.item(), torch.cat([g.reshape(-1) for g in grads]).numpy()


def require_equal(objective, make, batch):
    theta = objective.theta + 0.3
    loss, gradient = by_hand(make, theta, batch)
    assert objective.value(theta) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(objective.gradient(theta), gradient, rtol=1e-10, atol=1e-14)
    v, h = np.random.default_rng(0).normal(size=len(theta)), 1e-5
    curve = (by_hand(make, theta + h * v, batch)[1] - by_hand(make, theta - h * v, batch)[1]) / (2 * h)
    np.testing.assert_allclose(objective.hvp(theta, v), curve, rtol=1e-5, atol=1e-7)


def compiled_part():
    model = net()
    model[0] = torch.compile(model[0], backend="eager")
    return model


def parallel_part():
    model = net()
    model[2] = torch.nn.DataParallel(model[2])
    return model


@pytest.mark.parametrize(
    ("wrap", "prefix"),
    [
        (lambda: torch.compile(net(), backend="eager"), "0.weight"),
        (lambda: torch.nn.DataParallel(net()), "0.weight"),
        (lambda: torch.optim.swa_utils.AveragedModel(net()), "0.weight"),
        (lambda: torch.compile(torch.nn.DataParallel(net()), backend="eager"), "0.weight"),
        (compiled_part, "0._orig_mod.weight"),
        (parallel_part, "0.weight"),
    ],
)
def test_wrappers_are_taken_off(wrap, prefix):
    model = wrap()
    objective = Objective(model, MSE, [data()])
    assert objective.layout.names[0] == prefix
    require_equal(objective, net, data())


class Closing(torch.nn.Module):
    """Functions that close over the module, and a forward patched around the old one."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 6), torch.nn.Linear(6, 3)
        self.steps = [lambda x: torch.tanh(self.first(x)), self.second]
        self.by_default = {"step": lambda x, layer=self.second: layer(x)}

    def forward(self, x):
        return self.by_default["step"](self.steps[0](x))


def patched():
    torch.manual_seed(0)
    model = Closing().double()
    plain = model.forward
    model.forward = lambda x: 2 * plain(x)
    return model


def rebound():
    torch.manual_seed(0)
    model = Closing().double()
    plain = model.forward

    def forward(self, x):
        return plain(x) + self.second.bias

    model.forward = types.MethodType(forward, model)
    return model


@pytest.mark.parametrize("make", [patched, rebound])
def test_functions_that_close_over_the_model_close_over_the_copy(make):
    require_equal(Objective(make(), MSE, [data()]), make, data())


def test_hooks_that_only_look_are_not_fired():
    model, seen, counts = net(), [], {"n": 0}

    class Tap:
        def __init__(self):
            self.kept = []

        def keep(self, module, args, out):
            self.kept.append(out)

    def count(module, args):
        counts["n"] += 1

    tap = Tap()
    model[0].register_forward_hook(lambda module, args, out: seen.append(out))
    model[1].register_forward_hook(tap.keep)
    model[2].register_forward_pre_hook(count)
    model[2].register_full_backward_hook(lambda module, into, out: seen.append(out))
    model[0].weight.register_hook(seen.append)
    objective = Objective(model, MSE, [data()])
    objective.gradient(objective.theta)
    objective.hvp(objective.theta, objective.theta)
    assert not seen
    assert not tap.kept
    assert counts == {"n": 0}
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in objective.model.modules())
    model(data()[0]).sum().backward()
    assert (len(seen), len(tap.kept), counts["n"]) == (3, 1, 1), "the user's own are still there"


def hooked(kind):
    model, scale, memory = net(), {"by": 3.0}, {}
    if kind == "returns":
        model[0].register_forward_hook(lambda module, args, out: scale["by"] * out)
    elif kind == "in place":
        model[0].register_forward_hook(lambda module, args, out: _ignore(out.mul_(3.0)))
    elif kind == "arguments":
        model[0].register_forward_pre_hook(lambda module, args, kwargs: ((3.0 * args[0],), kwargs), with_kwargs=True)
    elif kind == "weights":
        model[0].factor = torch.nn.Parameter(torch.tensor(2.0).double())
        model[0].register_forward_pre_hook(lambda module, args: setattr(module, "scaled", module.factor * 2) or None)
        model[0].forward = types.MethodType(lambda m, x: m.scaled * torch.nn.functional.linear(x, m.weight), model[0])
        model[0].bias = None
    elif kind == "two that share":
        model[0].register_forward_hook(lambda module, args, out: memory.update(out=out))
        model[2].register_forward_hook(lambda module, args, out: out + memory["out"][:, :3])
    return model


def _ignore(_):
    return None


@pytest.mark.parametrize("kind", ["returns", "in place", "arguments", "weights", "two that share"])
def test_hooks_that_act_stay(kind):
    require_equal(Objective(hooked(kind), MSE, [data()]), lambda: hooked(kind), data())


def test_a_hook_that_cannot_be_copied_is_left_out_with_a_word(tmp_path):
    model = net()
    with (tmp_path / "log").open("w") as file:

        def note(module, args, out):
            file.write("seen")

        model[0].register_forward_hook(note)
        with pytest.warns(UserWarning, match=r"hooks .*note cannot be copied"):
            Objective(model, MSE, [data()])
    assert not (tmp_path / "log").read_text()
    assert len(model[0]._forward_hooks) == 1


def norms(kind):
    torch.manual_seed(0)
    model = net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        {
            "weight norm": lambda: torch.nn.utils.weight_norm(model[0]),
            "spectral norm": lambda: torch.nn.utils.spectral_norm(model[0]),
            "parametrised": lambda: torch.nn.utils.parametrizations.weight_norm(model[0]),
            "orthogonal": lambda: torch.nn.utils.parametrizations.orthogonal(model[2]),
            "pruned": lambda: prune.l1_unstructured(model[0], "weight", 0.5),
        }[kind]()
    return model


@pytest.mark.parametrize("kind", ["weight norm", "spectral norm", "parametrised", "orthogonal", "pruned"])
def test_norms_after_a_forward(kind):
    model, (x, y) = norms(kind), data()
    torch.nn.functional.mse_loss(model(x), y).backward()
    model.eval()
    objective = Objective(model, MSE, [(x, y)])
    state = {name: t.clone() for name, t in model.state_dict().items()}
    theta = objective.theta + 0.05 * np.random.default_rng(0).normal(size=objective.size)
    twin = norms(kind)
    twin.load_state_dict(model.state_dict())
    twin.eval()
    torch.nn.utils.vector_to_parameters(torch.tensor(theta), twin.parameters())
    loss = torch.nn.functional.mse_loss(twin(x), y)
    grads = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(twin.parameters()))])
    assert objective.value(theta) == pytest.approx(loss.item(), rel=1e-10)
    np.testing.assert_allclose(objective.gradient(theta), grads.numpy(), rtol=1e-8, atol=1e-12)
    assert all(torch.equal(state[name], t) for name, t in model.state_dict().items())


class Mixed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = torch.nn.Linear(4, 8).bfloat16(), torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.body(x.bfloat16()).float())


def test_each_parameter_keeps_its_own_number_format():
    torch.manual_seed(0)
    model, (x, y) = Mixed(), tuple(part.float() for part in data())
    objective = Objective(model, MSE, [(x, y)])
    assert objective.theta.dtype == np.float32
    assert {p.dtype for p in objective.model.parameters()} == {torch.bfloat16, torch.float32}
    assert objective.value(objective.theta) == torch.nn.functional.mse_loss(model(x), y).item()
    twin = copy.deepcopy(model)
    twin.head.weight.data += 1e-4
    theta = objective.theta
    theta[objective.layout.slices["head.weight"]] += np.float32(1e-4)
    assert objective.value(theta) == torch.nn.functional.mse_loss(twin(x), y).item()
    grads = torch.autograd.grad(torch.nn.functional.mse_loss(twin(x), y), list(twin.parameters()))
    np.testing.assert_array_equal(objective.gradient(theta), torch.cat([g.float().reshape(-1) for g in grads]).numpy())
    moved = theta + np.float32(2.0) * np.sign(theta)
    assert objective.value(moved) != objective.value(theta)
    assert objective.value(theta) == torch.nn.functional.mse_loss(twin(x), y).item()


class Odd(torch.nn.Module):
    """A parameter without axes, an empty one, integers, and one whose memory is transposed."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.scale = torch.nn.Parameter(torch.tensor(1.5).double())
        self.none = torch.nn.Parameter(torch.zeros(0, 3).double())
        self.turned = torch.nn.Parameter(torch.randn(4, 3, generator=generator).double().t())
        whole = torch.randint(-3, 3, (4, 4), generator=generator, dtype=torch.int8)
        self.whole = torch.nn.Parameter(whole, requires_grad=False)

    def forward(self, x):
        return torch.tanh(x @ self.whole.to(x).t()) @ self.turned.t() * self.scale + self.none.sum()


def test_odd_parameters():
    objective, (x, y) = Objective(Odd(), MSE, [data()]), data()
    theta, model = objective.theta * 1.3 + 0.1, Odd()
    assert objective.size == 13
    model.scale.data.fill_(theta[0])
    model.turned.data.copy_(torch.tensor(theta[1:]).view(3, 4))
    loss = torch.nn.functional.mse_loss(model(x), y)
    assert objective.value(theta) == pytest.approx(loss.item(), rel=1e-13)
    grads = torch.autograd.grad(loss, [model.scale, model.turned])
    np.testing.assert_allclose(objective.gradient(theta), torch.cat([g.reshape(-1) for g in grads]), rtol=1e-11)


def complex_model():
    model = torch.nn.Linear(4, 3)
    model.c = torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.nn.Sequential(torch.nn.LazyLinear(3)), r"0.weight: .* a lazy one; repair: run the model"),
        (complex_model, r"c: expected real numbers, got torch.complex64; repair: .*view_as_complex"),
        (lambda: torch.nn.Linear(4, 3, device="meta"), r"weight: .* on the meta device"),
        (lambda: torch.nn.Sequential(torch.jit.trace(torch.nn.Linear(4, 3), torch.ones(1, 4))), "TorchScript"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_has_no_points_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        Objective(make(), MSE, [data()])


def test_a_loss_with_one_axis_is_as_good():
    x, y = data()
    plain = Objective(net(), MSE, [(x, y)])
    boxed = Objective(net(), lambda m, b: MSE(m, b).reshape(1), [(x, y)])
    theta = plain.theta
    assert boxed.value(theta) == plain.value(theta)
    np.testing.assert_array_equal(boxed.hvp(theta, theta), plain.hvp(theta, theta))


def test_a_generator_and_a_discriminator():
    """A loss of two parts of one module: the discriminator's, with a gradient penalty."""
    torch.manual_seed(0)
    judge = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    gan = torch.nn.ModuleDict({"g": torch.nn.Linear(2, 2), "d": judge}).double()
    noise, real = torch.randn(2, 16, 2, dtype=torch.float64)

    def loss(m, b):
        fake = m["g"](b[0]).requires_grad_()
        score = m["d"](fake)
        slope = torch.autograd.grad(score.sum(), fake, create_graph=True)[0]
        return score.mean() - m["d"](b[1]).mean() + (slope.norm(dim=1) - 1).square().mean()

    objective = Objective(gan, loss, [(noise, real)])
    theta = objective.theta + 0.2
    twin = copy.deepcopy(gan)
    torch.nn.utils.vector_to_parameters(torch.tensor(theta), twin.parameters())
    expected = loss(twin, (noise, real))
    grads = torch.autograd.grad(expected, list(twin.parameters()), allow_unused=True, materialize_grads=True)
    assert objective.value(theta) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(objective.gradient(theta), torch.cat([g.reshape(-1) for g in grads]), atol=1e-12)
