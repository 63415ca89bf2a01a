"""Embeddings of trajectories: scikit-learn estimators with ``inverse_transform``, and lifts for any of them."""

from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.bandwidth import (
    berry_giannakis_harlim,
    connecting_distance,
    kernel_slope,
    median_distance,
    neighbour_distance,
)
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.gaussian_process import GaussianProcessLift
from trajmap.reduction.independence import coordinate_residuals, independent_coordinates
from trajmap.reduction.information import bhattacharyya_distances, intensive_pca
from trajmap.reduction.lifted import Lifted
from trajmap.reduction.lifting import fit_barycentric_lift
from trajmap.reduction.lifts import BarycentricLift, KernelRidgeLift, LinearLift, ThinPlateLift
from trajmap.reduction.phate import Phate
from trajmap.reduction.principal import PrincipalComponents
from trajmap.reduction.rowspace import RowSpace
from trajmap.reduction.umap import UMAP

__all__ = [
    "UMAP",
    "Autoencoder",
    "BarycentricLift",
    "DiffusionMap",
    "GaussianProcessLift",
    "KernelRidgeLift",
    "Lifted",
    "LinearLift",
    "Phate",
    "PrincipalComponents",
    "RowSpace",
    "ThinPlateLift",
    "berry_giannakis_harlim",
    "bhattacharyya_distances",
    "connecting_distance",
    "coordinate_residuals",
    "fit_barycentric_lift",
    "independent_coordinates",
    "intensive_pca",
    "kernel_slope",
    "median_distance",
    "neighbour_distance",
]
