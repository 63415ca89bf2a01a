"""An autoencoder of a trajectory: a curved chart with an explicit lift."""

from typing import Any

import numpy as np

from trajmap._validation import Array, check_count, check_positive, worded
from trajmap.errors import InputError
from trajmap.reduction._base import Embedding
from trajmap.reduction._checks import check_dimension, fix_signs
from trajmap.reduction._nets import Half, forward, minimise

__all__ = ["Autoencoder"]

# with early stopping two blocks of the run, a tenth each, are held out; their starts as shares of the run
_HELD_OUT = (0.3, 0.7)


class Autoencoder(Embedding):
    """Encoder and decoder trained to return their input through d coordinates.

    Both are a linear map plus a tanh network: z = W x + f(x), x̂ = V z + g(z). The linear maps start at the principal
    components and the networks near zero, so training starts at PCA's error and lowers it. Without hidden layers it
    stays there, because PCA is the best linear autoencoder (Eckart–Young). All coordinates are divided by one common
    scale, so the loss is the squared distance in parameter space. With `standardise` each has its own scale, and late,
    small directions weigh as much as the first.

    The fit runs in torch with one seed; the fitted estimator holds only arrays. Far outside the coordinates of the
    fitted points the decoder extrapolates.

    Parameters
    ----------
    n_components : int
        d, the number of coordinates.
    hidden : tuple of int
        Widths of the encoder's hidden layers, reversed in the decoder; () for a linear autoencoder.
    max_iter : int
        Maximum number of full-batch Adam steps.
    lr : float
        Learning rate of Adam; it decays to zero along a cosine.
    standardise : bool
        Divide each coordinate by its own deviation.
    early_stopping : bool
        Hold out two blocks of the run and keep the networks with the lowest error on them.
    n_decoders : int
        Number of decoders, trained on the same coordinates from different seeds: the lift is their mean, and their
        spread is part of the uncertainty.
    random_state : int
        Seed; equal seeds give equal fits.

    Attributes
    ----------
    n_iter_ : int
        Number of steps.
    loss_curve_ : numpy.ndarray, shape (n_iter_,)
        Mean squared error relative to the variance, before each step: 1 − R² in sample.
    held_out_curve_ : numpy.ndarray, shape (n_iter_,)
        The same on the held-out blocks; empty without early stopping.

    References
    ----------
    M. Kramer, Nonlinear principal component analysis using autoassociative neural networks, 1991.

    Examples
    --------
    >>> angle = np.linspace(0, 3, 40)
    >>> arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> fitted = Autoencoder(n_components=1, max_iter=400).fit(arc)
    >>> bool(fitted.loss_curve_[-1] < 0.1 * fitted.loss_curve_[0])
    True
    """

    word, slow = "autoencoder", True
    _kept = (
        "_mean", "_scale", "_unit", "_encoder", "_decoders", "loss_curve_", "held_out_curve_", "n_iter_",
    )  # fmt: skip

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden: tuple[int, ...] = (64,),
        max_iter: int = 600,
        lr: float = 1e-2,
        standardise: bool = False,
        early_stopping: bool = False,
        n_decoders: int = 1,
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.max_iter = max_iter
        self.lr = lr
        self.standardise = standardise
        self.early_stopping = early_stopping
        self.n_decoders = n_decoders
        self.random_state = random_state

    def _check_parameters(self, X: Array) -> None:
        check_dimension(self.n_components, X)
        check_count("max_iter", self.max_iter)
        check_positive("lr", self.lr)
        check_count("random_state", self.random_state, low=0, high=2**32 - 1)
        check_count("n_decoders", self.n_decoders)
        for width in self.hidden:
            check_count("hidden", width)
        if self.early_stopping and len(X) < 10:
            got = f"n_samples = {len(X)}"
            raise InputError(worded("early_stopping", "at least 10 points for held-out blocks", got, "omit it"))

    def _fit(self, X: Array, d: int) -> Array:
        self._mean = X.mean(axis=0)
        centred = X - self._mean
        total = float(np.sqrt(np.sum(centred**2) / len(X))) or 1.0
        own = centred.std(axis=0)
        self._scale = np.where(own > 0, own, 1.0) if self.standardise else np.full(X.shape[1], total)
        points = centred / self._scale
        components = np.linalg.svd(points, full_matrices=False)[2][:d]
        components = components * fix_signs(points @ components.T)[:, None]
        self._unit = total if not self.standardise else 1.0  # coordinates in the points' units if there is only one
        self._train(points, components)
        self.n_iter_ = len(self.loss_curve_)
        return self._restrict(X)

    def _rebuild(self, points: Any) -> None:
        """Nothing follows: the fit is arrays only."""

    def _restrict(self, X: Array) -> Array:
        return forward((X - self._mean) / self._scale, *self._encoder) * self._unit

    def _lift(self, Z: Array) -> Array:
        lifted: Array = np.mean([forward(Z / self._unit, *half) for half in self._decoders], axis=0)
        return self._mean + lifted * self._scale

    def _spread(self, Z: Array) -> Array:
        """Disagreement of the decoders."""
        lifted = np.array([forward(Z / self._unit, *half) * self._scale for half in self._decoders])
        return np.sqrt(np.sum(lifted.var(axis=0), axis=1))

    def _train(self, points: Array, components: Array) -> None:
        """Train in torch, with a private random state, and keep arrays."""
        import torch

        held = self._held_out(len(points))
        data = torch.tensor(points, dtype=torch.float32)
        kept, out = data[~held], data[held]
        widths = [points.shape[1], *self.hidden, len(components)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            encoder = Half(widths, components.T)
            decoders = [Half(widths[::-1], components) for _ in range(self.n_decoders)]
        first = decoders[0]
        variance = float(data.square().sum(dim=1).mean()) if self.standardise else 1.0

        def error(some: Any) -> Any:
            return (first(encoder(some)) - some).square().sum(dim=1).mean() / variance

        curve, held_curve = minimise(
            lambda: error(kept), [encoder, first], self.max_iter, self.lr,
            judge=(lambda: float(error(out))) if self.early_stopping else None,
        )  # fmt: skip
        codes = encoder(kept).detach()
        for other in decoders[1:]:

            def own_error(half: Half = other) -> Any:
                return (half(codes) - kept).square().sum(dim=1).mean() / variance

            minimise(own_error, [other], self.max_iter, self.lr)
        self._encoder = encoder.arrays()
        self._decoders = tuple(half.arrays() for half in decoders)
        self.loss_curve_, self.held_out_curve_ = np.array(curve), np.array(held_curve)

    def _held_out(self, n: int) -> Array:
        held = np.zeros(n, dtype=bool)
        if self.early_stopping:
            for share in _HELD_OUT:
                held[int(share * n) : int(share * n) + max(1, n // 10)] = True
        return held
