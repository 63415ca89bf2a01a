"""Every noun saves and opens as itself, keeps NaN, is read-only, and refuses what is not its own."""

import dataclasses
import inspect
import json
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from trajmap import plots
from trajmap.data.archive import Saved
from trajmap.data.claim import Claim
from trajmap.data.plane import Plane
from trajmap.data.reduction import Reduction
from trajmap.data.results.alignment import Alignment
from trajmap.data.results.asymmetry import Asymmetry
from trajmap.data.results.barriers import Barriers
from trajmap.data.results.basin_profile import BasinProfile
from trajmap.data.results.batch_gradients import BatchGradients
from trajmap.data.results.connection import Connection
from trajmap.data.results.critical_points import CriticalPoints
from trajmap.data.results.critical_sharpness import CriticalSharpness
from trajmap.data.results.curvature_class import CurvatureClass
from trajmap.data.results.direction_curvatures import DirectionCurvatures
from trajmap.data.results.drift_share import DriftShare
from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.results.effective_potential import EffectivePotential
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.eigenspace_drift import EigenspaceDrift
from trajmap.data.results.geodesic import Geodesic
from trajmap.data.results.gradient_cloud import GradientCloud
from trajmap.data.results.intensive_coordinates import IntensiveCoordinates
from trajmap.data.results.kernel_slope import KernelSlope
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.results.line_class import LineClass
from trajmap.data.results.line_profiles import LineProfiles
from trajmap.data.results.loss_check import LossCheck
from trajmap.data.results.matched_weights import MatchedWeights
from trajmap.data.results.merge_tree import MergeTree
from trajmap.data.results.mined_direction import MinedDirection
from trajmap.data.results.noise_rise import NoiseRise
from trajmap.data.results.normal_profile import NormalProfile
from trajmap.data.results.null_test import NullTest
from trajmap.data.results.permutation_paths import PermutationPaths
from trajmap.data.results.persistence_diagram import PersistenceDiagram
from trajmap.data.results.pullback import Pullback
from trajmap.data.results.quadratic_horizon import QuadraticHorizon
from trajmap.data.results.rank_agreement import RankAgreement
from trajmap.data.results.sample_convergence import SampleConvergence
from trajmap.data.results.sample_quadratics import SampleQuadratics
from trajmap.data.results.saturation import Saturation
from trajmap.data.results.scalar_curvature import ScalarCurvature
from trajmap.data.results.score_table import ScoreTable
from trajmap.data.results.sensitivity import Sensitivity
from trajmap.data.results.solution_tree import SolutionTree
from trajmap.data.results.spectral_density import SpectralDensity
from trajmap.data.results.spectral_gap import SpectralGap
from trajmap.data.results.stagnation import Stagnation
from trajmap.data.results.stationary_check import StationaryCheck
from trajmap.data.results.subspace_convergence import SubspaceConvergence
from trajmap.data.results.trace_estimate import TraceEstimate
from trajmap.data.results.training_curves import TrainingCurves
from trajmap.data.results.valley_height import ValleyHeight
from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.data.results.walk_rise import WalkRise
from trajmap.errors import InputError, MissingExtraError, RunFormatError
from trajmap.plots.inline import picture_of


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape)


GRID = Grid((np.array([0.0, 1, 2]), np.array([0.0, 1])))
VALUES = np.array([[1.0, np.nan], [2, np.inf], [3, 4]])
PAIRS = numbers(2, 3)
BASELINES = {"vector": np.arange(3.0), "tangent": np.arange(3.0), "row_space": np.ones(3)}
LINKAGE = np.array([[0.0, 1, 1, 2], [2, 3, 2, 3]])
NOUNS = {
    "grid": GRID,
    "landscape": Landscape(
        GRID, VALUES, path=PAIRS[:, :2], path_values=PAIRS[:, 0], support=VALUES < 3, reach=0.5, name="é"
    ),
    "bare landscape": Landscape(GRID, VALUES, metrics={"accuracy": VALUES}),
    "landscape with a scale": Landscape(GRID, VALUES, scale=np.array([2.0, np.nan])),
    "loss check": LossCheck(1.0, np.arange(3.0), "frozen"),
    "plane": Plane(numbers(5), numbers(2, 5)),
    "reduction": Reduction(numbers(4, 3), numbers(4, 2), numbers(4, 3), "pca"),
    "eigenspace": Eigenspace(np.ones(2), np.eye(2, 6), np.zeros(2), np.array([True, False]), 7),
    "alignment": Alignment(
        np.arange(2.0),
        PAIRS,
        PAIRS,
        PAIRS[:, :2],
        *PAIRS.T,
        {"vector": np.arange(3.0), "tangent": np.arange(3.0), "row_space": np.ones(3)},
        size=9,
    ),
    "lift gap": LiftGap(*numbers(5, 6), name="pca"),
    "scores": ScoreTable(["p"], ["a", "b"], np.array([[1.0, np.nan]]), np.zeros((1, 2, 3)), [True, False], ["x", "y"]),
    "valley height": ValleyHeight(1.0, 0.9, 1.1, -0.1, np.nan, 0.2, 0.01, 14),
    "connection": Connection(np.linspace(0, 1, 4), numbers(3, 4), np.ones(3), 0.1, "b"),
    "barriers": Barriers(["a", "b"], np.array([[0, np.nan], [np.nan, 0]]), matched=True),
    "normal profile": NormalProfile(np.arange(3.0), numbers(2, 3), ["a", "b"], np.ones(2), 1.0, 0.5, 0.1),
    "critical points": CriticalPoints(PAIRS, *np.ones((1, 2)), PAIRS, PAIRS[:, :2], np.ones(2), np.ones(2), 0.1),
    "pullback": Pullback(np.zeros(2), 1.0, np.ones(2), np.eye(2), np.eye(2), np.eye(2), 1.0, 0.5),
    "geodesic": Geodesic(numbers(4, 2), 1.0, 2.0, 0.5),
    "potential": EffectivePotential(GRID, VALUES, 60.0, 1.0, 0.9, 0.8),
    "density": SpectralDensity(numbers(2, 3), np.full((2, 3), 1 / 3), 9),
    "edge": EdgeGauge(np.arange(2.0), np.ones(2), np.ones(2), 4.0, "sharpness"),
    "refused edge": EdgeGauge(
        np.arange(2.0), np.full(2, np.nan), np.ones(2), np.nan, "sharpness", reasons=["a", "b"], full_batch=False
    ),
    "critical sharpness": CriticalSharpness(np.nan, 0.5, np.inf, 9),
    "trainings": TrainingCurves(np.arange(3.0), np.ones((2, 3)), ["a", "b"]),
    "tree": MergeTree(
        np.array([3]),
        np.array([-1]),
        np.ones(1),
        np.array([np.inf]),
        np.array([-1]),
        np.zeros(4, int),
        np.array([True]),
        2.0,
    ),
    "diagram": PersistenceDiagram(np.array([[0.0, np.inf], [1, 3]]), 1),
    "sensitivity": Sensitivity(numbers(2, 3, 2), ["a", "b"]),
    "lines": LineProfiles(np.arange(3.0), numbers(2, 3), ["a", "b"], ["v-basin", "flat"]),
    "basins": BasinProfile(np.ones((2, 3)), np.ones((2, 3))),
    "curve class": LineClass("w-peak", np.array([-1.0, 1]), np.zeros(2), np.ones(1)),
    "mined direction": MinedDirection(np.ones(4, dtype=np.float32), np.arange(3.0), VALUES[:, 1]),
    "asymmetry": Asymmetry(np.array([0.0, 1]), PAIRS, PAIRS + 1, "error", 0.5),
    "direction curvatures": DirectionCurvatures(numbers(5), 0.1, 0.2),
    "walk rise": WalkRise(PAIRS, 0.1),
    "noise rise": NoiseRise(np.ones(2), PAIRS, 0.5),
    "permutation paths": PermutationPaths(np.array([2, 4]), np.arange(3.0), numbers(2, 4, 3)),
    "gradient cloud": GradientCloud(PAIRS, PAIRS, ["saddle", "flat"]),
    "saturation": Saturation(np.arange(2.0), PAIRS, ["a", "b", "c"]),
    "sample convergence": SampleConvergence(np.arange(1, 4), np.ones(3), -1.0, 0.5, 0.5),
    "subspace convergence": SubspaceConvergence(np.arange(1, 4), np.ones(3), 1.0, 1.0, 0.1, 0.1, 0.5),
    "solution tree": SolutionTree(
        np.array([[0.0, 1, 1, 2], [2, 3, 2, 3]]), 0.9, np.ones(4), np.eye(3), ["a", "b", "c"]
    ),
    "null test": NullTest(1.0, np.arange(4.0), "share", "walks"),
    "variance": VarianceSpectrum(np.ones(2), np.ones(2), np.ones((4, 2))),
    "trace": TraceEstimate(2.0, np.nan, 30),
    "scalar curvature": ScalarCurvature(-1.0, 0.5, 2.0, 4.0),
    "stationary check": StationaryCheck(np.array([2.0, -1]), np.ones(2), np.array([0.5, np.nan])),
    "batch gradients": BatchGradients(numbers(3, 5).astype(np.float32), np.full(3, 1 / 3)),
    "stagnation": Stagnation(2, 12.5),
    "eigenspace drift": EigenspaceDrift(np.array([[0.9, 0.9], [0.8, 0.5], [0.7, 0.4]]), np.ones(3)),
    "spectral gap": SpectralGap(3, np.inf),
    "drift share": DriftShare(0.25, 0.1),
    "quadratic horizon": QuadraticHorizon(np.array([10, 20, 30]), np.array([1.0, 0.9, np.nan])),
    "sample quadratics": SampleQuadratics(np.ones(3), PAIRS.T, numbers(3, 2, 2)),
    "kernel slope": KernelSlope(1.5, 0.2),
    "intensive coordinates": IntensiveCoordinates(numbers(4, 2), np.array([3.0, -1])),
    "rank agreement": RankAgreement(0.5, np.nan, np.nan),
    "curvature class": CurvatureClass("saddle", 1, 3),
    "matched weights": MatchedWeights(np.arange(4.0), (np.array([1, 0]), np.array([2, 0, 1]))),
}


def equal(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, Saved):
        return all(equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b or (np.isnan(a) and np.isnan(b))


@pytest.mark.parametrize("name", NOUNS)
def test_saves_and_opens_as_itself(name, tmp_path):
    noun = NOUNS[name]
    path = noun.save(tmp_path / "deep" / "noun.npz")
    again = type(noun).open(path)
    assert type(again) is type(noun)
    assert equal(noun, again)
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"


@pytest.mark.parametrize("name", NOUNS)
def test_is_frozen(name):
    noun = NOUNS[name]
    field = dataclasses.fields(noun)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(noun, field, 1)
    for field in dataclasses.fields(noun):
        value = getattr(noun, field.name)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, field.name


@pytest.mark.parametrize("name", NOUNS)
def test_is_shown_in_a_line(name):
    shown = repr(NOUNS[name])
    assert shown.startswith(f"{type(NOUNS[name]).__name__}(")
    assert len(shown) < 200
    assert "\n" not in shown


def test_a_line_says_shape_range_and_counts():
    grid = Grid((np.linspace(0, 2, 41), np.linspace(-1, 1, 31)))
    values = np.linspace(0.5, 2.5, 41 * 31).reshape(41, 31)
    values[0, 1], values[3, 4] = np.nan, np.inf
    land = Landscape(grid, values, support=values > 2, name="pca", runs={})
    assert repr(land) == (
        "Landscape(grid=Grid(axes=(<41: 0 to 2>, <31: -1 to 1>)), values=<41×31: 0.5 to 2.5, 2 NaN or inf>, "
        f"support=<41×31: {(values > 2).sum()} true>, name='pca')"
    )
    assert repr(Plane(np.zeros(2**21), np.ones((1, 2**21)))).startswith("Plane(origin=<2097152 float64>")
    assert "value=nan, low=0.5" in repr(NOUNS["critical sharpness"])


def test_a_landscape_without_a_scale_opens_and_has_no_extents(tmp_path):
    """As those written before scales were."""
    path = tmp_path / "old.npz"
    Landscape(GRID, VALUES).save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    manifest = json.loads(arrays["manifest.json"].tobytes())
    del manifest["fields"]["scale"]
    arrays["manifest.json"] = np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)
    np.savez(path, **arrays)
    again = Landscape.open(path)
    assert again.scale is None
    assert again.extents is None
    assert NOUNS["landscape with a scale"].extents is None
    np.testing.assert_array_equal(Landscape(GRID, VALUES, scale=[3, 2]).extents, [6, 2])
    with pytest.raises(InputError, match=r"scale: expected shape \(d,\) with d = 2 as in grid"):
        Landscape(GRID, VALUES, scale=[3])


def test_opening_runs_no_code(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, x=np.array([object()]), allow_pickle=True)
    with pytest.raises(RunFormatError, match="damaged|manifest"):
        Grid.open(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not an archive"])
def test_damaged_files_are_worded(tmp_path, content):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(RunFormatError, match="damaged file"):
        Grid.open(path)


def test_truncated_anywhere(tmp_path):
    path = NOUNS["landscape"].save(tmp_path / "x.npz")
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 23)):
        path.write_bytes(whole[:length])
        with pytest.raises(RunFormatError):
            Landscape.open(path)


def test_other_nouns_are_refused(tmp_path):
    with pytest.raises(RunFormatError, match="expected a Plane, got a Grid"):
        Plane.open(GRID.save(tmp_path / "x.npz"))
    with pytest.raises(RunFormatError, match="got none"):
        Plane.open(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Grid(()), "at least one axis"),
        (lambda: Grid((np.array([1.0, 1]),)), "strictly increasing"),
        (lambda: Grid((np.array([0.0, np.nan]),)), "strictly increasing"),
        (lambda: Grid.around(np.array([[np.inf, 1]])), "Z: expected finite"),
        (lambda: Landscape(GRID, VALUES.T), r"values: expected shape \(3, 2\) as in grid"),
        (
            lambda: Landscape(GRID, VALUES, path=np.zeros((4, 3))),
            r"path: .* \(T, d\) with d = 2 as in grid",
        ),
        (lambda: Landscape(GRID, VALUES, path=np.zeros((4, 2)), path_values=np.zeros(3)), "path_values"),
        (lambda: Plane(np.zeros(3), np.array([[1.0, 0, 0], [2, 0, 0]])), "linearly independent"),
        (lambda: Plane(np.zeros(3), np.zeros((1, 3))), "linearly independent"),
        (lambda: Plane(np.array([np.nan]), np.ones((1, 1))), "origin: expected finite"),
        (lambda: Plane(np.zeros(3), np.ones((1, 4))), r"directions: expected shape \(d, P\) with P = 3 as in origin"),
        (
            lambda: Reduction(np.zeros((4, 3)), np.zeros((3, 2)), np.zeros((4, 3))),
            r"Z: .* \(n, d\) with n = 4 as in X",
        ),
        (lambda: Eigenspace(np.zeros(0), np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool)), "at least one"),
        (
            lambda: GradientCloud(PAIRS, PAIRS, ["saddle"]),
            "n_walks = 2 entries as in losses, or none, got 1",
        ),
        (lambda: SolutionTree(np.ones((1, 4)), 1.0, np.ones(2), np.eye(2), ["a", "b"]), "at least 3 solutions, got 2"),
        (
            lambda: LineClass("v-basin", np.zeros(2), np.zeros(2), np.zeros(2)),
            r"\(m - 1,\) with m - 1 = 1 as in pos",
        ),
        (
            lambda: Asymmetry(np.zeros(2), PAIRS, PAIRS[:1]),
            r"minus: .* with m = 2 as in shares, n = 3 as in plus",
        ),
        (
            lambda: LiftGap(*np.zeros((4, 6)), np.zeros(5)),
            r"control_values: .* \(m,\) with m = 6 as in steps",
        ),
    ],
)
def test_worded_errors(make, message):
    with pytest.raises(InputError, match=message):
        make()


def arrays_of(noun):
    return {f.name: v for f in dataclasses.fields(noun) if isinstance(v := getattr(noun, f.name), np.ndarray)}


def documented_axes(noun):
    """The axes of each array as the docstring says them: words that share no code with the check."""
    found = {}
    for line in inspect.getdoc(type(noun)).splitlines():
        entry = re.match(r"(\w[\w, ]*) : .*?shape (\(.*?\)|grid\.shape)(?=[, ]|$)", line)
        if entry:
            inside = entry[2].strip("()")
            axes = [inside] if "(" in inside else [part.strip() for part in inside.split(",") if part.strip()]
            found.update(dict.fromkeys(entry[1].split(", "), axes))
    return found


@pytest.mark.parametrize("name", NOUNS)
def test_an_array_with_one_more_axis_is_told_by_its_name(name):
    noun = NOUNS[name]
    for field, value in arrays_of(noun).items():
        with pytest.raises(InputError, match=rf"^{field}: expected shape \(.*got an array of shape \(1, "):
            dataclasses.replace(noun, **{field: value[None]})


@pytest.mark.parametrize("name", NOUNS)
def test_arrays_that_do_not_fit_each_other_are_told(name):
    """An axis that the docstring gives the same letter in two arrays, or a number, is as long in both."""
    noun = NOUNS[name]
    axes = documented_axes(noun)
    letters = [axis for field in arrays_of(noun) for axis in axes[field]]
    tried = 0
    for field, value in arrays_of(noun).items():
        for place, axis in enumerate(axes[field]):
            if not (axis.isdigit() or letters.count(axis) > 1):
                continue
            longer = np.concatenate([value, np.take(value, [0], axis=place)], axis=place)
            with pytest.raises(InputError, match=r"^\w+: expected .*got "):
                dataclasses.replace(noun, **{field: longer})
            tried += 1
    assert tried or max(map(letters.count, letters), default=0) < 2


@pytest.mark.parametrize("name", NOUNS)
def test_fields_of_another_kind_are_told(name):
    noun = NOUNS[name]
    for field in dataclasses.fields(noun):
        value = getattr(noun, field.name)
        if isinstance(value, np.ndarray):
            wrong, expected = np.full(value.shape, "x"), "real numbers, got dtype <U1"
        elif isinstance(value, (bool, int, float)):
            wrong, expected = "x", "(a number|an integer|True or False), got 'x'"
        elif isinstance(value, str):
            wrong, expected = 3, "a word, got 3"
        elif isinstance(value, list):
            wrong, expected = "x", "a list, got 'x'"
        elif isinstance(value, Saved):
            wrong, expected = 3, f"a {type(value).__name__}, got 3"
        else:
            continue
        with pytest.raises(InputError, match=f"^{field.name}: expected {expected}"):
            dataclasses.replace(noun, **{field.name: wrong})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SampleConvergence([1.5], [1.0], -1.0, 0.5, 0.5), "sizes: expected integers, got an array of shape"),
        (lambda: SampleConvergence([np.nan], [1.0], -1.0, 0.5, 0.5), "sizes: expected integers"),
        (lambda: dataclasses.replace(NOUNS["eigenspace"], converged=[0, 2]), "converged: expected True or False"),
        (lambda: CriticalSharpness(True, 0.0, 1.0, 3), "value: expected a number, got True"),
        (lambda: CriticalSharpness(1.0, 0.0, 1.0, 3.0), "n_values: expected an integer, got 3.0"),
        (
            lambda: Saturation([0.0], [[0.5]], ["a", "b"]),
            r"values: .* \(n, n_layers\) with n = 1 as in steps",
        ),
        (lambda: Saturation([0.0], [[0.5]], [3]), "names: expected a word, got 3"),
        (
            lambda: Landscape(GRID, VALUES, metrics={"a": VALUES.T}),
            r"metrics\['a'\]: .* \(3, 2\) as in grid",
        ),
        (
            lambda: EdgeGauge([0.0], [1.0], [1.0], [1.0, 2.0], "x"),
            r"threshold: .* with n = 1 as in steps",
        ),
    ],
)
def test_numbers_and_words_that_do_not_fit(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_what_is_given_is_converted_and_not_frozen():
    given = np.array([1, 2], dtype=np.int32)
    found = SampleConvergence(given, [1, 2], np.float32(-1), 1, 2)
    assert (found.sizes.dtype, found.changes.dtype) == (np.int64, np.float64)
    assert [type(x) for x in (found.slope, found.constant)] == [float, float]
    theta = np.ones(4, np.float32)
    mined = MinedDirection(theta, [0.0], [1.0])
    assert mined.vector.dtype == np.float32
    assert np.shares_memory(mined.vector, theta), "what has P entries is not copied"
    theta[0] = 5


# rows and columns that each noun promises; "z*2" stands for z_0 and z_1
FRAMES = {
    "grid": (6, "axes*2"),
    "landscape": (6, "grid*2 values support reach name rank_ratio area spread strategy"),
    "bare landscape": (6, "grid*2 values reach metrics_accuracy name rank_ratio area spread strategy"),
    "landscape with a scale": (6, "grid*2 values reach name rank_ratio area spread strategy"),
    "loss check": (3, "value recorded statistics"),
    "plane": (5, "origin directions*2 name"),
    "reduction": (4, "X*3 Z*2 X_hat*3 name"),
    "eigenspace": (2, "eigenvalues residuals converged n_products"),
    "alignment": (2, "steps eigenvalues*3 residuals*3 angles*2 tangent gradient step size name"),
    "lift gap": (6, "steps values lifted_values residuals control_values name"),
    "scores": (2, "reductions scores values null*3 higher_is_better notes"),
    "valley height": (1, "last average mean low high forecast forecast_error n_iterates height_error"),
    "connection": (
        4,
        "t losses*3 noise name function_distance sister_distance same_signs same_signs_matched n_sisters matching",
    ),
    "barriers": (2, "names values*2 matched noise"),
    "normal profile": (6, "offsets losses names value rise normal_gradient name"),
    "critical points": (2, "z*3 values curvatures*3 normal_curvatures*2 normal_gradients slope_gains noise name"),
    "pullback": (2, "z value gradient hessian*2 covariant*2 metric*2 gradient_norm normal_gradient"),
    "geodesic": (4, "points*2 length straight chord path converged"),
    "potential": (6, "grid*2 values n_effective drift noise_change isotropy"),
    "density": (6, "nodes weights size"),
    "edge": (2, "steps sharpness top threshold kind low high reasons full_batch"),
    "refused edge": (2, "steps sharpness top threshold kind low high reasons full_batch"),
    "critical sharpness": (1, "value low high n_values"),
    "trainings": (6, "steps losses names"),
    "tree": (1, "minima saddles births deaths parents boundary top supported"),
    "diagram": (2, "pairs*2 degree"),
    "sensitivity": (12, "values names"),
    "lines": (6, "offsets losses names kinds through"),
    "basins": (6, "heights widths"),
    "curve class": (2, "name positions depths"),
    "mined direction": (3, "offsets losses"),
    "asymmetry": (6, "shares plus minus measure scale"),
    "direction curvatures": (5, "values mean deviation"),
    "walk rise": (6, "rises sigma trace"),
    "noise rise": (6, "scales losses start"),
    "permutation paths": (24, "counts t losses"),
    "gradient cloud": (6, "losses norms ends"),
    "saturation": (6, "steps values names"),
    "sample convergence": (3, "sizes changes slope constant deviation"),
    "subspace convergence": (3, "sizes measured variance quadratic curved published sigma"),
    "solution tree": (3, "cophenetic overlaps*3 names"),
    "null test": (4, "value null statistic surrogate"),
    "variance": (2, "ratios theory null*4"),
    "trace": (1, "value error n_products"),
    "scalar curvature": (1, "value error trace squared"),
    "stationary check": (2, "eigenvalues measured expected"),
    "batch gradients": (3, "weights"),
    "stagnation": (1, "count length"),
    "eigenspace drift": (3, "overlaps*2 distances"),
    "spectral gap": (1, "count ratio"),
    "drift share": (1, "value error"),
    "quadratic horizon": (3, "steps cosines"),
    "sample quadratics": (3, "values gradients*2 hessians_0*2 hessians_1*2"),
    "kernel slope": (1, "dimension epsilon"),
    "intensive coordinates": (4, "coordinates*2"),
    "rank agreement": (1, "value low high"),
    "curvature class": (1, "kind n_negative n_positive"),
    "matched weights": (4, "theta"),
}


def listed(columns):
    parts = [part.partition("*") for part in columns.split()]
    return [f"{name}_{i}" if count else name for name, _, count in parts for i in range(int(count or 1))]


@pytest.mark.parametrize("name", NOUNS)
def test_is_laid_out_as_a_table(name):
    frame = NOUNS[name].to_frame()
    rows, columns = FRAMES[name]
    assert (len(frame), list(frame.columns)) == (rows, listed(columns))


def test_a_table_says_what_the_arrays_say():
    land = NOUNS["bare landscape"]
    frame = land.to_frame()
    for i, x in enumerate(GRID.axes[0]):
        for j, y in enumerate(GRID.axes[1]):
            row = frame.loc[i, j]
            assert (row["grid_0"], row["grid_1"]) == (x, y)
            np.testing.assert_array_equal([row["values"], row["metrics_accuracy"]], [VALUES[i, j]] * 2)
    sensitivity = NOUNS["sensitivity"]
    place = sensitivity.to_frame().loc[1, 2, 0]
    assert (place["values"], place["names"]) == (sensitivity.values[1, 2, 0], "a")
    points = NOUNS["critical points"]
    np.testing.assert_array_equal(points.to_frame()["normal_curvatures_1"], points.normal_curvatures[:, 1])
    assert NOUNS["edge"].to_frame().index.names == ["n"]
    assert len(Claim.untested("order matters", "too short", ("walks",)).to_frame()) == 0


def test_a_table_needs_pandas_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"^pandas: expected to be installed, .*trajmap\[pandas\]"):
        GRID.to_frame()


NUMBERS_ONLY = {"stagnation", "spectral gap", "kernel slope", "curvature class"}  # in units of their own: no picture


@pytest.mark.parametrize("name", NOUNS)
def test_is_shown_in_a_notebook(name):
    page = NOUNS[name]._repr_html_()
    assert ("<img" in page or "<svg" in page) is (name not in NUMBERS_ONLY)
    assert type(NOUNS[name]).__name__ in page
    assert "<script" not in page
    parsed = ElementTree.fromstring(page.replace("<br>", "<br/>").replace('"><br/>', '"/><br/>'))
    shown = [cell.text for cell in parsed.iter("th")]
    for field in dataclasses.fields(NOUNS[name]):
        assert any(text.split("[")[0] == field.name for text in shown), field.name


def test_a_page_holds_no_code_of_a_noun():
    evil = "<script>alert(1)</script>"
    for noun in (
        dataclasses.replace(NOUNS["landscape"], name=evil),
        dataclasses.replace(NOUNS["critical points"], name=evil),
    ):
        page = noun._repr_html_()
        assert "<script" not in page
        assert "&lt;script&gt;" in page


def test_the_picture_is_the_one_that_says_so_of_its_noun():
    assert picture_of(Landscape) is plots.plot_landscape
    assert picture_of(Alignment) is plots.plot_alignment
    assert picture_of(Grid) is None
    assert picture_of(Claim) is None, "claims are drawn together"


def test_what_a_picture_refuses_is_shown_by_its_fields():
    cube = Landscape(Grid((np.array([0.0, 1]),) * 3), np.arange(8.0).reshape(2, 2, 2), name="cube")
    page = cube._repr_html_()
    assert "<img" not in page
    assert "<svg" in page
    assert "M2.0" in page


def test_grid_owns_its_order():
    grid = Grid((np.array([0.0, 1]), np.array([10.0, 20, 30]), np.array([5.0, 6])))
    values = np.arange(12).reshape(grid.shape)
    for flat, point in enumerate(grid.points):
        where = tuple(int(np.flatnonzero(axis == c)[0]) for axis, c in zip(grid.axes, point, strict=True))
        assert values[where] == flat


def test_grid_around_spans_the_points():
    Z = np.array([[0.0, 5.0], [10.0, 5.0]])
    grid = Grid.around(Z, n_points=5, margin=0.1)
    np.testing.assert_allclose(grid.axes[0], np.linspace(-1, 11, 5))
    assert grid.axes[1][0] < 5 < grid.axes[1][-1], "a flat axis still has a range"


def test_plane_solves_least_squares(rng):
    plane = NOUNS["plane"]
    thetas = rng.normal(size=(6, 5))
    expected = np.linalg.lstsq(plane.directions.T, (thetas - plane.origin).T, rcond=None)[0].T
    np.testing.assert_allclose(plane.transform(thetas), expected, rtol=1e-9, atol=1e-12)
    Z = rng.normal(size=(3, 2))
    np.testing.assert_allclose(plane.transform(plane.inverse_transform(Z)), Z, atol=1e-12)
