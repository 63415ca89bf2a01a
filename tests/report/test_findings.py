"""Sentences follow the numbers, both ways."""

import dataclasses
import itertools
import warnings

import numpy as np
import pytest

from trajmap.data.claim import Claim
from trajmap.data.reduction import Reduction
from trajmap.data.results.asymmetry import Asymmetry
from trajmap.data.results.connection import Connection
from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.data.trajectory import Trajectory
from trajmap.kinds.alignment import find_alignment
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.asymmetry import find_asymmetry
from trajmap.kinds.claim import find_claims
from trajmap.kinds.cloud import find_cloud
from trajmap.kinds.connection import find_basins
from trajmap.kinds.edge import find_edge
from trajmap.kinds.eigenspace import EIGENSPACE, find_curvature
from trajmap.kinds.embedding import EMBEDDING
from trajmap.kinds.kind import Context
from trajmap.kinds.landscape import find_charts
from trajmap.kinds.lift_gap import find_gaps
from trajmap.kinds.noise import find_noise
from trajmap.kinds.permutations import find_permutations
from trajmap.kinds.run import find_run
from trajmap.kinds.samples import find_samples
from trajmap.kinds.scores import find_scores
from trajmap.kinds.variance import VARIANCE, find_variance
from trajmap.kinds.walk import find_walk
from trajmap.report.standing import list_cautions, list_stale
from trajmap.report.write import gather

WALKS = np.stack([np.linspace(0.58, 0.62, 39), np.full(39, 0.15)], axis=1)


@pytest.mark.parametrize(
    ("ratios", "words", "holds"),
    [
        ([0.9, 0.08], "straighter or flatter than a walk", "yes"),
        ([0.6, 0.15], "no evidence of a low-dimensional run", "no"),
        ([0.3, 0.2], "spread over more directions", "no"),
        ([np.nan, 0.2], "too few to decide", "unknown"),
    ],
)
def test_variance(ratios, words, holds):
    found = find_variance(VarianceSpectrum(np.array(ratios), np.array([0.61, 0.15]), WALKS))
    assert words in found.sentence
    assert found.holds == holds
    assert found.value == pytest.approx(sum(ratios), nan_ok=True)
    assert found.facts["middle"] == pytest.approx(0.75)


@pytest.mark.parametrize(("n", "holds"), [(2, "unknown"), (38, "unknown"), (39, "yes")])
def test_a_two_sided_test_needs_39_draws(n, holds):
    found = find_variance(VarianceSpectrum(np.array([0.9, 0.08]), np.array([0.61, 0.15]), WALKS[:n]))
    assert found.holds == holds
    assert ("too few" in found.sentence) is (holds == "unknown")


def test_run():
    losses = np.array([np.nan, 3.0, 0.5])
    found = find_run(Trajectory.of(np.eye(3), scalars={"loss": losses}))
    assert "3 iterates of 3 parameters" in found.sentence
    assert "from 3 to 0.5" in found.sentence
    assert "no loss was recorded" in find_run(Trajectory.of(np.eye(3))).sentence
    assert "never finite" in find_run(Trajectory.of(np.eye(3), scalars={"loss": np.full(3, np.nan)})).sentence


def test_curvature(nouns):
    found = find_curvature(nouns["alignment"])
    assert "from 3 to 5" in found.sentence
    assert "at most 1 were negative" in found.sentence


def test_a_negative_eigenvalue_within_its_residual_is_none(nouns):
    values = np.array([[3.0, 2, -0.005], [4, 2, 1], [5, 2, 0.5]])
    found = find_curvature(dataclasses.replace(nouns["alignment"], eigenvalues=values))
    assert "none of the 3 largest in magnitude was negative beyond its residual" in found.sentence


def pictured(values, support):
    grid = Grid((np.arange(float(len(values))), np.arange(2.0)))
    both = [np.repeat(np.array(rows)[:, None], 2, axis=1) for rows in (values, support)]
    return Landscape(
        grid, both[0], support=both[1], path=np.zeros((2, 2)), path_values=np.array([2.0, 1.5]), name="pca"
    )


@pytest.mark.parametrize(
    ("values", "support", "value", "words"),
    [
        ([0.1, 1.0, 3.0], [False, True, True], 1.0, "an unsupported cell of pca shows 0.1"),
        ([0.1, 1.0, 3.0], [True, True, False], 0.1, "of the cells that the run supports is 0.1, on pca"),
        ([0.1, 1.0, 3.0], [False] * 3, np.nan, "no supported cell has a finite loss"),
        ([np.nan, 1.0, np.inf], [True] * 3, 1.0, "supports is 1, on pca"),
    ],
)
def test_the_lowest_loss_is_of_supported_cells(values, support, value, words):
    found = find_charts({"pca": pictured(values, support)})
    assert found.value == pytest.approx(value, nan_ok=True)
    assert words in found.sentence
    assert ("unsupported" in found.sentence) == (found.facts["outside"].get("pca", 9.0) < np.nan_to_num(value, nan=9))


def gap_of(excess, control, name="pca"):
    values = np.ones(5)
    return LiftGap(np.arange(5.0), values, values + excess, values, values + control, name)


@pytest.mark.parametrize(
    ("excess", "control", "words", "holds"),
    [
        (0.5, 0.1, "Every lift costs more than that", "no"),
        (0.05, 0.1, "No lift costs more than that", "yes"),
        (-0.2, 0.1, "as for averages of iterates", "yes"),
    ],
)
def test_lift_gap(excess, control, words, holds):
    fitted = find_gaps({"pca": gap_of(excess, control)})
    assert words in fitted.sentence
    assert fitted.holds == ("no" if holds == "no" else "unknown")
    assert "the numbers are too good" in fitted.sentence
    on_sister = find_gaps({"pca": gap_of(9, 0), "pca on sister": gap_of(excess, control)})
    assert on_sister.value == pytest.approx(excess)
    assert on_sister.holds == holds
    assert "too good" not in on_sister.sentence


def test_one_bad_chart_of_two_is_not_the_gap():
    found = find_gaps({"a on blocks": gap_of(0.5, 0.1), "b on blocks": gap_of(0.0, 0.1)})
    assert "Lifts of a on blocks cost more than that" in found.sentence
    assert "b on blocks +0 (+0.1)" in found.sentence
    assert (found.low, found.high, found.holds) == (0.0, 0.5, "unknown")


def scored(table, error, walks, n=39, column=4):
    values = np.full(table.values.shape, np.nan)
    values[:, :2], values[0, column] = table.values[:, :2], error
    return dataclasses.replace(table, values=values, null=np.tile(np.linspace(*walks, n), (2, 5, 1)))


@pytest.mark.parametrize(
    ("error", "walks", "n", "words", "holds"),
    [
        (0.2, (0.4, 0.9), 39, "better than on a walk (p = 0.025", "yes"),
        (0.2, (0.1, 0.9), 39, "walks reach it", "no"),
        (0.95, (0.1, 0.9), 39, "worse than every walk", "no"),
        (2.0, (7.0, 9.0), 39, "does not generalise", "no"),
        (0.2, (0.4, 0.9), 2, "too few walks", "unknown"),
    ],
)
def test_scores(error, walks, n, words, holds, nouns):
    found = find_scores(scored(nouns["scores"], error, walks, n))
    assert words in found.sentence
    assert found.holds == holds
    assert "sister" in found.sentence


def test_the_best_of_several_charts_is_paid_for(nouns):
    one = scored(nouns["scores"], 0.2, (0.4, 0.9), 19)
    assert find_scores(one).holds == "yes"
    values = one.values.copy()
    values[1, 4] = 0.6
    assert find_scores(dataclasses.replace(one, values=values)).holds == "unknown"


def test_scores_without_walks_or_a_sister(nouns):
    none = dataclasses.replace(nouns["scores"], null=np.full(nouns["scores"].null.shape, np.nan))
    assert find_scores(none).holds == "unknown"
    assert "no random walk was scored" in find_scores(none).sentence
    assert "held-out stretches" in find_scores(scored(nouns["scores"], 0.2, (0.4, 0.9), column=3)).sentence


def test_verdicts(nouns):
    np.testing.assert_array_equal(nouns["scores"].verdicts, [[0, 0, 1, 1, 1], [-1, -1, np.nan, 1, 1]])


@pytest.mark.parametrize(
    ("tangent", "words", "holds"),
    [
        (0.95, "follows the curved directions", "yes"),
        (0.3, "less than the single steps", "no"),
        (0.05, "no closer", "no"),
        (np.nan, "there is no answer", "unknown"),
    ],
)
def test_alignment(tangent, words, holds, nouns):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a median of nothing
        found = find_alignment({"pca": dataclasses.replace(nouns["alignment"], tangent=np.full(3, tangent))})
    assert words in found.sentence
    assert found.holds == holds
    assert "random direction 2.50%" in found.sentence


def standing(trajectory, artefacts):
    context = Context(trajectory, artefacts)
    found = gather(context)
    return list_cautions(found, context, list_stale(found, context))


def told(found):
    return " ".join(one.sentence for one in found)


def test_cautions_fire_and_stay_silent(run_folder, tmp_path):
    artefacts = Artefacts.of(run_folder)
    text = told(standing(Trajectory.open(run_folder), artefacts))
    assert "One run is a curve" in text
    assert "negative eigenvalues down to -1" in text
    assert "did not reach the requested residual" in text
    assert "half cosine" not in text
    assert "Adam" not in text
    wave = np.cos(np.pi * np.arange(40) / 39)[:, None]
    Reduction(wave, wave, wave, "pca").save(artefacts.path(EMBEDDING, "pca"))
    assert "half cosine of time" in told(standing(Trajectory.open(run_folder), artefacts))
    calm = Trajectory.of(np.eye(4))
    assert standing(calm, Artefacts.of(tmp_path / "nothing")) == []
    broken = Trajectory.of(np.array([[1.0], [np.nan], [3]]))
    assert "1 iterates hold NaN" in told(standing(broken, Artefacts.of(tmp_path / "nothing")))


@pytest.mark.parametrize(
    ("minus", "words"),
    [
        ([[1.0, 1.1, 0.9], [3, 3.1, 2.9]], "flatter on the side of the model's signs"),
        ([[1.0, 1.1, 0.9], [0.4, 0.41, 0.39]], "steeper on the side of the model's signs"),
        ([[1.0, 2.0, 0.5], [1.1, 1, 1]], "no asymmetry beyond chance"),
        ([[1.0, 1, 1], [1, 1, np.nan]], "not a number in 1 of 12 draws"),
        ([[1.0, 1, 1], [1, 1, -1]], "falls to -1: ratios of it mean nothing"),
    ],
)
def test_asymmetry(minus, words):
    assert words in find_asymmetry(Asymmetry(np.array([0.0, 1]), np.ones((2, 3)), np.array(minus))).sentence


def test_asymmetry_without_its_control():
    found = find_asymmetry(Asymmetry(np.array([1.0]), np.ones((1, 2)), np.full((1, 2), 3.0)))
    assert "no Gaussian noise was measured" in found.sentence
    assert found.value == 3
    assert found.holds == "unknown"


WALKS_OF = {"walk": find_walk, "noise": find_noise, "permutations": find_permutations, "cloud": find_cloud}


def test_walks_and_samples(nouns):
    sentences = told(find(nouns[name]) for name, find in WALKS_OF.items())
    for words in ("Random walks rise by 1 ", "Noise of 0.5", "2 to 8 units", "67% saddle"):
        assert words in sentences
    assert "slope -1.000" in find_samples(nouns["sample_convergence"]).sentence


# what cannot stand on one page: the first of the pair denies the second
DENIALS = (
    ("no evidence of a low-dimensional run", "straighter or flatter than a walk"),
    ("draws the same smooth arc", "straighter or flatter than a walk"),
    ("no better than", "more than chance"),
    ("about training", ""),
    ("passes saddles", ""),
    ("none of the 3 largest in magnitude was negative", "negative eigenvalues down to"),
    ("No lift costs more", "Every lift costs more"),
    ("Every lift costs", "others do not"),
)


def claimed(holds, name="order matters"):
    value, n = {"yes": (2.0, 39), "no": (0.5, 39), "unknown": (2.0, 2)}[holds]
    return Claim(name, value, np.linspace(0, 1, n)[None], ("shuffled steps",))


@pytest.mark.parametrize("ratios", [[0.9, 0.08], [0.6, 0.15], [0.3, 0.2]])
@pytest.mark.parametrize("lowest", [-1.0, -0.005, 0.5])
@pytest.mark.parametrize("wavy", [True, False])
def test_no_two_findings_of_a_run_deny_each_other(ratios, lowest, wavy, nouns, tmp_path):
    artefacts = Artefacts.of(tmp_path)
    spectrum = VarianceSpectrum(np.array(ratios), np.array([0.61, 0.15]), WALKS)
    spectrum.save(artefacts.path(VARIANCE))
    t = np.arange(40) / 39
    Z = np.stack([np.cos(np.pi * t) if wavy else np.sin(9 * t), t], axis=1)
    Reduction(Z, Z, Z, "pca").save(artefacts.path(EMBEDDING, "pca"))
    values = np.array([3.0, 2, lowest])
    Eigenspace(values, np.eye(3, 9), np.full(3, 0.01), np.ones(3, bool), 9).save(artefacts.path(EIGENSPACE, "4"))
    space = dataclasses.replace(nouns["alignment"], eigenvalues=np.tile(values, (3, 1)))
    cautions = standing(Trajectory.of(np.eye(4)), artefacts)
    cases = itertools.product(
        (gap_of(0.5, 0.1), gap_of(0.0, 0.1)), (0.95, 0.3, 0.05), ((0.2, (0.4, 0.9)), (0.95, (0.1, 0.9))),
        ("yes", "no", "unknown"),
    )  # fmt: skip
    for gap, tangent, (error, walks), holds in cases:
        page = [
            *cautions,
            find_variance(spectrum),
            find_gaps({"pca on blocks": gap, "umap on blocks": gap_of(0.0, 0.1)}),
            find_alignment({"pca": dataclasses.replace(space, tangent=np.full(3, tangent))}),
            find_curvature(space),
            find_scores(scored(nouns["scores"], error, walks)),
            find_claims({"order": claimed(holds)}),
        ]
        text = told(page)
        assert not [pair for pair in DENIALS if all(words in text for words in pair)]
        answers = {}
        for found in page:
            assert found.holds in {"", "yes", "no", "unknown"}
            if found.claim:
                assert answers.setdefault(found.claim, found.holds) == found.holds


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (("yes", "yes"), "Shown: order matters (p = 0.025), reproducible (p = 0.025)."),
        (("yes", "no"), "Shown: order matters (p = 0.025). Not shown: reproducible (shuffled steps reach it)."),
        (("no", "no"), "Nothing beyond the nulls was shown. Not shown: order matters (shuffled steps reach it); rep"),
        (("yes", "unknown"), "Shown: order matters (p = 0.025). Not known: reproducible (too few draws)."),
        (("unknown", "unknown"), "Nothing could be tested. Not known: order matters"),
    ],
)
def test_claims_in_one_sentence(answers, words):
    names = {"order": "order matters", "reproducible": "reproducible"}
    found = find_claims({at: claimed(holds, name) for (at, name), holds in zip(names.items(), answers, strict=True)})
    assert words in found.sentence
    assert found.value == answers.count("yes")


@pytest.mark.parametrize(
    ("ratio", "width", "holds", "words"),
    [(0.3, 0, "no", "below the edge"), (1.0, 0.05, "yes", "at the edge"), (3.0, 0, "yes", "beyond the edge"),
     (1.0, np.inf, "unknown", "only known to be at least"), (np.nan, 0, "unknown", "is not a number")],
)  # fmt: skip
def test_edge(ratio, width, holds, words):
    n = np.arange(3.0)
    gauge = EdgeGauge(n, np.full(3, ratio), n, 1.0, "sharpness", low=np.full(3, ratio), high=np.full(3, ratio + width))
    found = find_edge(gauge)
    assert found.holds == holds
    assert words in found.sentence


def connected(climb, **more):
    nothing = np.full(3, np.nan)
    return Connection(np.array([0.0, 0.5, 1]), np.array([[1, 1 + climb, 1], nothing, nothing]), np.ones(3), **more)


@pytest.mark.parametrize(
    ("climbs", "holds"), [((0.0,), "yes"), ((0.003,), "unknown"), ((0.0, 2.0), "unknown"), ((0.0, 0.0005), "yes")]
)
def test_a_climb_without_sisters_or_a_curve_is_no_second_basin(climbs, holds):
    found = find_basins({f"run {i}": connected(climb) for i, climb in enumerate(climbs)})
    assert found.holds == holds
    assert "two basins" not in found.sentence
