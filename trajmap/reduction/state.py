"""What a fit found, as arrays and plain values: kept in a file and brought back without another fit."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression

from trajmap._validation import Array, worded
from trajmap.errors import InputError, RunFormatError

__all__ = ["Stateful", "restore", "settle", "state_of"]

_CLASS = "class"


class Stateful(ABC):
    """A fitted object that names the attributes that hold the fit, and makes all others from them.

    A member names the attributes in ``_kept``: arrays, plain values, tuples of them, or other things of this family.
    What cannot be kept, as a tree of neighbours, is made in `_rebuild`, by fit and by loading alike.
    """

    _kept: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def _rebuild(self, points: Any) -> None:
        """Make what follows from the kept attributes, and from the points of the fit where these are not kept."""


# fitted estimators of scikit-learn that a chart may consist of, and what they keep
_FOREIGN: dict[type, tuple[str, ...]] = {
    PCA: ("components_", "mean_", "explained_variance_", "explained_variance_ratio_", "singular_values_",
          "noise_variance_", "n_components_", "n_samples_", "n_features_in_"),
    LinearRegression: ("coef_", "intercept_", "n_features_in_"),
    KernelRidge: ("dual_coef_", "X_fit_", "n_features_in_"),
}  # fmt: skip


def state_of(fitted: Any) -> dict[str, Any]:
    """List what a fitted estimator consists of.

    Parameters
    ----------
    fitted : estimator
        One of ``trajmap.reduction``, or scikit-learn's PCA.

    Returns
    -------
    dict
        Its class, its parameters and what the fit found: arrays, plain values, tuples and dicts of them. An estimator
        that was not fitted has parameters only.

    Raises
    ------
    InputError
        If the estimator is of another class, or a parameter is a function.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> X = np.random.default_rng(0).normal(size=(9, 3))
    >>> fitted = PCA(2).fit(X)
    >>> again = restore(state_of(fitted))
    >>> bool(np.allclose(again.transform(X), fitted.transform(X), rtol=0, atol=1e-14))
    True
    """
    if not isinstance(fitted, (Stateful, *_FOREIGN)):
        raise InputError(worded("chart", "an estimator of trajmap.reduction, or PCA", fitted, "keep its parameters"))
    parameters = fitted.get_params(deep=False) if isinstance(fitted, BaseEstimator) else {}
    kept = {name: value for name in _names(type(fitted)) if (value := vars(fitted).get(name, _ABSENT)) is not _ABSENT}
    return {
        _CLASS: type(fitted).__name__,
        "parameters": {name: _packed(name, value) for name, value in parameters.items()},
        "fitted": {name: _packed(name, value) for name, value in kept.items()},
    }


def restore(state: Mapping[str, Any], points: Any = None) -> Any:
    """Make a fitted estimator of what `state_of` said; nothing is fitted.

    Parameters
    ----------
    state : mapping
        The state.
    points : Iterates or array-like, optional
        The points of the fit, for a `RowSpace`, which does not keep them.

    Returns
    -------
    estimator
        What it gives equals what the fitted one gave, to the bit.

    Raises
    ------
    RunFormatError
        If the class is not known, or the state is damaged.
    """
    try:
        known = {cls.__name__: cls for cls in (*_members(Stateful), *_FOREIGN)}
        cls = known[state[_CLASS]]
        parameters = {name: _unpacked(value, points) for name, value in state["parameters"].items()}
        made: Any = cls(**parameters) if issubclass(cls, BaseEstimator) else object.__new__(cls)
        for name, value in state["fitted"].items():
            if name not in _names(cls):
                raise RunFormatError(f"chart: expected the attributes of a {cls.__name__}, got {name}")
            setattr(made, name, _unpacked(value, points))
        if isinstance(made, Stateful) and state["fitted"]:
            made._rebuild(points)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise RunFormatError(f"chart: expected the state of a fitted chart, got {error!r}") from error
    return made


def settle(fitted: Stateful, points: Any = None) -> None:
    """Bring kept arrays into the order in which a file gives them back, then make the rest: a fit ends with this.

    The last bits of a product depend on how its factors lie in memory.
    """
    for name in _names(type(fitted)):
        value = vars(fitted).get(name)
        if isinstance(value, np.ndarray):
            setattr(fitted, name, _contiguous(value))
    fitted._rebuild(points)


_ABSENT = object()


def _names(cls: type) -> tuple[str, ...]:
    """Names of what a class keeps, its bases' included."""
    if cls in _FOREIGN:
        return _FOREIGN[cls]
    return tuple(dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base).get("_kept", ())))


def _members(cls: type) -> list[type]:
    below: list[type] = cls.__subclasses__()
    return [found for member in below for found in (member, *_members(member))]


def _contiguous(array: Array) -> Array:
    return np.ascontiguousarray(array) if array.ndim else array


def _packed(name: str, value: Any) -> Any:
    if isinstance(value, (Stateful, *_FOREIGN)):
        return state_of(value)
    if isinstance(value, np.ndarray):
        return _contiguous(value)
    if isinstance(value, (tuple, list)):
        return tuple(_packed(name, part) for part in value)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise InputError(worded(name, "arrays and plain values in a chart that is kept", value))


def _unpacked(value: Any, points: Any) -> Any:
    if isinstance(value, Mapping):
        return restore(value, points)
    if isinstance(value, tuple):
        return tuple(_unpacked(part, points) for part in value)
    return value
