"""The loss as a function of θ: values, gradient, Hessian products. Looking changes nothing."""

from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.objective.predictions import root_probabilities
from trajmap.objective.sampling import standard_error
from trajmap.objective.strategy import Strategy

__all__ = ["Objective", "Strategy", "accuracy", "root_probabilities", "standard_error", "supervised"]
