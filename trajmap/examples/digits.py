"""Train a small network on scikit-learn's digits and record it."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from trajmap._registry import pick
from trajmap._validation import check_count, check_positive, worded
from trajmap.errors import InputError
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.recording.recorder import Recorder

__all__ = ["MODELS", "OPTIMIZERS", "digits_split", "make_model", "objective", "train"]

Split = tuple[torch.Tensor, torch.Tensor]


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 12, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 4, 10),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {"mlp": _mlp, "cnn": _cnn}

# customary learning rate, and how to make the optimizer
OPTIMIZERS: dict[str, tuple[float, Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]]] = {
    "sgd": (0.05, lambda parameters, lr: torch.optim.SGD(parameters, lr=lr)),
    "momentum": (0.02, lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9)),
    "adam": (2e-3, lambda parameters, lr: torch.optim.Adam(parameters, lr=lr)),
    "adamw": (2e-3, lambda parameters, lr: torch.optim.AdamW(parameters, lr=lr)),
}


def digits_split(*, validation: float = 0.25, seed: int = 0) -> tuple[Split, Split]:
    """Split the 1797 digits into a training and a validation part, stratified by class.

    Parameters
    ----------
    validation : float
        Share held out, in (0, 1).
    seed : int
        Seed of the split.

    Returns
    -------
    train, validation : tuple of torch.Tensor
        Each ``(x, y)``: pixels in [0, 1], float32 of shape (n, 64), and classes, int64 of shape (n,).

    Raises
    ------
    InputError
        If the share leaves a part too small to hold every class.

    Examples
    --------
    >>> (x, y), (x_val, _) = digits_split()
    >>> tuple(x.shape), len(x_val)
    ((1347, 64), 450)
    """
    if not 0.01 <= check_positive("validation", validation) <= 0.99:
        raise InputError(worded("validation", "a share in [0.01, 0.99]", validation))
    seed = check_count("seed", seed, low=0)
    x, y = load_digits(return_X_y=True)
    pixels, classes = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    x, x_val, y, y_val = train_test_split(pixels, classes, test_size=validation, random_state=seed, stratify=y)
    return (x, y), (x_val, y_val)


def make_model(name: str = "mlp", *, seed: int = 0) -> nn.Module:
    """Make a network with seeded weights; the process's random state does not change.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    seed : int
        Seed of the weights.

    Returns
    -------
    torch.nn.Module
        The network, 64 inputs and 10 outputs.

    Raises
    ------
    InputError
        If the name is unknown or the seed is not an integer.

    Examples
    --------
    >>> sum(parameter.numel() for parameter in make_model("mlp").parameters())
    4810
    """
    make = pick("model", name, MODELS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_count("seed", seed, low=0))
        model: nn.Module = make()
    return model


def train(
    path: str | os.PathLike[str],
    *,
    model: str = "mlp",
    optimizer: str = "sgd",
    lr: float | None = None,
    epochs: int = 20,
    batch_size: int = 32,
    init_seed: int = 0,
    order_seed: int = 0,
    every: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Train on the digits and record the run, with training and validation scores at each iterate.

    Runs of one `init_seed` and several `order_seed` are sisters: they start from the same weights. Scalars:
    ``train_loss`` on the whole training part, ``val_loss`` and ``val_accuracy`` on the validation part,
    ``batch_loss`` of the step (before its update) and ``lr``.

    Parameters
    ----------
    path : path-like
        The run folder; an existing run is replaced.
    model, optimizer : str
        Keys of `MODELS` and `OPTIMIZERS`.
    lr : float, optional
        Learning rate; the optimizer's usual one by default.
    epochs, batch_size : int
        Length of the run.
    init_seed, order_seed : int
        Seeds of the weights and of the batch order.
    every : int, optional
        Record after every `every`-th step; by default so that the run has about 400 iterates.
    progress : callable, optional
        Called with the number of steps done and the total.

    Returns
    -------
    pathlib.Path
        The run folder.

    Raises
    ------
    InputError
        If a name is unknown or a number out of range, before anything is written.
    """
    customary, make = pick("optimizer", optimizer, OPTIMIZERS)
    rate = customary if lr is None else check_positive("lr", lr)
    train_part, validation_part = digits_split()
    n = len(train_part[0])
    batch_size = check_count("batch_size", batch_size, high=n)
    steps = check_count("epochs", epochs) * (n // batch_size)
    network = make_model(model, seed=init_seed)
    algorithm = make(network.parameters(), rate)
    order = torch.Generator().manual_seed(check_count("order_seed", order_seed, low=0))
    every = max(1, round(steps / 400)) if every is None else check_count("every", every)
    settings = {
        "example": {"name": "digits", "model": model, "optimizer": optimizer, "lr": rate, "epochs": epochs},
        "batch_size": batch_size,
        "init_seed": init_seed,
        "order_seed": order_seed,
    }
    with Recorder(network, path, every=every, overwrite=True, settings=settings).attach(algorithm) as recorder:
        recorder.record(_scores(network, train_part, validation_part))
        for step in range(1, steps + 1):
            if (step - 1) % (n // batch_size) == 0:
                epoch = torch.randperm(n, generator=order)
            rows = epoch[((step - 1) * batch_size) % (n // batch_size * batch_size) :][:batch_size]
            algorithm.zero_grad()
            loss = nn.functional.cross_entropy(network(train_part[0][rows]), train_part[1][rows])
            loss.backward()
            algorithm.step()
            if step % every == 0 or step == steps:
                scores = _scores(network, train_part, validation_part)
                recorder.record({"batch_loss": loss.item(), **scores})
            if progress is not None:
                progress(step, steps)
    return Path(path)


@torch.no_grad()
def _scores(network: nn.Module, *parts: Split) -> dict[str, float]:
    """Loss on the training part; loss and accuracy on the validation part."""
    (x, y), (x_val, y_val) = parts
    held_out = network(x_val)
    return {
        "train_loss": nn.functional.cross_entropy(network(x), y).item(),
        "val_loss": nn.functional.cross_entropy(held_out, y_val).item(),
        "val_accuracy": (held_out.argmax(dim=1) == y_val).double().mean().item(),
    }


def objective(*, model: str = "mlp", held_out: bool = False, dtype: torch.dtype | None = None) -> Objective:
    """Make the objective of a digits run: cross-entropy on the whole training or validation part.

    Parameters
    ----------
    model : str
        A key of `MODELS`.
    held_out : bool
        Use the validation part.
    dtype : torch.dtype, optional
        Precision; float32 by default.

    Returns
    -------
    Objective
        The objective, with the metric ``accuracy``.
    """
    part: Any = digits_split()[1 if held_out else 0]
    loss = supervised(nn.functional.cross_entropy)
    return Objective(make_model(model), loss, [part], metrics={"accuracy": accuracy}, dtype=dtype)
