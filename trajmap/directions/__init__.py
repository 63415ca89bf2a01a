"""Flat charts: functions that return a Plane."""

from trajmap.data.normalise import filter_norm, layer_norm, model_norm, no_norm, tensor_norm
from trajmap.directions.gradient import gradient_plane
from trajmap.directions.hessian import hessian_plane
from trajmap.directions.interpolation import interpolation_plane
from trajmap.directions.mining import mine_direction, mine_ring, mine_saddle, v_side, vvv_basin, w_basin, w_peak
from trajmap.directions.principal import principal_plane
from trajmap.directions.random import random_plane

__all__ = [
    "filter_norm",
    "gradient_plane",
    "hessian_plane",
    "interpolation_plane",
    "layer_norm",
    "mine_direction",
    "mine_ring",
    "mine_saddle",
    "model_norm",
    "no_norm",
    "principal_plane",
    "random_plane",
    "tensor_norm",
    "v_side",
    "vvv_basin",
    "w_basin",
    "w_peak",
]
