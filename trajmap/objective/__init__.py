"""The loss as a function of θ: values, gradient, Hessian products. Looking changes nothing."""

from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective

__all__ = ["Objective", "accuracy", "supervised"]
