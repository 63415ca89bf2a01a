"""Random probes of a symmetric operator."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from trajmap.curvature.krylov import dot
from trajmap.objective.operator import Operator

__all__ = ["quadratic_forms", "random_normal", "random_signs", "random_sphere"]


def random_signs(operator: Operator, rng: np.random.Generator) -> torch.Tensor:
    """Draw a vector of random signs on the operator's device."""
    return operator.tensor(2.0 * rng.integers(0, 2, size=operator.size, dtype=np.int8) - 1)


def random_normal(operator: Operator, rng: np.random.Generator) -> torch.Tensor:
    """Draw a normal vector, generated on the operator's device."""
    generator = torch.Generator(operator.device).manual_seed(int(rng.integers(2**63)))
    return torch.randn(operator.size, generator=generator, dtype=operator.dtype, device=operator.device)


def random_sphere(operator: Operator, rng: np.random.Generator) -> torch.Tensor:
    """Draw a vector from the sphere of radius √P on the operator's device."""
    draw = rng.standard_normal(operator.size)
    return operator.tensor(draw * np.sqrt(operator.size / (draw @ draw)))


def quadratic_forms(
    operator: Operator, n: int, rng: np.random.Generator, *, project: Callable[[torch.Tensor], None] | None = None
) -> Iterator[tuple[float, float]]:
    """Draw random signs v and give vᵀAv and |Av|², whose means are tr A and tr A².

    Parameters
    ----------
    operator : Operator
        A.
    n : int
        Draws.
    rng : numpy.random.Generator
        Where they come from.
    project : callable, optional
        Changes each v in place before its product: the means are those of the projected A.

    Yields
    ------
    tuple of float
        vᵀAv and |Av|².
    """
    for _ in range(n):
        v = random_signs(operator, rng)
        if project is not None:
            project(v)
        Hv = operator.multiply(v)
        yield dot(v, Hv), dot(Hv, Hv)
