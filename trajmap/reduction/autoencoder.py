"""An autoencoder of a trajectory: a curved chart with an explicit lift."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap._validation import Array, check_count, check_positive
from trajmap.reduction._base import Embedding
from trajmap.reduction._checks import check_dimension, fix_signs

if TYPE_CHECKING:
    import torch

__all__ = ["Autoencoder"]

Layers = list[tuple[Array, Array]]


class Autoencoder(Embedding):
    """Encoder and decoder trained to return their input through d coordinates.

    Each is a linear map plus a tanh network: z = W x + f(x), x̂ = V z + g(z). The linear maps start at the
    principal components and the networks near zero, so training starts at PCA's error and goes down from it;
    without hidden layers it stays there, as PCA is the best linear autoencoder (Eckart–Young). All coordinates
    are divided by one common scale, so the loss is the squared distance in parameter space; scaling them one by
    one would weigh late, small directions as much as the first.

    The fit runs in torch on one seed; the fitted estimator is plain arrays. Far outside the coordinates of the
    fitted points the decoder extrapolates.

    Parameters
    ----------
    n_components : int
        d, the number of coordinates.
    hidden : tuple of int
        Widths of the encoder's hidden layers, reversed in the decoder; () for a linear autoencoder.
    max_iter : int
        Full-batch Adam steps at most.
    learning_rate : float
        Of Adam; it decays to zero along a cosine.
    random_state : int
        Seed; two fits agree.

    Attributes
    ----------
    n_iter_ : int
        Steps made.
    loss_curve_ : numpy.ndarray, shape (n_iter_,)
        Mean squared error relative to the variance, before each step: 1 − R² in sample.

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

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden: tuple[int, ...] = (64,),
        max_iter: int = 600,
        learning_rate: float = 1e-2,
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.random_state = random_state

    def _check_parameters(self, X: Array) -> None:
        check_dimension(self.n_components, X)
        check_count("max_iter", self.max_iter)
        check_positive("learning_rate", self.learning_rate)
        check_count("random_state", self.random_state, low=0, high=2**32 - 1)
        for width in self.hidden:
            check_count("hidden", width)

    def _fit(self, X: Array, d: int) -> None:
        self._mean = X.mean(axis=0)
        centred = X - self._mean
        self._scale = float(np.sqrt(np.sum(centred**2) / len(X))) or 1.0
        points = centred / self._scale
        components = np.linalg.svd(points, full_matrices=False)[2][:d]
        components = components * fix_signs(points @ components.T)[:, None]
        self._encoder, self._decoder, curve = self._train(points, components)
        self.loss_curve_ = np.array(curve)
        self.n_iter_ = len(curve)

    def _restrict(self, X: Array) -> Array:
        return _forward((X - self._mean) / self._scale, *self._encoder) * self._scale

    def _lift(self, Z: Array) -> Array:
        return self._mean + _forward(Z / self._scale, *self._decoder) * self._scale

    def _train(self, points: Array, components: Array) -> tuple[Any, Any, list[float]]:
        """Train in torch, on a random state of our own, and return arrays."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            widths = [points.shape[1], *self.hidden, len(components)]
            encoder = _Half(widths, components.T)
            decoder = _Half(widths[::-1], components)
        data = torch.tensor(points, dtype=torch.float32)
        curve = _minimise(
            lambda: (decoder(encoder(data)) - data).square().sum(dim=1).mean(),
            [*encoder.tensors, *decoder.tensors],
            self.max_iter,
            self.learning_rate,
        )
        return encoder.arrays(), decoder.arrays(), curve


class _Half:
    """A linear map plus a tanh network whose last layer starts at a tenth of the customary size."""

    def __init__(self, widths: list[int], linear: Array) -> None:
        import torch

        self.linear = torch.tensor(linear, dtype=torch.float32, requires_grad=True)
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        for fan_in, fan_out in itertools.pairwise(widths) if len(widths) > 2 else ():
            weight = torch.randn(fan_in, fan_out) / np.sqrt(fan_in)
            self.layers.append((weight.requires_grad_(), torch.zeros(fan_out, requires_grad=True)))
        if self.layers:
            self.layers[-1][0].data.mul_(0.1)

    @property
    def tensors(self) -> "list[torch.Tensor]":
        return [self.linear, *itertools.chain.from_iterable(self.layers)]

    def __call__(self, x: "torch.Tensor") -> "torch.Tensor":
        out = x @ self.linear
        for i, (weight, bias) in enumerate(self.layers):
            x = x @ weight + bias
            x = x.tanh() if i < len(self.layers) - 1 else x
        return out + x if self.layers else out

    def arrays(self) -> tuple[Array, Layers]:
        def array(tensor: "torch.Tensor") -> Array:
            values: Array = tensor.detach().numpy().astype(np.float64)
            return values

        return array(self.linear), [(array(weight), array(bias)) for weight, bias in self.layers]


def _minimise(
    loss: "Callable[[], torch.Tensor]", tensors: "list[torch.Tensor]", max_iter: int, learning_rate: float
) -> list[float]:
    """Run Adam with a cosine decay and return the loss before each step."""
    import torch

    optimizer = torch.optim.Adam(tensors, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max_iter)
    curve = []
    for _ in range(max_iter):
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        curve.append(float(value.detach()))
    return curve


def _forward(x: Array, linear: Array, layers: Layers) -> Array:
    """Run a half in float64."""
    out: Array = x @ linear
    for i, (weight, bias) in enumerate(layers):
        x = x @ weight + bias
        x = np.tanh(x) if i < len(layers) - 1 else x
    return out + x if layers else out
