"""Surrogates of a run: a walk, a run without drift, or a pull to a centre.

Each function maps isometric coordinates of a run to those of a surrogate with the same number of points. The Gram
matrix of a surrogate's steps is M K Mᵀ with the run's own K or an isotropic one, so the cost is independent of P.
"""

from collections.abc import Callable

import numpy as np

from trajmap._validation import Array, check_count, worded
from trajmap.errors import InputError
from trajmap.scores.null import random_walk, signed_steps, step_norms
from trajmap.scores.relaxation import fit_relaxation

__all__ = ["SURROGATES", "Surrogate", "block_shuffles", "ornstein_uhlenbeck", "sign_flips", "walks"]

Surrogate = Callable[[Array, int, np.random.Generator], Array]


def walks(X: Array, size: int, rng: np.random.Generator) -> Array:
    """Isotropic random walk in R^size with the run's own step norms, in their order.

    Parameters
    ----------
    X : numpy.ndarray, shape (T, r)
        Isometric coordinates of the run.
    size : int
        P.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray, shape (T, T − 1)
        Coordinates of the surrogate.

    References
    ----------
    J. Antognini, J. Sohl-Dickstein, PCA of high dimensional random walks, 2018.
    """
    return random_walk(step_norms(X), size, random_state=rng)


def sign_flips(X: Array, size: int, rng: np.random.Generator) -> Array:
    """Take each step forwards or backwards at random: the noise of the run without its drift.

    Parameters
    ----------
    X : numpy.ndarray, shape (T, r)
        Isometric coordinates of the run.
    size : int
        Not used.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray, shape (T, r)
        Coordinates of the surrogate; step norms and their covariance are the run's.
    """
    steps = np.diff(X, axis=0)
    return _summed(signed_steps(rng, steps))


def block_shuffles(X: Array, size: int, rng: np.random.Generator, *, block: int | None = None) -> Array:
    """Permute blocks of steps with their norms: short memory is kept, long memory is lost.

    Parameters
    ----------
    X : numpy.ndarray, shape (T, r)
        Isometric coordinates of the run.
    size : int
        Not used.
    rng : numpy.random.Generator
        Source of randomness.
    block : int, optional
        Steps per block; √T by default.

    Returns
    -------
    numpy.ndarray, shape (T, r)
        Coordinates of the surrogate.
    """
    steps = np.diff(X, axis=0)
    block = round(len(steps) ** 0.5) if block is None else check_count("block", block)
    first = int(rng.integers(block))  # a random phase, so that no block boundary is special
    edges = np.arange(first, len(steps), block)
    pieces = [piece for piece in np.split(np.arange(len(steps)), edges) if len(piece)]
    order = np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])
    return _summed(steps[order])


def ornstein_uhlenbeck(X: Array, size: int, rng: np.random.Generator) -> Array:
    """Simulate a pull towards a centre plus noise, both fitted to the run, from the run's start.

    x_{t+1} = x_t − a (x_t − μ) + e_t, with a and μ from `fit_relaxation`. The noise is the run's own residuals with
    random signs, which keep their norms and covariance. A run that only relaxes to its minimum and fluctuates there has
    this form.

    Parameters
    ----------
    X : numpy.ndarray, shape (T, r)
        Isometric coordinates of the run.
    size : int
        Not used.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray, shape (T, r)
        Coordinates of the surrogate.
    """
    path = fit_relaxation([X]).draw(rng)[0]
    return path - path.mean(axis=0)


SURROGATES: dict[str, Surrogate] = {
    "walks": walks,
    "sign flips": sign_flips,
    "block shuffles": block_shuffles,
    "Ornstein-Uhlenbeck": ornstein_uhlenbeck,
}


def check_run(X: Array) -> Array:
    """Check the coordinates of a run for surrogates."""
    if X.ndim != 2 or len(X) < 4:
        raise InputError(worded("X", "at least 4 points", X))
    if not np.isfinite(X).all():
        raise InputError(worded("X", "finite numbers", "NaN or inf", "trajectory.finite() removes these"))
    return X


def check_size(size: int | None) -> int:
    """Check P, which cannot be read from coordinates; walks in fewer dimensions are nearer to anything."""
    if size is None:
        raise InputError(worded("size", "the number of parameters P", "nothing", "pass size=trajectory.size"))
    return check_count("size", size)


def _summed(steps: Array) -> Array:
    points = np.vstack([np.zeros(steps.shape[1]), np.cumsum(steps, axis=0)])
    return points - points.mean(axis=0)
