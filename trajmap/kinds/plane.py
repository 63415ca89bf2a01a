"""A plane that was not fitted to the run, for example of random directions."""

import numpy as np

from trajmap.data.plane import Plane
from trajmap.kinds.kind import Kind

__all__ = ["PLANE"]


def _example() -> Plane:
    return Plane(np.zeros(4), np.eye(2, 4))


PLANE = Kind(
    name="plane",
    place="planes/{}",
    noun=Plane,
    order=39,
    section="",
    title="Plane",
    definition="An origin and directions in parameter space: random ones, the Hessian's, or found for their shape.",
    command="trajmap surface {run} {objective}",
    example=_example,
    no_picture="the landscape over it is its picture",
    no_finding="the landscape over it has the finding",
    follows=("length", "objective"),
)
