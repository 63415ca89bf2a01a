"""Nouns: frozen dataclasses of NumPy arrays that know how to save and open themselves. No torch here."""

from trajmap.data.alignment import Alignment
from trajmap.data.eigenspace import Eigenspace
from trajmap.data.landscape import Grid, Landscape
from trajmap.data.layout import Layout
from trajmap.data.plane import Plane
from trajmap.data.reduction import Reduction
from trajmap.data.trajectory import Iterates, Trajectory

__all__ = [
    "Alignment",
    "Eigenspace",
    "Grid",
    "Iterates",
    "Landscape",
    "Layout",
    "Plane",
    "Reduction",
    "Trajectory",
]
