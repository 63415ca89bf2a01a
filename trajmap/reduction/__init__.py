"""Embeddings of trajectories: scikit-learn estimators with ``inverse_transform``. PCA is scikit-learn's own."""

from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.lifting import fit_barycentric_lift
from trajmap.reduction.rowspace import RowSpace
from trajmap.reduction.umap import UMAP

__all__ = ["UMAP", "Autoencoder", "DiffusionMap", "RowSpace", "fit_barycentric_lift"]
