"""Frozen dataclasses of NumPy arrays, with methods to save and open them. This package does not use torch."""

from trajmap.data.fan import Fan
from trajmap.data.history import History
from trajmap.data.layout import Layout
from trajmap.data.plane import Plane
from trajmap.data.reduction import Reduction
from trajmap.data.results.alignment import Alignment
from trajmap.data.results.connection import Connection
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.results.null_test import NullTest
from trajmap.data.results.score_table import ScoreTable
from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.data.store.iterates import Iterates
from trajmap.data.trajectory import Trajectory

__all__ = [
    "Alignment",
    "Connection",
    "Eigenspace",
    "Fan",
    "Grid",
    "History",
    "Iterates",
    "Landscape",
    "Layout",
    "LiftGap",
    "NullTest",
    "Plane",
    "Reduction",
    "ScoreTable",
    "Trajectory",
    "VarianceSpectrum",
]
