"""Federated rounds and their penalties."""

import pytest
import torch

from trajmap.errors import InputError
from trajmap.examples.fusion import federated_rounds, proximity_penalty, sign_penalty


def problem():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    return x, (x[:, 0] > 0).long()


def net():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 2)


def test_one_client_is_plain_sgd():
    x, y = problem()
    model, twin = net(), net()
    found = federated_rounds(model, [(x, y)], n_rounds=2, epochs=1, lr=0.1, batch_size=60)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(twin(x), y).backward()
        optimizer.step()
    expected = torch.nn.utils.parameters_to_vector(twin.parameters()).detach()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.nn.utils.parameters_to_vector(model.parameters()).detach(), expected)


def test_the_average_is_weighted_by_samples():
    x, y = problem()
    seen = []
    found = federated_rounds(
        net(), [(x[:10], y[:10]), (x[10:], y[10:])], n_rounds=1, watch=lambda shared, ends: seen.append((shared, ends))
    )
    ((shared, (a, b)),) = seen
    torch.testing.assert_close(shared, a / 6 + 5 * b / 6)
    torch.testing.assert_close(found, shared)


@pytest.mark.parametrize("penalty", [sign_penalty, proximity_penalty])
def test_penalties_hold_clients_back(penalty):
    x, y = problem()
    start = torch.nn.utils.parameters_to_vector(net().parameters()).detach()
    moved = []
    for weight in (0.0, 10.0 if penalty is sign_penalty else 1.0):
        end = federated_rounds(net(), [(x, 1 - y)], n_rounds=1, epochs=20, penalty=penalty, weight=weight)
        moved.append(float(penalty(end, start)))
    assert moved[1] < 0.5 * moved[0]
    assert float(penalty(start, start)) == 0


def test_no_clients():
    with pytest.raises(InputError, match="at least one client, got none"):
        federated_rounds(net(), [], n_rounds=1)
