"""Randomness of each test's own, and a small run folder with every kind of artefact, for whatever reads one."""

import dataclasses
import random
import sys
import zlib

import numpy as np
import pytest

from trajmap.data.claim import Claim
from trajmap.data.layout import Layout
from trajmap.data.results.effective_potential import EffectivePotential
from trajmap.data.results.geodesic import Geodesic
from trajmap.data.results.landscape import Grid
from trajmap.data.results.mined_direction import MinedDirection
from trajmap.data.results.null_test import NullTest
from trajmap.data.trajectory import Trajectory
from trajmap.kinds.alignment import ALIGNMENT
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.claim import CLAIM
from trajmap.kinds.lift_gap import LIFT_GAP
from trajmap.kinds.listed import KINDS


def make_claims():
    draws = np.linspace(0, 1, 39)[None]
    return {
        "moved": Claim("moved with direction", 2.0, draws, ("isotropic steps",)),
        "order": Claim("order matters", 0.4, draws, ("steps in another order",)),
        "reproducible": Claim("reproducible", np.nan, np.empty((0, 0)), (), reason="no sister run was given"),
    }


# names of the results of kinds that are not of a chart
NAMES = {"connection": ("other",), "eigenspace": ("4",), "sensitivity": ("inputs",), "run": (), "claim": ()}


# nouns that are drawn and that no verb leaves, and those that one picture shows together
OTHERS = {
    "alignments": lambda: {name: ALIGNMENT.example() for name in ("pca", "umap")},
    "lift_gaps": lambda: {name: LIFT_GAP.example() for name in ("pca", "pca on tail", "umap", "mine")},
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
    "mined_direction": lambda: MinedDirection(np.ones(4), np.linspace(-1.5, 1.5, 7), np.linspace(-1.5, 1.5, 7) ** 2),
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
    """One of each noun, by the name of its kind, and of each that is drawn by the name of its picture."""
    found = {kind.name: make_claims() if kind is CLAIM else kind.example() for kind in KINDS}
    drawn = {kind.plot.__name__.removeprefix("plot_"): found[kind.name] for kind in KINDS if kind.plot is not None}
    return drawn | found | {"eigenvalues": found["alignment"]} | {name: make() for name, make in OTHERS.items()}


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
    for kind in KINDS:
        for name in NAMES.get(kind.name, ("pca", "umap") if kind.several else ("",)):
            artefacts.save(kind, kind.example(), name)
    for name, claim in make_claims().items():
        artefacts.save(CLAIM, claim, name)
    return folder
