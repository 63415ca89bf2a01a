"""Architectures × what is asked of their units: the sizes written by hand, one function, and copies matched back."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from trajmap.basins.barriers import barrier
from trajmap.basins.matching import match_weights, permute
from trajmap.basins.units import unit_groups
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective


class Residual(nn.Module):
    """Two blocks on one stream, the second one with a projection; the stream before and after it are two groups."""

    def __init__(self):
        super().__init__()
        self.stem, self.bn = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.a1, self.a2 = nn.Conv2d(4, 5, 3, padding=1), nn.Conv2d(5, 4, 3, padding=1)
        self.n1, self.n2 = nn.BatchNorm2d(5), nn.BatchNorm2d(4)
        self.b1, self.b2 = nn.Conv2d(4, 7, 3, stride=2, padding=1), nn.Conv2d(7, 6, 3, padding=1)
        self.m1, self.m2 = nn.BatchNorm2d(7), nn.BatchNorm2d(6)
        self.down, self.head = nn.Sequential(nn.Conv2d(4, 6, 1, stride=2), nn.BatchNorm2d(6)), nn.Linear(6, 3)

    def forward(self, x):
        h = self.bn(self.stem(x)).relu()
        h = (h + self.n2(self.a2(self.n1(self.a1(h)).relu()))).relu()
        h = (self.down(h) + self.m2(self.b2(self.m1(self.b1(h)).relu()))).relu()
        return self.head(h.mean((2, 3)))


class SwiGLU(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(6, 9), nn.Linear(6, 9), nn.Linear(9, 3)

    def forward(self, x):
        return self.down(nn.functional.silu(self.gate(x)) * self.up(x))


class PackedGate(nn.Module):
    """Gate and value in one layer, cut in two."""

    def __init__(self):
        super().__init__()
        self.both, self.down = nn.Linear(6, 18), nn.Linear(9, 3)

    def forward(self, x):
        gate, up = self.both(x).chunk(2, dim=-1)
        return self.down(gate.sigmoid() * up)


class TiedAutoencoder(nn.Module):
    """Each weight is used there and back."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Parameter(torch.randn(7, 6)), nn.Parameter(torch.randn(4, 7))

    def forward(self, x):
        h = nn.functional.linear(nn.functional.linear(x, self.first).tanh(), self.second).tanh()
        return nn.functional.linear(nn.functional.linear(h, self.second.T).tanh(), self.first.T)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class GPT(nn.Module):
    """One block, written by hand: tied embedding, packed queries, keys and values, causal attention, a wide layer."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(11, 12), nn.Embedding(5, 12)
        self.ln1, self.ln2, self.ln3 = nn.LayerNorm(12), nn.LayerNorm(12), nn.LayerNorm(12)
        self.qkv, self.out = nn.Linear(12, 36), nn.Linear(12, 12)
        self.wide, self.narrow = nn.Linear(12, 20), nn.Linear(20, 12)
        self.head = nn.Linear(12, 11, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, idx):
        n, t = idx.shape
        h = self.tokens(idx) + self.places(torch.arange(t))
        q, k, v = (part.view(n, t, 3, 4).transpose(1, 2) for part in self.qkv(self.ln1(h)).split(12, dim=2))
        scores = (q @ k.transpose(2, 3) / math.sqrt(4)).masked_fill(~torch.ones(t, t).tril().bool(), -torch.inf)
        h = h + self.out((scores.softmax(3) @ v).transpose(1, 2).reshape(n, t, 12))
        return self.head(self.ln3(h + self.narrow(nn.functional.gelu(self.wide(self.ln2(h))))))


class Attention(nn.Module):
    """Two heads with projections of their own: queries and keys of width 3, values of width 5."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 10), nn.Linear(10, 3)

    def forward(self, x):
        q, k, v = (layer(x).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class OutOfOrder(nn.Module):
    def __init__(self):
        super().__init__()
        self.last, self.middle, self.first = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return self.last(self.middle(self.first(x).tanh()).tanh())


class Shared(nn.Module):
    """One layer used twice: what goes in and what comes out are the same units."""

    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.middle(self.middle(self.first(x).relu()).relu()).relu())


class Dense(nn.Module):
    """Features are concatenated; only what is inside a branch is free."""

    def __init__(self):
        super().__init__()
        self.stem, self.narrow, self.grow, self.head = (
            nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 1), nn.Conv2d(6, 2, 3, padding=1), nn.Linear(6, 3)
        )  # fmt: skip

    def forward(self, x):
        h = self.stem(x).relu()
        return self.head(torch.cat([h, self.grow(self.narrow(h).relu()).relu()], dim=1).mean((2, 3)))


class Cut(nn.Module):
    """Half of the hidden units are read."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(3, 3)

    def forward(self, x):
        return self.last(self.first(x).relu()[:, 2:5])


def chain(*layers):
    return lambda: nn.Sequential(*(layer() for layer in layers))


def linear(*sizes):
    return lambda: nn.Linear(*sizes)


ROWS, IMAGES, WORDS = (9, 6), (9, 1, 8, 8), (9, 5, 6)
# network, shape of its inputs, sizes of its groups, words on what is left out
CASES = {
    "MLP": (chain(linear(6, 8), nn.ReLU, linear(8, 7), nn.Tanh, linear(7, 3)), ROWS, [8, 7], []),
    "CNN with BatchNorm": (
        chain(lambda: nn.Conv2d(1, 6, 3), lambda: nn.BatchNorm2d(6), nn.ReLU, lambda: nn.MaxPool2d(2),
              lambda: nn.Conv2d(6, 5, 2), nn.ReLU, nn.Flatten, linear(20, 3)),
        IMAGES, [6, 5], [],
    ),
    "ResNet": (Residual, IMAGES, [4, 5, 7, 6], []),
    "CNN with GroupNorm": (
        chain(lambda: nn.Conv2d(1, 6, 3), lambda: nn.GroupNorm(2, 6), nn.ReLU, lambda: nn.Conv2d(6, 4, 3), nn.Flatten,
              linear(64, 3)),
        IMAGES, [2, 3, 3, 4], [],
    ),
    "MLP with PReLU": (chain(linear(6, 8), lambda: nn.PReLU(8), linear(8, 3)), ROWS, [8], []),
    "SwiGLU": (SwiGLU, ROWS, [9], []),
    "packed gate": (PackedGate, ROWS, [9], []),
    "tied autoencoder": (TiedAutoencoder, ROWS, [7, 4], []),
    "LSTM": (Recurrent, (9, 5, 3), [5], []),
    "encoder layer": (
        lambda: nn.TransformerEncoderLayer(6, 2, 10, dropout=0.0, batch_first=True), WORDS, [2, 3, 3, 10], [],
    ),
    "GPT": (GPT, (9, 5), [12, 3, 4, 4, 4, 20], []),
    "attention": (Attention, WORDS, [2, 3, 3, 5, 5], []),
    "depthwise": (
        chain(lambda: nn.Conv2d(1, 6, 1), lambda: nn.Conv2d(6, 6, 3, groups=6), nn.ReLU, lambda: nn.Conv2d(6, 5, 1),
              nn.ReLU, lambda: nn.AdaptiveAvgPool2d(1), nn.Flatten, linear(5, 3)),
        IMAGES, [6, 5], [],
    ),
    "out of order": (OutOfOrder, (9, 8), [8, 8], []),
    "used twice": (Shared, ROWS, [8], []),
    "concatenated": (Dense, IMAGES, [6], ["4 units of stem.weight: it is concatenated", "2 units of grow.weight"]),
    "cut": (Cut, ROWS, [], ["8 units of first.weight: slice uses single places of it"]),
}  # fmt: skip


def network(kind):
    """A network off its initialisation, with statistics as a training leaves them, and its inputs."""
    make, shape, *_ = CASES[kind]
    torch.manual_seed(1)
    model = make().double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    x = torch.randint(11, shape) if kind == "GPT" else torch.randn(shape, dtype=torch.float64)
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        model.train()
        for _ in range(10):
            model(3 * torch.randn(shape, dtype=torch.float64) + 1)
    return model.eval(), x


def objective_of(kind):
    """Its loss against its own outputs: nothing is better, and halfway to a copy is worse."""
    model, x = network(kind)
    return Objective(model, supervised(nn.functional.mse_loss), [(x, model(x).detach())]), model, x


def shuffled(objective, groups, seed=0):
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(group.size) for group in groups]
    orders = [np.roll(order, 1) if (order == np.arange(len(order))).all() else order for order in orders]
    return permute(objective.theta, objective.layout, groups, orders)


@pytest.mark.parametrize("kind", CASES)
def test_units_are_those_expected(kind):
    _, _, sizes, words = CASES[kind]
    model, x = network(kind)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for found in (unit_groups(model, x), unit_groups(model)):
        assert sorted(group.size for group in found) == sorted(sizes)
        assert len(found.left_out) == len(words)
        for word in words:
            assert word in str(found)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", CASES)
def test_every_order_of_each_group_is_the_same_function(kind, seed):
    objective, model, x = objective_of(kind)
    before = model(x).detach()
    for group in unit_groups(objective):
        theta = shuffled(objective, [group], seed)
        nn.utils.vector_to_parameters(torch.tensor(theta), model.parameters())
        assert np.abs(theta - objective.theta).max() > 0.1
        torch.testing.assert_close(model(x), before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [kind for kind in CASES if CASES[kind][2]])
def test_a_permuted_copy_is_matched_back(kind):
    objective, _, _ = objective_of(kind)
    groups, a = unit_groups(objective), objective.theta
    b = shuffled(objective, groups)
    found = barrier(objective, a, b, groups=groups, n_steps=0, n_points=9)
    assert found.barrier("segment") > 1e-3
    np.testing.assert_allclose(match_weights(a, b, objective.layout, groups).theta, a, atol=1e-12)
    assert found.barrier("after matching") < 1e-12
