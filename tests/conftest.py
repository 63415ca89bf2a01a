"""Randomness of each test's own, and a small run folder with every kind of artefact, for whatever reads one."""

import dataclasses
import random
import sys
import zlib

import numpy as np
import pytest

from trajmap.data.artefacts import Artefacts
from trajmap.data.claim import Claim
from trajmap.data.layout import Layout
from trajmap.data.reduction import Reduction
from trajmap.data.results.alignment import Alignment
from trajmap.data.results.asymmetry import Asymmetry
from trajmap.data.results.barriers import Barriers
from trajmap.data.results.basin_profile import BasinProfile
from trajmap.data.results.connection import Connection
from trajmap.data.results.direction_curvatures import DirectionCurvatures
from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.results.effective_potential import EffectivePotential
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.geodesic import Geodesic
from trajmap.data.results.gradient_cloud import GradientCloud
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.results.line_profiles import LineProfiles
from trajmap.data.results.loss_check import LossCheck
from trajmap.data.results.merge_tree import MergeTree
from trajmap.data.results.mined_direction import MinedDirection
from trajmap.data.results.noise_rise import NoiseRise
from trajmap.data.results.normal_profile import NormalProfile
from trajmap.data.results.null_test import NullTest
from trajmap.data.results.permutation_paths import PermutationPaths
from trajmap.data.results.persistence_diagram import PersistenceDiagram
from trajmap.data.results.sample_convergence import SampleConvergence
from trajmap.data.results.saturation import Saturation
from trajmap.data.results.score_table import ScoreTable
from trajmap.data.results.sensitivity import Sensitivity
from trajmap.data.results.solution_tree import SolutionTree
from trajmap.data.results.spectral_density import SpectralDensity
from trajmap.data.results.subspace_convergence import SubspaceConvergence
from trajmap.data.results.training_curves import TrainingCurves
from trajmap.data.results.valley_height import ValleyHeight
from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.data.results.walk_rise import WalkRise
from trajmap.data.trajectory import Trajectory


def make_landscape(*, broken=False):
    """An asymmetric bowl on a non-square grid with its minimum at (1, −1)."""
    grid = Grid((np.linspace(-2, 2, 9), np.linspace(-2, 3, 11)))
    values = (0.1 + np.sum((grid.points - [1, -1]) ** 2, axis=1)).reshape(grid.shape)
    if broken:
        values[0, 0], values[0, 1] = np.nan, np.inf
    path = np.linspace([-1.5, 2], [1, -1], 12)
    support = np.abs(grid.points.sum(axis=1)).reshape(grid.shape) < 1.5
    return Landscape(
        grid,
        values,
        path=path,
        path_values=np.linspace(9, 0.1, 12),
        lifted_values=np.linspace(9, 0.2, 12),
        distance=np.where(support, 0.1, 2.0),
        support=support,
        reach=0.5,
        name="pca",
    )


def make_alignment():
    eigenvalues = np.array([[3.0, 2, -1], [4, 2, 1], [5, 2, 0.5]])
    return Alignment(
        np.array([0.0, 4, 9]),
        eigenvalues,
        0.01 * np.ones((3, 3)),
        np.tile([0.3, 1.2], (3, 1)),
        np.array([0.5, 0.52, 0.5]),
        np.array([0.2, 0.6, 0.9]),
        np.array([0.1, 0.5, np.nan]),
        {"vector": np.array([0.01, 0.02, 0.03]), "tangent": np.array([0.01, 0.02, 0.03]), "row_space": np.full(3, 0.1)},
        size=120,
        name="pca",
    )


def make_scores():
    return ScoreTable(
        ["pca", "umap"],
        ["trustworthiness", "continuity", "error in sample", "error on blocks", "error on sister"],
        np.array([[0.99, 0.98, 0.01, 0.05, 0.2], [0.97, 0.96, np.nan, 0.3, 0.4]]),
        np.stack([np.stack([np.full(5, 0.98), np.array([0.99, 0.99, 0.2, 0.4, 2.5])] * 10, axis=1)] * 2),
        [True, True, False, False, False],
        ["", "", "", "", ""],
    )


def make_claims():
    draws = np.linspace(0, 1, 39)[None]
    return {
        "moved": Claim("moved with direction", 2.0, draws, ("isotropic steps",)),
        "order": Claim("order matters", 0.4, draws, ("steps in another order",)),
        "reproducible": Claim("reproducible", np.nan, np.empty((0, 0)), (), reason="no sister run was given"),
    }


NOUNS = {
    "claims": make_claims,
    "landscape": make_landscape,
    "variance": lambda: VarianceSpectrum(
        np.array([0.7, 0.2, 0.1]), np.full(3, 0.3), np.tile([0.6, 0.15, 0.07], (4, 1))
    ),
    "scores": make_scores,
    "alignment": make_alignment,
    "eigenvalues": make_alignment,
    "barriers": lambda: Barriers(["a", "b", "c"], np.array([[0, 0.1, 1], [0.1, 0, np.nan], [1, np.nan, 0]]), noise=0.2),
    "normal_profile": lambda: NormalProfile(
        np.linspace(-1, 1, 5),
        np.stack([np.full(5, np.nan), np.linspace(-1, 1, 5) ** 2, np.ones(5)]),
        ["downhill", "highest curvature", "random 1"],
        np.array([-1.0, 2]),
        0.0,
        0.5,
        0.0,
        "pca",
    ),
    "lines": lambda: LineProfiles(
        np.linspace(-1, 1, 5),
        np.stack([np.linspace(-1, 1, 5) ** 2 + 0.1, np.full(5, np.nan)]),
        ["mined w-peak", "random 1"],
        ["v-basin", "not finite"],
    ),
    "basins": lambda: BasinProfile(np.array([[0.0, 1, 2], [0.5, 1, 1.5]]), np.array([[1.0, 5, 9], [1, 2, 4]])),
    "density": lambda: SpectralDensity(np.array([[-1.0, 0, 5]]), np.array([[0.2, 0.7, 0.1]]), 100),
    "edge": lambda: EdgeGauge(np.arange(3.0), np.array([1.0, 3, np.nan]), np.ones(3), 4.0, "batch sharpness"),
    "trainings": lambda: TrainingCurves(np.arange(2.0), np.array([[1.0, 0.2], [1, np.nan]]), ["SGD", "dominant"]),
    "merge_tree": lambda: MergeTree(
        np.array([3, 0]),
        np.array([-1, 1]),
        np.array([0.1, 1.0]),
        np.array([np.inf, 3.0]),
        np.array([-1, 0]),
        np.array([1, 0, 0, 0, -1]),
        np.array([False, True]),
        9.0,
    ),
    "persistence": lambda: PersistenceDiagram(np.array([[0.0, np.inf], [1, 3]])),
    "sensitivity": lambda: Sensitivity(np.ones((2, 3, 4)) * np.arange(4), list("abcd")),
    "lift_gap": lambda: LiftGap(np.arange(6.0), *np.geomspace(9, 0.1, 24).reshape(4, 6), name="pca"),
    "connection": lambda: Connection(
        np.linspace(0, 1, 7),
        np.stack([1 + np.sin(np.linspace(0, np.pi, 7)), np.full(7, np.nan), np.linspace(1, 1.1, 7)]),
        np.ones(3),
        0.2,
        "other",
    ),
    "asymmetry": lambda: Asymmetry(np.array([0.0, 1]), np.ones((2, 3)), np.array([[1.0, 1, 1], [2, 3, np.nan]])),
    "direction_curvatures": lambda: DirectionCurvatures(np.linspace(0.1, 0.3, 20), 0.2, 0.05),
    "walk_rise": lambda: WalkRise(np.outer([1.0, 1.2, 0.8], np.arange(5)), 0.1, 200.0),
    "noise_rise": lambda: NoiseRise(np.array([0.1, 0.5]), np.array([[1.0, 1.1], [50, np.nan]]), 0.9),
    "permutation_paths": lambda: PermutationPaths(
        np.array([2, 8]), np.linspace(0, 1, 3), np.array([[[1.0, 2, 1]], [[1, 4, 1]]])
    ),
    "gradient_cloud": lambda: GradientCloud(np.ones((3, 4)), np.ones((3, 4)), ["saddle", "convex", "saddle"]),
    "saturation": lambda: Saturation(np.arange(3.0), np.full((3, 2), 0.5), ["1", "3"]),
    "sample_convergence": lambda: SampleConvergence(np.arange(1, 9), 1 / np.arange(1.0, 9), -1.0, 1.0, 1.0),
    "subspace_convergence": lambda: SubspaceConvergence(
        np.arange(1, 9), np.arange(1.0, 9) ** -2, 1.0, 1.1, 0.1, 0.0, 0.1
    ),
    "solution_tree": lambda: SolutionTree(
        np.array([[0.0, 1, 1, 2], [2, 3, 4, 3]]), 0.9, np.array([0.5, 0.6]), np.eye(3), ["a", "b", "c"]
    ),
    "alignments": lambda: {"pca": make_alignment(), "umap": make_alignment()},
    "lift_gaps": lambda: {name: NOUNS["lift_gap"]() for name in ("pca", "pca on tail", "umap", "mine")},
    "null_test": lambda: NullTest(5.0, np.linspace(0, 3, 39), "turns", "isotropic steps"),
    "potential": lambda: EffectivePotential(
        Grid((np.linspace(-1, 1, 5), np.linspace(0, 2, 4))),
        np.where(np.arange(20) > 3, np.linspace(0, 3, 20), np.inf).reshape(5, 4),
        20.0,
        4.0,
        0.9,
        0.8,
    ),
    "geodesic": lambda: Geodesic(np.stack([np.linspace(0, 1, 9), np.linspace(0, 1, 9) ** 2], axis=1), 1.4, 1.5, 1.3),
    "valley_height": lambda: ValleyHeight(1.0, 0.9, 1.1, 0.05, 0.15, 0.2, 0.01, 14),
    "loss_check": lambda: LossCheck(0.24, np.array([0.20, 0.19, 0.21]), "frozen"),
    "eigenspace": lambda: Eigenspace(np.array([3.0, -1]), np.eye(2, 9), np.full(2, 0.1), np.array([True, False]), 9),
    "mined_direction": lambda: MinedDirection(np.ones(4), np.linspace(-1.5, 1.5, 7), np.linspace(-1.5, 1.5, 7) ** 2),
    "embedding": lambda: Reduction(np.eye(6), np.eye(6, 2), np.eye(6), "pca"),
}


# where a run folder keeps what it has one of
SINGLE = {
    "lines": "lines",
    "valley": "lines",
    "bends": "direction_curvatures",
    "asymmetry": "asymmetry",
    "walk": "walk_rise",
    "noise": "noise_rise",
    "permutations": "permutation_paths",
    "cloud": "gradient_cloud",
    "saturation": "saturation",
    "samples": "sample_convergence",
    "subspace": "subspace_convergence",
    "solutions": "solution_tree",
    "sensitivity-inputs": "sensitivity",
    "density": "density",
    "edge": "edge",
    "trainings": "trainings",
}


@pytest.fixture
def seed(request):
    """A seed of the test's own, from its name: the same in every order and on every machine, printed when it fails."""
    own = zlib.crc32(request.node.nodeid.encode())
    request.node.add_report_section("setup", "seed", f"seed = {own}, rng = numpy.random.default_rng({own})")
    return own


@pytest.fixture
def rng(seed):
    """NumPy's generator from that seed."""
    return np.random.default_rng(seed)


@pytest.fixture(autouse=True)
def _process_generators(request):
    """What draws from the process's own generators, as a model's first weights do, depends on no test before either."""
    own = zlib.crc32(request.node.nodeid.encode())
    random.seed(own)
    np.random.seed(own)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(own)


@pytest.fixture
def nouns():
    """One of each noun that is drawn."""
    return {name: make() for name, make in NOUNS.items()}


@pytest.fixture
def run_folder(tmp_path):
    """A run of 12 iterates with every artefact, to be changed as a test likes."""
    return make_run_folder(tmp_path / "run & more")


@pytest.fixture(scope="session")
def shared_run_folder(tmp_path_factory):
    """The same for all tests that only read it or add to it."""
    return make_run_folder(tmp_path_factory.mktemp("shared") / "run & more")


def make_run_folder(folder):
    layout = Layout(("<w>",), ((40,),))
    settings = {"optimizer": {"class": "SGD", "lr": 0.1}, "model": "<script>alert(1)</script>"}
    thetas, i = np.random.default_rng(0).normal(size=(12, 40)), np.arange(12)
    scalars = {"train_loss": 2.0 / (i + 1), "val_loss": 2.5 / (i + 1), "batch_loss": np.full(12, 2.0)}
    dataclasses.replace(Trajectory.of(thetas, layout=layout, scalars=scalars), settings=settings).save(folder)
    artefacts = Artefacts.of(folder)
    for name in ("pca", "umap"):
        make_landscape().save(artefacts.path("landscapes", name))
        NOUNS["lift_gap"]().save(artefacts.path("lift_gaps", name))
        make_alignment().save(artefacts.path("comparisons", name))
        NOUNS["embedding"]().save(artefacts.path("embeddings", name))
    NOUNS["connection"]().save(artefacts.path("connections", "other"))
    make_scores().save(artefacts.path("scores"))
    for place, claim in make_claims().items():
        claim.save(artefacts.path("claims", place))
    NOUNS["variance"]().save(artefacts.path("variance"))
    for place, name in SINGLE.items():
        NOUNS[name]().save(artefacts.path(place))
    space = Eigenspace(np.array([3.0, -1]), np.eye(2, 40), np.zeros(2), np.array([True, False]), 9)
    space.save(artefacts.path("hessian", "4"))
    return folder
