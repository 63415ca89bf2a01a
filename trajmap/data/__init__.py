"""Nouns: frozen dataclasses of NumPy arrays that know how to save and open themselves. No torch here."""

from trajmap.data.alignment import Alignment
from trajmap.data.artefacts import Artefacts
from trajmap.data.connection import Connection
from trajmap.data.eigenspace import Eigenspace
from trajmap.data.fan import Fan
from trajmap.data.history import History
from trajmap.data.iterates import Iterates
from trajmap.data.landscape import Grid, Landscape
from trajmap.data.layout import Layout
from trajmap.data.lift_gap import LiftGap
from trajmap.data.null_test import NullTest
from trajmap.data.plane import Plane
from trajmap.data.reduction import Reduction
from trajmap.data.score_table import ScoreTable
from trajmap.data.trajectory import Trajectory
from trajmap.data.variance_spectrum import VarianceSpectrum

__all__ = [
    "Alignment",
    "Artefacts",
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
