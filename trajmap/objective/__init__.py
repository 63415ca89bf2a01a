"""The loss as a function of θ: values, gradient, Hessian products. Evaluation never changes the model."""

from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.objective.predictions import function_distance, root_probabilities
from trajmap.objective.samples import sample_losses
from trajmap.objective.sampling import standard_error
from trajmap.objective.saturated_units import saturation
from trajmap.objective.strategy import Strategy

__all__ = [
    "Objective",
    "Strategy",
    "accuracy",
    "function_distance",
    "root_probabilities",
    "sample_losses",
    "saturation",
    "standard_error",
    "supervised",
]
