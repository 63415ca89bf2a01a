"""Averaging networks that were trained apart: federated rounds on the digits, with and without sign alignment."""

from collections.abc import Callable, Sequence

import torch

from trajmap._validation import check_count, check_positive, worded
from trajmap.errors import InputError

__all__ = ["federated_rounds", "proximity_penalty", "sign_penalty"]

Penalty = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Data = tuple[torch.Tensor, torch.Tensor]


def sign_penalty(theta: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
    """Penalise weights whose sign is not the shared model's: mean relu(−θ ⊙ sign(shared)).

    Models with equal signs are on one side of each other's valleys, and average better. This reconstructs the
    regulariser of FedSign, whose exact form is not public.

    Parameters
    ----------
    theta, shared : torch.Tensor, shape (P,)
        Weights of a client, and of the model all started from.

    Returns
    -------
    torch.Tensor
        Scalar ≥ 0; 0 where no sign differs.

    References
    ----------
    X.-C. Li, J.-L. Tang, S. Zhang, L. Li, D.-C. Zhan, Exploring and exploiting the asymmetric valley of deep neural
    networks, 2024.

    Examples
    --------
    >>> float(sign_penalty(torch.tensor([1.0, -3.0]), torch.tensor([2.0, 1.0])))
    1.5
    """
    return torch.relu(-theta * torch.sign(shared)).mean()


def proximity_penalty(theta: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
    """Penalise the distance from the shared model: ½ |θ − shared|², the control (FedProx, Li et al. 2020).

    Parameters
    ----------
    theta, shared : torch.Tensor, shape (P,)
        Weights.

    Returns
    -------
    torch.Tensor
        Scalar ≥ 0.

    Examples
    --------
    >>> float(proximity_penalty(torch.tensor([1.0, -3.0]), torch.tensor([1.0, 1.0])))
    8.0
    """
    return 0.5 * (theta - shared).square().sum()


def federated_rounds(
    model: torch.nn.Module,
    parts: Sequence[Data],
    *,
    n_rounds: int,
    epochs: int = 2,
    lr: float = 0.1,
    batch_size: int = 32,
    penalty: Penalty | None = None,
    weight: float = 0.0,
    seed: int = 0,
    watch: Callable[[torch.Tensor, list[torch.Tensor]], None] | None = None,
) -> torch.Tensor:
    """Train one classifier on several parts of the data apart, averaging the weights after each round.

    Parameters
    ----------
    model : torch.nn.Module
        Its weights are the start; it is left with those of the last average.
    parts : sequence of (inputs, classes)
        Data of each client, of any sizes; the average is weighted by them.
    n_rounds, epochs : int
        Rounds, and passes over its own data that each client makes in a round.
    lr : float
        Rate of SGD.
    batch_size : int
        Of SGD.
    penalty : callable, optional
        ``penalty(theta, shared)``, as `sign_penalty`; added to the loss times `weight`.
    weight : float
        Of the penalty.
    seed : int
        Of the batch orders.
    watch : callable, optional
        Called after each round with the average and the clients' weights.

    Returns
    -------
    torch.Tensor, shape (P,)
        The last average.

    Raises
    ------
    InputError
        If there are no parts.
    """
    if not parts:
        raise InputError(worded("parts", "the data of at least one client", "none"))
    check_positive("lr", lr)
    generator = torch.Generator().manual_seed(check_count("seed", seed, low=0))
    shares = torch.tensor([float(len(x)) for x, _ in parts])
    shared = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()

    def local(part: Data) -> torch.Tensor:
        x, y = part
        torch.nn.utils.vector_to_parameters(shared.clone(), model.parameters())
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for _ in range(check_count("epochs", epochs)):
            for rows in torch.split(torch.randperm(len(x), generator=generator), batch_size):
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
                if penalty is not None and weight:
                    loss = loss + weight * penalty(torch.nn.utils.parameters_to_vector(model.parameters()), shared)
                loss.backward()
                optimizer.step()
        return torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()

    for _ in range(check_count("n_rounds", n_rounds)):
        ends = [local(part) for part in parts]
        shared = (shares / shares.sum()) @ torch.stack(ends)
        if watch is not None:
            watch(shared, ends)
    torch.nn.utils.vector_to_parameters(shared.clone(), model.parameters())
    return shared
