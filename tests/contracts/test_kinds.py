"""Every kind of result is declared once and whole: reader, definition, picture and finding, or why there is none."""

import importlib
import io
import pathlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

import trajmap.data
import trajmap.kinds
from trajmap.cli import main
from trajmap.data.archive import Saved
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, RunFormatError
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.claim import CLAIM
from trajmap.kinds.eigenspace import EIGENSPACE
from trajmap.kinds.kind import Context
from trajmap.kinds.landscape import LANDSCAPE
from trajmap.kinds.listed import KINDS, open_result
from trajmap.kinds.scores import SCORES

each = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)

# nouns that functions of the library return and no verb leaves: parts of others, or of one point that the caller chose
NOT_KEPT = {
    "Grid": "the axes of a landscape",
    "LineClass": "the class of one line, a word of its line profiles",
    "MinedDirection": "one line of the line profiles",
    "NullTest": "the null of a score, a cell of the score table",
    "CriticalSharpness": "one iterate of the edge gauge",
    "Pullback": "of one point of a chart",
    "Geodesic": "between two points of a chart",
    "EffectivePotential": "of one landscape, of a temperature that the caller chooses",
    "TraceEstimate": "one number with its error, printed with the spectral density",
    "SpectralGap": "two numbers, printed with the spectral density",
    "ScalarCurvature": "one number of one point, which no verb asks for",
    "CurvatureClass": "one end of a gradient walk, counted by the gradient cloud",
    "Stagnation": "two numbers of one walk, printed with the gradient cloud",
    "BatchGradients": "rows of P numbers, input of other results",
    "SampleQuadratics": "one row per sample, input of the subspace convergence",
    "MatchedWeights": "P numbers, input of a connection",
    "StationaryCheck": "needs batch gradients, which no verb computes",
    "DriftShare": "needs branches, which no verb trains",
    "QuadraticHorizon": "one iterate of a run, which no verb asks for",
    "EigenspaceDrift": "a summary of the eigenspaces along a run, which are kept",
    "RankAgreement": "one number per order, printed with the sensitivity",
    "KernelSlope": "a bandwidth, parameter of a diffusion map",
    "IntensiveCoordinates": "coordinates of predictions, which no verb records",
}


def example(kind):
    return {("4" if kind is EIGENSPACE else "pca") if kind.several else "": kind.example()}


@pytest.fixture
def context(tmp_path):
    return Context(Trajectory.of(np.eye(5)), Artefacts.of(tmp_path))


def test_the_folder_is_the_list():
    files = {path.stem for path in pathlib.Path(trajmap.kinds.__file__).parent.glob("*.py")}
    assert files - {"__init__", "artefacts", "finding", "kind", "listed"} == {kind.name for kind in KINDS}
    for values in zip(*[(kind.name, kind.place, kind.order) for kind in KINDS], strict=True):
        assert len(set(values)) == len(KINDS), "names, places and orders are told apart"
    assert [kind.order for kind in KINDS] == sorted(kind.order for kind in KINDS)


@each
def test_is_declared_whole(kind):
    assert kind.title
    assert kind.definition.endswith(".")
    assert (kind.plot is None) == bool(kind.no_picture)
    assert kind.plot is None or kind.alternative
    found = list(kind.findings(example(kind), Context(Trajectory.of(np.eye(5)), Artefacts.of("nowhere"))))
    assert bool(found) != bool(kind.no_finding), "a finding, or a reason why there is none"
    for finding in found:
        assert finding.sentence.rstrip().endswith(".")
        assert finding.holds in {"", "yes", "no", "unknown"}
    assert "\n" not in kind.command


@each
def test_its_command_is_a_verb(kind, capsys):
    if not kind.command:
        return
    program, verb, *_ = kind.command.split()
    assert program == "trajmap"
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in kind.command.format(run="RUN", objective="--objective FILE.py:FUNCTION").split()[2:]:
        assert not word.startswith("--") or word in text


@each
def test_is_kept_and_opened_by_its_own_manifest(kind, tmp_path):
    if not kind.place:
        return
    artefacts = Artefacts.of(tmp_path)
    name = "pca" if kind.several else ""
    assert artefacts.one(kind, name) is None
    path = artefacts.save(kind, kind.example(), name)
    assert path == tmp_path / "artefacts" / f"{kind.at(name)}.npz"
    assert isinstance(open_result(path), kind.noun)
    assert list(artefacts.all(kind)) == [name] == artefacts.names(kind)
    others = [other for other in KINDS if other is not kind and other.place and artefacts.names(other)]
    assert others == [], "no other kind takes the file for its own"


@each
def test_its_picture_is_drawn_of_the_example(kind, context):
    for drawn, _ in kind.pictures(kind.shown(example(kind))).values():
        assert kind.caption(drawn)
        figure = Figure()
        ax = figure.add_subplot()
        assert kind.plot(drawn, ax=ax) is ax
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        assert len(stream.getvalue()) > 3000


def test_every_noun_that_can_be_saved_has_a_kind():
    for module in pkgutil.walk_packages(trajmap.data.__path__, "trajmap.data."):
        importlib.import_module(module.name)
    nouns = {noun.__name__ for noun in Saved.__subclasses__() if noun.__module__.startswith("trajmap.")}
    kept = {kind.noun.__name__ for kind in KINDS}
    assert nouns - kept == set(NOT_KEPT)
    assert all(NOT_KEPT.values())


def test_kinds_cost_no_matplotlib_and_no_torch():
    heavy = ("matplotlib", "torch", "sklearn", "plotly")
    code = f"import sys, trajmap.kinds; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_are_names():
    for wrong in ("", "..", "a/b", "a\\b"):
        with pytest.raises(InputError, match="name of a landscape"):
            LANDSCAPE.at(wrong)
    with pytest.raises(InputError, match="no name"):
        SCORES.at("pca")


def test_a_file_of_no_kind_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.arange(3))
    with pytest.raises(RunFormatError, match="manifest"):
        open_result(tmp_path / "x.npz")


def test_claims_come_in_order():
    claims = dict.fromkeys(("loss", "chart-pca", "order", "moved"))
    assert list(CLAIM.shown(claims)) == ["moved", "order", "loss", "chart-pca"]
