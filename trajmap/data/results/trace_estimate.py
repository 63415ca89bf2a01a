"""A trace with its error."""

import dataclasses

from trajmap.data.archive import Saved

__all__ = ["TraceEstimate"]


@dataclasses.dataclass(frozen=True)
class TraceEstimate(Saved):
    """An estimate of tr A.

    Parameters
    ----------
    value : float
        The estimate.
    error : float
        Its standard error, estimated from the same products, times a factor for their small number:
        the truth lies within two of it in about 95 cases of a hundred.
    n_products : int
        Products spent.

    Examples
    --------
    >>> print(TraceEstimate(3.14159, 0.01, 30))
    3.142 ± 0.01
    """

    value: float
    error: float
    n_products: int

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g}"
